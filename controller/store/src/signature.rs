//! What is known of the signatures of images.
//!
//! Facts do not depend on who writes them down, so they need no fence: of two controllers that look at once, both see the same.

use jiff::Timestamp;
use skep_planner::policy::signature::{Found, SignatureFact, Signed};
use skep_schemas::{OrgName, PublicKey};

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;
use crate::time::Time;

/// The most facts that are read of one digest: the keys of many policies.
const FACTS_MAX: i64 = 500;

impl Store {
    /// What an organisation knows of the signatures of a digest.
    pub async fn signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
    ) -> Result<Vec<(PublicKey, SignatureFact)>, StoreError> {
        self.try_signatures(org, signed).await.map_err(|fault| fault.during(Operation::Signature))
    }

    async fn try_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
    ) -> Result<Vec<(PublicKey, SignatureFact)>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT public_key, found, since AS "since: Time", checked_at AS "checked_at: Time" FROM image_signature
               WHERE org = $1 AND repository = $2 AND digest = $3 ORDER BY checked_at DESC LIMIT $4"#,
            org.as_str(),
            signed.repository,
            signed.digest.as_str(),
            FACTS_MAX
        );
        let rows = rows.fetch_all(self.pool()).await?.into_iter();
        // What another version wrote and this one cannot read is looked for again.
        let facts = rows.filter_map(|row| {
            let key = row.public_key.parse().ok()?;
            let fact = match row.found {
                None => SignatureFact::Signed,
                Some(found) => SignatureFact::Unsigned {
                    found: serde_json::from_value(found).ok()?,
                    since: row.since.0,
                    checked_at: row.checked_at.0,
                },
            };
            Some((key, fact))
        });
        Ok(facts.collect())
    }

    /// Notes what was found of the signatures of a digest: nothing instead of a signature is a signature. One that was found once stays.
    pub async fn note_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        found: &[(PublicKey, Option<Found>)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let noted = self.try_note_signatures(org, signed, found, now).await;
        noted.map_err(|fault| fault.during(Operation::Signature))
    }

    async fn try_note_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        found: &[(PublicKey, Option<Found>)],
        now: Timestamp,
    ) -> Result<(), Fault> {
        let keys: Vec<String> = found.iter().map(|(key, _)| key.to_string()).collect();
        let instead: Vec<Option<serde_json::Value>> = found
            .iter()
            .map(|(_, found)| serde_json::to_value(found).ok().filter(|v| !v.is_null()))
            .collect();
        sqlx::query!(
            "INSERT INTO image_signature (org, repository, digest, public_key, found, since, checked_at)
                 SELECT $1, $2, $3, f.public_key, f.found, $6::text::timestamptz, $6::text::timestamptz
                 FROM unnest($4::text[], $5::jsonb[]) AS f (public_key, found)
             ON CONFLICT (org, repository, digest, public_key) DO UPDATE
                 SET found = EXCLUDED.found, checked_at = EXCLUDED.checked_at
                 WHERE image_signature.found IS NOT NULL",
            org.as_str(),
            signed.repository,
            signed.digest.as_str(),
            &keys,
            &instead as _,
            now.to_string()
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
