//! Roles: what somebody may do within their reach.
//!
//! A role says how much, a reach says where. Roles are ordered: whoever has one may do everything that those before it allow. Which
//! role an action takes is one table in the API (`access/permission.rs`); here are only the words.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much somebody may do within their reach: an organisation, or the platform with all organisations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees resources, their status, drift, events and releases.
    Viewer,
    /// Changes what runs, reads logs, pauses and resumes.
    Deployer,
    /// Deletes, sets policies, gives out tokens.
    Admin,
    /// Whatever can be done within the reach.
    Owner,
}

impl Role {
    /// All, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Deployer, Self::Admin, Self::Owner];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such role; the roles are viewer, deployer, admin and owner")]
pub struct NoSuchRole;

impl FromStr for Role {
    type Err = NoSuchRole;

    fn from_str(text: &str) -> Result<Self, NoSuchRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(NoSuchRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_read_back_as_they_are_written() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert_eq!("root".parse::<Role>(), Err(NoSuchRole));
    }
}
