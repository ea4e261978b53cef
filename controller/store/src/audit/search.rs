//! Finding entries again: by who, what, which resource, when, and whether it was allowed.

use jiff::Timestamp;
use skep_schemas::{OrgName, Scope};
use sqlx::types::Uuid;

use super::AUDIT_PAGE_MAX;
use crate::error::{Fault, Operation, StoreError};
use crate::scoped::ScopedStore;
use crate::time::Time;

/// Was it given?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    /// It was done.
    Allowed,
    /// It was refused, and nothing was done.
    Denied,
}

impl AuditOutcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Orders entries as they were made.
    pub id: i64,
    /// Its number in the chain; none if it is from before there was one.
    pub position: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// Was it given?
    pub outcome: AuditOutcome,
    /// Who.
    pub actor: String,
    /// In which role, and where.
    pub acting_as: Option<String>,
    /// From which address.
    pub peer: Option<String>,
    /// With which request.
    pub request_id: Option<String>,
    /// What: a verb, or the permission that it would have taken.
    pub verb: String,
    /// The organisation that it was about.
    pub org: Option<String>,
    /// The kind of what it was done to.
    pub kind: String,
    /// The name of it.
    pub name: String,
    /// The resource; all zeros for what is none.
    pub uid: Uuid,
    /// The resource's generation afterwards.
    pub generation: i64,
    /// SHA-256 of the spec before.
    pub before: Option<Vec<u8>>,
    /// SHA-256 of the spec after.
    pub after: Option<Vec<u8>>,
    /// The digest over all this and the entry before.
    pub link: Option<Vec<u8>>,
}

/// Which entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of one organisation, or all.
    pub reach: Scope,
    /// By this actor.
    pub actor: Option<String>,
    /// With this verb.
    pub verb: Option<String>,
    /// About this kind.
    pub kind: Option<String>,
    /// About this name.
    pub name: Option<String>,
    /// Given or not.
    pub outcome: Option<AuditOutcome>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before this entry: where the last page ended.
    pub before: Option<i64>,
    /// The most.
    pub limit: u32,
}

impl AuditQuery {
    /// The newest of a reach.
    pub const fn of(reach: Scope, limit: u32) -> Self {
        Self {
            reach,
            actor: None,
            verb: None,
            kind: None,
            name: None,
            outcome: None,
            since: None,
            before: None,
            limit,
        }
    }
}

/// Entries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

impl ScopedStore {
    /// Entries that answer to a query, the newest first.
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, StoreError> {
        self.try_audit(query).await.map_err(|fault| fault.during(Operation::Audit))
    }

    async fn try_audit(&self, query: &AuditQuery) -> Result<AuditPage, Fault> {
        let limit = query.limit.clamp(1, AUDIT_PAGE_MAX);
        let rows = entry_query!(
            "WHERE ($1::text IS NULL OR org = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR verb = $3)
               AND ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR name = $5) AND ($6::text IS NULL OR outcome = $6)
               AND ($7::text IS NULL OR at >= $7::timestamptz) AND ($8::bigint IS NULL OR id < $8)
             ORDER BY id DESC LIMIT $9",
            query.reach.org().map(OrgName::as_str),
            query.actor,
            query.verb,
            query.kind,
            query.name,
            query.outcome.map(AuditOutcome::as_str),
            query.since.map(|since| since.to_string()),
            query.before,
            i64::from(limit)
        );
        let rows = rows.fetch_all(&mut *self.reader().await?).await?;
        let entries: Vec<AuditEntry> = rows.into_iter().map(EntryRow::into_entry).collect();
        let is_full = u32::try_from(entries.len()).is_ok_and(|found| found == limit);
        let next = entries.last().filter(|_| is_full).map(|entry| entry.id);
        Ok(AuditPage { entries, next })
    }
}

/// An entry as columns.
pub(super) struct EntryRow {
    pub(super) id: i64,
    pub(super) position: Option<i64>,
    pub(super) at: Time,
    pub(super) outcome: String,
    pub(super) actor: String,
    pub(super) acting_as: Option<String>,
    pub(super) peer: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) verb: String,
    pub(super) org: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: Uuid,
    pub(super) generation: i64,
    pub(super) before: Option<Vec<u8>>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

impl EntryRow {
    pub(super) fn into_entry(self) -> AuditEntry {
        AuditEntry {
            id: self.id,
            position: self.position,
            at: self.at.0,
            // The column takes no third word.
            outcome: if self.outcome == "denied" { AuditOutcome::Denied } else { AuditOutcome::Allowed },
            actor: self.actor,
            acting_as: self.acting_as,
            peer: self.peer,
            request_id: self.request_id,
            verb: self.verb,
            org: Some(self.org).filter(|org| !org.is_empty()),
            kind: self.kind,
            name: self.name,
            uid: self.uid,
            generation: self.generation,
            before: self.before,
            after: self.after,
            link: self.link,
        }
    }
}

/// Selects entries with the given conditions.
macro_rules! entry_query {
    ($conditions:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::audit::search::EntryRow,
            r#"SELECT id, position, at AS "at: _", outcome, actor, acting_as, peer, request_id, verb, org, kind, name, uid,
                      generation, before, after, link FROM audit "# + $conditions
            $(, $argument)*
        )
    };
}
pub(super) use entry_query;
