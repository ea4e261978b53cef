//! Sessions: what a person has after a login.
//!
//! A session allows whatever the person may do at that moment, and ends by itself. One that ended is no row any more.

use jiff::Timestamp;
use secrecy::SecretString;
use skep_schemas::Scope;

use super::{PeopleError, Person, PersonId, address, thing};
use crate::audit::{self, Actor, Verb};
use crate::credential::Credential;
use crate::error::{Fault, Operation, StoreError};
use crate::principal::{Grant, Principal, reach, role};
use crate::store::Store;
use crate::time::Time;

/// The most sessions of one person at a time; a login beyond that ends the one that was not used for longest.
const SESSIONS_MAX: i64 = 50;

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(i64);

impl SessionId {
    /// By its number.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// Its number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A session as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Which.
    pub id: SessionId,
    /// By what it came about.
    pub origin: String,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl Store {
    /// Makes a session of a person. Its text is told here and never again.
    pub async fn start_session(
        &self,
        person: &Person,
        origin: &str,
        expires_at: Timestamp,
        by: &Actor,
    ) -> Result<SecretString, StoreError> {
        let started = self.try_start(person, origin, expires_at, by).await;
        started.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_start(
        &self,
        person: &Person,
        origin: &str,
        expires_at: Timestamp,
        by: &Actor,
    ) -> Result<SecretString, Fault> {
        let mut tx = self.pool().begin().await?;
        // Held, so that two logins at once count each other.
        let there =
            sqlx::query_scalar!("SELECT uid FROM person WHERE uid = $1 FOR NO KEY UPDATE", person.id.0);
        if there.fetch_optional(&mut *tx).await?.is_none() {
            return Err(PeopleError::NoSuchPerson { email: person.email.clone() }.into());
        }
        sqlx::query!(
            "DELETE FROM person_session WHERE person = $1 AND (expires_at <= now() OR id IN (
                 SELECT id FROM person_session WHERE person = $1 AND expires_at > now()
                 ORDER BY coalesce(last_used_at, created_at) DESC, id DESC OFFSET $2))",
            person.id.0,
            SESSIONS_MAX - 1
        )
        .execute(&mut *tx)
        .await?;
        let (text, hash) = Credential::Session.fresh()?;
        sqlx::query!(
            "INSERT INTO person_session (person, hash, origin, expires_at) VALUES ($1, $2, $3, $4::text::timestamptz)",
            person.id.0,
            hash,
            origin,
            expires_at.to_string()
        )
        .execute(&mut *tx)
        .await?;
        let thing = thing(&Scope::Platform, "Session", person.email.as_str());
        audit::record_thing(&mut tx, by, Verb::StartSession, &thing).await?;
        tx.commit().await?;
        Ok(text)
    }

    /// The sessions of a person that have not ended, the newest first.
    pub async fn sessions(&self, person: PersonId) -> Result<Vec<SessionInfo>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT id, origin, created_at AS "created_at: Time", expires_at AS "expires_at: Time",
                      last_used_at AS "last_used_at: Time"
               FROM person_session WHERE person = $1 AND expires_at > now() ORDER BY id DESC"#,
            person.0
        );
        let rows = rows.fetch_all(self.pool()).await;
        let rows = rows.map_err(|source| Fault::from(source).during(Operation::People))?;
        let info = |row: (i64, String, Time, Time, Option<Time>)| SessionInfo {
            id: SessionId(row.0),
            origin: row.1,
            created_at: row.2.0,
            expires_at: row.3.0,
            last_used_at: row.4.map(|at| at.0),
        };
        let rows = rows.into_iter();
        Ok(rows
            .map(|row| info((row.id, row.origin, row.created_at, row.expires_at, row.last_used_at)))
            .collect())
    }

    /// Ends a session of a person. Was there one?
    pub async fn end_session(&self, person: PersonId, id: SessionId, by: &Actor) -> Result<bool, StoreError> {
        self.try_end(person, id, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_end(&self, person: PersonId, id: SessionId, by: &Actor) -> Result<bool, Fault> {
        let mut tx = self.pool().begin().await?;
        let ended = sqlx::query_scalar!(
            "DELETE FROM person_session s USING person p
             WHERE s.id = $1 AND s.person = $2 AND p.uid = s.person RETURNING p.email",
            id.0,
            person.0
        );
        let Some(email) = ended.fetch_optional(&mut *tx).await? else { return Ok(false) };
        audit::record_thing(&mut tx, by, Verb::EndSession, &thing(&Scope::Platform, "Session", &email))
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose session has a hash, and what that person may do now.
    pub(crate) async fn person_in_session(&self, hash: &[u8]) -> Result<Option<Principal>, Fault> {
        let row = sqlx::query!(
            r#"SELECT s.id, p.uid, p.email, p.display_name,
                      (s.last_used_at IS NULL OR s.last_used_at < now() - interval '1 minute') AS "unnoted!",
                      array_agg(m.role ORDER BY r.name) FILTER (WHERE m.role IS NOT NULL) AS "roles?: Vec<String>",
                      array_agg(r.name ORDER BY r.name) FILTER (WHERE m.role IS NOT NULL) AS "orgs?: Vec<Option<String>>"
               FROM person_session s JOIN person p ON p.uid = s.person
                   LEFT JOIN membership m ON m.person = p.uid LEFT JOIN resource r ON r.uid = m.org_uid
               WHERE s.hash = $1 AND s.expires_at > now() GROUP BY s.id, p.uid"#,
            hash
        );
        let Some(row) = row.fetch_optional(self.pool()).await? else { return Ok(None) };
        if row.unnoted {
            sqlx::query!("UPDATE person_session SET last_used_at = now() WHERE id = $1", row.id)
                .execute(self.pool())
                .await?;
        }
        let of = format!("the membership of {}", row.email);
        let pairs = row.roles.unwrap_or_default().into_iter().zip(row.orgs.unwrap_or_default());
        let mut grants = Vec::new();
        for (word, org) in pairs {
            grants.push(Grant { reach: reach(org, &of)?, role: role(&word)? });
        }
        Ok(Some(Principal::Person {
            id: PersonId(row.uid),
            session: Some(SessionId(row.id)),
            email: address(&row.email)?,
            display_name: row.display_name,
            grants,
        }))
    }
}
