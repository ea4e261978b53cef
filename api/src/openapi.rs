//! The OpenAPI 3.1 document, made from the route table and the types.
//!
//! It is put together here rather than by annotations on handlers: an annotation can promise what its handler does not do, a row
//! of the route table cannot (see [`crate::route`]). Schemas are JSON Schema 2020-12 as schemars makes it from the wire types
//! and the kinds, which is the very dialect of OpenAPI 3.1, so nothing is translated on the way.
//!
//! A resource's general form ([`ResourceView`](crate::wire::ResourceView)) is replaced by a choice of one form for each kind,
//! with the kind's own spec and status.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use skep_schemas::kind::Status;
use skep_schemas::{API_VERSION, Kind, KindScope, ManifestMeta};

use crate::access::Access;
use crate::answer::AnswerDoc;
use crate::route::{Route, Verb};
use crate::wire::{MetaView, PROBLEM_JSON, Problem, YAML};

/// Where schemas are in the document.
const SCHEMAS: &str = "/components/schemas";

/// The document as text, with a line end: as it is served, and as it is kept in the repository.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&build(&crate::routes::table()))?;
    text.push('\n');
    Ok(text)
}

fn build(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = SCHEMAS.into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let operations = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Value::Object(operations) = operations {
            operations.insert(route.verb.as_str().to_owned(), operation(route, &mut schemas));
        }
    }
    schemas.subschema_for::<Problem>();
    let kinds = kinds(&mut schemas);
    let mut components = schemas.take_definitions(true);
    components.extend(kinds);
    components.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Skep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A declarative control plane for Docker Swarm. Every error is a problem document of RFC 9457 whose `code` \
                `skep explain` documents.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "What went wrong.",
                "content": { PROBLEM_JSON: { "schema": reference("Problem") } }
            } },
            "schemas": components
        }
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(route.path);
    parameters.extend(query_parameters(&(route.query)(schemas)));
    parameters.extend(header_parameters(route));
    let mut responses = responses((route.answers)(schemas));
    responses.insert("default".to_owned(), json!({ "$ref": "#/components/responses/Problem" }));
    let mut operation = json!({
        "operationId": route.id,
        "summary": route.about,
        "parameters": parameters,
        "responses": responses
    });
    if let Some(schema) = (route.body)(schemas) {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": schema } }
        });
        if route.manifests {
            operation["requestBody"]["content"][YAML] =
                json!({ "schema": { "type": "string", "description": "A stream of manifests." } });
        }
    }
    match route.access {
        Access::Open => operation["security"] = json!([]),
        Access::Needs(permission) => {
            operation["description"] = json!(format!("Needs the permission to {permission}."));
        }
    }
    operation
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#{SCHEMAS}/{name}") })
}

/// The variables of a path template.
fn path_parameters(path: &str) -> Vec<Value> {
    let in_org = path.contains("{org}");
    let variables = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = variables.map(|variable| {
        let (about, schema) = match variable {
            "org" => ("The organisation.", json!({ "type": "string" })),
            "kind" => {
                ("The kind, in the plural.", json!({ "type": "string", "enum": plurals(path, in_org) }))
            }
            "id" => ("The number.", json!({ "type": "integer" })),
            "version" => ("The number of the release.", json!({ "type": "integer" })),
            "uid" => ("The uid of the resource.", json!({ "type": "string" })),
            "user" => ("The member.", json!({ "type": "string" })),
            "invite" => ("The invitation.", json!({ "type": "string" })),
            "secret" => ("What the Git host was given.", json!({ "type": "string" })),
            _ => ("The name.", json!({ "type": "string" })),
        };
        json!({ "name": variable, "in": "path", "required": true, "description": about, "schema": schema })
    });
    described.collect()
}

/// The kinds that a path knows. A list without an organisation knows all: it lists over all organisations.
fn plurals(path: &str, in_org: bool) -> Vec<&'static str> {
    let scope = if in_org { KindScope::Org } else { KindScope::Platform };
    let lists_all = !in_org && path.ends_with("{kind}");
    Kind::ALL.iter().filter(|kind| lists_all || kind.scope() == scope).map(|kind| kind.plural()).collect()
}

/// The fields of a query type.
fn query_parameters(schema: &Schema) -> Vec<Value> {
    let Some(Value::Object(properties)) = schema.get("properties") else { return Vec::new() };
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({ "name": name, "in": "query", "required": false, "description": about.unwrap_or_default(), "schema": schema })
    };
    properties.iter().map(parameter).collect()
}

