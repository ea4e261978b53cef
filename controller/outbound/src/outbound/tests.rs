//! The guard, over real sockets: where requests go, and where they do not.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Answer, Limits, Outbound, OutboundError, Reach, Resolve};

const LIMITS: Limits = Limits { within: Duration::from_secs(5), body: 1024, redirects: 0 };

/// A server that answers every connection with these bytes and notes what it was sent.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(answer: impl Into<String>) -> Self {
        Self::keeping(answer, false).await
    }

    /// Does the connection stay open after the answer?
    async fn keeping(answer: impl Into<String>, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, answer) = (listener.local_addr().unwrap(), answer.into());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&heard);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let read = stream.read(&mut head).await.unwrap_or_default();
                notes.lock().unwrap().push(String::from_utf8_lossy(&head[..read]).into_owned());
                // Whoever asked may have hung up.
                let _sent = stream.write_all(answer.as_bytes()).await;
                if open {
                    kept.push(stream);
                }
            }
        });
        Self { address, heard }
    }

    fn url(&self) -> String {
        format!("http://{}/here?x=1", self.address)
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// A resolver that gives one answer after the other, and the last for ever.
struct Answers(Vec<&'static [&'static str]>, Arc<AtomicUsize>);

#[async_trait]
impl Resolve for Answers {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let at = self.1.fetch_add(1, Ordering::Relaxed).min(self.0.len() - 1);
        Ok(self.0[at].iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn reach(allowed: &[String]) -> Reach {
    Reach::with(allowed.iter().map(|one| one.parse().unwrap()))
}

fn plain(server: &Server) -> String {
    format!("http://{}", server.address)
}

async fn get(outbound: &Outbound, url: &str, limits: &Limits) -> Result<Answer, OutboundError> {
    let request =
        Request::get(url).header("authorization", "Bearer of-the-first").body(Bytes::new()).unwrap();
    outbound.send(request, limits).await
}

const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn an_allowed_host_is_asked_and_one_that_is_not_hears_nothing() {
    let server = Server::answering(HELLO).await;
    let allowed = Outbound::new(reach(&[plain(&server)])).unwrap();
    let answer = get(&allowed, &server.url(), &LIMITS).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"hello"[..]));
    let heard = server.heard();
    assert!(heard[0].starts_with("GET /here?x=1 HTTP/1.1\r\n"), "{heard:?}");
    assert!(heard[0].contains(&format!("host: {}\r\n", server.address)), "{heard:?}");

