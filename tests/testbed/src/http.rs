//! The least of HTTP that assertions need: one request, over TCP or a Unix socket, its answer read to its end.
//!
//! It speaks HTTP/1.0, so an answer is never chunked and ends with the connection. The product's own client is not used
//! on purpose: a test that asks with the code under test learns little.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Longest wait for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest wait for each part of an answer: longer than a server under test waits for its own database.
const ANSWER: Duration = Duration::from_secs(15);

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
    stream.set_read_timeout(Some(ANSWER)).context("cannot bound the wait for an answer")?;
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
    stream.set_read_timeout(Some(ANSWER)).context("cannot bound the wait for an answer")?;
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

/// Any request to a port of this machine, with a body of JSON; empty is no body. Each part of the answer may take `patience`.
///
/// In HTTP/1.1 and by the answer's length, for servers that know nothing older and keep connections open whatever is asked.
pub fn send(port: u16, method: &str, path: &str, json: &str, patience: Duration) -> Result<Answer> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        json.len()
    );
    let send = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(request.as_bytes())?;
        measured(stream)
    };
    send().with_context(|| format!("{method} http://127.0.0.1:{port}{path}"))
}

/// Any request to a port of another machine, with a body of some type.
pub fn send_to(address: SocketAddr, method: &str, path: &str, kind: &str, body: &str) -> Result<Answer> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(ANSWER)).context("cannot bound the wait for an answer")?;
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(stream, &request).with_context(|| format!("{method} http://{address}{path}"))
}

/// An answer that says how long it is.
fn measured(stream: impl Read) -> Result<Answer> {
    let mut stream = BufReader::new(stream.take(MAX_ANSWER));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut head).context("cannot read the answer's head")?;
        ensure!(read > 0, "the answer has no end of headers: {head}");
    }
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.with_context(|| format!("the answer has no status: {head}"))?;
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, value)| value.trim().parse()).next().context("the answer has no length")?;
    let length: usize = length.context("the answer's length is no number")?;
    ensure!(u64::try_from(length).is_ok_and(|length| length <= MAX_ANSWER), "the answer is too large");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).context("cannot read the answer")?;
    Ok(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
}

fn connected(socket: &Path) -> Result<UnixStream> {
    let stream =
        UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(ANSWER)).context("cannot bound the wait for an answer")?;
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
