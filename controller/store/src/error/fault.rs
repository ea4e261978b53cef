//! Errors on their way out of an operation, and what Postgres meant by them.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use super::{Operation, StoreError};
use crate::formation::FormationError;
use crate::ownership::OwnershipError;
use crate::people::PeopleError;

/// An error inside an operation: its own, or one of the database that still has to be told what was being done.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    Store(StoreError),
}

impl From<sqlx::Error> for Fault {
    fn from(source: sqlx::Error) -> Self {
        Self::Sql(source)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PeopleError> for Fault {
    fn from(error: PeopleError) -> Self {
        Self::Store(error.into())
    }
}

impl From<FormationError> for Fault {
    fn from(error: FormationError) -> Self {
        Self::Store(error.into())
    }
}

impl From<OwnershipError> for Fault {
    fn from(error: OwnershipError) -> Self {
        Self::Store(error.into())
    }
}

impl Fault {
    /// Did the server say no, so that what was asked certainly did not happen? One that ends the connection while it says so may have done
    /// it before.
    pub(crate) fn is_refused(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Sql(error) => error
                .as_database_error()
                .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
                .is_some_and(|error| !matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic)),
        }
    }

    /// Was a lock not to be had in time?
    pub(crate) fn is_lock_held(&self) -> bool {
        matches!(self, Self::Sql(error) if sqlstate(error).as_deref() == Some("55P03"))
    }

    /// The error that callers see.
    pub(crate) fn during(self, operation: Operation) -> StoreError {
        match self {
            Self::Sql(source) => StoreError::Database { operation, source },
            Self::Store(error) => error,
        }
    }
}

/// The constraint that a statement violated.
pub(crate) fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// Was the transaction ended to resolve a deadlock or a serialisation failure, so that it can simply run again?
pub(crate) fn must_run_again(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error).as_deref(), Some("40001" | "40P01"))
}

pub(super) fn transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(_) => sqlstate(error).is_some_and(|code| {
            // Connection exceptions, rollbacks, resources, operator intervention (a restart), and locks that took too long.
            ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "55P03"
        }),
        _ => false,
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_is_transient_and_a_broken_rule_is_not() {
        let lost = sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        assert!(Fault::from(lost).during(Operation::Apply).is_transient());
        let row = sqlx::Error::RowNotFound;
        assert!(!Fault::from(row).during(Operation::Apply).is_transient());
        assert!(!StoreError::SubnetsExhausted.is_transient());
    }
}
