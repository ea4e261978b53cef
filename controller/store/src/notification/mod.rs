//! Notifications: messages that wait to be sent to somebody outside, and what became of them.
//!
//! ```text
//! events ──> outbox (the same transaction) ──> delivery: claimed, sent by the controller, noted ──> delivered, or dead
//! ```
//!
//! A message is sent at least once: whoever ends between sending and noting leaves it to be sent again, under the same id. All times are
//! the database's.

mod delivery;
mod list;
mod message;
mod outbox;
mod standing;

pub use self::delivery::{Attempt, Claimed, MessageId};
pub use self::list::{Delivery, DeliveryState, Resend};
pub use self::message::Notice;
pub(crate) use self::outbox::{Told, enqueue_all};
