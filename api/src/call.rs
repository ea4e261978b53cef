//! One request as a handler sees it: who asks, what for, with which parameters and body; all of it checked.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::extract::Query;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Uri};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use skep_schemas::{EmailAddress, Kind, KindScope, OrgName, ResourceKey, ResourceName, Scope, Uid};
use skep_store::{Actor, ScopedStore, Store};

use crate::access::{Principal, Target};
use crate::app::App;
use crate::error::ApiError;
use crate::wire::YAML;

/// One request.
pub(crate) struct Call<Q = NoQuery, B = NoBody> {
    /// What the server is made of.
    pub(crate) app: App,
    /// Who asks.
    pub(crate) principal: Principal,
    /// The same as the audit tells of it.
    pub(crate) actor: Actor,
    /// The store, as far as whoever asks reaches.
    pub(crate) store: ScopedStore,
    /// What the path names.
    pub(crate) address: Address,
    /// The query's parameters.
    pub(crate) query: Q,
    /// The body.
    pub(crate) body: B,
    /// The header fields.
    pub(crate) headers: HeaderMap,
    /// The request's id, for problems that are told in a stream.
    pub(crate) request_id: String,
}

impl<Q, B> Call<Q, B> {
    /// All of the store, for what only the platform may ask.
    pub(crate) fn platform_store(&self) -> Result<&Store, ApiError> {
        self.app.platform_store(&self.principal)
    }

    /// The body, and the request without it.
    pub(crate) fn without_body(self) -> (B, Call<Q>) {
        let Self { app, principal, actor, store, address, query, body, headers, request_id } = self;
        (body, Call { app, principal, actor, store, address, query, body: NoBody, headers, request_id })
    }

    /// The same request as if it had come to another address, with these parameters and this body.
    pub(crate) fn instead<P, C>(self, address: Address, query: P, body: C) -> Call<P, C> {
        let Self { app, principal, actor, store, headers, request_id, .. } = self;
        Call { app, principal, actor, store, address, query, body, headers, request_id }
    }
}

/// A request without parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// The parameters of a query.
pub(crate) fn query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, ApiError> {
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|rejection| {
        let inner =
            std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
        ApiError::invalid(
            format!("the query cannot be read: {inner}"),
            "GET /openapi.json describes the parameters of each path",
        )
    })
}

/// How many items an answer may have: as many as were asked for, within what is possible.
pub(crate) fn limit(asked: Option<u32>, otherwise: u32, most: u32) -> Result<u32, ApiError> {
    let limit = asked.unwrap_or(otherwise);
    if limit == 0 || limit > most {
        return Err(ApiError::invalid(format!("`limit` is {limit}"), format!("use 1 to {most}")));
    }
    Ok(limit)
}

/// What a path names. Names were checked; whether such a resource exists was not.
#[derive(Debug, Default, Clone)]
pub(crate) struct Address {
    org: Option<OrgName>,
    kind: Option<Kind>,
    name: Option<ResourceName>,
    number: Option<i64>,
    email: Option<EmailAddress>,
    uid: Option<Uid>,
}

impl Address {
    /// Reads the path's variables by their names in the route table.
    pub(crate) fn read<'a>(
        path: &str,
        variables: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ApiError> {
        let mut address = Self::default();
        // Some routes of the only kind that has releases, output and variables write it out.
        let mut segments = path.split('/').skip(1);
        if (segments.next(), segments.next(), segments.nth(1))
            == (Some("v1"), Some("orgs"), Some("environments"))
        {
            address.kind = Some(Kind::Environment);
        }
        for (variable, text) in variables {
            match variable {
                "org" => address.org = Some(text.parse().map_err(invalid_name)?),
                "id" | "version" => {
                    let number = text.parse().map_err(|_| ApiError::UnknownPath { path: path.to_owned() })?;
                    address.number = Some(number);
                }
                // What is no uid is the uid of nothing: told when it is looked for, and not before.
                "uid" => address.uid = text.parse().ok(),
                // Of routes that are not served yet. A webhook's secret is not to be kept for nothing.
                "user" | "invite" | "secret" => {}
                "email" => address.email = Some(text.parse().map_err(invalid_name)?),
                "name" => address.name = Some(text.parse().map_err(invalid_name)?),
                "kind" => {
                    // URLs know the plural alone: one address per resource.
                    let kind = Kind::ALL.iter().find(|kind| kind.plural() == text);
                    let kind = kind.ok_or_else(|| ApiError::UnknownPath { path: path.to_owned() })?;
                    address.kind = Some(*kind);
                }
                _ => {
                    return Err(ApiError::internal(format!(
                        "the route's variable {variable} has no meaning"
                    )));
                }
            }
        }
        Ok(address)
    }

