//! What scanners say of images.
//!
//! As with signatures, facts do not depend on who writes them down, so they need no fence.

use jiff::Timestamp;
use skep_planner::policy::scan::{Scan, ScanFact, ScanVerdict};
use skep_schemas::OrgName;

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;
use crate::time::Time;

impl Store {
    /// What an organisation was told by a scanner about a digest.
    pub async fn scan(&self, org: &OrgName, scan: &Scan) -> Result<Option<ScanFact>, StoreError> {
        self.try_scan(org, scan).await.map_err(|fault| fault.during(Operation::Scan))
    }

    async fn try_scan(&self, org: &OrgName, scan: &Scan) -> Result<Option<ScanFact>, Fault> {
        let row = sqlx::query!(
            r#"SELECT verdict, reason, since AS "since: Time", checked_at AS "checked_at: Time" FROM image_scan
               WHERE org = $1 AND url = $2 AND repository = $3 AND digest = $4"#,
            org.as_str(),
            scan.url.as_str(),
            scan.repository,
            scan.digest.as_str()
        );
        let row = row.fetch_optional(self.pool()).await?;
        Ok(row.and_then(|row| {
            Some(ScanFact {
                verdict: verdict(&row.verdict)?,
                reason: row.reason,
                since: row.since.0,
                checked_at: row.checked_at.0,
            })
        }))
    }

    /// Notes what a scanner said. A no stands until there is a yes: that the scanner is at it again takes nothing back.
    pub async fn note_scan(
        &self,
        org: &OrgName,
        scan: &Scan,
        said: ScanVerdict,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let noted = self.try_note_scan(org, scan, said, reason, now).await;
        noted.map_err(|fault| fault.during(Operation::Scan))
    }

    async fn try_note_scan(
        &self,
        org: &OrgName,
        scan: &Scan,
        said: ScanVerdict,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        sqlx::query!(
            "INSERT INTO image_scan AS known (org, url, repository, digest, verdict, reason, since, checked_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, $7::text::timestamptz)
             ON CONFLICT (org, url, repository, digest) DO UPDATE SET
                 verdict = CASE WHEN known.verdict = 'fail' AND EXCLUDED.verdict = 'pending'
                                THEN known.verdict ELSE EXCLUDED.verdict END,
                 reason = CASE WHEN known.verdict = 'fail' AND EXCLUDED.verdict = 'pending'
                               THEN known.reason ELSE EXCLUDED.reason END,
                 since = CASE WHEN known.verdict = EXCLUDED.verdict
                                OR (known.verdict = 'fail' AND EXCLUDED.verdict = 'pending')
                              THEN known.since ELSE EXCLUDED.since END,
                 checked_at = EXCLUDED.checked_at",
            org.as_str(),
            scan.url.as_str(),
            scan.repository,
            scan.digest.as_str(),
            word(said),
            reason,
            now.to_string()
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

const fn word(verdict: ScanVerdict) -> &'static str {
    match verdict {
        ScanVerdict::Pass => "pass",
        ScanVerdict::Fail => "fail",
        ScanVerdict::Pending => "pending",
    }
}

/// What another version wrote and this one cannot read is asked again.
fn verdict(word: &str) -> Option<ScanVerdict> {
    match word {
        "pass" => Some(ScanVerdict::Pass),
        "fail" => Some(ScanVerdict::Fail),
        "pending" => Some(ScanVerdict::Pending),
        _ => None,
    }
}
