use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::Reach;

/// A host that answers one request with this, and what it heard.
async fn host(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/skep", listener.local_addr().unwrap());
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"}") {
            let mut part = [0; 4096];
            let read = stream.read(&mut part).await.unwrap();
            assert!(read > 0, "it hung up");
            heard.extend_from_slice(&part[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(heard).unwrap()
    });
    (url, heard)
}

fn outbound(url: &str) -> Outbound {
    let allowed = url.strip_suffix("/skep").unwrap().parse().unwrap();
    Outbound::new(Reach::with([allowed])).unwrap()
}

fn header<'a>(heard: &'a str, name: &str) -> Option<&'a str> {
    heard.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_signature_is_that_of_the_published_example() {
    // The example of the libraries of Standard Webhooks.
    let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    assert_eq!(
        signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#),
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    );
}

#[tokio::test]
async fn a_message_is_posted_whole_with_a_signature_over_its_id_its_time_and_its_body() {
    let (url, heard) = host("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
    let secret = SecretString::from("not in the form of Standard Webhooks");
    let body = r#"{"image":"ghcr.io/acme/shop"}"#;
    let id = id_of(&url, 1_700_000_000, body);
    let message = Message { id: &id, url: &url, sent_at: 1_700_000_000, body, secret: Some(&secret) };
    let answer = outbound(&url).deliver(&message).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]));
    let heard = heard.await.unwrap();
    assert!(heard.starts_with("POST /skep HTTP/1.1\r\n") && heard.ends_with(body), "{heard}");
    assert_eq!(header(&heard, "content-type"), Some("application/json"));
    assert_eq!(header(&heard, "webhook-timestamp"), Some("1700000000"));
    assert_eq!(header(&heard, "webhook-id"), Some(&*id));
    let signed = signature(&secret, &id, 1_700_000_000, body);
    assert_eq!(header(&heard, "webhook-signature"), Some(&*signed));
    assert!(!heard.contains(secret.expose_secret()), "{heard}");
    assert_ne!(id_of(&url, 1_700_000_001, body), id);
}

#[tokio::test]
async fn without_a_secret_a_message_is_not_signed_and_no_answer_leads_it_elsewhere() {
    let (url, heard) =
        host("HTTP/1.1 307 Temporary Redirect\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n")
            .await;
    let message = Message { id: "msg_1", url: &url, sent_at: 0, body: "{}", secret: None };
    let answer = outbound(&url).deliver(&message).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(header(&heard.await.unwrap(), "webhook-signature"), None);
}

#[tokio::test]
async fn a_message_goes_nowhere_inside() {
    let outbound = Outbound::new(Reach::default()).unwrap();
    for url in ["https://127.0.0.1:9/skep", "http://192.0.2.1/skep", "https://169.254.169.254/latest"] {
        let message = Message { id: "msg_1", url, sent_at: 0, body: "{}", secret: None };
        let error = outbound.deliver(&message).await.unwrap_err();
        assert!(error.is_refusal(), "{url}: {error}");
    }
}
