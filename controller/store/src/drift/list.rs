//! Reading the drift report.

use jiff::{SignedDuration, Timestamp};
use skep_planner::ObjectRef;
use skep_planner::drift::{DriftClass, Response};
use skep_schemas::{Kind, OrgName, ResourceKey, ResourceName, Uid};

use super::{Noticed, object_ref};
use crate::error::{Fault, Operation, StoreError};
use crate::row::key_of_columns;
use crate::scoped::ScopedStore;
use crate::time::Time;

/// The most rows that are told at once.
const ROWS_MAX: u32 = 1000;

/// How a difference ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftOutcome {
    /// Skep put it right.
    Corrected,
    /// Others put it right, or it is wanted otherwise now.
    Ended,
}

impl DriftOutcome {
    /// All outcomes.
    pub const ALL: [Self; 2] = [Self::Corrected, Self::Ended];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Ended => "ended",
        }
    }

    /// The outcome of that word.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// One difference, as it was noted.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftRecord {
    /// Its number.
    pub id: i64,
    /// Rises with every change of the record.
    pub serial: i64,
    /// The resource that answers for the object.
    pub key: ResourceKey,
    /// Its identity.
    pub owner: Uid,
    /// The object.
    pub object: ObjectRef,
    /// The field; empty when it is about the object as a whole.
    pub pointer: String,
    /// In what way.
    pub class: DriftClass,
    /// What Skep wants there.
    pub desired: Option<serde_json::Value>,
    /// What is, or was, there.
    pub live: Option<serde_json::Value>,
    /// What is, or was, done about it.
    pub response: Response,
    /// What made Skep look.
    pub noticed: Noticed,
    /// When it was noticed.
    pub first_seen: Timestamp,
    /// When it was last noted that it stands.
    pub last_seen: Timestamp,
    /// How and when it ended; none while it stands.
    pub ended: Option<(DriftOutcome, Timestamp)>,
}

impl DriftRecord {
    /// How long it stood from the time it was noticed; none while it does.
    pub fn stood_for(&self) -> Option<SignedDuration> {
        self.ended.map(|(_, at)| at.duration_since(self.first_seen))
    }
}

/// Which differences are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DriftFilter {
    /// Of this organisation and what is in it.
    pub org: Option<OrgName>,
    /// Of resources of this kind.
    pub kind: Option<Kind>,
    /// Of resources of this name.
    pub name: Option<ResourceName>,
    /// Of this class.
    pub class: Option<DriftClass>,
    /// With this response.
    pub response: Option<Response>,
    /// Those that stand (`true`), those that ended (`false`), or both.
    pub open: Option<bool>,
    /// Only records that changed after this serial; records of transactions that were under way may come late, so readers who
    /// follow ask again from a little earlier.
    pub after: Option<i64>,
    /// How many of the newest; 1000 at most.
    pub limit: u32,
}

impl ScopedStore {
    /// Differences, those that changed last first.
    pub async fn list_drift(&self, filter: &DriftFilter) -> Result<Vec<DriftRecord>, StoreError> {
        self.try_list(filter).await.map_err(|fault| fault.during(Operation::Read))
    }

    async fn try_list(&self, filter: &DriftFilter) -> Result<Vec<DriftRecord>, Fault> {
        let rows = sqlx::query_as!(
            DriftRow,
            r#"SELECT id, serial, owner, org, kind, name, object_kind, object_name, pointer, class, desired, live,
                      response, noticed, first_seen AS "first_seen: _", last_seen AS "last_seen: _", outcome,
                      ended_at AS "ended_at: _"
               FROM drift
               WHERE ($1::text IS NULL OR org = $1 OR (org = '' AND kind = 'Organization' AND name = $1))
                 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR name = $3)
                 AND ($4::text IS NULL OR class = $4) AND ($5::text IS NULL OR response = $5)
                 AND ($6::boolean IS NULL OR (ended_at IS NULL) = $6) AND ($7::bigint IS NULL OR serial > $7)
               ORDER BY serial DESC LIMIT $8"#,
            filter.org.as_ref().map(OrgName::as_str),
            filter.kind.map(Kind::as_str),
            filter.name.as_ref().map(ResourceName::as_str),
            filter.class.map(DriftClass::as_str),
            filter.response.map(Response::as_str),
            filter.open,
            filter.after,
            i64::from(filter.limit.min(ROWS_MAX))
        );
        let rows = rows.fetch_all(&mut *self.reader().await?).await?;
        rows.into_iter().map(|row| Ok(row.into_record()?)).collect()
    }
}

struct DriftRow {
    id: i64,
    serial: i64,
    owner: sqlx::types::Uuid,
    org: String,
    kind: String,
    name: String,
    object_kind: String,
    object_name: String,
    pointer: String,
    class: String,
    desired: Option<serde_json::Value>,
    live: Option<serde_json::Value>,
    response: String,
    noticed: String,
    first_seen: Time,
    last_seen: Time,
    outcome: Option<String>,
    ended_at: Option<Time>,
}

impl DriftRow {
    fn into_record(self) -> Result<DriftRecord, StoreError> {
        let corrupt =
            |what: &str| StoreError::corrupt(format!("drift {}", self.id), format_args!("unknown {what}"));
        let known = |word| DriftOutcome::from_word(word).ok_or_else(|| corrupt("outcome"));
        let outcome = self.outcome.as_deref().map(known).transpose()?;
        Ok(DriftRecord {
            id: self.id,
            serial: self.serial,
            key: key_of_columns(&self.org, &self.kind, &self.name)?,
            owner: Uid::from_uuid(self.owner),
            class: DriftClass::from_word(&self.class).ok_or_else(|| corrupt("class"))?,
            response: Response::from_word(&self.response).ok_or_else(|| corrupt("response"))?,
            noticed: Noticed::from_word(&self.noticed).ok_or_else(|| corrupt("way of noticing"))?,
            object: object_ref(&self.object_kind, self.object_name)?,
            pointer: self.pointer,
            desired: self.desired,
            live: self.live,
            first_seen: self.first_seen.0,
            last_seen: self.last_seen.0,
            ended: outcome.zip(self.ended_at.map(|at| at.0)),
        })
    }
}
