//! Policies: what may run, decided in one place for the apply that asks for it and for the loop that would do it.

pub mod gate;
pub mod image;
pub mod isolation;
pub mod plan;
pub mod reach;
pub mod scan;
pub mod signature;

use std::fmt;

use skep_schemas::kind::Enforcement;

/// Something that a policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Whose rule it is, as `ImagePolicy/default`.
    pub policy: String,
    /// What is not allowed, and why, in words.
    pub why: String,
    /// What happens to it.
    pub enforcement: Enforcement,
}

impl Violation {
    /// Is it kept from being released?
    pub fn forbids(&self) -> bool {
        self.enforcement >= Enforcement::Block
    }

    /// Is it stopped where it runs?
    pub fn stops(&self) -> bool {
        self.enforcement == Enforcement::Stop
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not allow {}", self.policy, self.why)
    }
}
