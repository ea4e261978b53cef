//! Tenants: what lies in another organisation does not exist, whichever route asks for it and whatever role asks.

use std::num::NonZeroU32;

use anyhow::Result;
use secrecy::SecretString;
use serde_json::{Value, json};
use skep_api::{Rate, RateLimits};
use skep_schemas::{Kind, KindScope, Role};

use crate::support::{Answer, Server, manifest};

const PLENTY: Rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };

/// What globex has, by kind.
const THEIRS: [(Kind, &str); 5] = [
    (Kind::App, "{source: {image: shop:1}, processes: {web: {}}}"),
    (Kind::Environment, "{app: theirs}"),
    (Kind::Domain, "{host: www.globex.test, environment: theirs}"),
    (Kind::Secret, "{value: a-value-of-globex}"),
    (Kind::DriftPolicy, "{mode: report}"),
];

async fn two_tenants() -> Result<Server> {
    // Hundreds of requests of one organisation, one after the other.
    let server = Server::with_rates(RateLimits { token: PLENTY, org: PLENTY }).await?;
    for org in ["acme", "globex", "initech"] {
        server.put(&format!("/v1/organizations/{org}"), &manifest("Organization", org, "{}")).await?;
    }
    for (kind, spec) in THEIRS {
        let path = format!("/v1/orgs/globex/{}/theirs", kind.plural());
        let answer = server.put(&path, &manifest(kind.as_str(), "theirs", spec)).await?;
        assert_eq!(answer.status, 201, "{kind}: {answer:?}");
    }
    server.token_of(Some("globex"), "theirs", Role::Owner).await?;
    server.session_of("theirs@globex.test", &[(Some("globex"), Role::Owner)]).await?;
    let guest = json!({"email": "guest@globex.test", "role": "viewer"}).to_string();
    let invited = server.body("POST", "/v1/orgs/globex/invitations", "application/json", &guest).await?;
    assert_eq!(invited.status, 200, "{invited:?}");
    Ok(server)
}

/// Every operation whose path names an organisation, or is about one: method and path with the kind and the name filled in.
fn operations(org: &str, name: &str) -> Result<Vec<(String, String)>> {
    let document: Value = serde_json::from_str(&skep_api::openapi::document()?)?;
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let within = path.contains("{org}");
        let of_org = path.starts_with("/v1/{kind}/{name}");
        if !within && !of_org {
            continue;
        }
        let kinds: Vec<Kind> = match (path.contains("{kind}"), within) {
            (false, _) => vec![Kind::App],
            (true, true) => Kind::ALL.iter().copied().filter(|kind| kind.scope() == KindScope::Org).collect(),
            (true, false) => vec![Kind::Organization],
        };
        for kind in kinds {
            let name = if within { name } else { org };
            let id = if name == "absent" { "9999" } else { "2" };
            let path = path
                .replace("{org}", org)
                .replace("{kind}", kind.plural())
                .replace("{name}", name)
                .replace("{email}", &format!("{name}@globex.test"))
                .replace("{id}", id);
            operations.extend(
                methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())),
            );
        }
    }
    Ok(operations)
}

