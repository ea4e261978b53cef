//! Watching: every change, once, in the order of commits (invariant I8), or the word to list again.
//!
//! A reader holds a [`Cursor`] and asks for the changes after it. The log is read by `(revision, seq)`, because one
//! transaction's rows share a revision and a page can end inside it. A page that reaches the end of the log moves the cursor
//! to the last revision there is, in the same statement and so of the same moment. A cursor from before the compaction floor,
//! from another epoch, or from a future that a restore has undone, is [`StoreError::CursorExpired`]: the reader lists again
//! and goes on from the list's cursor.

mod compact;
mod cursor;
mod watcher;

use std::time::Duration;

use skep_schemas::{ResourceKey, Revision, Uid};
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::row::{key_of_columns, key_of_text};
use crate::scoped::ScopedStore;
use crate::store::Store;

pub use cursor::{Cursor, CursorError};
pub(crate) use watcher::{CONNECT, Retry, listen, next_poll};
pub use watcher::{WatchEvent, WatchStats, Watcher};

/// The largest page of changes.
pub const CHANGES_MAX: u32 = 500;

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident => $word:literal,)*) => {
        /// In what way a resource changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ChangeOp {
            $($(#[$doc])* $name,)*
        }

        impl ChangeOp {
            /// The word for it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }
        }
    };
}

ops! {
    /// It is new.
    Created => "created",
    /// Its spec changed, or the value of a secret.
    Spec => "spec",
    /// Its labels, annotations, owner or finalizers changed.
    Meta => "meta",
    /// Its status changed.
    Status => "status",
    /// Its deletion was asked for.
    Deleting => "deleting",
    /// Its row is gone.
    Removed => "removed",
}

/// One change. It says where to look, not what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The transaction.
    pub revision: Revision,
    /// The resource.
    pub key: ResourceKey,
    /// Its identity.
    pub uid: Uid,
    /// In what way it changed.
    pub op: ChangeOp,
    /// What the resource referred to before the change or refers to after it.
    pub refs: Vec<ResourceKey>,
}

/// Some changes, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The changes.
    pub changes: Vec<Change>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Were there more than fitted?
    pub more: bool,
    /// The last transaction when the page was read: how far behind the reader is.
    pub head: Revision,
    /// How long ago the transaction of the oldest change began, by the database's clock; zero without changes.
    pub oldest: Duration,
}

/// A row of the log beside the state of the log. The former is absent when there is nothing new.
struct LogRow {
    epoch: Uuid,
    head: i64,
    floor: i64,
    seq: Option<i64>,
    revision: Option<i64>,
    uid: Option<Uuid>,
    org: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    op: Option<String>,
    refs: Option<Vec<String>>,
    age: Option<f64>,
}

impl Store {
    /// Where a watch begins that only wants what happens from now on.
    pub async fn cursor(&self) -> Result<Cursor, StoreError> {
        let now = async { Cursor::now(&mut *self.pool().acquire().await?).await };
        now.await.map_err(|fault| fault.during(Operation::Watch))
    }
}

impl ScopedStore {
    /// The changes after a cursor, at most [`CHANGES_MAX`].
    pub async fn changes(&self, after: Cursor, limit: u32) -> Result<Page, StoreError> {
        self.try_changes(after, limit.clamp(1, CHANGES_MAX))
            .await
            .map_err(|fault| fault.during(Operation::Watch))
    }

    async fn try_changes(&self, after: Cursor, limit: u32) -> Result<Page, Fault> {
        // One statement, so that the rows, the head and the floor are of one moment.
        let rows = sqlx::query_as!(
            LogRow,
            r#"SELECT t.epoch, t.revision AS head, t.floor, c.seq AS "seq?", c.revision AS "revision?", c.uid AS "uid?",
                      c.org AS "org?", c.kind AS "kind?", c.name AS "name?", c.op AS "op?", c.refs AS "refs?",
                      extract(epoch FROM clock_timestamp() - c.at)::double precision AS "age?"
               FROM cluster_rev t LEFT JOIN LATERAL (
                   SELECT * FROM change_log WHERE (revision, seq) > ($1, $2) ORDER BY revision, seq LIMIT $3
               ) c ON true
               ORDER BY c.revision, c.seq"#,
            after.revision().get(),
            after.seq(),
            i64::from(limit)
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let log = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let (epoch, head, floor) = (log.epoch, Revision::new(log.head), Revision::new(log.floor));
        if !after.is_within(epoch, floor, head) {
            return Err(StoreError::CursorExpired.into());
        }
        let more = u32::try_from(rows.len()).is_ok_and(|found| found == limit);
        let mut cursor = Cursor::end_of(epoch, head);
        // A clock that was set back makes changes of the future; they are not older than now.
        let ages = rows.iter().filter_map(|row| Duration::try_from_secs_f64(row.age?).ok());
        let oldest = ages.max().unwrap_or_default();
        let mut changes = Vec::with_capacity(rows.len());
        for row in rows {
            let (Some(seq), Some(change)) = (row.seq, change(row)?) else { continue };
            if more {
                cursor = Cursor::inside(epoch, change.revision, seq);
            }
            changes.push(change);
        }
        // The one row of an empty page has no change in it.
        let more = more && !changes.is_empty();
        if !more {
            cursor = Cursor::end_of(epoch, head);
        }
        Ok(Page { changes, cursor, more, head, oldest })
    }
}

fn change(row: LogRow) -> Result<Option<Change>, StoreError> {
    let (Some(revision), Some(uid), Some(org), Some(kind), Some(name), Some(op), Some(refs)) =
        (row.revision, row.uid, row.org, row.kind, row.name, row.op, row.refs)
    else {
        return Ok(None);
    };
    let op = ChangeOp::from_word(&op).ok_or_else(|| StoreError::corrupt(format!("change {revision}"), op))?;
    Ok(Some(Change {
        revision: Revision::new(revision),
        key: key_of_columns(&org, &kind, &name)?,
        uid: Uid::from_uuid(uid),
        op,
        // A reference that this version cannot read is to a kind that it does not control.
        refs: refs.iter().filter_map(|text| key_of_text(text)).collect(),
    }))
}
