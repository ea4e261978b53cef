//! The transport against a small server in this process: what is sent, what is made of answers, TLS, and streams that break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use skep_schemas::{Kind, Scope};
use tokio::net::TcpListener;

use super::*;
use crate::context::Flags;
use crate::fixture::ready;
use crate::loopback::{answer, client, client_of, server, speak};
use crate::watch::{Update, Watch, Watched};

#[tokio::test]
async fn the_token_is_sent_as_a_bearer_and_the_body_as_json() {
    let url = server(|request| {
        let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let seen = json!({
            "authorization": header(AUTHORIZATION), "type": header(CONTENT_TYPE), "accept": header(ACCEPT),
            "path": request.uri().path_and_query().map(ToString::to_string), "method": request.method().as_str(),
        });
        answer(200, "application/json", &seen.to_string())
    })
    .await;
    let seen: Value = client(&url).post("/v1/apply?dryRun=true", &json!({})).await.unwrap();
    assert_eq!(
        seen,
        json!({"authorization": "Bearer t0k3n", "type": "application/json", "accept": "application/json",
            "path": "/v1/apply?dryRun=true", "method": "POST"})
    );
}

#[tokio::test]
async fn a_problem_becomes_an_error_with_code_detail_and_help() {
    let url = server(|_| {
        let problem = json!({"type": "urn:skep:error:SK0303", "title": "t", "status": 409, "code": "SK0303",
            "detail": "shop.example.com belongs to another\u{1b}[2J", "help": "choose another host"});
        answer(409, "application/problem+json; charset=utf-8", &problem.to_string())
    })
    .await;
    let error = client(&url).get::<Value>("/v1/x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "[SK0303] shop.example.com belongs to another\u{fffd}[2J\nhelp: choose another host"
    );
}

#[tokio::test]
async fn diagnostics_of_the_server_are_shown_like_those_of_the_reader() {
    let url = server(|_| {
        let problem = json!({"type": "x", "title": "t", "status": 422, "code": "SK0201", "detail": "d", "diagnostics": [
            {"code": "SK0201", "message": "the app `shop` does not exist", "pointer": "/documents/0/spec/app"}]});
        answer(422, PROBLEM_JSON, &problem.to_string())
    })
    .await;
    let error = client(&url).post::<_, Value>("/v1/apply", &json!({})).await.unwrap_err().to_string();
    assert!(error.starts_with("error[SK0201]: the app `shop` does not exist\n"), "{error}");
}

#[tokio::test]
async fn what_is_not_skeps_answer_is_called_so() {
    let url = server(|_| answer(404, "text/html", "<h1>nginx</h1>")).await;
    let error = client(&url).get::<Value>("/v1/x").await.unwrap_err().to_string();
    assert!(error.contains("404 Not Found, and not in Skep's way: <h1>nginx</h1>"), "{error}");
    let url = server(|_| answer(200, "application/json", "{\"items\": 1}")).await;
    let error = client(&url).get::<skep_api::wire::EventList>("/v1/x").await.unwrap_err().to_string();
    assert!(error.contains("a form that this version does not know"), "{error}");
}

#[tokio::test]
async fn what_fails_on_its_way_is_sent_again_and_a_write_with_the_same_key() {
    let keys = Arc::new(Mutex::new(Vec::new()));
    let seen = keys.clone();
    let url = server(move |request| {
        let key = request.headers().get(IDEMPOTENCY_KEY).map(|key| key.to_str().unwrap().to_owned());
        let mut seen = seen.lock().unwrap();
        seen.push(key);
        let in_use = r#"{"type": "x", "title": "t", "status": 409, "code": "SK0609", "detail": "d"}"#;
        match seen.len() {
            1 | 3 => answer(503, "text/plain", "starting"),
            4 => answer(409, "application/problem+json", in_use),
            _ => answer(200, "application/json", "1"),
        }
    })
    .await;
    let client = client(&url);
    assert_eq!(client.get::<u8>("/v1/x").await.unwrap(), 1);
    assert_eq!(client.post::<_, u8>("/v1/x", &json!({})).await.unwrap(), 1);
    assert_eq!(client.put::<_, u8>("/v1/x", &json!({})).await.unwrap(), 1);
    let keys = keys.lock().unwrap();
    let [None, None, Some(first), Some(second), Some(third), Some(another)] = keys.as_slice() else {
        panic!("{keys:?}");
    };
    assert!(first == second && second == third && first != another && first.len() == 32, "{keys:?}");
}

#[tokio::test]
async fn what_was_refused_is_not_sent_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let url = server(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        answer(422, "text/plain", "no")
    })
    .await;
    assert!(client(&url).post::<_, u8>("/v1/x", &json!({})).await.is_err());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).post::<_, Value>("/v1/x", &json!({})).await.unwrap_err().to_string();
    assert!(
        error.contains(&url) && error.contains("refused") && error.contains("help: is it running"),
        "{error}"
    );
}

