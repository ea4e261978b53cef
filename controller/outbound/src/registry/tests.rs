use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::Reach;

/// Serves by path: a status line, headers and a body for each; notes the heads of requests.
async fn serve(answers: impl Fn(&str) -> String + Send + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 8192];
            let read = stream.read(&mut head).await.unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            let answer = answers(&head);
            notes.lock().unwrap().push(head);
            // Whoever asked may have hung up.
            let _sent = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, heard)
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn status(line: &str, headers: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{headers}content-length: 0\r\n\r\n")
}

fn repository(address: SocketAddr, allowed: &[SocketAddr], login: Option<Login>) -> Repository {
    let allowed = allowed.iter().map(|address| format!("http://{address}").parse().unwrap());
    let outbound = Outbound::new(Reach::with(allowed)).unwrap();
    Repository::new(&outbound, &format!("{address}/acme/shop"), login)
}

fn robot() -> Option<Login> {
    Some(Login { username: "robot".to_owned(), password: SecretString::from("hunter2") })
}

fn digest_of(text: &str) -> ImageDigest {
    format!("sha256:{}", hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))).parse().unwrap()
}

#[tokio::test]
async fn what_is_asked_for_by_its_digest_is_that_or_an_error_and_absence_is_told_apart() {
    let (address, _) = serve(|head| match head.split(' ').nth(1).unwrap_or_default() {
        path if path.contains("/blobs/") => ok("tampered"),
        path if path.contains("/manifests/v1") => ok("a manifest"),
        path if path.contains("/manifests/broken") => status("500 Oh", ""),
        path if path.contains(digest_of("a manifest").as_str()) => ok("a manifest"),
        _ => status("404 Not Found", ""),
    })
    .await;
    let mut repository = repository(address, &[address], None);
    assert_eq!(repository.tagged("v1").await.unwrap().unwrap(), "a manifest");
    assert_eq!(repository.manifest(&digest_of("a manifest")).await.unwrap().unwrap(), "a manifest");
    assert_eq!(repository.manifest(&digest_of("another")).await.unwrap(), None);
    assert!(matches!(
        repository.blob(&digest_of("a blob")).await,
        Err(RegistryError::Forged { digest, .. }) if digest == digest_of("a blob")
    ));
    assert!(matches!(repository.tagged("broken").await, Err(RegistryError::Failed { status: 500, .. })));
}

#[tokio::test]
async fn referrers_are_asked_for_and_then_the_tag_that_stands_in_for_them() {
    let (address, heard) = serve(|head| match head {
        head if head.contains("/manifests/sha256-") => ok("an index"),
        _ => status("404 Not Found", ""),
    })
    .await;
    let mut repository = repository(address, &[address], None);
    assert_eq!(repository.referrers(&digest_of("x")).await.unwrap().unwrap(), "an index");
    let hex = digest_of("x").as_str().replacen("sha256:", "", 1);
    let heard = heard.lock().unwrap().clone();
    assert!(heard[0].starts_with(&format!("GET /v2/acme/shop/referrers/sha256:{hex} ")), "{heard:?}");
    assert!(heard[1].starts_with(&format!("GET /v2/acme/shop/manifests/sha256-{hex} ")), "{heard:?}");
}

#[tokio::test]
async fn a_password_goes_to_a_registry_that_asks_for_one_and_a_token_to_the_next_request() {
    let (address, heard) = serve(|head| match head {
        head if head.contains("authorization: Basic cm9ib3Q6aHVudGVyMg==") => ok("a manifest"),
        _ => status("401 No", "www-authenticate: Basic realm=\"r\"\r\n"),
    })
    .await;
    let mut with = repository(address, &[address], robot());
    assert_eq!(with.tagged("v1").await.unwrap().unwrap(), "a manifest");
    assert!(!heard.lock().unwrap()[0].contains("authorization"));
    let without = repository(address, &[address], None).tagged("v1").await;
    assert!(matches!(without, Err(RegistryError::Denied { status: 401, .. })));

    let (tokens, asked) = serve(|_| ok(r#"{"token":"t0"}"#)).await;
    let (address, _) = serve(move |head| match head {
        head if head.contains("authorization: Bearer t0") => ok("a manifest"),
        _ => status(
            "401 No",
            &format!("www-authenticate: Bearer realm=\"http://{tokens}/t\",service=\"a b\"\r\n"),
        ),
    })
    .await;
    let mut both = repository(address, &[address, tokens], robot());
    assert_eq!(both.tagged("v1").await.unwrap().unwrap(), "a manifest");
    assert_eq!(both.tagged("v2").await.unwrap().unwrap(), "a manifest");
    let heard = asked.lock().unwrap().clone();
    assert_eq!(heard.len(), 1, "one token does for all");
    assert!(
        heard[0].starts_with("GET /t?scope=repository:acme/shop:pull&service=a%20b HTTP/1.1"),
        "{heard:?}"
    );
    assert!(heard[0].contains("authorization: Basic cm9ib3Q6aHVudGVyMg=="), "{heard:?}");

    // The service that a registry names is guarded as well, and no password is sent inside.
    let error = repository(address, &[address], robot()).tagged("v1").await.unwrap_err();
    assert!(matches!(&error, RegistryError::Outbound(refused) if refused.is_refusal()), "{error}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}
