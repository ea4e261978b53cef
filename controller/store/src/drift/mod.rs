//! Drift: what somebody else changed, one row per difference, open while it stands.
//!
//! A pass tells everything that differs now ([`Store::note_drift`]): what is new opens a row, what still stands is seen again, and
//! what is not told any more has ended. A row whose difference was being put right ends as corrected. The history of a field says
//! whether somebody is fighting ([`Snapshot::drift_of`](crate::Snapshot::drift_of)).

mod bell;
mod list;

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use skep_planner::drift::{Corrections, Drift, DriftClass, Response};
use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::{ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::row::org_column;
use crate::store::Store;

pub use bell::DriftBell;
pub use list::{DriftFilter, DriftOutcome, DriftRecord};

/// How often it is noted that a difference still stands: a report that is a resync old is as good as one of now, and a standing
/// difference must not cost a write per look.
const SEEN_AGAIN_SECS: f64 = 30.0;

/// What made Skep look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Noticed {
    /// An event of the engine.
    Event,
    /// A change in the store, or the end of something that was under way.
    Change,
    /// The regular look at everything.
    Resync,
}

impl Noticed {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Change => "change",
            Self::Resync => "resync",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Event, Self::Change, Self::Resync].into_iter().find(|noticed| noticed.as_str() == word)
    }
}

/// How much of a resource's objects a look has compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// All of them: what is not told does not differ any more.
    AtEverything,
    /// Something could not be read or compared, so what is not told may stand all the same.
    InPart,
}

/// The drift of one resource so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DriftHistory {
    /// The fields that differ, as far as was noted.
    pub open: Vec<(ObjectRef, String, Response)>,
    /// How often fields were corrected of late.
    pub corrections: Corrections,
}

/// What noting came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// Differences that were not known before.
    pub new: u64,
    /// Differences that do not stand any more.
    pub ended: Vec<Ended>,
    /// The classes of differences that are given up from now on, one for each: told once, and not again while they stand.
    pub given_up: Vec<DriftClass>,
}

/// A difference that does not stand any more, as a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// In what way the object differed.
    pub class: DriftClass,
    /// How it ended.
    pub outcome: DriftOutcome,
    /// How long it stood since it was noticed.
    pub after: SignedDuration,
}

/// A difference that was put right.
#[derive(Debug, Clone, PartialEq)]
pub struct Corrected {
    /// On which object.
    pub object: ObjectRef,
    /// Which field.
    pub pointer: String,
    /// In what way it differed.
    pub class: DriftClass,
    /// How long it stood since it was noticed.
    pub after: SignedDuration,
}

impl Store {
    /// Tells everything that differs now from what was last converged in the objects of a resource.
    pub async fn note_drift(
        &self,
        fence: &Fence,
        key: &ResourceKey,
        owner: Uid,
        noticed: Noticed,
        looked: Looked,
        drift: &[Drift],
    ) -> Result<Noted, StoreError> {
        let noted = self.try_note(fence, key, owner, noticed, looked, drift).await;
        noted.map_err(|fault| fault.during(Operation::Drift))
    }

