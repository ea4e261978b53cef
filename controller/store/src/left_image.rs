//! Images that releases left behind.
//!
//! Which images of an engine were ours nobody knows but the releases that named them. So whatever removes a release leaves its image here
//! (`release_leaves_image` of the schema), and whoever wants to remove images asks for those that no release names any more. The releases are
//! asked at that moment, not when the image was left: the same digest may have been released again since, elsewhere too.
//!
//! A row says nothing of any engine. Each process looks after the engine that it talks to, so a row stays until all have had the time.

use std::time::Duration;

use jiff::Timestamp;
use skep_schemas::{ImageDigest, ImageRef};

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;
use crate::time::Time;

/// An image that was released, and that no release names any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeftImage {
    /// What engines have it under: the repository and the digest, without a tag.
    pub reference: ImageRef,
    /// When the last release that named it went.
    pub left_at: Timestamp,
}

impl Store {
    /// Images that were left so long ago, the oldest first, and that no release names now, whatever repository it has the digest from.
    pub async fn left_images(&self, grace: Duration, limit: u32) -> Result<Vec<LeftImage>, StoreError> {
        self.try_left_images(grace, limit).await.map_err(|fault| fault.during(Operation::LeftImage))
    }

    /// Does no release name it, still?
    pub async fn is_left(&self, image: &LeftImage) -> Result<bool, StoreError> {
        let Some(digest) = image.reference.digest() else { return Ok(false) };
        let is_named = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM release l WHERE l.content->'image'->'resolved'->>'digest' = $1) AS "named!""#,
            digest.as_str()
        );
        let is_named = is_named.fetch_one(self.pool()).await;
        is_named.map(|named| !named).map_err(|error| Fault::from(error).during(Operation::LeftImage))
    }

    async fn try_left_images(&self, grace: Duration, limit: u32) -> Result<Vec<LeftImage>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT digest, reference, left_at AS "left_at: Time" FROM left_image i
               WHERE left_at < now() - make_interval(secs => $1)
                 AND NOT EXISTS (SELECT FROM release l WHERE l.content->'image'->'resolved'->>'digest' = i.digest)
               ORDER BY left_at, digest, reference LIMIT $2"#,
            grace.as_secs_f64(),
            i64::from(limit)
        );
        let rows = rows.fetch_all(self.pool()).await?.into_iter();
        // What another version wrote and this one cannot read is left alone.
        let images = rows.filter_map(|row| {
            let (digest, reference): (ImageDigest, ImageRef) =
                (row.digest.parse().ok()?, row.reference.parse().ok()?);
            Some(LeftImage { reference: reference.by_digest(digest), left_at: row.left_at.0 })
        });
        Ok(images.collect())
    }
}