#[tokio::test]
async fn a_watch_resumes_after_a_break_where_it_was_and_begins_anew_when_that_is_too_old() {
    let added = |name: &str, id: &str, event: &str| {
        let mut view = ready(1);
        view.metadata.name = name.parse().unwrap();
        let data = json!({"type": event, "resource": view});
        format!("event: {event}\nid: {id}\ndata: {data}\n\n")
    };
    let bookmark = |id: &str| format!("event: bookmark\nid: {id}\ndata: {{\"type\":\"bookmark\"}}\n\n");
    let streams = vec![
        (None, answer(200, EVENT_STREAM, &(added("a", "c1", "added") + &bookmark("c2")))),
        (Some("c2"), answer(503, "text/plain", "restarting")),
        (Some("c2"), answer(200, EVENT_STREAM, &added("b", "c3", "added"))),
        (
            Some("c3"),
            answer(
                410,
                PROBLEM_JSON,
                r#"{"type":"x","title":"t","status":410,"detail":"d","code":"SK0603"}"#,
            ),
        ),
        (None, answer(200, EVENT_STREAM, &(added("c", "c8", "added") + &bookmark("c9")))),
        (
            Some("c9"),
            answer(
                404,
                PROBLEM_JSON,
                r#"{"type":"x","title":"t","status":404,"detail":"d","code":"SK0202"}"#,
            ),
        ),
        (
            None,
            answer(
                403,
                PROBLEM_JSON,
                r#"{"type":"x","title":"t","status":403,"detail":"d","code":"SK0403"}"#,
            ),
        ),
    ];
    let streams =
        Arc::new(std::sync::Mutex::new(streams.into_iter().collect::<std::collections::VecDeque<_>>()));
    let rest = streams.clone();
    let url = server(move |request| {
        let (since, response) = streams.lock().unwrap().pop_front().unwrap();
        let expected = since.map(|since| format!("watch=true&since={since}"));
        assert_eq!(request.uri().query().unwrap(), expected.as_deref().unwrap_or("watch=true"));
        response
    })
    .await;
    let watched = Watched {
        scope: Scope::Org("acme".parse().unwrap()),
        kind: Kind::Environment,
        all_orgs: false,
        selector: None,
    };
    let mut watch = Watch::new(client(&url), watched, None);
    let mut told = Vec::new();
    let end = loop {
        match watch.next().await {
            Ok(Update::Snapshot(views)) => told.push(format!(
                "snapshot {}",
                views.first().map_or("of nothing", |view| view.metadata.name.as_str())
            )),
            Ok(Update::Changed(view)) => told.push(format!("changed {}", view.metadata.name)),
            Ok(Update::Interrupted(_)) => told.push("interrupted".to_owned()),
            Ok(Update::Gone(..)) => told.push("gone".to_owned()),
            Err(error) => break error,
        }
    };
    assert_eq!(told, ["snapshot a", "interrupted", "changed b", "snapshot c", "snapshot of nothing"]);
    assert!(end.to_string().starts_with("[SK0403]") && rest.lock().unwrap().is_empty(), "{end}");
}

/// A certificate for `localhost`, signed by itself, with its key.
fn certificate(dir: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]);
    openssl.args(["-config", "/dev/null", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"]);
    openssl.args(["-addext", "basicConstraints=CA:FALSE"]).arg("-keyout").arg(&key).arg("-out").arg(&cert);
    assert!(openssl.output().unwrap().status.success());
    (cert, key)
}

#[tokio::test]
async fn tls_believes_the_given_authority_for_the_right_name_and_nobody_else() {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(dir.path());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&cert).unwrap()],
            PrivateKeyDer::from_pem_file(&key).unwrap(),
        )
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(speak(stream, |_| answer(200, "application/json", "1")));
            }
        }
    });
    let go = |host: &str, ca: Option<std::path::PathBuf>| {
        let client =
            client_of(Flags { server: Some(format!("https://{host}:{port}")), ca, ..Flags::default() });
        async move { client.unwrap().post::<_, u8>("/v1/x", &json!({})).await }
    };
    assert_eq!(go("localhost", Some(cert.clone())).await.unwrap(), 1);
    let unknown = go("localhost", None).await.unwrap_err().to_string();
    assert!(unknown.contains("certificate"), "{unknown}");
    assert!(go("127.0.0.1", Some(cert)).await.is_err(), "the certificate names another host");
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let flags = Flags { server: Some("https://x".into()), ca: Some(file.path().into()), ..Flags::default() };
    let Err(error) = client_of(flags) else { panic!("accepted") };
    assert!(error.to_string().contains("it holds no certificate"), "{error}");
}