    async fn try_note(
        &self,
        fence: &Fence,
        key: &ResourceKey,
        owner: Uid,
        noticed: Noticed,
        looked: Looked,
        drift: &[Drift],
    ) -> Result<Noted, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let column = |of: fn(&Drift) -> String| drift.iter().map(of).collect::<Vec<String>>();
        let kinds = column(|drift| drift.object.kind.as_str().to_owned());
        let names = column(|drift| drift.object.name.clone());
        let pointers = column(|drift| drift.pointer.clone());
        let ended = sqlx::query!(
            r#"UPDATE drift SET ended_at = clock_timestamp(),
                   outcome = CASE response WHEN 'correct' THEN 'corrected' ELSE 'ended' END
               WHERE owner = $1 AND ended_at IS NULL AND (object_kind, object_name, pointer) NOT IN
                   (SELECT * FROM unnest($2::text[], $3::text[], $4::text[])) AND $5
               RETURNING class, outcome AS "outcome!",
                   (extract(epoch FROM ended_at - first_seen) * 1000000)::bigint AS "after!""#,
            owner.uuid(),
            &kinds,
            &names,
            &pointers,
            looked == Looked::AtEverything
        );
        let mut sum = Noted::default();
        for row in ended.fetch_all(&mut *tx).await? {
            let corrupt =
                |what: &str| StoreError::corrupt(format!("drift of {owner}"), format_args!("unknown {what}"));
            sum.ended.push(Ended {
                class: DriftClass::from_word(&row.class).ok_or_else(|| corrupt("class"))?,
                outcome: DriftOutcome::from_word(&row.outcome).ok_or_else(|| corrupt("outcome"))?,
                after: SignedDuration::from_micros(row.after),
            });
        }
        for one in drift {
            let before = note_one(&mut tx, key, owner, noticed, one).await?;
            sum.new += u64::from(before == Before::Unknown);
            let answered_alike = match before {
                Before::Unknown => false,
                Before::Same => true,
                Before::Response(before) => before == one.response.as_str(),
            };
            if one.response == Response::GiveUp && !answered_alike {
                sum.given_up.push(one.class);
            }
        }
        tx.commit().await?;
        Ok(sum)
    }

    /// Notes that the differences of these objects that were to be put right are.
    pub async fn drift_corrected(
        &self,
        fence: &Fence,
        owner: Uid,
        objects: &[ObjectRef],
    ) -> Result<Vec<Corrected>, StoreError> {
        let corrected = self.try_corrected(fence, owner, objects).await;
        corrected.map_err(|fault| fault.during(Operation::Drift))
    }

    async fn try_corrected(
        &self,
        fence: &Fence,
        owner: Uid,
        objects: &[ObjectRef],
    ) -> Result<Vec<Corrected>, Fault> {
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let kinds: Vec<_> = objects.iter().map(|object| object.kind.as_str().to_owned()).collect();
        let names: Vec<_> = objects.iter().map(|object| object.name.clone()).collect();
        let rows = sqlx::query!(
            r#"UPDATE drift SET ended_at = clock_timestamp(), outcome = 'corrected'
               WHERE owner = $1 AND ended_at IS NULL AND response = 'correct'
                 AND (object_kind, object_name) IN (SELECT * FROM unnest($2::text[], $3::text[]))
               RETURNING object_kind, object_name, pointer, class,
                   (extract(epoch FROM ended_at - first_seen) * 1000000)::bigint AS "after!""#,
            owner.uuid(),
            &kinds,
            &names
        );
        let rows = rows.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        let mut corrected = Vec::with_capacity(rows.len());
        for row in rows {
            let class = DriftClass::from_word(&row.class);
            let class =
                class.ok_or_else(|| StoreError::corrupt(format!("drift of {owner}"), "unknown class"))?;
            corrected.push(Corrected {
                class,
                object: object_ref(&row.object_kind, row.object_name)?,
                pointer: row.pointer,
                after: SignedDuration::from_micros(row.after),
            });
        }
        Ok(corrected)
    }
}

/// How a difference stood in the report before it was told again.
#[derive(PartialEq)]
enum Before {
    /// Not at all.
    Unknown,
    /// As it is told now, and seen a moment ago.
    Same,
    /// With this response; what it says may have changed.
    Response(String),
}