    /// That of a resource.
    pub(crate) fn of(key: &ResourceKey) -> Self {
        Self {
            org: key.org().cloned(),
            kind: Some(key.kind()),
            name: Some(key.name().clone()),
            ..Self::default()
        }
    }

    /// That of something of it that has a number.
    pub(crate) fn numbered(self, number: u32) -> Self {
        Self { number: Some(number.into()), ..self }
    }

    /// That of all resources of a kind in a scope.
    pub(crate) fn of_all(scope: &Scope, kind: Kind) -> Self {
        Self { org: scope.org().cloned(), kind: Some(kind), ..Self::default() }
    }

    /// The kind of what the request is about.
    pub(crate) fn about(&self) -> Result<Kind, ApiError> {
        self.kind.ok_or_else(|| ApiError::internal("the route has no kind"))
    }

    /// The same in an organisation that the path does not name, about a kind that it does not name.
    pub(crate) fn of_organization(self, org: Option<OrgName>, kind: Kind) -> Self {
        Self { org, kind: Some(kind), ..self }
    }

    /// The uid of the path; none if what stands there is none.
    pub(crate) const fn uid(&self) -> Option<Uid> {
        self.uid
    }

    /// What permissions are exercised on.
    pub(crate) fn target(&self) -> Target {
        Target::at(self.org.as_ref(), self.kind, self.name.as_ref())
    }

    /// The organisation of the path.
    pub(crate) const fn org(&self) -> Option<&OrgName> {
        self.org.as_ref()
    }

    /// The scope of the path.
    pub(crate) fn scope(&self) -> Scope {
        self.org.clone().map_or(Scope::Platform, Scope::Org)
    }

    /// The kind of the path. A kind of the platform has no resources in an organisation.
    pub(crate) fn kind(&self) -> Result<Kind, ApiError> {
        let kind = self.kind.ok_or_else(|| ApiError::internal("the route has no kind"))?;
        if kind.scope() == KindScope::Platform && self.org.is_some() {
            return Err(ApiError::invalid(
                format!("{kind} is a platform resource and takes no organisation"),
                format!("use /v1/{}", kind.plural()),
            ));
        }
        Ok(kind)
    }

    /// The name of the path, of something that is no resource.
    pub(crate) fn name(&self) -> Result<&ResourceName, ApiError> {
        self.name.as_ref().ok_or_else(|| ApiError::internal("the route has no name"))
    }

    /// The person of the path.
    pub(crate) fn email(&self) -> Result<&EmailAddress, ApiError> {
        self.email.as_ref().ok_or_else(|| ApiError::internal("the route names nobody"))
    }

    /// The number of the path.
    pub(crate) fn number(&self) -> Result<i64, ApiError> {
        self.number.ok_or_else(|| ApiError::internal("the route has no number"))
    }

    /// The resource of the path.
    pub(crate) fn key(&self) -> Result<ResourceKey, ApiError> {
        self.key_of(self.kind()?)
    }

    /// The resource of the path, which says the kind by itself.
    pub(crate) fn key_of(&self, kind: Kind) -> Result<ResourceKey, ApiError> {
        let name = self.name.clone().ok_or_else(|| ApiError::internal("the route has no name"))?;
        ResourceKey::new(self.scope(), kind, name).map_err(|error| {
            ApiError::invalid(error.to_string(), format!("use /v1/orgs/{{org}}/{}/{{name}}", kind.plural()))
        })
    }
}

fn invalid_name(error: skep_schemas::ScalarError) -> ApiError {
    ApiError::InvalidRequest { problem: error.problem, help: error.help }
}

