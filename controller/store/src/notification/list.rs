//! What people see of messages, and what they ask for: that one be sent again, and a test.
//!
//! Whoever writes holds the target first, as everywhere, and then its messages.

use jiff::Timestamp;
use skep_schemas::kind::MessageType;
use skep_schemas::{Kind, ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::MessageId;
use super::message::{Notice, body};
use super::outbox::WAITING_MAX;
use crate::audit::{self, Actor, Subject, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::event::{NewEvent, Severity};
use crate::row::org_column;
use crate::scoped::ScopedStore;
use crate::snapshot::Snapshot;
use crate::time::Time;

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is to be sent.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    fn from_column(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::Dead].into_iter().find(|state| state.as_str() == word)
    }
}

/// A message, as people see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// What tells it from others outside.
    pub message_id: MessageId,
    /// How it stands.
    pub state: DeliveryState,
    /// What it says, as JSON.
    pub body: String,
    /// How often it was sent.
    pub attempts: u32,
    /// Why it was not taken, the last time.
    pub last_error: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it is sent next, at the earliest; none when it is over.
    pub next_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Which messages are to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// This one, if it was not taken.
    One(i64),
    /// All that were given up, as far as there is room for them. Those that were not kept are forgotten.
    AllDead,
}

impl Snapshot {
    /// The messages of a Notification, newest first: so many of those before one.
    pub async fn deliveries(
        &mut self,
        notification: Uid,
        state: Option<DeliveryState>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"SELECT id, message_id, state, body, attempts, last_error, created_at AS "created_at: Time", next_at AS "next_at: Time",
                      ended_at AS "ended_at: Time"
               FROM notification_delivery
               WHERE notification = $1 AND ($2::text IS NULL OR state = $2) AND ($3::bigint IS NULL OR id < $3)
               ORDER BY id DESC LIMIT $4"#,
            notification.uuid(),
            state.map(DeliveryState::as_str),
            before,
            i64::from(limit)
        );
        let rows = rows.fetch_all(self.connection()).await;
        let rows = rows.map_err(|source| Fault::from(source).during(Operation::Read))?;
        rows.into_iter().map(Row::delivery).collect()
    }
}

impl ScopedStore {
    /// Has messages sent again, with attempts counted anew, and tells how many.
    pub async fn resend(&self, key: &ResourceKey, which: Resend, actor: &Actor) -> Result<u64, StoreError> {
        self.try_resend(key, which, actor).await.map_err(|fault| fault.during(Operation::Notify))
    }

    async fn try_resend(&self, key: &ResourceKey, which: Resend, actor: &Actor) -> Result<u64, Fault> {
        let mut tx = self.begin().await?;
        let (uid, subject) = held(&mut tx, key).await?;
        let room = match which {
            Resend::One(_) => 1,
            Resend::AllDead => room(&mut tx, uid).await?,
        };
        let one = match which {
            Resend::One(id) => Some(id),
            Resend::AllDead => None,
        };
        let sent = sqlx::query!(
            "UPDATE notification_delivery SET state = 'waiting', attempts = 0, next_at = now(), ended_at = NULL
             WHERE id IN (SELECT id FROM notification_delivery
                          WHERE notification = $1 AND (id = $2 AND state <> 'delivered' OR $2::bigint IS NULL AND state = 'dead')
                          ORDER BY id LIMIT $3)",
            uid,
            one,
            room
        );
        let sent = sent.execute(&mut *tx).await?.rows_affected();
        sqlx::query!(
            "UPDATE notification_target SET paused_until = NULL, dropped = CASE WHEN $2 THEN 0 ELSE dropped END,
                 dropped_at = CASE WHEN NOT $2 THEN dropped_at END
             WHERE uid = $1",
            uid,
            which == Resend::AllDead
        )
        .execute(&mut *tx)
        .await?;
        if sent > 0 {
            audit::record(&mut tx, actor, Verb::Retry, &subject).await?;
        }
        tx.commit().await?;
        Ok(sent)
    }

    /// Has a test message sent. Its id.
    pub async fn test_notification(&self, key: &ResourceKey, actor: &Actor) -> Result<MessageId, StoreError> {
        self.try_test(key, actor).await.map_err(|fault| fault.during(Operation::Notify))
    }

    async fn try_test(&self, key: &ResourceKey, actor: &Actor) -> Result<MessageId, Fault> {
        let mut tx = self.begin().await?;
        let (uid, subject) = held(&mut tx, key).await?;
        if room(&mut tx, uid).await? == 0 {
            return Err(StoreError::TooManyMessages { key: key.clone(), limit: WAITING_MAX }.into());
        }
        let now = sqlx::query_scalar!(r#"SELECT now() AS "now!: Time""#).fetch_one(&mut *tx).await?;
        let event = NewEvent {
            severity: Severity::Normal,
            reason: "Test".to_owned(),
            message: format!("{} asked whether messages arrive", actor.as_str()),
            notice: None,
        };
        let body = body(key, &event, Notice::of(MessageType::Test), now.0);
        // Each is asked for, and none is the same as another.
        let id = sqlx::query_scalar!(
            "INSERT INTO notification_delivery (notification, type, body, sameness) VALUES ($1, $2, $3, '') RETURNING message_id",
            uid,
            MessageType::Test.as_str(),
            body
        );
        let id = id.fetch_one(&mut *tx).await?;
        audit::record(&mut tx, actor, Verb::Test, &subject).await?;
        tx.commit().await?;
        Ok(MessageId(id))
    }
}

/// A Notification that stays, with its row held.
async fn held<'k>(tx: &mut PgConnection, key: &'k ResourceKey) -> Result<(Uuid, Subject<'k>), Fault> {
    let row = sqlx::query!(
        r#"SELECT r.uid, r.generation, r.deletion_requested_at IS NOT NULL AS "deleting!"
           FROM resource r JOIN notification_target t ON t.uid = r.uid
           WHERE r.org = $1 AND r.kind = $2 AND r.name = $3 FOR NO KEY UPDATE OF r, t"#,
        org_column(key.scope()),
        Kind::Notification.as_str(),
        key.name().as_str()
    );
    let row = row.fetch_optional(tx).await?.filter(|row| !row.deleting);
    let row = row.ok_or_else(|| StoreError::NotFound { key: key.clone() })?;
    Ok((row.uid, Subject::unchanged(key, Uid::from_uuid(row.uid), row.generation)))
}

/// How many messages may still wait.
async fn room(tx: &mut PgConnection, uid: Uuid) -> Result<i64, Fault> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT count(*) AS "waiting!" FROM notification_delivery WHERE notification = $1 AND state = 'waiting'"#,
        uid
    );
    Ok((WAITING_MAX - waiting.fetch_one(tx).await?).max(0))
}

struct Row {
    id: i64,
    message_id: Uuid,
    state: String,
    body: String,
    attempts: i32,
    last_error: Option<String>,
    created_at: Time,
    next_at: Time,
    ended_at: Option<Time>,
}

impl Row {
    fn delivery(self) -> Result<Delivery, StoreError> {
        let corrupt = || StoreError::corrupt(format!("message {}", self.id), "unknown state");
        let state = DeliveryState::from_column(&self.state).ok_or_else(corrupt)?;
        Ok(Delivery {
            id: self.id,
            message_id: MessageId(self.message_id),
            state,
            body: self.body,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            last_error: self.last_error,
            created_at: self.created_at.0,
            next_at: (state == DeliveryState::Waiting).then_some(self.next_at.0),
            ended_at: self.ended_at.map(|at| at.0),
        })
    }
}
