//! How what the store refuses or could not do is told.

use skep_schemas::codes::Code;
use skep_store::{FormationError, OwnershipError, StoreError};

use super::{About, ApiError};

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RevisionConflict { key, .. } => Self::Stale { key },
            StoreError::AlreadyExists { key } => Self::Exists { key },
            StoreError::NotFound { key } => Self::NotFound { key },
            StoreError::OrgMissing { ref org } => {
                let about = About::Org(org.clone());
                Self::refused(
                    Code::OrganizationMissing,
                    &error,
                    "apply an Organization of that name first",
                    about,
                )
            }
            StoreError::Deleting { ref key } => {
                let about = About::Key(key.clone());
                Self::refused(Code::Deleting, &error, "wait until it is gone, then apply it again", about)
            }
            StoreError::SecretValueMissing { ref key } => {
                let about = About::Key(key.clone());
                let help = "add `value` to its spec, or `generate` for a random one";
                Self::refused(Code::SecretValueMissing, &error, help, about)
            }
            StoreError::SecretNotGenerated { .. } => {
                Self::invalid(error.to_string(), "send the new value, or add `generate` to its spec")
            }
            StoreError::SecretGenerated { .. } => Self::invalid(
                error.to_string(),
                "leave the value out to have another one made, or apply it in a manifest without `generate`",
            ),
            StoreError::SecretValueSame { .. } => {
                Self::invalid(error.to_string(), "nothing was changed; send another value")
            }
            StoreError::SecretVersionMissing { .. } => Self::invalid(
                error.to_string(),
                "`skep secrets versions` lists those that are; others went with the last release that had them",
            ),
            StoreError::ReleaseMissing { .. } => Self::NoneSuch {
                problem: error.to_string(),
                help: "see those that it has with `skep releases`",
            },
            StoreError::ReleaseOver { .. } => Self::invalid(
                error.to_string(),
                "nothing was changed; `skep rollback` returns to an earlier one",
            ),
            StoreError::NothingRuns { .. } => {
                Self::NoneSuch { problem: error.to_string(), help: "wait until it has one" }
            }
            StoreError::ProcessMissing { .. } => {
                Self::invalid(error.to_string(), "name one of its processes")
            }
            StoreError::TooManyRuns { .. } => Self::invalid(
                error.to_string(),
                "wait until some are over, or stop some; `skep runs` lists them",
            ),
            StoreError::TooManyMessages { .. } => Self::invalid(
                error.to_string(),
                "see why they are not taken with `skep notifications list`, and ask again when there is room",
            ),
            StoreError::Ownership(ref broken) => ownership(broken, &error),
            StoreError::Formation(ref broken) => formation(broken, &error),
            StoreError::HostTaken { ref host } => {
                let about = About::Host(host.clone());
                Self::refused(
                    Code::HostTaken,
                    &error,
                    "use another host, or have the other domain deleted",
                    about,
                )
            }
            StoreError::RegistryTaken { ref key, .. } => {
                let about = About::Key(key.clone());
                Self::refused(
                    Code::RegistryTaken,
                    &error,
                    "change `/spec/registry`, or change or delete the other; to change its password alone, rotate its Secret",
                    about,
                )
            }
            StoreError::DuplicateKey { ref key } => {
                let about = About::Key(key.clone());
                Self::refused(Code::DuplicateResource, &error, "keep one of them", about)
            }
            StoreError::TokenNameTaken { .. } => Self::refused(
                Code::NameTaken,
                &error,
                "revoke that one, or take another name",
                About::Nothing,
            ),
            StoreError::QuotaExceeded { .. } => Self::refused(
                Code::QuotaExceeded,
                &error,
                "ask for less, delete what is not needed, or have the organisation given a larger plan",
                About::Nothing,
            ),
            StoreError::FeatureClosed { ref key, .. } => {
                let about = About::Key(key.clone());
                let help = "ask whoever runs the platform to switch it on there; what there is goes on, and may be changed and deleted";
                Self::refused(Code::FeatureClosed, &error, help, about)
            }
            StoreError::PolicyDenied { ref key, .. } => {
                let about = About::Key(key.clone());
                let help = "name an image that all policies allow, or have the policy changed";
                Self::refused(Code::PolicyDenied, &error, help, about)
            }
            StoreError::TooManyTokens { .. } => {
                Self::refused(Code::QuotaExceeded, &error, "revoke those that nobody uses", About::Nothing)
            }
            StoreError::People(broken) => broken.into(),
            StoreError::TooMany { .. } => {
                Self::refused(Code::TooComplex, &error, "send them in several batches", About::Nothing)
            }
            StoreError::Raced => {
                Self::refused(Code::RevisionConflict, &error, "send it again", About::Nothing)
            }
            StoreError::CursorExpired => Self::CursorExpired,
            StoreError::KeyClosed { .. } => Self::SecretsClosed { cause: error.into() },
            StoreError::MasterKeyMissing { .. } => Self::invalid(
                error.to_string(),
                "start the servers with it; GET /v1/master-key lists those that they have",
            ),
            StoreError::MasterKeyReplaced { .. } => {
                Self::invalid(error.to_string(), "make a new key with `openssl rand -hex 32`")
            }
            StoreError::MasterKeyNotEverywhere { .. } => {
                Self::invalid(error.to_string(), "give every server the key first, with --further-key-file")
            }
            _ if error.is_transient() => Self::Unavailable { cause: error.into() },
            _ => Self::Internal { cause: error.into() },
        }
    }
}

/// What to do about what another one owns.
fn ownership(broken: &OwnershipError, error: &StoreError) -> ApiError {
    let key = match broken {
        OwnershipError::Elsewhere { theirs, .. } => &theirs.key,
        OwnershipError::Below { key, .. } => key,
        OwnershipError::OutOfReach { .. } => return ApiError::invalid(error.to_string(), broken.help()),
    };
    ApiError::refused(Code::ManagedElsewhere, error, broken.help(), About::Key(key.clone()))
}

/// What to do about a rule of how much of an environment runs.
fn formation(broken: &FormationError, error: &StoreError) -> ApiError {
    let help = match broken {
        FormationError::ProcessMissing { .. } => "name one of those, or add the process to a manifest",
        FormationError::Declared { .. } => {
            "change `instances` of the process there and apply it, or take the field out there: then the number is yours to scale"
        }
        FormationError::Owned { .. } => {
            "let a person give it back first, with `skep scale ENV PROCESS=others`"
        }
        FormationError::TooMany { plan: Some(_), .. } => "ask for less, or choose a larger plan",
        FormationError::TooMany { plan: None, .. } => "ask for less; a typing error must not flood a cluster",
        FormationError::StoppedAsAWhole { .. } => {
            "start the environment, and then stop the processes that are not to run"
        }
    };
    match broken {
        FormationError::Declared { by, .. } => {
            ApiError::refused(Code::OwnedByAnother, error, help, About::Key(by.clone()))
        }
        FormationError::Owned { key, .. } => {
            ApiError::refused(Code::OwnedByAnother, error, help, About::Key(key.clone()))
        }
        FormationError::TooMany { .. } => ApiError::refused(Code::QuotaExceeded, error, help, About::Nothing),
        FormationError::ProcessMissing { .. } | FormationError::StoppedAsAWhole { .. } => {
            ApiError::invalid(error.to_string(), help)
        }
    }
}
