//! A scanner that says of images what a test tells it to, and looks at the signatures of those who ask.
//!
//! Written after Standard Webhooks and the guide (`docs/guides/image-scans.md`), and not after what asks it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How far the time of a request may be from ours, in seconds.
const TOLERANCE: i64 = 300;

/// A scanner on a port of its own.
pub struct Scanner {
    url: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// What requests have to be signed with.
    key: Vec<u8>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The answer for a path and a digest; none is no answer but an error.
    answers: BTreeMap<(String, String), Value>,
    /// What it was asked, as `path image digest organization`.
    heard: Vec<String>,
    /// What was not as it has to be.
    wrong: Vec<String>,
}

impl Scanner {
    /// One that knows nothing yet. Requests have to be signed with this key.
    pub fn start(key: &[u8]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared { key: key.to_vec(), state: Mutex::default() });
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || {
                    if let Err(error) = serve(stream, &shared) {
                        shared.lock().wrong.push(format!("{error:#}"));
                    }
                });
            }
        });
        Ok(Self { url, shared })
    }

    /// Its address, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it says of a digest from now on, to those who ask under this path.
    pub fn says(&self, path: &str, digest: &str, answer: Value) {
        self.shared.lock().answers.insert((path.to_owned(), digest.to_owned()), answer);
    }

    /// What it was asked, if everything about it was right.
    pub fn heard(&self) -> Result<Vec<String>> {
        let state = self.shared.lock();
        ensure!(state.wrong.is_empty(), "requests that were wrong: {:?}", state.wrong);
        Ok(state.heard.clone())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        ensure!(reader.read_line(&mut line)? > 0, "it hung up");
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let field = |name: &str| {
        let named = head.iter().filter_map(|line| line.split_once(": "));
        let mut found = named.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let length = field("content-length").context("no length")?.parse()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body)?;
    verify(&shared.key, field, &body)?;
    let path = head.first().and_then(|line| line.strip_prefix("POST ")?.split_once(' '));
    let (path, _) = path.context("not a POST")?;
    let asked: Value = serde_json::from_str(&body)?;
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let (image, digest) = (text("image"), text("digest"));
    ensure!(text("reference") == format!("{image}@{digest}"), "{asked}");
    let answer = {
        let mut state = shared.lock();
        state.heard.push(format!("{path} {image} {digest} {}", text("organization")));
        state.answers.get(&(path.to_owned(), digest)).cloned()
    };
    let (status, answer) = match answer {
        Some(answer) => (200, answer),
        None => (503, json!({ "error": "no database yet" })),
    };
    let answer = answer.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    )?;
    Ok(())
}

/// As Standard Webhooks says: an HMAC over the id, the time and the body, of a time that is not long ago.
fn verify(key: &[u8], field: impl Fn(&str) -> Option<String>, body: &str) -> Result<()> {
    let field = |name: &str| field(name).with_context(|| format!("no {name}"));
    let (id, sent_at, signatures) =
        (field("webhook-id")?, field("webhook-timestamp")?, field("webhook-signature")?);
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    ensure!((now - sent_at.parse::<i64>()?).abs() < TOLERANCE, "it was sent at {sent_at}, and it is {now}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let message = format!("{id}.{sent_at}.{body}");
    let verifies = |signature: &str| {
        let tag = signature.strip_prefix("v1,").and_then(|tag| STANDARD.decode(tag).ok());
        tag.is_some_and(|tag| hmac::verify(&key, message.as_bytes(), &tag).is_ok())
    };
    ensure!(signatures.split(' ').any(verifies), "a signature that is none: {signatures}");
    Ok(())
}
