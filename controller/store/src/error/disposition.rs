//! What whoever meets an error does next: the same call again, reading and planning again, or neither.

use super::StoreError;
use super::fault::transient;

impl StoreError {
    /// May the same call succeed soon without anyone changing anything?
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(source) | Self::Database { source, .. } => transient(source),
            Self::Migrate(sqlx::migrate::MigrateError::Execute(source)) => transient(source),
            Self::Raced | Self::Lost { .. } => true,
            _ => false,
        }
    }

    /// Did the world move on under the caller, so that reading and planning again will help?
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::RevisionConflict { .. }
                | Self::PlanStale { .. }
                | Self::RollbackStale { .. }
                | Self::CancelStale { .. }
                | Self::ReleaseTaken { .. }
                | Self::AddressTaken { .. }
                | Self::ResourceGone { .. }
                | Self::StillOwns { .. }
                | Self::OrgNotEmpty { .. }
        )
    }

    pub(crate) fn corrupt(what: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { what: what.into(), why: why.to_string() }
    }
}