async fn note_one(
    tx: &mut PgConnection,
    key: &ResourceKey,
    owner: Uid,
    noticed: Noticed,
    drift: &Drift,
) -> Result<Before, Fault> {
    let again = sqlx::query!(
        "UPDATE drift SET last_seen = clock_timestamp(), class = $5, desired = $6, live = $7, response = $8
         FROM (SELECT id, response FROM drift
               WHERE owner = $1 AND object_kind = $2 AND object_name = $3 AND pointer = $4 AND ended_at IS NULL) before
         WHERE drift.id = before.id
           AND (drift.last_seen < clock_timestamp() - make_interval(secs => $9)
                OR (drift.class, drift.desired, drift.live, drift.response) IS DISTINCT FROM ($5, $6, $7, $8))
         RETURNING before.response",
        owner.uuid(),
        drift.object.kind.as_str(),
        drift.object.name,
        drift.pointer,
        drift.class.as_str(),
        drift.desired,
        drift.live,
        drift.response.as_str(),
        SEEN_AGAIN_SECS
    );
    if let Some(row) = again.fetch_optional(&mut *tx).await? {
        return Ok(Before::Response(row.response));
    }
    let new = sqlx::query!(
        "INSERT INTO drift (owner, org, kind, name, object_kind, object_name, pointer, class, desired, live, response, noticed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (owner, object_kind, object_name, pointer) WHERE ended_at IS NULL DO NOTHING",
        owner.uuid(),
        org_column(key.scope()),
        key.kind().as_str(),
        key.name().as_str(),
        drift.object.kind.as_str(),
        drift.object.name,
        drift.pointer,
        drift.class.as_str(),
        drift.desired,
        drift.live,
        drift.response.as_str(),
        noticed.as_str()
    );
    let is_new = new.execute(tx).await?.rows_affected() > 0;
    Ok(if is_new { Before::Unknown } else { Before::Same })
}

/// From when on corrections count, in seconds since 1970: since the last wish to try again.
pub(crate) fn since(retried_at: Option<Timestamp>) -> f64 {
    retried_at.map_or(0.0, |at| at.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64())
}

/// What was noted of resources: what stands, and what was corrected within `window` and [`since`] the time that goes with each.
pub(crate) async fn of_owners(
    tx: &mut PgConnection,
    owners: &[(Uuid, f64)],
    window: SignedDuration,
) -> Result<HashMap<Uuid, DriftHistory>, Fault> {
    let (uids, since): (Vec<Uuid>, Vec<f64>) = owners.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"SELECT owner AS "owner!", object_kind AS "object_kind!", object_name AS "object_name!", pointer AS "pointer!",
                  response AS "response?", count(*) AS "count!"
           FROM (SELECT d.owner, object_kind, object_name, pointer, NULL AS response
                 FROM unnest($1::uuid[], $2::float8[]) AS o (owner, since) JOIN drift d ON d.owner = o.owner
                 WHERE outcome = 'corrected' AND ended_at > now() - make_interval(secs => $3)
                   AND ended_at > to_timestamp(o.since)
                 UNION ALL
                 SELECT owner, object_kind, object_name, pointer, response FROM drift
                 WHERE owner = ANY($1) AND ended_at IS NULL
           ) noted
           GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4"#,
        &uids,
        &since,
        window.as_secs_f64()
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<Uuid, DriftHistory> =
        uids.into_iter().map(|uid| (uid, DriftHistory::default())).collect();
    for row in rows {
        let history = found.entry(row.owner).or_default();
        let object = object_ref(&row.object_kind, row.object_name)?;
        match row.response {
            None => {
                let rounds = u32::try_from(row.count).unwrap_or(u32::MAX);
                history.corrections.insert((object, row.pointer), rounds);
            }
            Some(word) => {
                let response = Response::from_word(&word).ok_or_else(|| {
                    StoreError::corrupt(format!("drift of {}", row.owner), "unknown response")
                })?;
                history.open.push((object, row.pointer, response));
            }
        }
    }
    Ok(found)
}

fn object_ref(kind: &str, name: String) -> Result<ObjectRef, StoreError> {
    let known = ObjectKind::from_word(kind);
    let kind = known.ok_or_else(|| StoreError::corrupt(format!("drift of {name}"), "unknown object kind"))?;
    Ok(ObjectRef::new(kind, name))
}
