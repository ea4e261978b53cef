//! Cursors: how far a reader has read.

use std::fmt;
use std::str::FromStr;

use skep_schemas::Revision;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::Fault;

/// After every row of a revision.
const END: i64 = i64::MAX;

/// A position in the history of one epoch. Its text form is what clients resume by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    epoch: Uuid,
    revision: Revision,
    seq: i64,
}

/// The text is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor")]
pub struct CursorError;

impl Cursor {
    /// The revision that was read last, whole or in part.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) const fn seq(&self) -> i64 {
        self.seq
    }

    /// After everything up to a revision.
    pub(super) const fn end_of(epoch: Uuid, revision: Revision) -> Self {
        Self { epoch, revision, seq: END }
    }

    /// After one row of a revision.
    pub(super) const fn inside(epoch: Uuid, revision: Revision, seq: i64) -> Self {
        Self { epoch, revision, seq }
    }

    /// After everything that this transaction can see.
    pub(crate) async fn now(tx: &mut PgConnection) -> Result<Self, Fault> {
        let row = sqlx::query!("SELECT epoch, revision FROM cluster_rev").fetch_one(tx).await?;
        Ok(Self::end_of(row.epoch, Revision::new(row.revision)))
    }

    /// Are all changes after it still there? Not when it is of another epoch, when changes up to the floor that it has not
    /// read may be gone, and when it is from a future that never was.
    pub(super) fn is_within(&self, epoch: Uuid, floor: Revision, head: Revision) -> bool {
        self.epoch == epoch && (self.revision, self.seq) >= (floor, END) && self.revision <= head
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.simple(), self.revision)?;
        if self.seq == END { Ok(()) } else { write!(f, ".{}", self.seq) }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.split('.');
        let epoch = parts.next().and_then(|part| part.parse().ok()).ok_or(CursorError)?;
        let revision = parts.next().and_then(|part| part.parse().ok()).ok_or(CursorError)?;
        let seq = parts.next().map_or(Ok(END), str::parse).map_err(|_| CursorError)?;
        if parts.next().is_some() { Err(CursorError) } else { Ok(Self { epoch, revision, seq }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: Uuid = Uuid::from_u128(7);

    fn within(cursor: Cursor, floor: i64) -> bool {
        cursor.is_within(EPOCH, Revision::new(floor), Revision::new(9))
    }

    #[test]
    fn a_cursor_reads_back_from_its_text() {
        for cursor in [Cursor::end_of(EPOCH, Revision::new(4)), Cursor::inside(EPOCH, Revision::new(4), 17)] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "4", "x.4", &format!("{EPOCH}.4.5.6"), &format!("{EPOCH}.-")] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_cursor_is_good_while_nothing_after_it_can_have_been_removed() {
        assert!(within(Cursor::end_of(EPOCH, Revision::new(4)), 4));
        assert!(!within(Cursor::inside(EPOCH, Revision::new(4), 17), 4));
        assert!(within(Cursor::inside(EPOCH, Revision::new(5), 17), 4));
        assert!(!within(Cursor::end_of(EPOCH, Revision::new(3)), 4));
        assert!(!within(Cursor::end_of(EPOCH, Revision::new(10)), 4));
        assert!(!within(Cursor::end_of(Uuid::from_u128(8), Revision::new(4)), 4));
        assert!(within(Cursor::end_of(EPOCH, Revision::new(0)), 0));
    }
}
