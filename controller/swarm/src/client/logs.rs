//! Log lines out of the engine's framed stream.
//!
//! Each frame has an 8-byte head (which output, how long) and one line: a timestamp, the line's origin as
//! `key=value,…`, and the bytes. The origin is why this is read here and not by a library: no library asks for it, and
//! without it the lines of a service do not tell which task wrote them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{Stream, StreamExt};
use http_body_util::BodyDataStream;
use hyper::body::Incoming;
use skep_planner::swarm::{NodeId, TaskId};

use crate::error::{Call, SwarmError};
use crate::stream::{LogLine, LogSource};

/// The head of a frame.
const HEAD: usize = 8;

/// The largest frame taken. The engine cuts lines at 16 KiB; the rest is room for their origin.
const FRAME_LIMIT: usize = 256 * 1024;

/// Lines as they come in; an unreadable frame is an error and the end.
pub(super) fn lines(body: Incoming, call: Call) -> impl Stream<Item = Result<LogLine, SwarmError>> + Send {
    let state = Some((BodyDataStream::new(body), Frames::default(), VecDeque::new(), call));
    futures::stream::unfold(state, |state| async move {
        let (mut body, mut frames, mut ready, call) = state?;
        loop {
            if let Some(line) = ready.pop_front() {
                return Some((Ok(line), Some((body, frames, ready, call))));
            }
            match body.next().await {
                Some(Ok(bytes)) => match frames.feed(&bytes) {
                    Ok(lines) => ready.extend(lines),
                    Err(source) => {
                        let source = Box::<dyn std::error::Error + Send + Sync>::from(source).into();
                        return Some((Err(SwarmError::Decode { call, source }), None));
                    }
                },
                Some(Err(source)) => {
                    let source = Arc::new(source);
                    return Some((Err(SwarmError::Unavailable { call, sent: true, source }), None));
                }
                None => return None,
            }
        }
    })
}

/// Bytes that are not a whole frame yet.
#[derive(Default)]
struct Frames {
    pending: BytesMut,
}

impl Frames {
    /// Takes more bytes and gives the lines they complete.
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<LogLine>, &'static str> {
        self.pending.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some((source, frame)) = self.next_frame()? {
            lines.push(line(source, frame));
        }
        Ok(lines)
    }

    fn next_frame(&mut self) -> Result<Option<(LogSource, Bytes)>, &'static str> {
        let Some(head) = self.pending.first_chunk::<HEAD>() else { return Ok(None) };
        let [source, 0, 0, 0, a, b, c, d] = *head else {
            return Err("the log is not framed: it is a terminal's");
        };
        let source = match source {
            0 | 1 => LogSource::Stdout,
            2 => LogSource::Stderr,
            3 => LogSource::Engine,
            _ => return Err("the log is not framed: it is a terminal's"),
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| "a frame is too long")?;
        if length > FRAME_LIMIT {
            return Err("a frame is too long");
        }
        if self.pending.len() < HEAD + length {
            return Ok(None);
        }
        self.pending.advance(HEAD);
        Ok(Some((source, self.pending.split_to(length).freeze())))
    }
}

/// Takes a line apart. What the engine itself says has neither timestamp nor origin.
fn line(source: LogSource, frame: Bytes) -> LogLine {
    let end = if frame.ends_with(b"\n") { frame.len() - 1 } else { frame.len() };
    let frame = frame.slice(..end);
    if source == LogSource::Engine {
        return LogLine { source, task: None, node: None, timestamp: String::new(), message: frame };
    }
    let (timestamp, rest) = word(&frame);
    let (origin, message) = word(&rest);
    let origin = String::from_utf8_lossy(&origin);
    let value = |key: &str| {
        origin
            .split(',')
            .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
            .filter(|id| !id.is_empty())
    };
    LogLine {
        source,
        task: value("com.docker.swarm.task.id").map(TaskId::from),
        node: value("com.docker.swarm.node.id").map(NodeId::from),
        timestamp: String::from_utf8_lossy(&timestamp).into_owned(),
        message,
    }
}

/// The bytes before the first space, and those after it.
fn word(text: &Bytes) -> (Bytes, Bytes) {
    match text.iter().position(|byte| *byte == b' ') {
        Some(at) => (text.slice(..at), text.slice(at + 1..)),
        None => (text.clone(), Bytes::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str =
        "com.docker.swarm.node.id=n1,com.docker.swarm.service.id=s1,com.docker.swarm.task.id=t1";

    fn frame(source: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short");
        let mut frame = vec![source, 0, 0, 0];
        frame.extend(length.to_be_bytes());
        frame.extend(text.as_bytes());
        frame
    }

    #[test]
    fn frames_split_anywhere_give_the_same_lines() {
        let mut bytes = frame(1, &format!("2026-01-01T00:00:00.1Z {ORIGIN} hello  world\n"));
        bytes.extend(frame(2, &format!("2026-01-01T00:00:00.2Z {ORIGIN} \n")));
        for cut in 0..bytes.len() {
            let mut frames = Frames::default();
            let mut lines = frames.feed(&bytes[..cut]).expect("readable");
            lines.extend(frames.feed(&bytes[cut..]).expect("readable"));
            assert_eq!(lines.len(), 2, "cut at {cut}");
            assert_eq!(lines[0].message.as_ref(), b"hello  world");
            assert_eq!(lines[0].task, Some(TaskId::from("t1")));
            assert_eq!(lines[0].node, Some(NodeId::from("n1")));
            assert_eq!(lines[0].timestamp, "2026-01-01T00:00:00.1Z");
            assert_eq!((lines[1].source, lines[1].message.as_ref()), (LogSource::Stderr, &b""[..]));
        }
    }

    #[test]
    fn what_the_engine_says_is_kept_whole() {
        let lines = Frames::default().feed(&frame(3, "Error grabbing logs: no luck\n")).expect("readable");
        assert_eq!(
            (lines[0].source, lines[0].message.as_ref()),
            (LogSource::Engine, &b"Error grabbing logs: no luck"[..])
        );
    }

    #[test]
    fn unframed_and_oversized_logs_are_refused_and_not_buffered() {
        assert!(Frames::default().feed(b"plain terminal output").is_err());
        assert!(Frames::default().feed(&[1, 0, 0, 0, 0xff, 0, 0, 0]).is_err());
    }
}
