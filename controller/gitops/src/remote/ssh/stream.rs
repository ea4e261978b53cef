//! A channel as something to read from and something to write to, each within the budget.

use std::io::{self, BufRead, Read, Write};
use std::pin::Pin;

use bytes::Bytes;
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::super::repository::Line;
use super::super::wire::told_by_server;
use super::Judge;
use crate::error::FetchError;

/// How much of what a command says beside its output is kept.
const BESIDE_MAX: usize = 2048;

/// What the command writes.
pub(in crate::remote) struct Output {
    /// The connection lasts as long as this.
    _session: Handle<Judge>,
    channel: ChannelReadHalf,
    line: Line,
    piece: Bytes,
    /// What it says beside: why it failed, if it does.
    beside: Vec<u8>,
    status: Option<u32>,
    any: bool,
}

impl Output {
    pub(super) fn new(session: Handle<Judge>, channel: ChannelReadHalf, line: Line) -> Self {
        let (piece, beside) = (Bytes::new(), Vec::new());
        Self { _session: session, channel, line, piece, beside, status: None, any: false }
    }

    /// The next piece; empty at the end.
    fn next(&mut self) -> Result<Bytes, FetchError> {
        loop {
            let channel = &mut self.channel;
            let message = self.line.wait(async { Ok::<_, FetchError>(channel.wait().await) })?;
            match message {
                Some(ChannelMsg::Data { data }) => {
                    self.line.budget.receive(data.len())?;
                    self.any = true;
                    if !data.is_empty() {
                        return Ok(data);
                    }
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.line.budget.receive(data.len())?;
                    let room = BESIDE_MAX.saturating_sub(self.beside.len());
                    self.beside.extend_from_slice(data.get(..room.min(data.len())).unwrap_or_default());
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(ChannelMsg::Failure) => {
                    return Err(FetchError::NotGit { why: "it runs no command for this key".to_owned() });
                }
                Some(ChannelMsg::Close) | None => return self.end(),
                // After the end of its output it still says how it went.
                Some(_) => {}
            }
        }
    }

    fn end(&self) -> Result<Bytes, FetchError> {
        if self.any && self.status.is_none_or(|status| status == 0) {
            return Ok(Bytes::new());
        }
        let beside = String::from_utf8_lossy(&self.beside);
        if beside.trim().is_empty() {
            return Err(FetchError::EndedEarly { why: "git-upload-pack ended and said nothing".to_owned() });
        }
        Err(told_by_server(&beside))
    }
}

impl BufRead for Output {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            self.piece = self.next().map_err(|error| self.line.budget.fail(error))?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        drop(self.piece.split_to(amount.min(self.piece.len())));
    }
}

impl Read for Output {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

/// What the command reads.
pub(in crate::remote) struct Input {
    channel: Pin<Box<dyn AsyncWrite>>,
    line: Line,
}

impl Input {
    pub(super) fn new(channel: &ChannelWriteHalf<Msg>, line: Line) -> Self {
        Self { channel: Box::pin(channel.make_writer()), line }
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (line, channel) = (self.line.clone(), &mut self.channel);
        let ended = |error: io::Error| FetchError::EndedEarly { why: error.to_string() };
        // A command that ended says why in its output, so this is no reason of its own.
        line.wait(async { channel.write(bytes).await.map_err(ended) })
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error.to_string()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let (line, channel) = (self.line.clone(), &mut self.channel);
        let ended = |error: io::Error| FetchError::EndedEarly { why: error.to_string() };
        line.wait(async { channel.flush().await.map_err(ended) })
            .map_err(|error| io::Error::new(io::ErrorKind::BrokenPipe, error.to_string()))
    }
}
