//! The least of HTTP that assertions need: one request, over TCP or a Unix socket, its answer read to its end.
//!
//! It speaks HTTP/1.0, so an answer is never chunked and ends with the connection. The product's own client is not used
//! on purpose: a test that asks with the code under test learns little.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest wait for a connection, and for each part of an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Largest answer read: pages of tests are small, and a server gone wild must not fill the memory.
const MAX_ANSWER: u64 = 16 << 20;

/// An answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The header lines as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

/// `GET path` from a TCP port, with the given `Host` header.
pub fn get(address: IpAddr, port: u16, host: &str, path: &str) -> Result<Answer> {
    let address = SocketAddr::new(address, port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot bound the wait for an answer")?;
    ask(stream, host, path).with_context(|| format!("GET http://{address}{path} (host {host})"))
}

/// The same with further header fields.
pub fn get_with(
    address: IpAddr,
    port: u16,
    host: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<Answer> {
    let address = SocketAddr::new(address, port);
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot bound the wait for an answer")?;
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
    exchange(stream, &request).with_context(|| format!("GET http://{address}{path} (host {host})"))
}

/// `GET path` from a Unix socket.
pub fn get_unix(socket: &Path, path: &str) -> Result<Answer> {
    ask(connected(socket)?, "localhost", path)
        .with_context(|| format!("GET {path} from {}", socket.display()))
}

/// Any request to a Unix socket, with a body of JSON; empty is no body.
pub fn send_unix(socket: &Path, method: &str, path: &str, json: &str) -> Result<Answer> {
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{json}",
        json.len()
    );
    exchange(connected(socket)?, &request).with_context(|| format!("{method} {path} to {}", socket.display()))
}

fn connected(socket: &Path) -> Result<UnixStream> {
    let stream =
        UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE)).context("cannot bound the wait for an answer")?;
    Ok(stream)
}

fn ask(stream: impl Read + Write, host: &str, path: &str) -> Result<Answer> {
    exchange(stream, &format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Result<Answer> {
    stream.write_all(request.as_bytes()).context("cannot send the request")?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).context("cannot read the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no end of headers")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("the answer has no status: {head}"))?;
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
