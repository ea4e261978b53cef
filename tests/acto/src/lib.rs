//! Changes of every field of every kind, made from the JSON Schemas that Skep publishes, and what must hold after each.
//!
//! The schemas say which fields there are ([`field`]) and which values each takes ([`value`]); a state in which all of them are
//! set ([`desired`]) says where. From that follow thousands of [`change`]s: set, set to a limit, remove, add, reorder, and all
//! that is invalid. A [`campaign`] makes them one after another on a [`ground`], where the real planner works on a Swarm, and asks
//! after each:
//!
//! - it is carried out, and then there is silence;
//! - what came of it ([`state`]) is what comes of the same manifests on empty ground, so no way leads to another end and
//!   nothing is left over;
//! - undoing it brings back what was;
//! - every field has an effect that can be seen, or stands in [`silent`] with the reason for none;
//! - what is invalid is refused with code and place, and changes nothing.

pub mod campaign;
pub mod change;
pub mod desired;
pub mod field;
pub mod ground;
pub mod silent;
pub mod state;
pub mod tally;
pub mod value;
