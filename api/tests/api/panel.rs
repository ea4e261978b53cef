//! The panel's routes over HTTP.

use std::num::NonZeroU32;

use anyhow::Result;
use axum::body::Body;
use http::Request;
use secrecy::SecretString;
use serde_json::Value;
use skep_api::{Rate, RateLimits};
use skep_schemas::Role;

use crate::support::{Server, manifest};

const PLENTY: Rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };

/// A route of the panel, from the description, which is made from the rows.
#[derive(Debug)]
struct Operation {
    method: String,
    /// As in the table.
    template: String,
    /// With what stands for its variables.
    path: String,
    /// The permission in words.
    needs: String,
    is_served: bool,
}

impl Operation {
    fn is_of_platform(&self) -> bool {
        self.template.starts_with("/api/admin/") || self.needs.contains("read metrics")
    }

    /// Is it what an organisation has because the platform gave it that?
    fn is_given_by_the_platform(&self) -> bool {
        self.template.starts_with("/api/paas/clusters") && self.method != "GET"
    }

    fn is_ones_own(&self) -> bool {
        self.needs.contains("for himself")
    }

    fn is_for_viewers(&self) -> bool {
        ["to read resources.", "to see members."].iter().any(|words| self.needs.ends_with(words))
    }
}

fn operations() -> Result<Vec<Operation>> {
    let document: Value = serde_json::from_str(&skep_api::openapi::document()?)?;
    let mut operations = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        if !template.starts_with("/api/") {
            continue;
        }
        let segment = |part: &str| match part {
            "{uid}" => "01970000-0000-7000-8000-000000000000".to_owned(),
            part if part.starts_with('{') => "1".to_owned(),
            part => part.to_owned(),
        };
        let path = template.split('/').map(segment).collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().unwrap() {
            operations.push(Operation {
                method: method.to_uppercase(),
                template: template.clone(),
                path: path.clone(),
                needs: operation["description"].as_str().unwrap().to_owned(),
                is_served: operation["responses"].get("501").is_none(),
            });
        }
    }
    Ok(operations)
}

async fn server() -> Result<Server> {
    let server = Server::with_rates(RateLimits { token: PLENTY, org: PLENTY }).await?;
    for org in ["acme", "globex"] {
        server.put(&format!("/v1/organizations/{org}"), &manifest("Organization", org, "{}")).await?;
    }
    Ok(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_is_not_served_says_what_will_serve_it_to_whoever_may_ask() -> Result<()> {
    let server = server().await?;
    let viewer = server.token_of(Some("acme"), "viewer", Role::Viewer).await?;
    let owner = server.token_of(Some("acme"), "owner", Role::Owner).await?;
    let member = server.session_of("alice@acme.test", &[(Some("acme"), Role::Owner)]).await?;
    let operations: Vec<_> = operations()?.into_iter().filter(|operation| !operation.is_served).collect();
    assert!(operations.len() > 60, "{}", operations.len());
    for operation in &operations {
        let Operation { method, path, template, .. } = operation;
        let request = Request::builder().method(method.as_str()).uri(path).body(Body::empty())?;
        let nobody = server.send(request).await?;
        assert_eq!((nobody.status, nobody.code().as_str()), (401, "SK0401"), "{operation:?}");
        let expected = |may: bool| if may { (501, "SK0611") } else { (403, "SK0403") };
        let within = !operation.is_of_platform();
        let askers: [(&str, &SecretString, bool); 4] = [
            ("viewer", &viewer, within && operation.is_for_viewers()),
            ("owner", &owner, within && !operation.is_given_by_the_platform() && !operation.is_ones_own()),
            ("member", &member, within && !operation.is_given_by_the_platform()),
            ("platform", &server.token, !operation.is_ones_own()),
        ];
        for (who, token, may) in askers {
            let answer = server.ask(token, method, path, None).await?;
            let (status, code) = expected(may);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (status, code),
                "{who} {operation:?}: {answer:?}"
            );
            let problem = answer.json();
            let detail = problem["detail"].as_str().unwrap();
            let names_it = detail.starts_with(&format!("{method} {template} is not served yet: the kind "));
            assert_eq!(names_it, may, "{who}: {problem}");
            let help = problem["help"].as_str().unwrap();
            let says_what_to_do = help.starts_with("use ") || help.contains("docs/panel-api.md");
            assert!(
                says_what_to_do && answer.headers["content-type"] == "application/problem+json",
                "{problem}"
            );
        }
    }
    println!("{} routes, each asked for by five", operations.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_organisation_of_a_request_is_the_only_one_of_whoever_asks_or_the_one_that_it_names() -> Result<()>
{
    let server = server().await?;
    let path = "/api/paas/environments/x/addons";
    let ask = async |token: &SecretString, query: &str| -> Result<(u16, String)> {
        let answer = server.ask(token, "GET", &format!("{path}{query}"), None).await?;
        Ok((answer.status, answer.text().replace("globex", "<org>").replace("nowhere", "<org>")))
    };
    let own = server.token_of(Some("acme"), "own", Role::Owner).await?;
    let both = [(Some("acme"), Role::Viewer), (Some("globex"), Role::Viewer)];
    let both = server.session_of("both@acme.test", &both).await?;
    let none = server.session_of("none@acme.test", &[]).await?;
    for (who, token, query, status) in [
        ("one", &own, "", 501),
        ("one", &own, "?org=acme", 501),
        ("one", &own, "?org=globex", 404),
        ("one", &own, "?org=nowhere", 404),
        ("one", &own, "?org=No", 400),
        ("one", &own, "?org=acme&org=globex", 400),
        ("both", &both, "", 400),
        ("both", &both, "?org=acme", 501),
        ("both", &both, "?org=globex", 501),
        ("both", &both, "?org=nowhere", 404),
        ("none", &none, "", 403),
        ("none", &none, "?org=acme", 404),
        ("platform", &server.token, "", 501),
        ("platform", &server.token, "?org=acme", 501),
    ] {
        let (found, text) = ask(token, query).await?;
        assert_eq!(found, status, "{who} {query}: {text}");
    }
    // Whether there is such an organisation is not to be seen, but for the request's id.
    let told = |text: &str| -> Value {
        let mut told: Value = serde_json::from_str(text).unwrap();
        told.as_object_mut().unwrap().remove("requestId");
        told
    };
    assert_eq!(told(&ask(&own, "?org=globex").await?.1), told(&ask(&own, "?org=nowhere").await?.1));
    Ok(())
}
