//! Models: the two protocols on which Skep's correctness rests, small enough to look at every state that they can get into.
//!
//! - [`lease`]: several controllers, leases with epochs, writes that arrive late. Nothing old takes effect, nothing is done
//!   twice, and the work gets done.
//! - [`watch`]: transactions that end out of order, a log with dense revisions, readers and compaction. No reader misses or
//!   repeats a change.
//!
//! Each model says which of its actions is which function of the product, and has *guards*: the single rules that the product
//! keeps. A model with all of them is checked to be right; a model without one is checked to be wrong, with the way into the wrong
//! state as the proof that the guard is needed and that the model would notice. Two guards are not needed for correctness, and the
//! models say so: a term only saves work, and the check of the generation is the second line behind the fence. The tests take
//! seconds. `cargo run -p skep-models -- explore lease` shows the states in a browser.
//!
//! A model proves nothing about code. What ties the two together are the tests named in `docs/ARCHITECTURE.md` (I8, I9) and the
//! seeded defects in `tests/defects`, which take the same guards out of the product.

pub mod lease;
pub mod watch;
