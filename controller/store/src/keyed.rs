//! Requests with a key: sent twice, done once.
//!
//! A client that loses its connection does not know whether its request was done. If it had given the request a key, it sends the same again
//! with the same key, and is told what it was told, or would have been. So a key is taken before the work begins ([`Store::begin_keyed`]) and
//! has the answer afterwards ([`Store::keep_answer`]); one whose request was refused is free again, because nothing was done.
//!
//! Guarantees: of requests of one asker with one key that come at once, one is worked on. A server that dies in the middle leaves a key taken for
//! [`ABANDONED_AFTER`]; what is sent again then is worked on anew. That is no more than without a key: manifests say what shall be and not what
//! to do, and whatever makes something has a name that is taken the second time.

use std::time::Duration;

use crate::error::{Fault, Operation, StoreError};
use crate::store::Store;

/// How long a key stands for its request: longer than anybody tries again by himself.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3600);

/// After that a request that has no answer is taken to be nobody's any more; longer than any request may take.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(45);

/// The longest body that is kept, as in the table.
pub const ANSWER_MAX: usize = 64 * 1024;

/// The most keys of one asker; the oldest is forgotten for a further one. With the longest bodies that is 32 MB.
const KEYS_MAX: i64 = 500;

/// A request with its key.
#[derive(Clone, Copy)]
pub struct KeyedRequest<'a> {
    /// Who asks, as the audit names him.
    pub asker: &'a str,
    /// The key, 1 to 200 characters.
    pub key: &'a str,
    /// What was asked.
    pub print: &'a RequestPrint,
}

/// What makes a request this one and no other, as a keyed digest: with each master key that there is, the server's own first. While the key
/// changes, servers have different ones of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPrint {
    own: Vec<u8>,
    all: Vec<Vec<u8>>,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its status.
    pub status: u16,
    /// The type of its body.
    pub content_type: Option<String>,
    /// Its version tag.
    pub etag: Option<String>,
    /// Its body; none when it was not to be kept, or was too long.
    pub body: Option<Vec<u8>>,
}

/// What there is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nothing was: the request is to be worked on, and the key is its.
    First,
    /// It is being worked on.
    InProgress,
    /// It was worked on, with this answer.
    Answered(KeptAnswer),
    /// Another request has the key.
    AnotherRequest,
}

impl Store {
    /// The digest of a request with these parts.
    pub fn request_print(&self, parts: &[&[u8]]) -> RequestPrint {
        let all: Vec<Vec<u8>> = self.master_keys().all().map(|key| key.request_print(parts)).collect();
        // Its own is the first of them.
        RequestPrint { own: all.first().cloned().unwrap_or_default(), all }
    }

    /// Takes a key for a request, or says what there is under it.
    pub async fn begin_keyed(&self, request: KeyedRequest<'_>) -> Result<Begun, StoreError> {
        self.try_begin_keyed(request).await.map_err(|fault| fault.during(Operation::KeyedRequest))
    }

    async fn try_begin_keyed(&self, request: KeyedRequest<'_>) -> Result<Begun, Fault> {
        let RequestPrint { own, all } = request.print;
        sqlx::query!(
            "DELETE FROM keyed_request WHERE asker = $1 AND key IN (
                 SELECT key FROM keyed_request WHERE asker = $1 ORDER BY begun_at DESC OFFSET $2)",
            request.asker,
            KEYS_MAX - 1
        )
        .execute(self.pool())
        .await?;
        let taken = sqlx::query_scalar!(
            "INSERT INTO keyed_request (asker, key, print) VALUES ($1, $2, $3)
             ON CONFLICT (asker, key) DO UPDATE
                 SET print = EXCLUDED.print, begun_at = now(), status = NULL, content_type = NULL, etag = NULL, body = NULL
                 WHERE keyed_request.begun_at < now() - make_interval(secs => $4)
                    OR (keyed_request.status IS NULL AND keyed_request.print = ANY ($6)
                        AND keyed_request.begun_at < now() - make_interval(secs => $5))
             RETURNING key",
            request.asker,
            request.key,
            own,
            KEPT_FOR.as_secs_f64(),
            ABANDONED_AFTER.as_secs_f64(),
            all
        );
        if taken.fetch_optional(self.pool()).await?.is_some() {
            return Ok(Begun::First);
        }
        let found = sqlx::query!(
            "SELECT print, status, content_type, etag, body FROM keyed_request WHERE asker = $1 AND key = $2",
            request.asker,
            request.key
        );
        Ok(match found.fetch_optional(self.pool()).await? {
            // Let go of in this moment: the next attempt takes it.
            None => Begun::InProgress,
            Some(row) if !all.contains(&row.print) => Begun::AnotherRequest,
            Some(row) => match row.status.and_then(|status| u16::try_from(status).ok()) {
                None => Begun::InProgress,
                Some(status) => Begun::Answered(KeptAnswer {
                    status,
                    content_type: row.content_type,
                    etag: row.etag,
                    body: row.body,
                }),
            },
        })
    }

    /// Keeps the answer to a request that [`Store::begin_keyed`] let be worked on. A body that is too long is not kept.
    pub async fn keep_answer(&self, request: KeyedRequest<'_>, answer: KeptAnswer) -> Result<(), StoreError> {
        let KeptAnswer { status, content_type, etag, body } = answer;
        let kept = sqlx::query!(
            "UPDATE keyed_request SET status = $4, content_type = $5, etag = $6, body = $7
             WHERE asker = $1 AND key = $2 AND print = ANY ($3) AND status IS NULL",
            request.asker,
            request.key,
            &request.print.all,
            i16::try_from(status).unwrap_or(i16::MAX),
            content_type,
            etag,
            body.filter(|body| body.len() <= ANSWER_MAX)
        );
        kept.execute(self.pool())
            .await
            .map_err(|source| Fault::from(source).during(Operation::KeyedRequest))?;
        Ok(())
    }

    /// Lets go of the key of a request that was not done.
    pub async fn let_go_of_key(&self, request: KeyedRequest<'_>) -> Result<(), StoreError> {
        let gone = sqlx::query!(
            "DELETE FROM keyed_request WHERE asker = $1 AND key = $2 AND print = ANY ($3) AND status IS NULL",
            request.asker,
            request.key,
            &request.print.all
        );
        gone.execute(self.pool())
            .await
            .map_err(|source| Fault::from(source).during(Operation::KeyedRequest))?;
        Ok(())
    }
}