    let closed = Outbound::new(Reach::default()).unwrap();
    let port = server.address.port();
    for url in [
        server.url(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://127.1:{port}/"),
        format!("https://user:pw@127.0.0.1:{port}/"),
        format!("ftp://127.0.0.1:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let error = get(&closed, &url, &LIMITS).await.unwrap_err();
        assert!(
            matches!(
                error,
                OutboundError::Address { .. } | OutboundError::Inside { .. } | OutboundError::Unknown { .. }
            ),
            "{url}: {error}"
        );
        assert!(!error.to_string().contains("pw"), "{error}");
    }
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_name_is_refused_if_any_of_its_addresses_is_inside() {
    for answer in [
        &["127.0.0.1"][..],
        &["1.1.1.1", "10.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["::ffff:169.254.169.254"],
        &["fd00::1"],
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = Box::new(Answers(vec![answer], Arc::clone(&asked)));
        let outbound = Outbound::resolving(Reach::default(), resolver).unwrap();
        let error = get(&outbound, "https://registry.example/", &LIMITS).await.unwrap_err();
        assert!(matches!(error, OutboundError::Inside { .. }), "{answer:?}: {error}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_looked_up_once_for_a_request() {
    let server = Server::answering(HELLO).await;
    let asked = Arc::new(AtomicUsize::new(0));
    // The first answer is one that is allowed here; the second would lead to the server.
    let resolver = Box::new(Answers(vec![&["127.0.0.2"], &["127.0.0.1"]], Arc::clone(&asked)));
    let port = server.address.port();
    let allowed = [format!("http://rebound.example:{port}")];
    let outbound = Outbound::resolving(reach(&allowed), resolver).unwrap();
    let error = get(&outbound, &format!("http://rebound.example:{port}/"), &LIMITS).await.unwrap_err();
    assert!(matches!(&error, OutboundError::Unreachable { why, .. } if why.contains("127.0.0.2")), "{error}");
    assert_eq!((asked.load(Ordering::Relaxed), server.heard().len()), (1, 0));

    // The other way: good for the first request, and inside for the next, which looks again.
    let resolver = Box::new(Answers(vec![&["127.0.0.2"], &["127.0.0.1"]], Arc::new(AtomicUsize::new(0))));
    let outbound = Outbound::resolving(reach(&["127.0.0.2/32".to_owned()]), resolver).unwrap();
    let url = format!("https://rebound.example:{port}/");
    assert!(matches!(get(&outbound, &url, &LIMITS).await, Err(OutboundError::Unreachable { .. })));
    assert!(matches!(get(&outbound, &url, &LIMITS).await, Err(OutboundError::Inside { .. })));
    assert_eq!(server.heard().len(), 0);
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_redirect_is_followed_if_the_caller_says_so_and_guarded_afresh_without_credentials() {
    let blob = Server::answering(HELLO).await;
    let registry = Server::answering(redirect(&blob.url())).await;
    let both = Outbound::new(reach(&[plain(&registry), plain(&blob)])).unwrap();
    let unfollowed = get(&both, &registry.url(), &LIMITS).await.unwrap();
    assert_eq!(unfollowed.status, StatusCode::TEMPORARY_REDIRECT);
    let some = Limits { redirects: 3, ..LIMITS };
    assert_eq!(get(&both, &registry.url(), &some).await.unwrap().body, "hello");
    assert!(registry.heard().iter().all(|heard| heard.contains("of-the-first")));
    assert!(!blob.heard()[0].contains("of-the-first"), "{:?}", blob.heard());

    let one = Outbound::new(reach(&[plain(&registry)])).unwrap();
    let error = get(&one, &registry.url(), &some).await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    assert_eq!(blob.heard().len(), 1);
    for to in ["https://169.254.169.254/", "//127.0.0.1/", "file:///etc/passwd", "https://[::1]/"] {
        let registry = Server::answering(redirect(to)).await;
        let outbound = Outbound::new(reach(&[plain(&registry)])).unwrap();
        let error = get(&outbound, &registry.url(), &some).await.unwrap_err();
        assert!(error.is_refusal(), "{to}: {error}");
    }
    let ring = Server::answering(redirect("/here?x=1")).await;
    let outbound = Outbound::new(reach(&[plain(&ring)])).unwrap();
    let error = get(&outbound, &ring.url(), &some).await.unwrap_err();
    assert!(matches!(error, OutboundError::Redirect { .. }), "{error}");
    assert_eq!(ring.heard().len(), 4);
}

#[tokio::test]
async fn a_body_that_does_not_end_ends() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
    let server = Server::keeping(endless, true).await;
    let outbound = Outbound::new(reach(&[plain(&server)])).unwrap();
    let error = get(&outbound, &server.url(), &LIMITS).await.unwrap_err();
    assert!(matches!(error, OutboundError::TooLarge { limit: 1024, .. }), "{error}");

    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let server = Server::keeping(head, true).await;
    let outbound = Outbound::new(reach(&[plain(&server)])).unwrap();
    let error = get(&outbound, &server.url(), &LIMITS).await.unwrap_err();
    assert!(matches!(error, OutboundError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhe"] {
        let server = Server::keeping(answer, true).await;
        let outbound = Outbound::new(reach(&[plain(&server)])).unwrap();
        let quick = Limits { within: Duration::from_millis(200), ..LIMITS };
        let error = get(&outbound, &server.url(), &quick).await.unwrap_err();
        assert!(matches!(error, OutboundError::TimedOut { .. }), "{answer:?}: {error}");
    }
}