fn header_parameters(route: &Route) -> Vec<Value> {
    let header = |name, about| json!({ "name": name, "in": "header", "required": false, "description": about, "schema": { "type": "string" } });
    let single = route.path.ends_with("{name}");
    let key = "A key of the client's own. The same request sent again with it, within a day, is not done again, and has the same answer.";
    let key = route.takes_key().then(|| header("Idempotency-Key", key));
    let others = match route.verb {
        Verb::Put if single => vec![
            header("If-Match", "Write only if the resource is at this ETag; 412 otherwise."),
            header("If-None-Match", "With `*`: write only if there is no such resource; 412 otherwise."),
        ],
        Verb::Delete if single => {
            vec![header("If-Match", "Delete only if the resource is at this ETag; 412 otherwise.")]
        }
        Verb::Get if route.path.ends_with("{kind}") => {
            vec![header("Last-Event-ID", "With `watch`: the id of the last event that was seen.")]
        }
        Verb::Get | Verb::Put | Verb::Post | Verb::Patch | Verb::Delete => Vec::new(),
    };
    others.into_iter().chain(key).collect()
}

fn responses(answers: Vec<AnswerDoc>) -> Map<String, Value> {
    let mut responses = Map::new();
    for AnswerDoc { status, about, content, etag } in answers {
        let entry =
            responses.entry(status.as_u16().to_string()).or_insert_with(|| json!({ "description": about }));
        if let Some((media, schema)) = content {
            entry["content"][media] = json!({ "schema": schema });
        }
        if etag {
            entry["headers"]["ETag"] = json!({
                "description": "The revision, for `If-Match`.",
                "schema": { "type": "string" }
            });
        }
    }
    responses
}

/// For each kind: its form as a manifest, its form as an answer; and the choices between them.
fn kinds(schemas: &mut SchemaGenerator) -> Map<String, Value> {
    let mut forms = Map::new();
    let (mut views, mut manifests) = (Vec::new(), Vec::new());
    for kind in Kind::ALL {
        let spec = kind.spec_schema(schemas);
        let status =
            json!({ "allOf": [schemas.subschema_for::<Status<NoDetail>>(), kind.detail_schema(schemas)] });
        let manifest = form(*kind, &schemas.subschema_for::<ManifestMeta>(), &spec, None);
        let view = form(*kind, &schemas.subschema_for::<MetaView>(), &spec, Some(status));
        let manifest_name = format!("{kind}Manifest");
        views.push(reference(kind.as_str()));
        manifests.push(reference(&manifest_name));
        forms.insert(kind.as_str().to_owned(), view);
        forms.insert(manifest_name, manifest);
    }
    forms.insert("ResourceView".to_owned(), json!({ "description": "A stored resource.", "oneOf": views }));
    forms.insert("Manifest".to_owned(), json!({ "description": "What a user writes.", "oneOf": manifests }));
    forms
}

fn form(kind: Kind, metadata: &Schema, spec: &Schema, status: Option<Value>) -> Value {
    let mut form = json!({
        "type": "object",
        "description": kind.about(),
        "properties": {
            "apiVersion": { "const": API_VERSION },
            "kind": { "const": kind.as_str() },
            "metadata": metadata,
            "spec": spec
        },
        "required": ["apiVersion", "kind", "metadata", "spec"]
    });
    if let Some(status) = status {
        form["properties"]["status"] = status;
    }
    form
}

/// Stands for the part of a status that is the kind's own.
#[derive(schemars::JsonSchema)]
struct NoDetail {}

/// The schema of a manifest in a request.
pub(crate) fn manifest_schema() -> Schema {
    json_schema!({ "$ref": format!("#{SCHEMAS}/Manifest") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_document_in_the_repository_is_the_one_that_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/generated/openapi.json");
        let fresh = document().unwrap();
        if std::env::var_os("SKEP_BLESS").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == fresh,
            "schemas/generated/openapi.json is stale; run the tests of skep-api with SKEP_BLESS=1"
        );
    }

    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = build(&crate::routes::table());
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(found.contains(format!("#{SCHEMAS}/{name}").as_str()), "{name}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_they_need() {
        let routes = crate::routes::table();
        let ids: BTreeSet<_> = routes.iter().map(|route| route.id).collect();
        let addresses: BTreeSet<_> = routes.iter().map(|route| (route.path, route.verb.as_str())).collect();
        assert_eq!((ids.len(), addresses.len()), (routes.len(), routes.len()));
        let document = build(&routes);
        let apply = &document["paths"]["/v1/apply"]["post"];
        assert_eq!(apply["description"], "Needs the permission to write resources.");
        assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([]));
        let secret = &document["components"]["schemas"]["SecretSpec"]["properties"]["value"];
        assert!(secret.to_string().contains("\"writeOnly\":true"), "{secret}");
    }
}
