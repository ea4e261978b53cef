//! Scanners of images, as ImagePolicies name them: asking them, and remembering what they said.
//!
//! ```text
//! asking     what is known (store), what has to be asked, and when; passes wait a moment and go on without
//!   └> message   what a scanner is sent, and what its answer means
//! ```
//!
//! Guarantees: a scanner is asked by nothing but the guarded client, about what is applied alone, and signed with a Secret that is opened for the one
//! request. A verdict is what the scanner said in its own words for it; whatever else comes back, or nothing, is no verdict.

mod asking;
mod message;

pub(crate) use asking::{Asker, Scans};
