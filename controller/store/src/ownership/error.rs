//! What is told to those who would write or delete what another one owns: whose it is, where it is written, and what can be done.

use std::fmt;

use skep_schemas::{Owner, Provenance, ResourceKey, SourceRef};

use super::Writer;
use crate::error::StoreError;

/// Why somebody does not write, delete or own a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OwnershipError {
    /// Another one owns it.
    #[error("{tried}{theirs}")]
    Elsewhere {
        /// What is whose.
        theirs: Theirs,
        /// What was tried.
        tried: Tried,
    },
    /// An organisation is to be deleted, and others own what is in it.
    #[error("{key} is not deleted, because others maintain what is in it: {}", below(named, *count))]
    Below {
        /// The organisation.
        key: ResourceKey,
        /// Who would delete it.
        deleter: Owner,
        /// Some of what is in it.
        named: Vec<Theirs>,
        /// How much of it there is.
        count: i64,
    },
    /// A source of an organisation owns nothing elsewhere.
    #[error(
        "{owner} cannot own {key}: a source of an organisation owns what is in that organisation, and nothing else"
    )]
    OutOfReach {
        /// The resource.
        key: ResourceKey,
        /// Who would own it.
        owner: Owner,
    },
}

/// What another one owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theirs {
    /// The resource.
    pub key: ResourceKey,
    /// Who owns it.
    pub owner: Owner,
    /// Where it is written, if that is known.
    pub provenance: Option<Provenance>,
}

impl fmt::Display for Theirs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, owner, provenance } = self;
        write!(f, "{owner} maintains {key}")?;
        match provenance {
            Some(place) => write!(f, ", in {place}"),
            None => Ok(()),
        }
    }
}

/// What was tried. It opens the sentence that says whose the resource is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// To write a manifest, or a value that belongs to one.
    Write(Writer),
    /// To delete the resource, in this one's name.
    Delete(Owner),
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Whoever asks knows what he asked for.
            Self::Write(Writer::Api | Writer::TakeOver) | Self::Delete(Owner::Api) => Ok(()),
            Self::Write(Writer::Git { source, provenance }) => {
                write!(f, "{source} does not write it from {provenance}: ")
            }
            Self::Delete(Owner::Git { source }) => write!(f, "{source} does not delete it: "),
        }
    }
}

impl OwnershipError {
    /// What can be done.
    pub fn help(&self) -> String {
        match self {
            Self::Elsewhere { theirs: Theirs { key, owner, .. }, tried } => match (tried, owner) {
                (Tried::Write(Writer::Api | Writer::TakeOver), _) => format!(
                    "change it in the repository; or let the API own it, with `skep owner {key} --set api`; or do that and your change in one, with \
                     `skep apply --take-over`"
                ),
                (Tried::Delete(Owner::Api), _) => format!(
                    "remove it from the repository; or let the API own it, with `skep owner {key} --set api`, and delete it then"
                ),
                (Tried::Write(Writer::Git { source, .. }), Owner::Git { .. }) => format!(
                    "take it out of one of the two repositories; or let this source own it, with `{}`",
                    set(key, source)
                ),
                (Tried::Write(Writer::Git { source, .. }), Owner::Api) => format!(
                    "let the source own it, with `{}`; or take it out of the repository",
                    set(key, source)
                ),
                (Tried::Delete(Owner::Git { source }), _) => {
                    format!("let the source own it, with `{}`; or delete it by hand", set(key, source))
                }
            },
            Self::Below { deleter: Owner::Api, .. } => {
                "remove what is in it from the repositories first, or let the API own it, with `skep owner KIND NAME --set api`".to_owned()
            }
            Self::Below { deleter: Owner::Git { .. }, .. } => {
                "delete what is in it by hand first; or let the API own the organisation, and delete it by hand".to_owned()
            }
            Self::OutOfReach { .. } => "name a source of the same organisation, or one of the platform".to_owned(),
        }
    }
}

/// The command that lets a source own a resource.
fn set(key: &ResourceKey, source: &SourceRef) -> String {
    let of_platform = if source.org.is_none() && key.org().is_some() { " --of-platform" } else { "" };
    format!("skep owner {key} --set {}{of_platform}", source.name)
}

fn below(named: &[Theirs], count: i64) -> String {
    let mut told: Vec<String> = named.iter().map(Theirs::to_string).collect();
    let rest = count.saturating_sub(i64::try_from(named.len()).unwrap_or(i64::MAX));
    if rest > 0 {
        told.push(format!("and {rest} more"));
    }
    told.join("; ")
}

impl From<OwnershipError> for StoreError {
    fn from(error: OwnershipError) -> Self {
        Self::Ownership(Box::new(error))
    }
}
