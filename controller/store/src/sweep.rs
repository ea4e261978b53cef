//! Retention: what nobody needs any more is removed, a bounded number of rows at a time.

use std::time::Duration;

use crate::error::{Fault, Operation, StoreError};
use crate::keyed::KEPT_FOR;
use crate::store::Store;

/// The most rows of one table that one sweep removes: a backlog is worked off over several sweeps.
const SWEEP_MAX: i64 = 10_000;

/// How long a value outlives its successor's arrival: a plan that is being made may still record a release with it.
const SECRET_GRACE: Duration = Duration::from_secs(3600);

/// How long a confirmed removal is remembered after its owner is gone; far longer than a removal counts as recent.
const CONFIRMATION_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long it is kept what is known of signatures. What is still asked afterwards is looked for again.
const SIGNATURES_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long it is kept that an image was left behind: so long every process has to remove it from its engine.
const LEFT_IMAGES_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long it is kept what scanners said: longer than any yes may count, which is 30 days.
const SCANS_KEPT: Duration = Duration::from_secs(40 * 24 * 3600);

/// So many runs of each environment are kept, and those of a month up to so many.
const RUNS_KEPT: i64 = 100;
const RUNS_KEPT_MAX: i64 = 1000;
const RUNS_KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long messages are kept that were delivered, and those that were given up.
const DELIVERED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const DEAD_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// So many messages that are over are kept of each Notification.
const MESSAGES_KEPT_MAX: i64 = 10_000;

/// So many runs of each schedule are kept that succeeded, and so many that did not: what runs every minute makes 1,440 a day.
const RUNS_OF_SCHEDULE_KEPT: i64 = 20;

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Releases per environment that are kept however old they are; the newest that succeeded, the pending one and those that a rollback
    /// names stay in any case.
    pub releases: u32,
    /// Releases per environment that are kept at most, of those that are not older than `releases_age`.
    pub releases_max: u32,
    /// How long they are kept.
    pub releases_age: Duration,
    /// How long finished plans are kept.
    pub plans: Duration,
    /// How long audit rows are kept.
    pub audit: Duration,
    /// How long differences that ended are kept.
    pub drift: Duration,
    /// How many revisions of changes are kept at least.
    pub changes: u32,
    /// How long changes are kept at least.
    pub changes_age: Duration,
}

impl Retention {
    const DAY: Duration = Duration::from_secs(24 * 3600);

    /// Fifty releases to roll back to, and those of a quarter up to five hundred; a week of plans; a quarter of drift; a year of audit; a day or 100,000 revisions of changes.
    pub const USUAL: Self = Self {
        releases: 50,
        releases_max: 500,
        releases_age: Self::DAY.saturating_mul(90),
        plans: Self::DAY.saturating_mul(7),
        audit: Self::DAY.saturating_mul(400),
        drift: Self::DAY.saturating_mul(90),
        changes: 100_000,
        changes_age: Self::DAY,
    };
}

/// How many rows a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Releases.
    pub releases: u64,
    /// Runs that are over.
    pub runs: u64,
    /// Values of secrets that no release names any more.
    pub secret_versions: u64,
    /// Plans, with their steps.
    pub plans: u64,
    /// Audit rows.
    pub audit: u64,
    /// Confirmations of removals that are done.
    pub confirmed_removals: u64,
    /// Differences that ended.
    pub drift: u64,
    /// Changes.
    pub changes: u64,
    /// Controllers that are gone.
    pub members: u64,
    /// Keys of requests that nobody will send again.
    pub keyed_requests: u64,
    /// What was known of signatures.
    pub signatures: u64,
    /// What scanners said.
    pub scans: u64,
    /// What was known of images that releases left behind.
    pub left_images: u64,
    /// Messages of Notifications that are over.
    pub notifications: u64,
}

