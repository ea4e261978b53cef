//! What safety needs to remember: holds, confirmed removals, orphans, and a census of what the database knows.
//!
//! Opening a hold is not fenced: it only makes the controller more careful, and whoever sees a reason must be able to say so.
//! Settling one is, because it lets the controller go on.

mod adopt;
mod census;
mod hold;
mod orphan;
mod removal;

pub use census::Census;
pub use hold::{Hold, HoldId};
pub use orphan::{Orphan, RECOVERED_MAX};
pub use removal::Confirmation;

pub(crate) use removal::confirm_all_of;
