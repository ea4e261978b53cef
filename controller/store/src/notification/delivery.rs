//! Claiming what is due, and noting what became of it.
//!
//! A claim is of a target, so one message at a time is under way to it, and ends by itself: whoever claimed and ended without a word holds
//! nothing up for longer than [`CLAIMED_FOR`].

use std::time::Duration;

use skep_schemas::kind::NotificationSpec;
use skep_schemas::{OrgName, ResourceName, Uid};
use sqlx::types::{Json, Uuid};

use crate::error::{Fault, Operation, StoreError};
use crate::lease::Fence;
use crate::secret::version_of;
use crate::store::Store;

/// Longer than one message may take to send and to note.
const CLAIMED_FOR: Duration = Duration::from_secs(60);
/// To so many targets of one organisation messages are under way at once.
const PER_ORG: i64 = 2;
/// Longest reason that is kept; longer ones are cut.
const ERROR_MAX: usize = 500;

/// What tells a message from others, whenever it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageId(pub(super) Uuid);

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "msg_{}", self.0.simple())
    }
}

/// A message that is to be sent now, by whoever claimed it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The number of the message.
    pub id: i64,
    /// The Notification.
    pub notification: Uid,
    /// Its organisation.
    pub org: OrgName,
    /// Its name.
    pub name: ResourceName,
    /// What it says now.
    pub spec: NotificationSpec,
    /// The Secret that it names, and the version of its value; none when there is none.
    pub secret: Option<(Uid, u32)>,
    /// What tells the message from others.
    pub message_id: MessageId,
    /// What it says, as JSON.
    pub body: String,
    /// How often it was sent already.
    pub attempts: u32,
    /// How often in a row the target did not take a message.
    pub failures: u32,
    /// For how long it has waited.
    pub age: Duration,
    /// Until when it is this claim's, as the database writes it.
    until: String,
}

/// What became of a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It was taken.
    Delivered,
    /// It was not, and is sent again.
    Again {
        /// Why not.
        why: String,
        /// After this time.
        after: Duration,
        /// For how long nothing else is sent to the same target.
        pause: Duration,
    },
    /// It was not, and is given up.
    Dead {
        /// Why not.
        why: String,
        /// For how long nothing else is sent to the same target.
        pause: Duration,
    },
}

impl Store {
    /// Claims messages that are due, at most so many, and at most two of an organisation at once; whose turn it is longest comes first. Of each target it
    /// is the one that is due first. Nothing is written when there is none.
    pub async fn claim_notifications(&self, fence: &Fence, most: usize) -> Result<Vec<Claimed>, StoreError> {
        self.try_claim(fence, most).await.map_err(|fault| fault.during(Operation::Notify))
    }

