//! Where the browser comes back to: one address on this machine, for as long as one login takes.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use secrecy::SecretString;
use skep_schemas::diagnostic::harmless;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The longest request: an address with a code.
const HEAD_MAX: usize = 16 * 1024;
/// How long one may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The address.
pub(super) struct Callback {
    listener: TcpListener,
    address: String,
}

/// What came back.
enum Returned {
    Code(SecretString),
    Refused(String),
    /// Something else than what was waited for.
    Other,
}

impl Callback {
    /// Listens on this machine alone.
    pub(super) async fn listen() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on 127.0.0.1")?;
        let address = format!("http://{}/callback", listener.local_addr()?);
        Ok(Self { listener, address })
    }

    /// For the provider.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The code. Whatever comes that does not know the state is answered and passed over: any page that is open in the browser can ask here.
    pub(super) async fn code(&self, state: &str, issuer: &str) -> Result<SecretString> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let target = tokio::time::timeout(HEAD_WITHIN, target(&mut stream)).await;
            let Ok(Ok(target)) = target else { continue };
            match returned(&target, state, issuer) {
                Returned::Other => answer(&mut stream, "404 Not Found", "There is nothing here.").await,
                Returned::Code(code) => {
                    answer(
                        &mut stream,
                        "200 OK",
                        "You are logged in. Close this page and go back to the terminal.",
                    )
                    .await;
                    return Ok(code);
                }
                Returned::Refused(why) => {
                    answer(&mut stream, "200 OK", "You are not logged in. The terminal says why.").await;
                    bail!("the identity provider refused the login: {}", harmless(&why));
                }
            }
        }
    }
}

/// What a request asks for.
async fn target(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    let mut part = [0_u8; 2048];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut part).await?;
        if read == 0 || head.len() + read > HEAD_MAX {
            bail!("no request");
        }
        head.extend_from_slice(&part[..read]);
    }
    let head = String::from_utf8(head)?;
    let mut words = head.split(' ');
    match (words.next(), words.next()) {
        (Some("GET"), Some(target)) => Ok(target.to_owned()),
        _ => bail!("no request that is waited for"),
    }
}

fn returned(target: &str, state: &str, issuer: &str) -> Returned {
    let Some(query) = target.strip_prefix("/callback?") else { return Returned::Other };
    let get = |name: &str| {
        let values: Vec<_> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(of, _)| *of == name)
            .map(|(_, value)| plain(value))
            .collect();
        // One that comes twice could be read in two ways.
        <[String; 1]>::try_from(values).ok().map(|[value]| value)
    };
    // Of another provider, if it says which it is (RFC 9207).
    if get("state").as_deref() != Some(state) || get("iss").is_some_and(|of| of != issuer) {
        return Returned::Other;
    }
    match (get("code"), get("error")) {
        (Some(code), None) => Returned::Code(SecretString::from(code)),
        (None, Some(error)) => {
            Returned::Refused(get("error_description").map_or(error.clone(), |why| format!("{error}: {why}")))
        }
        _ => Returned::Other,
    }
}

/// Percent-decoded.
fn plain(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let decoded = hex.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        let (byte, taken) = match (decoded, first) {
            (Some(byte), _) => (byte, 2),
            (None, b'+') => (b' ', 0),
            (None, byte) => (*byte, 0),
        };
        bytes.push(byte);
        rest = after.get(taken..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Answers with a page that holds nothing of what was asked.
async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=utf-8><title>Skep</title><p>{text}\n");
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nContent-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // Whether the browser reads it changes nothing.
    let _ = stream.write_all(response.as_bytes()).await;
    let _ = stream.shutdown().await;
}
