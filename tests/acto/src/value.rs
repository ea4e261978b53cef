//! Values of a field: some that it takes, at its limits and inside, and some that it must refuse.

use serde_json::{Value as Json, json};
use skep_fuzz::scalars;
use skep_schemas::Kind;

use crate::field::{Field, Shape};

/// Fields whose values must be those of something else to make sense: references, and names that others refer to.
const KNOWN: &[(Kind, &str, &[&str])] = &[
    (Kind::Organization, "/spec/plan", &["small", "large"]),
    (Kind::Plan, "/spec/isolationTier", &["gold"]),
    (Kind::Plan, "/spec/environmentPlans/-", &["small", "large"]),
    (Kind::IsolationTier, "/spec/pool", &["gold", "iron"]),
    (Kind::RegistryCredential, "/spec/password/secret", &["token", "key"]),
    (Kind::Notification, "/spec/webhook/secret", &["token", "key"]),
    (Kind::Notification, "/spec/slack/secret", &["token", "key"]),
    (Kind::Notification, "/spec/environments/-", &["prod", "staging"]),
    (Kind::Environment, "/spec/app", &["shop", "other"]),
    (Kind::Environment, "/spec/plan", &["small", "large"]),
    (Kind::Environment, "/spec/region", &["eu", "us"]),
    (Kind::Environment, "/spec/secrets/-/name", &["token", "key"]),
    (Kind::Domain, "/spec/environment", &["prod", "staging"]),
    (Kind::Domain, "/spec/process", &["web", "worker", "clock"]),
    (Kind::Domain, "/spec/port", &["http", "admin"]),
    (Kind::DriftPolicy, "/spec/environment", &["prod", "staging"]),
    (Kind::NetworkPolicy, "/spec/ingress/-/environment", &["prod", "staging"]),
    (Kind::NetworkPolicy, "/spec/ingress/-/process", &["web", "worker"]),
    (Kind::NetworkPolicy, "/spec/ingress/-/from/-/organization", &["acme", "globex"]),
    (Kind::NetworkPolicy, "/spec/egress/-/to/organization", &["acme", "globex"]),
    (Kind::NetworkPolicy, "/spec/egress/-/to/environment", &["prod", "staging"]),
    (Kind::NetworkPolicy, "/spec/egress/-/to/process", &["web", "api"]),
];

/// A roll-out takes as long as its health checks do, so these are short. Longer ones differ in a number only.
const SHORT: [&str; 4] = ["0s", "1s", "2500ms", "5s"];

/// Instances cost the simulator as much as they cost a Swarm.
const FEW: [u32; 4] = [0, 1, 3, 7];

/// Values that a schema allows. What only a type can judge may refuse some of them.
pub fn good(field: &Field) -> Vec<Json> {
    if let Some((.., known)) = KNOWN.iter().find(|(kind, at, _)| *kind == field.kind && *at == field.pattern)
    {
        // One that refers to nothing belongs to it.
        return known.iter().copied().chain(["nowhere"]).map(Json::from).collect();
    }
    if field.pattern.contains("/healthCheck/") && field.shape == Shape::Scalar("duration") {
        return SHORT.into_iter().map(Json::from).collect();
    }
    if field.pattern.ends_with("/instances") {
        return FEW.into_iter().map(Json::from).collect();
    }
    match &field.shape {
        Shape::Choice(choices) => choices.iter().copied().map(Json::from).collect(),
        Shape::Scalar(name) => scalars::good(name).into_iter().map(Json::from).collect(),
        Shape::Integer(least, most) => {
            let (least, most) = ((*least).max(0), (*most).min(i64::from(u32::MAX)));
            let values = [least, least + 1, 2, 3, most - 1, most];
            values.into_iter().filter(|value| (least..=most).contains(value)).map(Json::from).collect()
        }
        Shape::Flag => vec![json!(true), json!(false)],
        Shape::Text if field.pattern.starts_with("/metadata/labels") => {
            vec![json!("x"), json!(""), json!("a.b_c-1")]
        }
        Shape::Text => vec![json!("x"), json!("two words"), json!("{{.Node}} é"), json!("y".repeat(3000))],
        Shape::Fields | Shape::Entries(_) | Shape::Items => Vec::new(),
    }
}

/// Values that must be refused, whatever else is in the manifest.
pub fn bad(field: &Field) -> Vec<Json> {
    let of_other_types = |own: &[&str]| -> Vec<Json> {
        let all = [
            ("null", Json::Null),
            ("text", json!("x")),
            ("number", json!(7)),
            ("flag", json!(true)),
            ("list", json!(["x"])),
            ("fields", json!({ "x": "y" })),
        ];
        all.into_iter().filter(|(name, _)| !own.contains(name)).map(|(_, value)| value).collect()
    };
    match &field.shape {
        Shape::Choice(_) => {
            let mut values = of_other_types(&["text"]);
            values.extend([json!("nothing-like-it"), json!("")]);
            values
        }
        Shape::Scalar(name) => {
            let numbers = if *name == "cpu" { &["text", "number"][..] } else { &["text"] };
            let mut values = of_other_types(numbers);
            values.extend(scalars::bad(name).into_iter().map(Json::from));
            values
        }
        Shape::Integer(least, most) => {
            let mut values = of_other_types(&["number"]);
            values.extend([json!(-1), json!(1.5), json!(u64::MAX), json!(1e300)]);
            values.extend(least.checked_sub(1).map(Json::from));
            values.extend(most.checked_add(1).map(Json::from));
            values
        }
        Shape::Flag => of_other_types(&["flag"]),
        Shape::Text => {
            let mut values = of_other_types(&["text"]);
            if !field.pattern.ends_with("/value") {
                values.push(json!("a\0b"));
            }
            values
        }
        Shape::Items => of_other_types(&["list"]),
        Shape::Fields => of_other_types(&[]),
        // A map whose entries are texts takes any field that is one.
        Shape::Entries(_) => of_other_types(&["fields"]),
    }
}