impl Store {
    /// Removes what is no longer kept. Safe to run at any time and by several processes.
    pub async fn sweep(&self, keep: &Retention) -> Result<Swept, StoreError> {
        let fault = |fault: Fault| fault.during(Operation::Sweep);
        // Releases before values: a value goes with the last release that names it.
        let releases = self.sweep_releases(keep).await.map_err(fault)?;
        let runs =
            self.sweep_runs().await.map_err(fault)? + self.sweep_scheduled_runs().await.map_err(fault)?;
        let secret_versions = self.sweep_secret_versions().await.map_err(fault)?;
        let plans = self.sweep_plans(keep.plans).await.map_err(fault)?;
        let audit = self.sweep_audit(keep.audit).await.map_err(fault)?;
        let confirmed_removals = self.sweep_confirmed_removals().await.map_err(fault)?;
        let drift = self.sweep_drift(keep.drift).await.map_err(fault)?;
        let changes = self.compact(keep.changes, keep.changes_age).await?;
        let members = self.sweep_members().await.map_err(fault)?;
        let keyed_requests = self.sweep_keyed_requests().await.map_err(fault)?;
        let signatures = self.sweep_signatures().await.map_err(fault)?;
        let scans = self.sweep_scans().await.map_err(fault)?;
        let left_images = self.sweep_left_images().await.map_err(fault)?;
        let notifications = self.sweep_notifications().await.map_err(fault)?;
        Ok(Swept {
            releases,
            runs,
            secret_versions,
            plans,
            audit,
            confirmed_removals,
            drift,
            changes,
            members,
            keyed_requests,
            signatures,
            scans,
            left_images,
            notifications,
        })
    }