    async fn try_claim(&self, fence: &Fence, most: usize) -> Result<Vec<Claimed>, Fault> {
        let due = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM notification_target WHERE due_at <= now() AND coalesce(claimed_until <= now(), true)
                              AND coalesce(paused_until <= now(), true)) AS "due!""#
        );
        if !due.fetch_one(self.pool()).await? {
            return Ok(Vec::new());
        }
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        let targets = sqlx::query_scalar!(
            "WITH due AS (
                 SELECT t.uid, t.due_at, row_number() OVER (PARTITION BY t.org ORDER BY t.due_at, t.uid)
                     + (SELECT count(*) FROM notification_target c WHERE c.org = t.org AND c.claimed_until > now()) AS place
                 FROM notification_target t
                 WHERE t.due_at <= now() AND coalesce(t.claimed_until <= now(), true) AND coalesce(t.paused_until <= now(), true)
             ), turn AS (
                 SELECT uid FROM due WHERE place <= $2 ORDER BY due_at, uid LIMIT $3
             ), held AS (
                 SELECT t.uid FROM notification_target t
                 WHERE t.uid IN (SELECT uid FROM turn) AND t.due_at <= now() AND coalesce(t.claimed_until <= now(), true)
                 ORDER BY t.uid FOR NO KEY UPDATE SKIP LOCKED
             )
             UPDATE notification_target t SET claimed_until = now() + make_interval(secs => $1)
             FROM held WHERE t.uid = held.uid RETURNING t.uid",
            CLAIMED_FOR.as_secs_f64(),
            PER_ORG,
            i64::try_from(most).unwrap_or(i64::MAX)
        );
        let targets: Vec<Uuid> = targets.fetch_all(&mut *tx).await?;
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT d.id, t.uid, n.org, n.name, n.spec AS "spec: Json<NotificationSpec>", s.uid AS "secret?", s.version AS "version?",
                      d.message_id, d.body, d.attempts, t.failures, extract(epoch FROM now() - d.created_at)::double precision AS "age!",
                      t.claimed_until::text AS "until!"
               FROM notification_target t
               JOIN resource n ON n.uid = t.uid
               CROSS JOIN LATERAL (SELECT * FROM notification_delivery d WHERE d.notification = t.uid AND d.state = 'waiting' AND d.next_at <= now()
                                   ORDER BY d.next_at, d.id LIMIT 1) d
               LEFT JOIN LATERAL (
                   SELECT r.uid, v.version FROM resource r JOIN secret_version v ON v.uid = r.uid
                   WHERE r.org = n.org AND r.kind = 'Secret' AND r.deletion_requested_at IS NULL
                     AND r.name = coalesce(n.spec->'webhook'->>'secret', n.spec->'slack'->>'secret')
                   ORDER BY v.version DESC LIMIT 1) s ON true
               WHERE t.uid = ANY($1) ORDER BY d.next_at, d.id"#,
            &targets
        );
        let rows = rows.fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(rows.into_iter().map(Row::claimed).collect::<Result<_, StoreError>>()?)
    }

    /// Notes what became of a message that was claimed, and lets go of its target. Of one that is not waiting any more nothing is noted.
    pub async fn note_notification(
        &self,
        fence: &Fence,
        claimed: &Claimed,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        self.try_note_notification(fence, claimed, attempt)
            .await
            .map_err(|fault| fault.during(Operation::Notify))
    }

    async fn try_note_notification(
        &self,
        fence: &Fence,
        claimed: &Claimed,
        attempt: &Attempt,
    ) -> Result<(), Fault> {
        let (state, why, after, pause) = match attempt {
            Attempt::Delivered => ("delivered", None, Duration::ZERO, Duration::ZERO),
            Attempt::Again { why, after, pause } => ("waiting", Some(why), *after, *pause),
            Attempt::Dead { why, pause } => ("dead", Some(why), Duration::ZERO, *pause),
        };
        let why: Option<String> = why.map(|why| why.chars().take(ERROR_MAX).collect());
        let mut tx = self.pool().begin().await?;
        fence.check(&mut tx).await?;
        // Held before anything of it is written, as everywhere. Somebody else's claim stays: that one is sent to as well.
        sqlx::query!(
            "UPDATE notification_target SET failures = CASE WHEN $2::text IS NULL THEN 0 ELSE failures + 1 END, last_error = $2,
                 paused_until = CASE WHEN $2::text IS NOT NULL THEN now() + make_interval(secs => $3) END,
                 claimed_until = CASE WHEN claimed_until::text <> $4 THEN claimed_until END
             WHERE uid = $1",
            claimed.notification.uuid(),
            why,
            pause.as_secs_f64(),
            claimed.until
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "UPDATE notification_delivery SET state = $2, attempts = attempts + 1, last_error = $3, next_at = now() + make_interval(secs => $4),
                 ended_at = CASE WHEN $2 <> 'waiting' THEN now() END
             WHERE id = $1 AND state = 'waiting'",
            claimed.id,
            state,
            why,
            after.as_secs_f64()
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

struct Row {
    id: i64,
    uid: Uuid,
    org: String,
    name: String,
    spec: Json<NotificationSpec>,
    secret: Option<Uuid>,
    version: Option<i32>,
    message_id: Uuid,
    body: String,
    attempts: i32,
    failures: i32,
    age: f64,
    until: String,
}

impl Row {
    fn claimed(self) -> Result<Claimed, StoreError> {
        let corrupt = |what: &str| StoreError::corrupt(format!("message {}", self.id), what);
        let secret = match (self.secret, self.version) {
            (Some(uid), Some(version)) => Some((Uid::from_uuid(uid), version_of(version)?)),
            _ => None,
        };
        Ok(Claimed {
            id: self.id,
            notification: Uid::from_uuid(self.uid),
            org: self.org.parse().map_err(|_| corrupt("an organisation's name"))?,
            name: self.name.parse().map_err(|_| corrupt("a name"))?,
            spec: self.spec.0,
            secret,
            message_id: MessageId(self.message_id),
            body: self.body,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            failures: u32::try_from(self.failures).unwrap_or_default(),
            age: Duration::try_from_secs_f64(self.age).unwrap_or_default(),
            until: self.until,
        })
    }
}
