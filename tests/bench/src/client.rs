//! A client of the API that keeps its connection, with no more than the measurements need.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Client {
    /// To a server on this machine, with this token.
    pub(crate) fn connect(port: u16, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connect to the server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let head =
            format!("Host: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        Ok(Self { stream: BufReader::new(stream), head })
    }

    /// One request, and its whole answer: its status.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<u16> {
        let length = body.len();
        let request =
            format!("{method} {path} HTTP/1.1\r\n{}Content-Length: {length}\r\n\r\n{body}", self.head);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, length) = self.head()?;
        let mut answer = vec![0; length.context("the answer says how long it is")?];
        self.stream.read_exact(&mut answer)?;
        ensure!(status < 400, "{method} {path}: {status} {}", String::from_utf8_lossy(&answer));
        Ok(status)
    }

    /// Opens a stream of events.
    pub(crate) fn watch(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\n{}Accept: text/event-stream\r\n\r\n", self.head);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, _) = self.head()?;
        ensure!(status == 200, "GET {path}: {status}");
        Ok(())
    }

    /// Reads a stream until a line contains this.
    pub(crate) fn wait_for(&mut self, text: &str) -> Result<()> {
        let (mut line, began) = (String::new(), Instant::now());
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the stream ended before {text}");
            if line.contains(text) {
                return Ok(());
            }
            // A stream that has nothing to tell says so from time to time, for ever.
            ensure!(began.elapsed() < ANSWER, "the stream does not tell {text}");
        }
    }

    fn head(&mut self) -> Result<(u16, Option<usize>)> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let status = line.split(' ').nth(1).context("an answer has a status")?.parse()?;
        let mut length = None;
        loop {
            line.clear();
            ensure!(self.stream.read_line(&mut line)? > 0, "the answer's head has no end");
            if line == "\r\n" {
                return Ok((status, length));
            }
            let field = line.to_ascii_lowercase();
            if let Some(value) = field.strip_prefix("content-length:") {
                length = Some(value.trim().parse()?);
            }
        }
    }
}