    /// The newest of each environment stays in any case: the next has the number after it. So does the release phase of a release that is pending: without it,
    /// it would run a second time.
    async fn sweep_runs(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM run WHERE (env_uid, number) IN (
                 SELECT env_uid, number FROM (
                     SELECT env_uid, number, purpose, release, outcome, ended_at, row_number() OVER (PARTITION BY env_uid ORDER BY number DESC) AS age
                     FROM run
                     WHERE purpose <> 'schedule'
                 ) r
                 WHERE r.outcome IS NOT NULL AND r.age > $1 AND (r.age > $2 OR r.ended_at < now() - make_interval(secs => $3))
                   AND NOT (r.purpose = 'release' AND EXISTS (SELECT FROM release l WHERE l.env_uid = r.env_uid AND l.version = r.release AND l.verdict = 'pending'))
                 LIMIT $4)",
            RUNS_KEPT,
            RUNS_KEPT_MAX,
            RUNS_KEPT_FOR.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    /// Which slots were run already, the mark of the schedule tells.
    async fn sweep_scheduled_runs(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM run WHERE (env_uid, number) IN (
                 SELECT env_uid, number FROM (
                     SELECT env_uid, number, row_number() OVER (PARTITION BY env_uid, process, outcome = 'succeeded' ORDER BY number DESC) AS age FROM run
                     WHERE purpose = 'schedule' AND outcome IS NOT NULL
                 ) r
                 WHERE r.age > $1 LIMIT $2)",
            RUNS_OF_SCHEDULE_KEPT,
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_signatures(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM image_signature WHERE (org, repository, digest, public_key) IN (
                 SELECT org, repository, digest, public_key FROM image_signature
                 WHERE checked_at < now() - make_interval(secs => $1) LIMIT $2)",
            SIGNATURES_KEPT.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_scans(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM image_scan WHERE (org, url, repository, digest) IN (
                 SELECT org, url, repository, digest FROM image_scan
                 WHERE checked_at < now() - make_interval(secs => $1) LIMIT $2)",
            SCANS_KEPT.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_left_images(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM left_image WHERE (digest, reference) IN (
                 SELECT digest, reference FROM left_image WHERE left_at < now() - make_interval(secs => $1) LIMIT $2)",
            LEFT_IMAGES_KEPT.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    /// That messages were dropped is told for as long as of those that were given up.
    async fn sweep_notifications(&self) -> Result<u64, Fault> {
        let forgotten = sqlx::query!(
            "UPDATE notification_target SET dropped = 0, dropped_at = NULL WHERE dropped_at < now() - make_interval(secs => $1)",
            DEAD_KEPT.as_secs_f64()
        );
        forgotten.execute(self.pool()).await?;
        let swept = sqlx::query!(
            "DELETE FROM notification_delivery WHERE id IN (
                 SELECT id FROM notification_delivery
                 WHERE ended_at < now() - make_interval(secs => CASE WHEN state = 'dead' THEN $2::double precision ELSE $1::double precision END) LIMIT $4)
             OR id IN (
                 SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY notification ORDER BY id DESC) AS age
                                 FROM notification_delivery WHERE state <> 'waiting') d
                 WHERE d.age > $3 LIMIT $4)",
            DELIVERED_KEPT.as_secs_f64(),
            DEAD_KEPT.as_secs_f64(),
            MESSAGES_KEPT_MAX,
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_keyed_requests(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM keyed_request WHERE (asker, key) IN (
                 SELECT asker, key FROM keyed_request WHERE begun_at < now() - make_interval(secs => $1) LIMIT $2)",
            KEPT_FOR.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_members(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!("DELETE FROM controller_member WHERE expires_at < clock_timestamp()");
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    /// A release that a service was last sent stays as well: the planner asks what it was.
    async fn sweep_releases(&self, keep: &Retention) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM release WHERE (env_uid, version) IN (
                 SELECT l.env_uid, l.version FROM (
                     SELECT env_uid, version, verdict, created_at,
                            row_number() OVER (PARTITION BY env_uid ORDER BY version DESC) AS age,
                            max(version) FILTER (WHERE verdict = 'succeeded') OVER (PARTITION BY env_uid) AS good
                     FROM release
                 ) l
                 WHERE l.age > $1 AND (l.age > $2 OR l.created_at < now() - make_interval(secs => $3))
                   AND l.verdict <> 'pending' AND l.version IS DISTINCT FROM l.good
                   AND NOT EXISTS (SELECT FROM run u WHERE u.env_uid = l.env_uid AND u.release = l.version AND u.outcome IS NULL)
                   AND NOT EXISTS (SELECT FROM inventory i WHERE i.owner = l.env_uid AND i.sent_release = l.version)
                   AND NOT EXISTS (SELECT FROM resource r WHERE r.uid = l.env_uid AND r.rollback IS NOT NULL
                                   AND l.version IN ((r.rollback->>'to')::integer, (r.rollback->>'insteadOf')::integer))
                 LIMIT $4)",
            i64::from(keep.releases),
            i64::from(keep.releases_max),
            keep.releases_age.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_secret_versions(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM secret_version WHERE (uid, version) IN (
                 SELECT v.uid, v.version FROM secret_version v JOIN resource s ON s.uid = v.uid
                 WHERE EXISTS (SELECT FROM secret_version newer WHERE newer.uid = v.uid AND newer.version > v.version
                               AND newer.created_at < now() - make_interval(secs => $1))
                   AND NOT EXISTS (
                       SELECT FROM resource e JOIN release l ON l.env_uid = e.uid
                       WHERE e.org = s.org AND e.kind = 'Environment'
                         AND l.content->'secrets' @> jsonb_build_array(jsonb_build_object('name', s.name, 'version', v.version)))
                 LIMIT $2)",
            SECRET_GRACE.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_plans(&self, keep: Duration) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM plan WHERE id IN
             (SELECT id FROM plan WHERE finished_at < now() - make_interval(secs => $1) ORDER BY id LIMIT $2)",
            keep.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    async fn sweep_drift(&self, keep: Duration) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM drift WHERE id IN
             (SELECT id FROM drift WHERE ended_at < now() - make_interval(secs => $1) ORDER BY ended_at LIMIT $2)",
            keep.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }

    /// Only the oldest of the chain may go, and when an entry was made does not tell its place.
    async fn sweep_audit(&self, keep: Duration) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM audit WHERE id IN (
                 SELECT id FROM audit WHERE at < now() - make_interval(secs => $1)
                   AND (position IS NULL OR position < ALL (SELECT position FROM audit WHERE position IS NOT NULL
                                                            AND at >= now() - make_interval(secs => $1)))
                 ORDER BY position NULLS FIRST LIMIT $2)",
            keep.as_secs_f64(),
            SWEEP_MAX
        );
        let swept = swept.execute(self.pool()).await?.rows_affected();
        // The last seal stays in any case: what it was set on was there.
        sqlx::query!(
            "DELETE FROM audit_seal WHERE position < (SELECT floor_position FROM audit_head)
             AND position < (SELECT max(position) FROM audit_seal)"
        )
        .execute(self.pool())
        .await?;
        Ok(swept)
    }

    /// A confirmation is kept for as long as the removals that it was for may count as recent.
    async fn sweep_confirmed_removals(&self) -> Result<u64, Fault> {
        let swept = sqlx::query!(
            "DELETE FROM confirmed_removal WHERE (owner, kind, name) IN (
                 SELECT c.owner, c.kind, c.name FROM confirmed_removal c
                 WHERE c.confirmed_at < now() - make_interval(secs => $1)
                   AND NOT EXISTS (SELECT FROM resource r WHERE r.uid = c.owner) LIMIT $2)",
            CONFIRMATION_KEPT.as_secs_f64(),
            SWEEP_MAX
        );
        Ok(swept.execute(self.pool()).await?.rows_affected())
    }
}
