//! Reads a stream of server-sent events from pieces of any size.
//!
//! Input is bytes as they arrive, output the events that are complete. An event is bounded; comments (the server's sign of
//! life) yield nothing. Follows the part of the HTML standard that the server uses: `event`, `data` and `id` fields, line
//! ends of one or two characters.

/// The largest event: a resource is at most 1 MiB as a manifest, and its status is smaller.
const EVENT_MAX: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// Its type; empty when the server named none.
    pub(crate) name: String,
    /// Its data, the lines joined.
    pub(crate) data: String,
    /// The position to resume after, if the event has one.
    pub(crate) id: Option<String>,
}

/// An event was larger than any that the server sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an event of more than {EVENT_MAX} bytes")]
pub(crate) struct TooLarge;

/// What has arrived and is not yet an event.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// Takes the next bytes and gives the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, tail) = rest.split_at(end);
            self.line.extend_from_slice(line);
            rest = tail.get(1..).unwrap_or_default();
            let line = std::mem::take(&mut self.line);
            events.extend(self.take_line(&line));
            self.check_size()?;
        }
        self.line.extend_from_slice(rest);
        self.check_size()?;
        Ok(events)
    }

    fn check_size(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.event.data.len() > EVENT_MAX { Err(TooLarge) } else { Ok(()) }
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Event> {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // Comments have an empty field name; what a later server adds is passed over.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\nretry: 1000\n\nevent: added\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent:end\r\ndata:\r\n\r\n";

    fn expected() -> Vec<Event> {
        vec![
            Event { name: "added".into(), data: "{\"a\":\n1}".into(), id: Some("7".into()) },
            Event { name: "end".into(), data: String::new(), id: None },
        ]
    }

    #[test]
    fn the_events_do_not_depend_on_how_the_bytes_are_cut() {
        for size in 1..=STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> =
                STREAM.as_bytes().chunks(size).flat_map(|piece| parser.feed(piece).unwrap()).collect();
            assert_eq!(events, expected(), "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_that_is_not_complete_is_not_given() {
        assert_eq!(Parser::default().feed(b"data: half").unwrap(), []);
    }

    #[test]
    fn an_endless_event_is_refused_instead_of_kept() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1024 * 1024];
        let refused = (0..6).any(|_| parser.feed(&piece).is_err());
        assert!(refused);
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        assert!((0..6).any(|_| parser.feed(&line).is_err()));
    }
}
