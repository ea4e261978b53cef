//! Turning what went wrong into one bounded line of text.
//!
//! An error's `Display` does not repeat its source, so the line is the whole chain; a panic's payload is its message
//! when it has one. Both are cut, because a message that quotes a payload must not fill the log or a status page.

use std::any::Any;
use std::error::Error;

/// The longest text kept of one fault: a dozen lines of a terminal, enough for a chain of ten causes.
pub(crate) const MAX_FAULT_BYTES: usize = 2048;

/// An error and its causes: "outer: inner: innermost".
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause
        && text.len() < MAX_FAULT_BYTES
    {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    bounded(text)
}

/// The message of a caught panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    bounded(text)
}

/// Cuts `text` to [`MAX_FAULT_BYTES`] on a character boundary.
pub(crate) fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_FAULT_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Inner(String);

    #[test]
    fn a_chain_names_every_cause_in_order() {
        assert_eq!(chain(&Outer(Inner("no key".to_owned()))), "cannot open the door: no key");
    }

    #[test]
    fn a_fault_is_cut_on_a_character_boundary() {
        let text = chain(&Inner("é".repeat(MAX_FAULT_BYTES)));
        assert_eq!(text.len(), MAX_FAULT_BYTES);
        assert!(chain(&Inner("x".to_owned() + &"é".repeat(MAX_FAULT_BYTES))).len() < MAX_FAULT_BYTES);
    }
}
