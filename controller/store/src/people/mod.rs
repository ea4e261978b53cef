//! People: addresses that somebody vouched for, what they may do where, and how they come in.
//!
//! ```text
//! a login, or the platform's owner ──> person ──> session: a text, kept as a hash, with an end
//! an admin ──> invitation: a text for one address ──┐
//! the person with that address, in a session ───────┴──> membership: a role in an organisation, or on the platform
//! ```
//!
//! Nobody becomes a member without having said so, and an organisation cannot find out who has an account here: it sees those who
//! accepted. What a role allows is not decided here.

mod error;
mod invitation;
mod membership;
mod session;
mod subject;

use skep_schemas::{EmailAddress, OrgName, Scope};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::audit::{self, Actor, Thing, Verb};
use crate::error::{Fault, Operation, StoreError, violated};
use crate::store::Store;
use crate::token::uid_of;

pub use error::PeopleError;
pub use invitation::{InvitationInfo, NewInvitation};
pub use membership::MemberInfo;
pub use session::{SessionId, SessionInfo};
pub use subject::Subject;

/// The most people in one answer.
pub const PEOPLE_MAX: u32 = 500;

/// A person, for as long as that is the same one: an address may be somebody else's later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PersonId(Uuid);

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Which.
    pub id: PersonId,
    /// The address.
    pub email: EmailAddress,
    /// How the person is called.
    pub display_name: Option<String>,
}

impl Store {
    /// The person with an address that somebody vouched for, who is made if there is none yet. A name that is given replaces the one
    /// that was.
    pub async fn ensure_person(
        &self,
        email: &EmailAddress,
        display_name: Option<&str>,
        by: &Actor,
    ) -> Result<Person, StoreError> {
        self.try_ensure(email, display_name, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_ensure(
        &self,
        email: &EmailAddress,
        display_name: Option<&str>,
        by: &Actor,
    ) -> Result<Person, Fault> {
        let mut tx = self.pool().begin().await?;
        let made = sqlx::query!(
            "INSERT INTO person (uid, email, display_name) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING",
            Uuid::now_v7(),
            email.as_str(),
            display_name
        );
        if made.execute(&mut *tx).await?.rows_affected() == 1 {
            audit::record_thing(
                &mut tx,
                by,
                Verb::CreatePerson,
                &thing(&Scope::Platform, "Person", email.as_str()),
            )
            .await?;
        } else if display_name.is_some() {
            sqlx::query!(
                "UPDATE person SET display_name = $2 WHERE email = $1 AND display_name IS DISTINCT FROM $2",
                email.as_str(),
                display_name
            )
            .execute(&mut *tx)
            .await?;
        }
        let row = sqlx::query!("SELECT uid, display_name FROM person WHERE email = $1", email.as_str());
        let row = row.fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(Person { id: PersonId(row.uid), email: email.clone(), display_name: row.display_name })
    }

    /// The person with an address, if there is one.
    pub async fn person(&self, email: &EmailAddress) -> Result<Option<Person>, StoreError> {
        let row = sqlx::query!("SELECT uid, display_name FROM person WHERE email = $1", email.as_str());
        let row = row.fetch_optional(self.pool()).await;
        let row = row.map_err(|source| Fault::from(source).during(Operation::People))?;
        Ok(row.map(|row| Person {
            id: PersonId(row.uid),
            email: email.clone(),
            display_name: row.display_name,
        }))
    }

    /// People by address, from after one of them on.
    pub async fn people(&self, after: Option<&EmailAddress>, limit: u32) -> Result<Vec<Person>, StoreError> {
        let rows = sqlx::query!(
            "SELECT uid, email, display_name FROM person WHERE email > $1 ORDER BY email LIMIT $2",
            after.map_or("", EmailAddress::as_str),
            i64::from(limit.min(PEOPLE_MAX))
        );
        let rows = rows.fetch_all(self.pool()).await;
        let rows = rows.map_err(|source| Fault::from(source).during(Operation::People))?;
        let person = |row: (Uuid, String, Option<String>)| {
            Ok(Person { id: PersonId(row.0), email: address(&row.1)?, display_name: row.2 })
        };
        rows.into_iter().map(|row| person((row.uid, row.email, row.display_name))).collect()
    }

    /// Removes a person with all sessions and memberships. Was there one?
    pub async fn remove_person(&self, email: &EmailAddress, by: &Actor) -> Result<bool, StoreError> {
        self.try_remove(email, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_remove(&self, email: &EmailAddress, by: &Actor) -> Result<bool, Fault> {
        let mut tx = self.pool().begin().await?;
        let removed = sqlx::query!("DELETE FROM person WHERE email = $1", email.as_str());
        if removed.execute(&mut *tx).await.map_err(kept)?.rows_affected() == 0 {
            return Ok(false);
        }
        audit::record_thing(
            &mut tx,
            by,
            Verb::RemovePerson,
            &thing(&Scope::Platform, "Person", email.as_str()),
        )
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The organisation of a reach, held so that its members are changed one after the other; none for the platform, which is held too.
async fn hold(tx: &mut PgConnection, reach: &Scope) -> Result<Option<Uuid>, Fault> {
    match reach {
        Scope::Org(org) => uid_of(tx, org).await.map(Some),
        Scope::Platform => {
            sqlx::query_scalar!(
                r#"SELECT pg_advisory_xact_lock(hashtextextended('skep members of the platform', 0)) AS "held: ()""#
            )
            .fetch_one(tx)
            .await?;
            Ok(None)
        }
    }
}

/// What is no resource, as the audit tells of it.
fn thing<'a>(reach: &'a Scope, kind: &'static str, name: &'a str) -> Thing<'a> {
    Thing { org: reach.org(), kind, name }
}

/// The last owner is kept by the database.
fn kept(error: sqlx::Error) -> Fault {
    match violated(&error) {
        Some("membership_keeps_owner") => PeopleError::LastOwner.into(),
        _ => error.into(),
    }
}

fn address(text: &str) -> Result<EmailAddress, StoreError> {
    text.parse().map_err(|why| StoreError::corrupt("the address of a person", why))
}

/// The name of an organisation, for queries that take none for the platform.
fn org(reach: &Scope) -> Option<&str> {
    reach.org().map(OrgName::as_str)
}
