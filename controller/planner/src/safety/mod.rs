//! Safety: may this process act on this Swarm at all, and does what it is about to remove look like a mistake?
//!
//! A reconcile loop that is pointed at the wrong database is a machine for deleting clusters. So the Swarm remembers whose it is:
//! a config of one fixed name is the claim of one Skep instance. A **survey** compares the claim, and every object that carries an
//! instance's label, with what the store knows, and comes to one [`Verdict`]:
//!
//! - the claim is another's, or objects are and there is no claim: a second instance;
//! - the claim is ours and of another epoch of the store, and the Swarm has what the store never heard of: a restored database;
//! - nothing foreign, and no claim or an old one: the claim is written, and all is well.
//!
//! The **brake** looks at removals alone: more than a share and more than a number at a time wait until someone confirms them.
//!
//! Whatever is found ends in a hold, which the store keeps. [`restrain`] takes out of a plan what a hold forbids and says why;
//! that is the only thing that a hold does. Everything here is a pure function of what was read. The order of reading is the
//! caller's duty: **the Swarm first, then the store**, so that whatever is seen had its intent recorded before it was there.

mod adopt;
mod brake;
mod claim;
mod hold;
mod orphan;
mod survey;

pub use adopt::{SECRET_UNFIT, adopt_network, adopt_service};
pub use brake::{Brake, RemovalLimits, Removals, brake};
pub use claim::{Claim, claim_spec};
pub use hold::{Finding, HoldReason, HoldScope, InForce, restrain};
pub use orphan::{Fate, Owner, fate, removal_order};
pub use survey::{Consent, FoundObject, Survey, Verdict, survey, unknown};
