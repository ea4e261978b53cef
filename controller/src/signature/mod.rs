//! Signatures of images, as `cosign sign` puts them into registries: looking for them and judging them.
//!
//! ```text
//! lookups   what is known (store), what is to be looked for, and when; passes wait a moment and go on without
//!   └> search   what a registry has beside a digest: the tag, the referrers
//!        ├> judge   is that a signature of this digest by this signer?
//!        └> trust   who made it, by sigstore's certificates and logs
//! ```
//!
//! Guarantees: a signature counts if it was made with the key, or provably by the identity, over words that name the digest itself, and for nothing
//! else. That there is none is said only after the registry said so; whatever goes wrong on the way is no answer.

mod judge;
mod lookups;
mod search;
mod trust;

pub(crate) use lookups::{Asker, Signatures};
pub use trust::{TrustedRoot, TrustedRootError};