/// An answer as far as it may tell two organisations apart.
fn told(answer: &Answer, org: &str) -> Value {
    let mut body: Value = serde_json::from_str(&answer.text().replace(org, "<org>")).unwrap_or(Value::Null);
    if let Some(body) = body.as_object_mut() {
        body.retain(|field, _| !["requestId", "instance"].contains(&field.as_str()));
    }
    let mut headers: Vec<_> = answer.headers.keys().map(ToString::to_string).collect();
    headers.sort();
    json!({ "status": answer.status, "headers": headers, "body": body })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_another_organisation_is_answered_like_what_does_not_exist() -> Result<()> {
    let server = two_tenants().await?;
    let mut askers = Vec::new();
    for role in Role::ALL {
        askers.push((role, server.token_of(Some("acme"), role.as_str(), role).await?));
        let memberships = [(Some("acme"), role), (Some("initech"), role)];
        askers.push((role, server.session_of(&format!("{role}@acme.test"), &memberships).await?));
    }
    askers.push((Role::Viewer, server.session_of("member-of-nothing@acme.test", &[]).await?));
    let before = server.postgres.dump(&server.database)?;
    let mut asked = 0;
    for (role, token) in askers {
        for name in ["theirs", "absent"] {
            let theirs = operations("globex", name)?;
            let nowhere = operations("nowhere", name)?;
            assert!(theirs.len() > 50, "{theirs:?}");
            for ((method, path), (_, absent)) in theirs.iter().zip(&nowhere) {
                let spec = ("application/yaml", manifest("App", name, THEIRS[0].1));
                let body = matches!(method.as_str(), "PUT" | "POST").then_some(spec);
                let there = server.ask(&token, method, path, body.clone()).await?;
                let not_there = server.ask(&token, method, absent, body).await?;
                assert_eq!(there.status, 404, "{role} {method} {path}: {there:?}");
                assert_eq!(told(&there, "globex"), told(&not_there, "nowhere"), "{role} {method} {path}");
                asked += 1;
            }
        }
    }
    println!("{asked} requests for what is another's, all refused alike");
    let after = server.postgres.dump(&server.database)?;
    // Tokens are made and used meanwhile, and the audit tells what was denied.
    let without_these = |dump: &str| -> Vec<String> {
        dump.lines()
            .filter(|line| !["\\\\x", "restrict", "audit_id_seq"].iter().any(|word| line.contains(word)))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(without_these(&before), without_these(&after), "nothing was written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_another_organisation_are_refused_in_batches_and_nothing_of_the_batch_is_done()
-> Result<()> {
    let server = two_tenants().await?;
    let token = server.token_of(Some("acme"), "owner", Role::Owner).await?;
    let own = json!({"apiVersion": "skep.dev/v1", "kind": "App", "metadata": {"org": "acme", "name": "mine"},
        "spec": {"source": {"image": "shop:1"}, "processes": {"web": {}}}});
    for org in ["globex", "nowhere"] {
        let mut foreign = own.clone();
        foreign["metadata"]["org"] = org.into();
        let sent = format!("{own}\n---\n{foreign}\n");
        for path in ["/v1/apply", "/v1/apply?dryRun=true", "/v1/plan"] {
            let answer = server.ask(&token, "POST", path, Some(("application/yaml", sent.clone()))).await?;
            assert_eq!((answer.status, answer.code().as_str()), (404, "SK0601"), "{path} {org}: {answer:?}");
            assert!(answer.text().contains(&format!("Organization/{org} does not exist")), "{answer:?}");
        }
        let delete = json!({"delete": [{"org": org, "kind": "App", "name": "theirs"}]}).to_string();
        let answer = server.ask(&token, "POST", "/v1/delete", Some(("application/json", delete))).await?;
        assert_eq!(answer.status, 404, "{answer:?}");
    }
    assert_eq!(server.get("/v1/orgs/acme/apps/mine").await?.status, 404, "nothing of the batch was done");
    assert_eq!(server.get("/v1/orgs/globex/apps/theirs").await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_of_all_organisations_is_for_the_platform() -> Result<()> {
    let server = two_tenants().await?;
    let token = server.token_of(Some("acme"), "owner", Role::Owner).await?;
    let paths = [
        "/v1/apps",
        "/v1/secrets?watch=true",
        "/v1/organizations",
        "/v1/drift",
        "/v1/drift?watch=true",
        "/v1/holds",
        "/v1/orphans",
        "/v1/tokens",
        "/v1/members",
        "/v1/invitations",
        "/v1/people",
        "/metrics",
        "/debug/tasks",
    ];
    for path in paths {
        let answer = server.ask(&token, "GET", path, None).await?;
        assert_eq!((answer.status, answer.code().as_str()), (403, "SK0403"), "{path}: {answer:?}");
        assert!(!answer.text().contains("globex"), "{path}: {answer:?}");
    }
    for path in ["/v1/plans", "/v1/version", "/openapi.json", "/v1/whoami", "/v1/organizations/acme"] {
        let answer = server.ask(&token, "GET", path, None).await?;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        assert!(!answer.text().contains("globex"), "{path}: {answer:?}");
    }
    let viewer = server.token_of(None, "auditor", Role::Viewer).await?;
    for (path, status) in [("/v1/apps", 200), ("/metrics", 200), ("/v1/drift", 200), ("/debug/tasks", 403)] {
        let answer = server.ask(&viewer, "GET", path, None).await?;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_does_what_it_allows_and_is_told_what_it_does_not() -> Result<()> {
    let server = two_tenants().await?;
    let (app, path) = (manifest("App", "mine", THEIRS[0].1), "/v1/orgs/acme/apps/mine");
    let policy = manifest("DriftPolicy", "calm", "{mode: report}");
    // What each role is answered: see, deploy, set a policy, delete, list tokens, change the organisation.
    let expected = [
        (Role::Viewer, [200, 403, 403, 403, 403, 403]),
        (Role::Deployer, [200, 200, 403, 403, 403, 403]),
        (Role::Admin, [200, 200, 200, 204, 200, 403]),
        (Role::Owner, [200, 200, 200, 204, 200, 403]),
    ];
    for (role, statuses) in expected {
        server.put(path, &app).await?;
        server.put("/v1/orgs/acme/driftpolicies/calm", &policy).await?;
        let token = server.token_of(Some("acme"), role.as_str(), role).await?;
        let yaml = |text: &str| Some(("application/yaml", text.to_owned()));
        let answers = [
            server.ask(&token, "GET", path, None).await?,
            server.ask(&token, "PUT", path, yaml(&app)).await?,
            server.ask(&token, "PUT", "/v1/orgs/acme/driftpolicies/calm", yaml(&policy)).await?,
            server.ask(&token, "DELETE", path, None).await?,
            server.ask(&token, "GET", "/v1/orgs/acme/tokens", None).await?,
            server
                .ask(&token, "PUT", "/v1/organizations/acme", yaml(&manifest("Organization", "acme", "{}")))
                .await?,
        ];
        let found: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(found, statuses, "{role}: {answers:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_shown_once_listed_without_its_text_and_revoked_and_gives_no_more_than_it_has()
-> Result<()> {
    let server = two_tenants().await?;
    let admin = server.token_of(Some("acme"), "admin", Role::Admin).await?;
    let path = "/v1/orgs/acme/tokens";
    let json = |value: Value| Some(("application/json", value.to_string()));
    let wanted = json!({"name": "ci", "role": "deployer", "expiresIn": "720h"});
    let made = server.ask(&admin, "POST", path, json(wanted.clone())).await?;
    assert_eq!(made.status, 200, "{made:?}");
    let text = made.json()["token"].as_str().unwrap().to_owned();
    let token = SecretString::from(text.clone());
    let who = server.ask(&token, "GET", "/v1/whoami", None).await?;
    assert_eq!(who.json(), json!({"name": "acme/ci", "grants": [{"org": "acme", "role": "deployer"}]}));
    let again = server.ask(&admin, "POST", path, json(wanted)).await?;
    assert_eq!((again.status, again.code().as_str()), (409, "SK0307"), "{again:?}");
    for (wrong, status) in [
        (json!({"name": "root", "role": "owner"}), 400),
        (json!({"name": "ci2", "role": "god"}), 400),
        (json!({"name": "ci2", "role": "viewer", "expiresIn": "0s"}), 400),
        (json!({"name": "ci2", "role": "viewer", "expiresIn": "100000000h"}), 400),
        (json!({"name": "ci2", "role": "viewer", "org": "globex"}), 400),
    ] {
        let answer = server.ask(&admin, "POST", path, json(wrong.clone())).await?;
        assert_eq!(answer.status, status, "{wrong}: {answer:?}");
    }
    let platform =
        server.ask(&admin, "POST", "/v1/tokens", json(json!({"name": "x", "role": "viewer"}))).await?;
    assert_eq!(platform.status, 403, "{platform:?}");
    let listed = server.ask(&admin, "GET", path, None).await?;
    assert!(!listed.text().contains(&text) && listed.text().contains("acme/admin"), "{listed:?}");
    assert!(!server.postgres.dump(&server.database)?.contains(&text), "only its hash is kept");
    let revoked = server.ask(&admin, "DELETE", &format!("{path}/ci"), None).await?;
    assert_eq!(revoked.status, 200, "{revoked:?}");
    assert_eq!(server.ask(&token, "GET", "/v1/whoami", None).await?.status, 401);
    let gone = server.ask(&admin, "DELETE", &format!("{path}/ci"), None).await?;
    assert_eq!((gone.status, gone.code().as_str()), (404, "SK0601"), "{gone:?}");
    Ok(())
}
