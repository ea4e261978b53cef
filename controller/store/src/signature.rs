//! What is known of the signatures of images.
//!
//! Facts do not depend on who writes them down, so they need no fence: of two controllers that look at once, both see the same.
//!
//! What is known of an identity rests on a trusted root besides, and is known under that root alone: when another is put in its place, because a
//! log or an authority is no longer to be believed, every identity is looked at again.

use jiff::Timestamp;
use skep_planner::policy::signature::{Found, SignatureFact, Signed};
use skep_schemas::OrgName;
use skep_schemas::kind::{Identity, Signer};

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;
use crate::time::Time;

/// The most facts that are read of one digest: the signers of many policies.
const FACTS_MAX: i64 = 500;

impl Store {
    /// What an organisation knows of the signatures of a digest. Of identities, what is known under this trusted root: nothing without one.
    pub async fn signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        trusted_root: Option<&str>,
    ) -> Result<Vec<(Signer, SignatureFact)>, StoreError> {
        self.try_signatures(org, signed, trusted_root)
            .await
            .map_err(|fault| fault.during(Operation::Signature))
    }

    async fn try_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        trusted_root: Option<&str>,
    ) -> Result<Vec<(Signer, SignatureFact)>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT public_key, found, since AS "since: Time", checked_at AS "checked_at: Time" FROM image_signature
               WHERE org = $1 AND repository = $2 AND digest = $3 AND (trusted_root IS NULL OR trusted_root = $5)
               ORDER BY checked_at DESC LIMIT $4"#,
            org.as_str(),
            signed.repository,
            signed.digest.as_str(),
            FACTS_MAX,
            trusted_root
        );
        let rows = rows.fetch_all(self.pool()).await?.into_iter();
        // What another version wrote and this one cannot read is looked for again.
        let facts = rows.filter_map(|row| {
            let signer = read(&row.public_key)?;
            let fact = match row.found {
                None => SignatureFact::Signed,
                Some(found) => SignatureFact::Unsigned {
                    found: serde_json::from_value(found).ok()?,
                    since: row.since.0,
                    checked_at: row.checked_at.0,
                },
            };
            Some((signer, fact))
        });
        Ok(facts.collect())
    }

    /// Notes what was found of the signatures of a digest: nothing instead of a signature is a signature. One that was found once stays.
    pub async fn note_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        found: &[(Signer, Option<Found>)],
        trusted_root: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let noted = self.try_note_signatures(org, signed, found, trusted_root, now).await;
        noted.map_err(|fault| fault.during(Operation::Signature))
    }

    async fn try_note_signatures(
        &self,
        org: &OrgName,
        signed: &Signed,
        found: &[(Signer, Option<Found>)],
        trusted_root: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (mut signers, mut roots, mut instead) = (Vec::new(), Vec::new(), Vec::new());
        for (signer, found) in found {
            let Some((signer, root)) = written(signer, trusted_root) else { continue };
            signers.push(signer);
            roots.push(root);
            instead.push(serde_json::to_value(found).ok().filter(|found| !found.is_null()));
        }
        sqlx::query!(
            "INSERT INTO image_signature (org, repository, digest, public_key, trusted_root, found, since, checked_at)
                 SELECT $1, $2, $3, f.signer, f.trusted_root, f.found, $7::text::timestamptz, $7::text::timestamptz
                 FROM unnest($4::text[], $5::text[], $6::jsonb[]) AS f (signer, trusted_root, found)
             ON CONFLICT (org, repository, digest, public_key) DO UPDATE
                 SET found = EXCLUDED.found, checked_at = EXCLUDED.checked_at, trusted_root = EXCLUDED.trusted_root,
                     since = CASE WHEN image_signature.trusted_root IS DISTINCT FROM EXCLUDED.trusted_root
                             THEN EXCLUDED.since ELSE image_signature.since END
                 WHERE image_signature.found IS NOT NULL
                    OR image_signature.trusted_root IS DISTINCT FROM EXCLUDED.trusted_root",
            org.as_str(),
            signed.repository,
            signed.digest.as_str(),
            &signers,
            &roots as _,
            &instead as _,
            now.to_string()
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

/// A signer as it is stored, and the trusted root that what is known of it rests on. Nothing for an identity without one: nothing can be known of it.
fn written<'a>(signer: &Signer, trusted_root: Option<&'a str>) -> Option<(String, Option<&'a str>)> {
    match signer {
        Signer::Key(key) => Some((key.to_string(), None)),
        Signer::Identity(identity) => Some((serde_json::to_string(identity).ok()?, Some(trusted_root?))),
    }
}

fn read(signer: &str) -> Option<Signer> {
    match serde_json::from_str::<Identity>(signer) {
        Ok(identity) => Some(Signer::Identity(identity)),
        Err(_) => signer.parse().ok().map(Signer::Key),
    }
}
