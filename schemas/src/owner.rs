//! Who owns a resource: one writer, whom nobody else overwrites.
//!
//! An [`Owner`] is the API, which stands for people and programs, or one Git source. Which of them may write and delete what is decided where it is
//! written, in the store. A [`Provenance`] says where in a repository a resource is written, so that whoever is refused knows where to change it.

use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::resource::ResourceKey;
use crate::scalar::{CommitId, OrgName, RepositoryPath, ResourceName};

/// Who writes a resource's manifest, and deletes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Owner {
    /// People and programs, through the API.
    #[default]
    Api,
    /// A Git source.
    Git {
        /// Which.
        source: SourceRef,
    },
}

impl Owner {
    /// May it own this at all? A source of an organisation owns what is in that organisation; one of the platform, anything.
    pub fn may_own(&self, key: &ResourceKey) -> bool {
        match self {
            Self::Api | Self::Git { source: SourceRef { org: None, .. } } => true,
            Self::Git { source: SourceRef { org: Some(org), .. } } => key.org() == Some(org),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api => f.write_str("the API"),
            Self::Git { source } => source.fmt(f),
        }
    }
}

/// A Git source: one of an organisation, which is a GitSource, or one of the platform, which is a PlatformSource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceRef {
    /// The organisation that it belongs to; absent for a source of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgName>,
    /// Its name.
    pub name: ResourceName,
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.org {
            Some(org) => write!(f, "GitSource {org}/{}", self.name),
            None => write!(f, "PlatformSource {}", self.name),
        }
    }
}

/// Where a resource is written: the commit is the one in which document or place changed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provenance {
    /// The commit.
    pub commit: CommitId,
    /// The file.
    pub path: RepositoryPath,
    /// The line in which the document begins.
    pub line: NonZeroU32,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} at commit {}", self.path, self.line, self.commit.short())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::Kind;
    use crate::resource::Scope;

    fn source(org: Option<&str>) -> Owner {
        Owner::Git {
            source: SourceRef { org: org.map(|org| org.parse().unwrap()), name: "shop".parse().unwrap() },
        }
    }

    #[test]
    fn a_source_owns_nothing_outside_of_its_organisation() {
        let app = Scope::Org("acme".parse().unwrap());
        let app = ResourceKey::new(app, Kind::App, "shop".parse().unwrap()).unwrap();
        let organization = ResourceKey::organization(&"acme".parse().unwrap());
        let may = |owner: &Owner| (owner.may_own(&app), owner.may_own(&organization));
        assert_eq!(may(&Owner::Api), (true, true));
        assert_eq!(may(&source(None)), (true, true));
        assert_eq!(may(&source(Some("acme"))), (true, false));
        assert_eq!(may(&source(Some("globex"))), (false, false));
    }

    #[test]
    fn an_owner_reads_back_and_is_told_by_its_name() {
        for (owner, written, told) in [
            (Owner::Api, json!({"by": "api"}), "the API"),
            (source(None), json!({"by": "git", "source": {"name": "shop"}}), "PlatformSource shop"),
            (
                source(Some("acme")),
                json!({"by": "git", "source": {"org": "acme", "name": "shop"}}),
                "GitSource acme/shop",
            ),
        ] {
            assert_eq!(serde_json::to_value(&owner).unwrap(), written);
            assert_eq!(serde_json::from_value::<Owner>(written).unwrap(), owner);
            assert_eq!(owner.to_string(), told);
        }
    }

    #[test]
    fn a_place_is_told_in_one_line() {
        let place = json!({"commit": "0a".repeat(20), "path": "deploy/shop.yaml", "line": 12});
        let place: Provenance = serde_json::from_value(place).unwrap();
        assert_eq!(place.to_string(), "deploy/shop.yaml:12 at commit 0a0a0a0a0a0a");
        let nowhere = json!({"commit": "0a".repeat(20), "path": "shop.yaml", "line": 0});
        assert!(serde_json::from_value::<Provenance>(nowhere).is_err());
    }
}