/// How a body is read, and how it is described.
pub(crate) trait Payload: Sized + Send {
    /// Is a body expected at all?
    const EXPECTED: bool;
    /// May it be a stream of YAML manifests?
    const MANIFESTS: bool = false;
    /// Reads it.
    fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError>;
    /// Its schema.
    fn describe(schemas: &mut SchemaGenerator) -> Option<Schema>;
}

/// A request without a body. One that comes all the same is not read.
pub(crate) struct NoBody;

impl Payload for NoBody {
    const EXPECTED: bool = false;

    fn read(_: &HeaderMap, _: Bytes) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn describe(_: &mut SchemaGenerator) -> Option<Schema> {
        None
    }
}

/// A text in one of the two forms of manifests. It has no `Debug`: it may hold secret values.
pub(crate) enum Text {
    /// A stream of YAML documents.
    Yaml(String),
    /// JSON.
    Json(String),
}

impl Text {
    pub(crate) fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        let given = headers
            .get(CONTENT_TYPE)
            .map_or(Cow::Borrowed("missing"), |value| String::from_utf8_lossy(value.as_bytes()));
        let media = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = match media.as_str() {
            YAML | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Self::Yaml,
            "application/json" => Self::Json,
            _ => {
                let given = given.chars().take(80).filter(|c| !c.is_control()).collect();
                return Err(ApiError::UnsupportedMedia { given });
            }
        };
        String::from_utf8(bytes.into())
            .map(form)
            .map_err(|_| ApiError::invalid("the body is not UTF-8 text", "send it as UTF-8"))
    }
}

/// A body that is one JSON document, and no manifest.
pub(crate) struct Json<T>(pub(crate) T);

/// What a refusal says of such a document.
pub(crate) trait JsonBody: DeserializeOwned + JsonSchema + Send {
    /// What it is, with its article.
    const IS: &'static str;
    /// One that is right.
    const EXAMPLE: &'static str;
    /// May it hold what nobody is to see? Then a refusal says where it is wrong, and quotes nothing.
    const IS_SECRET: bool = false;
}

impl<T: JsonBody> Payload for Json<T> {
    const EXPECTED: bool = true;

    fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Self, ApiError> {
        let Text::Json(text) = Text::read(headers, bytes)? else {
            return Err(ApiError::UnsupportedMedia { given: "YAML, which is for manifests".to_owned() });
        };
        serde_json::from_str(&text).map(Self).map_err(|error| {
            let wrong = if T::IS_SECRET {
                format!("it goes wrong at line {}, column {}", error.line(), error.column())
            } else {
                error.to_string()
            };
            ApiError::invalid(format!("the body is not {}: {wrong}", T::IS), format!("send `{}`", T::EXAMPLE))
        })
    }

    fn describe(schemas: &mut SchemaGenerator) -> Option<Schema> {
        Some(schemas.subschema_for::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ListQuery, LogQuery};

    #[test]
    fn parameters_are_read_strictly() {
        let uri = Uri::from_static("/v1/apps?labelSelector=a%3Db&limit=10&watch=true&since=7");
        let read: ListQuery = query(&uri).unwrap();
        assert_eq!((read.label_selector.as_deref(), read.limit, read.watch), (Some("a=b"), Some(10), true));
        assert_eq!(read.since.as_deref(), Some("7"));
        for wrong in ["/?limt=10", "/?limit=x", "/?watch", "/?limit=1&limit=2"] {
            let refused = query::<ListQuery>(&wrong.parse().unwrap());
            assert!(matches!(refused, Err(ApiError::InvalidRequest { .. })), "{wrong}");
        }
        let logs: LogQuery = query(&"/?since=2026-01-02T03:04:05Z&process=web".parse().unwrap()).unwrap();
        assert!(logs.since.is_some() && logs.process.is_some() && !logs.follow);
    }

    #[test]
    fn a_kind_has_one_spelling_in_urls() {
        let of = |kind| Address::read("/v1/x", [("kind", kind)].into_iter()).map(|address| address.kind);
        assert_eq!(of("apps").ok().flatten(), Some(Kind::App));
        for wrong in ["App", "app", "Apps", "env", "nothing"] {
            assert!(matches!(of(wrong), Err(ApiError::UnknownPath { .. })), "{wrong}");
        }
    }
}
