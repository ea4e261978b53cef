//! Notifications: messages that wait in the store are sent to whoever is to be told.
//!
//! This is a duty of the cluster. What is due is claimed, sent and noted, many at once, of each target one; a target that does not take what it is
//! sent is left alone for a while and delays nobody else. Whoever ends between sending and noting leaves a message to be sent again under
//! the same id.

mod again;
mod duty;
mod form;
mod send;

pub(crate) use self::duty::{Deliver, start};

#[cfg(test)]
mod tests;
