//! Holds.

use jiff::Timestamp;
use skep_planner::safety::{Finding, HoldReason, HoldScope, InForce};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::removal;
use crate::audit::{self, Actor, Thing, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::store::Store;
use crate::time::Time;

/// The most holds that are told at once; there are three reasons, so more than three are history.
const HOLDS_MAX: i64 = 100;

/// The number of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(i64);

impl HoldId {
    /// From its number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for HoldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A hold, in force or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Its number.
    pub id: HoldId,
    /// What was found.
    pub finding: Finding,
    /// How far it reaches.
    pub scope: HoldScope,
    /// Since when it is in force.
    pub since: Timestamp,
    /// When it was confirmed, and by whom.
    pub confirmed: Option<(Timestamp, String)>,
    /// When it ended.
    pub settled_at: Option<Timestamp>,
}

impl Hold {
    /// As planning sees it.
    pub fn in_force(&self) -> InForce {
        InForce { id: Some(self.id.0), scope: self.scope, why: self.finding.why.clone() }
    }
}

struct HoldRow {
    id: i64,
    reason: String,
    scope: String,
    subject: String,
    why: String,
    evidence: Json<Vec<String>>,
    since: Time,
    confirmed_at: Option<Time>,
    confirmed_by: Option<String>,
    settled_at: Option<Time>,
}

impl HoldRow {
    fn into_hold(self) -> Result<Hold, StoreError> {
        let corrupt = |what: &str| StoreError::corrupt(format!("hold {}", self.id), what);
        let reason = HoldReason::from_word(&self.reason).ok_or_else(|| corrupt("unknown reason"))?;
        let scopes = [HoldScope::Everything, HoldScope::Removals];
        let scope = scopes.into_iter().find(|scope| scope.as_str() == self.scope);
        Ok(Hold {
            id: HoldId(self.id),
            scope: scope.ok_or_else(|| corrupt("unknown scope"))?,
            finding: Finding { reason, subject: self.subject, why: self.why, evidence: self.evidence.0 },
            since: self.since.0,
            confirmed: self.confirmed_at.map(|time| time.0).zip(self.confirmed_by),
            settled_at: self.settled_at.map(|time| time.0),
        })
    }
}

/// A checked query for [`HoldRow`]s; the argument continues the statement.
macro_rules! hold_query {
    ($tail:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            HoldRow,
            r#"SELECT id, reason, scope, subject, why, evidence AS "evidence: _", since AS "since: _",
                      confirmed_at AS "confirmed_at: _", confirmed_by, settled_at AS "settled_at: _"
               FROM hold "# + $tail
            $(, $argument)*
        )
    };
}

pub(super) async fn in_force(tx: &mut PgConnection) -> Result<Vec<Hold>, Fault> {
    let rows = hold_query!("WHERE settled_at IS NULL ORDER BY scope, id").fetch_all(tx).await?;
    Ok(rows.into_iter().map(HoldRow::into_hold).collect::<Result<_, _>>()?)
}

impl Store {
    /// The holds that are in force, those on everything first.
    pub async fn holds(&self) -> Result<Vec<Hold>, StoreError> {
        let mut connection = self.pool().acquire().await.map_err(|error| fault(error.into()))?;
        in_force(&mut connection).await.map_err(fault)
    }

    /// All holds that there were, newest first, up to a number.
    pub async fn hold_history(&self) -> Result<Vec<Hold>, StoreError> {
        let rows = hold_query!("ORDER BY id DESC LIMIT $1", HOLDS_MAX).fetch_all(self.pool()).await;
        rows.map_err(|error| fault(error.into()))?.into_iter().map(HoldRow::into_hold).collect()
    }

    /// Brings a hold into force, unless one that says the same is. One of the same reason about something else ends: what was
    /// confirmed about the one must not count for the other.
    pub async fn open_hold(&self, finding: &Finding) -> Result<Hold, StoreError> {
        self.try_open(finding).await.map_err(fault)
    }

    async fn try_open(&self, finding: &Finding) -> Result<Hold, Fault> {
        let mut tx = self.pool().begin().await?;
        // One at a time, so that two processes that see the same open one hold.
        sqlx::query!("LOCK TABLE hold IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        let open = hold_query!("WHERE settled_at IS NULL AND reason = $1", finding.reason.as_str());
        if let Some(row) = open.fetch_optional(&mut *tx).await? {
            let hold = row.into_hold()?;
            if hold.finding.subject == finding.subject {
                return Ok(hold);
            }
            sqlx::query!("UPDATE hold SET settled_at = now() WHERE id = $1", hold.id.0)
                .execute(&mut *tx)
                .await?;
        }
        let id = sqlx::query_scalar!(
            "INSERT INTO hold (reason, scope, subject, why, evidence) VALUES ($1, $2, $3, $4, $5) RETURNING id",
            finding.reason.as_str(),
            finding.reason.scope().as_str(),
            finding.subject,
            finding.why,
            Json(&finding.evidence) as _
        );
        let id = id.fetch_one(&mut *tx).await?;
        let row = hold_query!("WHERE id = $1", id).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(row.into_hold()?)
    }

    /// Ends a hold: what it was about is no longer so, or its confirmation was carried out.
    pub async fn settle_hold(&self, fence: &Fence, id: HoldId) -> Result<(), StoreError> {
        self.try_settle(fence, id).await.map_err(fault)
    }

    async fn try_settle(&self, fence: &Fence, id: HoldId) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        sqlx::query!("UPDATE hold SET settled_at = now() WHERE id = $1 AND settled_at IS NULL", id.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Confirms a hold that is in force; `None` when there is none of that number. Removals that were held are confirmed one by
    /// one and may go on at once; everything else goes on when the next survey has carried the confirmation out.
    pub async fn confirm_hold(&self, id: HoldId, actor: &Actor) -> Result<Option<Hold>, StoreError> {
        self.try_confirm(id, actor).await.map_err(fault)
    }

    async fn try_confirm(&self, id: HoldId, actor: &Actor) -> Result<Option<Hold>, Fault> {
        let mut tx = self.pool().begin().await?;
        let row = hold_query!("WHERE id = $1 AND settled_at IS NULL FOR UPDATE", id.0);
        let Some(row) = row.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let hold = row.into_hold()?;
        if hold.confirmed.is_some() {
            return Ok(Some(hold));
        }
        let removals = hold.finding.reason == HoldReason::TooManyRemovals;
        if removals {
            removal::confirm_due(&mut tx, actor).await?;
        }
        sqlx::query!(
            "UPDATE hold SET confirmed_at = now(), confirmed_by = $2, settled_at = CASE WHEN $3 THEN now() END WHERE id = $1",
            id.0,
            actor.as_str(),
            removals
        )
        .execute(&mut *tx)
        .await?;
        // A hold has no identity but its number.
        let thing = Thing { org: None, kind: "Hold", name: &id.0.to_string() };
        audit::record_thing(&mut tx, actor, Verb::Confirm, &thing).await?;
        let row = hold_query!("WHERE id = $1", id.0).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(Some(row.into_hold()?))
    }
}

fn fault(fault: Fault) -> StoreError {
    fault.during(Operation::Safety)
}
