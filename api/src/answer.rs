//! Answers: what handlers return, how it becomes a response, and how it is described.
//!
//! A handler's return type is an [`Answer`], so the description of a route cannot promise another answer than it gives.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::error::ApiError;
use crate::stream::{EventStream, TextStream};
use crate::wire::{
    DriftEvent, DriftList, EVENT_STREAM, LogEvent, PROBLEM_JSON, Problem, Readiness, ResourceList,
    ResourceView, WatchEvent,
};

/// One way in which a route answers.
pub(crate) struct AnswerDoc {
    pub(crate) status: StatusCode,
    pub(crate) about: &'static str,
    /// The content type and its schema; for streams, that of one event's data.
    pub(crate) content: Option<(&'static str, Schema)>,
    /// Does an ETag come with it?
    pub(crate) etag: bool,
}

impl AnswerDoc {
    fn json<T: JsonSchema>(status: StatusCode, about: &'static str, schemas: &mut SchemaGenerator) -> Self {
        let content = Some(("application/json", schemas.subschema_for::<T>()));
        Self { status, about, content, etag: false }
    }

    fn stream<T: JsonSchema>(about: &'static str, schemas: &mut SchemaGenerator) -> Self {
        let content = Some((EVENT_STREAM, schemas.subschema_for::<T>()));
        Self { status: StatusCode::OK, about, content, etag: false }
    }

    fn with_etag(self) -> Self {
        Self { etag: true, ..self }
    }
}

/// What a handler returns.
pub(crate) trait Answer {
    /// The ways in which it answers when nothing is wrong.
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc>;
    /// As bytes.
    fn respond(self) -> Result<Response, ApiError>;
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(value).map_err(ApiError::internal)?;
    let mut response = (status, bytes).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A resource with its revision as ETag.
///
/// The ETag is the version for `If-Match`. It is not a validator of caches: the status changes without it.
fn tagged(status: StatusCode, view: &ResourceView) -> Result<Response, ApiError> {
    let mut response = json(status, view)?;
    let tag = format!("\"{}\"", view.metadata.revision);
    response.headers_mut().insert(ETAG, HeaderValue::try_from(tag).map_err(ApiError::internal)?);
    Ok(response)
}

/// A document.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: Serialize + JsonSchema> Answer for Document<T> {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![AnswerDoc::json::<T>(StatusCode::OK, "The answer.", schemas)]
    }

    fn respond(self) -> Result<Response, ApiError> {
        json(StatusCode::OK, &self.0)
    }
}

/// A resource that was found.
pub(crate) struct Found(pub(crate) ResourceView);

impl Answer for Found {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![AnswerDoc::json::<ResourceView>(StatusCode::OK, "The resource.", schemas).with_etag()]
    }

    fn respond(self) -> Result<Response, ApiError> {
        tagged(StatusCode::OK, &self.0)
    }
}

/// A resource that was written.
pub(crate) struct Written {
    pub(crate) created: bool,
    pub(crate) resource: ResourceView,
}

impl Answer for Written {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        let changed = "It existed, and is now as the manifest says.";
        vec![
            AnswerDoc::json::<ResourceView>(StatusCode::OK, changed, schemas).with_etag(),
            AnswerDoc::json::<ResourceView>(StatusCode::CREATED, "It is new.", schemas).with_etag(),
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        tagged(if self.created { StatusCode::CREATED } else { StatusCode::OK }, &self.resource)
    }
}

/// A resource that was deleted, at once or as soon as nothing of it is left in the Swarm.
pub(crate) enum Deleted {
    Gone,
    Marked(Box<ResourceView>),
}

impl Answer for Deleted {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        let marked = "Its deletion is recorded. It is gone when a GET answers 404.";
        let gone = "It is gone.";
        vec![
            AnswerDoc::json::<ResourceView>(StatusCode::ACCEPTED, marked, schemas),
            AnswerDoc { status: StatusCode::NO_CONTENT, about: gone, content: None, etag: false },
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        match self {
            Self::Gone => Ok(StatusCode::NO_CONTENT.into_response()),
            Self::Marked(view) => json(StatusCode::ACCEPTED, view.as_ref()),
        }
    }
}

