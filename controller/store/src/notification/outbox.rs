//! The outbox: messages are written in the transaction of what they tell of.

use std::collections::{BTreeMap, HashMap, HashSet};

use aws_lc_rs::digest;
use skep_schemas::{ResourceKey, Uid};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::message::{Notice, body};
use crate::error::Fault;
use crate::event::NewEvent;
use crate::row::key_of_columns;
use crate::time::Time;

/// How many messages may wait for one target. What is beyond is not kept, and is counted.
pub(super) const WAITING_MAX: i64 = 1000;
/// For how long, in seconds, what says the same to the same is one message.
const SAME_WITHIN: f64 = 600.0;

/// An event that is to be told outside.
pub(crate) struct Told<'a> {
    pub(crate) uid: Uid,
    pub(crate) event: &'a NewEvent,
    pub(crate) notice: Notice,
}

/// A message that may be added.
struct New {
    target: Uuid,
    message_type: &'static str,
    body: String,
    sameness: String,
}

/// Adds the messages to everybody who wants to be told of these events.
pub(crate) async fn enqueue_all(tx: &mut PgConnection, told: &[Told<'_>]) -> Result<(), Fault> {
    // A test is asked for, and not waited for.
    let told: Vec<(&Told<'_>, &'static str)> =
        told.iter().filter_map(|told| Some((told, told.notice.message_type.topic()?.as_str()))).collect();
    if told.is_empty() {
        return Ok(());
    }
    let new = wanted(tx, &told).await?;
    if new.is_empty() {
        return Ok(());
    }
    let new = unsaid(tx, new).await?;
    let (kept, dropped) = within_bounds(tx, new).await?;
    insert(tx, &kept).await?;
    count_dropped(tx, &dropped).await
}

/// The messages that somebody wants. Their targets are held from here on, in one order, so that nobody else adds to them meanwhile.
async fn wanted(tx: &mut PgConnection, told: &[(&Told<'_>, &'static str)]) -> Result<Vec<New>, Fault> {
    let uids: Vec<Uuid> = told.iter().map(|(told, _)| told.uid.uuid()).collect();
    let topics: Vec<String> = told.iter().map(|(_, topic)| (*topic).to_owned()).collect();
    let rows = sqlx::query!(
        r#"SELECT t.uid AS target, e.place AS "place!", r.org, r.kind, r.name, now() AS "at!: Time"
           FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS e (uid, topic, place)
           JOIN resource r ON r.uid = e.uid
           JOIN resource n ON n.kind = 'Notification' AND n.deletion_requested_at IS NULL
               AND (r.org <> '' AND n.org = r.org OR r.org = '' AND r.kind = 'Organization' AND n.org = r.name)
           JOIN notification_target t ON t.uid = n.uid
           WHERE (NOT n.spec ? 'events' OR n.spec->'events' = '[]' OR n.spec->'events' ? e.topic)
             AND (NOT n.spec ? 'environments' OR n.spec->'environments' = '[]'
                  OR r.kind = 'Environment' AND n.spec->'environments' ? r.name)
           ORDER BY t.uid, e.place FOR NO KEY UPDATE OF t"#,
        &uids,
        &topics
    );
    let mut new = Vec::new();
    for row in rows.fetch_all(tx).await? {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        let Some((told, _)) = told.get(place) else { continue };
        let about = key_of_columns(&row.org, &row.kind, &row.name)?;
        new.push(New {
            target: row.target,
            message_type: told.notice.message_type.as_str(),
            body: body(&about, told.event, told.notice, row.at.0),
            sameness: sameness(&about, told),
        });
    }
    Ok(new)
}

/// Equal for what says the same of the same.
fn sameness(about: &ResourceKey, told: &Told<'_>) -> String {
    let Told { event, notice, .. } = told;
    let said = format!("{about}\n{}\n{}", notice.message_type.as_str(), event.message);
    hex::encode(digest::digest(&digest::SHA256, said.as_bytes()))
}

/// Without those that were said a moment ago, or twice here.
async fn unsaid(tx: &mut PgConnection, new: Vec<New>) -> Result<Vec<New>, Fault> {
    let (targets, samenesses): (Vec<Uuid>, Vec<String>) =
        new.iter().map(|new| (new.target, new.sameness.clone())).unzip();
    let said = sqlx::query!(
        "SELECT DISTINCT notification, sameness FROM notification_delivery
         WHERE (notification, sameness) IN (SELECT * FROM unnest($1::uuid[], $2::text[]))
           AND created_at > now() - make_interval(secs => $3)",
        &targets,
        &samenesses,
        SAME_WITHIN
    );
    let said = said.fetch_all(tx).await?.into_iter().map(|row| (row.notification, row.sameness));
    let mut known: HashSet<(Uuid, String)> = said.collect();
    Ok(new.into_iter().filter(|new| known.insert((new.target, new.sameness.clone()))).collect())
}

/// Those for which there is room, and of how many there is none for which target.
async fn within_bounds(
    tx: &mut PgConnection,
    new: Vec<New>,
) -> Result<(Vec<New>, BTreeMap<Uuid, i64>), Fault> {
    let targets: Vec<Uuid> = new.iter().map(|new| new.target).collect();
    let waiting = sqlx::query!(
        r#"SELECT notification, count(*) AS "waiting!" FROM notification_delivery
           WHERE notification = ANY($1) AND state = 'waiting' GROUP BY notification"#,
        &targets
    );
    let waiting = waiting.fetch_all(tx).await?.into_iter().map(|row| (row.notification, row.waiting));
    let mut waiting: HashMap<Uuid, i64> = waiting.collect();
    let (mut kept, mut dropped) = (Vec::new(), BTreeMap::new());
    for new in new {
        let waits = waiting.entry(new.target).or_default();
        if *waits < WAITING_MAX {
            *waits += 1;
            kept.push(new);
        } else {
            *dropped.entry(new.target).or_default() += 1;
        }
    }
    Ok((kept, dropped))
}

async fn insert(tx: &mut PgConnection, kept: &[New]) -> Result<(), Fault> {
    if kept.is_empty() {
        return Ok(());
    }
    let targets: Vec<Uuid> = kept.iter().map(|new| new.target).collect();
    let types: Vec<String> = kept.iter().map(|new| new.message_type.to_owned()).collect();
    let bodies: Vec<String> = kept.iter().map(|new| new.body.clone()).collect();
    let samenesses: Vec<String> = kept.iter().map(|new| new.sameness.clone()).collect();
    sqlx::query!(
        "INSERT INTO notification_delivery (notification, type, body, sameness)
         SELECT notification, type, body, sameness
         FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS m (notification, type, body, sameness, place)
         ORDER BY place",
        &targets,
        &types,
        &bodies,
        &samenesses
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn count_dropped(tx: &mut PgConnection, dropped: &BTreeMap<Uuid, i64>) -> Result<(), Fault> {
    if dropped.is_empty() {
        return Ok(());
    }
    let targets: Vec<Uuid> = dropped.keys().copied().collect();
    let counts: Vec<i64> = dropped.values().copied().collect();
    sqlx::query!(
        "UPDATE notification_target t SET dropped = t.dropped + d.count, dropped_at = now()
         FROM unnest($1::uuid[], $2::bigint[]) AS d (uid, count) WHERE t.uid = d.uid",
        &targets,
        &counts
    )
    .execute(tx)
    .await?;
    Ok(())
}