/// A page of a list, or the changes of what it selects.
pub(crate) enum PageOrWatch {
    Page(ResourceList),
    Watch(EventStream),
}

impl Answer for PageOrWatch {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![
            AnswerDoc::json::<ResourceList>(
                StatusCode::OK,
                "A page, or with `watch` a stream of events.",
                schemas,
            ),
            AnswerDoc::stream::<WatchEvent>("", schemas),
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        match self {
            Self::Page(page) => json(StatusCode::OK, &page),
            Self::Watch(stream) => Ok(stream.into_response()),
        }
    }
}

/// The drift report, or its changes.
pub(crate) enum DriftOrWatch {
    List(DriftList),
    Watch(EventStream),
}

impl Answer for DriftOrWatch {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        let about = "The differences, or with `watch` a stream of events.";
        vec![
            AnswerDoc::json::<DriftList>(StatusCode::OK, about, schemas),
            AnswerDoc::stream::<DriftEvent>("", schemas),
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        match self {
            Self::List(list) => json(StatusCode::OK, &list),
            Self::Watch(stream) => Ok(stream.into_response()),
        }
    }
}

/// Output: as events, or as plain text for whoever asks for that.
pub(crate) enum Logs {
    Events(EventStream),
    Text(TextStream),
}

impl Answer for Logs {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        const EVENTS: &str = "Lines as `log` events, `gap` where lines are missing, `instance` where one comes or goes, and an \
            `end` event; with `Accept: text/plain` the same as text.";
        let text = ("text/plain", json_schema!({ "type": "string" }));
        vec![
            AnswerDoc::stream::<LogEvent>(EVENTS, schemas),
            AnswerDoc { status: StatusCode::OK, about: "", content: Some(text), etag: false },
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        Ok(match self {
            Self::Events(stream) => stream.into_response(),
            Self::Text(text) => text.into_response(),
        })
    }
}

/// Whether the server is ready.
pub(crate) struct Ready(pub(crate) Readiness);

impl Answer for Ready {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![
            AnswerDoc::json::<Readiness>(StatusCode::OK, "Everything is ready.", schemas),
            AnswerDoc::json::<Readiness>(StatusCode::SERVICE_UNAVAILABLE, "Something is not.", schemas),
        ]
    }

    fn respond(self) -> Result<Response, ApiError> {
        json(if self.0.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &self.0)
    }
}

/// Nothing yet: the route is there, and what it is to do is not.
pub(crate) enum NotServed {}

impl Answer for NotServed {
    fn describe(schemas: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![AnswerDoc {
            status: StatusCode::NOT_IMPLEMENTED,
            about: "It is not served yet. The document names what will serve it, and what does the same today.",
            content: Some((PROBLEM_JSON, schemas.subschema_for::<Problem>())),
            etag: false,
        }]
    }

    fn respond(self) -> Result<Response, ApiError> {
        match self {}
    }
}

/// Metrics in the OpenMetrics text form.
pub(crate) struct MetricsText(pub(crate) String);

impl Answer for MetricsText {
    fn describe(_: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![AnswerDoc {
            status: StatusCode::OK,
            about: "Metrics in the OpenMetrics text form.",
            content: Some(("application/openmetrics-text", json_schema!({ "type": "string" }))),
            etag: false,
        }]
    }

    fn respond(self) -> Result<Response, ApiError> {
        const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Ok(([(CONTENT_TYPE, HeaderValue::from_static(MEDIA))], self.0).into_response())
    }
}

/// A JSON document that was made at the start.
pub(crate) struct Prepared(pub(crate) Bytes);

impl Answer for Prepared {
    fn describe(_: &mut SchemaGenerator) -> Vec<AnswerDoc> {
        vec![AnswerDoc {
            status: StatusCode::OK,
            about: "The document.",
            content: Some(("application/json", json_schema!({ "type": "object" }))),
            etag: false,
        }]
    }

    fn respond(self) -> Result<Response, ApiError> {
        let media = HeaderValue::from_static("application/json");
        Ok(([(CONTENT_TYPE, media)], Body::from(self.0)).into_response())
    }
}
