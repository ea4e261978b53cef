//! Invitations: a text for one address, worth a role once.
//!
//! An invitation that was accepted, revoked, or replaced by another to the same address is no row any more; one whose time is over is
//! treated as if it were none.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use skep_schemas::{EmailAddress, Role, Scope};

use super::{PeopleError, Person, address, hold, org, thing};
use crate::audit::{self, Actor, Verb};
use crate::credential::{Credential, hash};
use crate::error::{Fault, Operation, StoreError};
use crate::principal::{Grant, reach, role};
use crate::scoped::ScopedStore;
use crate::store::Store;
use crate::time::Time;

/// The most open invitations of one organisation, and of the platform: they are listed whole.
const INVITATIONS_MAX: usize = 1000;

/// An invitation to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// To what.
    pub reach: Scope,
    /// Whom.
    pub email: EmailAddress,
    /// What the person will be there.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

/// An invitation as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationInfo {
    /// Its number.
    pub id: i64,
    /// Whom it is for.
    pub email: EmailAddress,
    /// What the person will be.
    pub role: Role,
    /// Who made it.
    pub made_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Timestamp,
}

impl ScopedStore {
    /// Invites somebody. The text is told here and never again; one that was made for the same address before is worth nothing any more.
    pub async fn invite(&self, new: &NewInvitation, by: &Actor) -> Result<SecretString, StoreError> {
        self.try_invite(new, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_invite(&self, new: &NewInvitation, by: &Actor) -> Result<SecretString, Fault> {
        let mut tx = self.begin().await?;
        let org = hold(&mut tx, &new.reach).await?;
        let member = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM membership m JOIN person p ON p.uid = m.person
               WHERE p.email = $1 AND m.org_uid IS NOT DISTINCT FROM $2) AS "member!""#,
            new.email.as_str(),
            org
        );
        if member.fetch_one(&mut *tx).await? {
            return Err(PeopleError::MemberAlready { email: new.email.clone() }.into());
        }
        sqlx::query!(
            "DELETE FROM invitation WHERE org_uid IS NOT DISTINCT FROM $1 AND (email = $2 OR expires_at <= now())",
            org,
            new.email.as_str()
        )
        .execute(&mut *tx)
        .await?;
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM invitation WHERE org_uid IS NOT DISTINCT FROM $1"#,
            org
        );
        let found = usize::try_from(count.fetch_one(&mut *tx).await?).unwrap_or(usize::MAX);
        if found >= INVITATIONS_MAX {
            return Err(PeopleError::TooManyInvitations { found, limit: INVITATIONS_MAX }.into());
        }
        let (text, hash) = Credential::Invitation.fresh()?;
        sqlx::query!(
            "INSERT INTO invitation (org_uid, email, role, hash, made_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6::text::timestamptz)",
            org,
            new.email.as_str(),
            new.role.as_str(),
            hash,
            by.as_str(),
            new.expires_at.to_string()
        )
        .execute(&mut *tx)
        .await?;
        let thing = thing(&new.reach, "Invitation", new.email.as_str());
        audit::record_thing(&mut tx, by, Verb::Invite, &thing).await?;
        tx.commit().await?;
        Ok(text)
    }

    /// The invitations that can still be accepted, by address.
    pub async fn invitations(&self, reach: &Scope) -> Result<Vec<InvitationInfo>, StoreError> {
        self.try_invitations(reach).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_invitations(&self, reach: &Scope) -> Result<Vec<InvitationInfo>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT id, email, role, made_by, created_at AS "created_at: Time", expires_at AS "expires_at: Time"
               FROM invitation WHERE expires_at > now()
               AND CASE WHEN $1::text IS NULL THEN org_uid IS NULL
                   ELSE org_uid = (SELECT uid FROM resource WHERE kind = 'Organization' AND name = $1) END
               ORDER BY email"#,
            org(reach)
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let mut invitations = Vec::with_capacity(rows.len());
        for row in rows {
            invitations.push(InvitationInfo {
                id: row.id,
                email: address(&row.email)?,
                role: role(&row.role)?,
                made_by: row.made_by,
                created_at: row.created_at.0,
                expires_at: row.expires_at.0,
            });
        }
        Ok(invitations)
    }

    /// Takes an invitation back. Whom was it for? None if there is no such one.
    pub async fn revoke_invitation(
        &self,
        reach: &Scope,
        id: i64,
        by: &Actor,
    ) -> Result<Option<EmailAddress>, StoreError> {
        self.try_revoke_invitation(reach, id, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_revoke_invitation(
        &self,
        reach: &Scope,
        id: i64,
        by: &Actor,
    ) -> Result<Option<EmailAddress>, Fault> {
        let mut tx = self.begin().await?;
        let revoked = sqlx::query_scalar!(
            "DELETE FROM invitation WHERE id = $1 AND expires_at > now()
             AND CASE WHEN $2::text IS NULL THEN org_uid IS NULL
                 ELSE org_uid = (SELECT uid FROM resource WHERE kind = 'Organization' AND name = $2) END
             RETURNING email",
            id,
            org(reach)
        );
        let Some(email) = revoked.fetch_optional(&mut *tx).await? else { return Ok(None) };
        audit::record_thing(&mut tx, by, Verb::RevokeInvitation, &thing(reach, "Invitation", &email)).await?;
        tx.commit().await?;
        Ok(Some(address(&email)?))
    }
}

impl Store {
    /// Makes a person a member by an invitation to that person's address. None for a text that is worth nothing to this person, whatever
    /// the reason: nobody learns from it what others were sent.
    pub async fn accept_invitation(
        &self,
        person: &Person,
        text: &SecretString,
        by: &Actor,
    ) -> Result<Option<Grant>, StoreError> {
        self.try_accept(person, text.expose_secret(), by)
            .await
            .map_err(|fault| fault.during(Operation::People))
    }

    async fn try_accept(&self, person: &Person, text: &str, by: &Actor) -> Result<Option<Grant>, Fault> {
        if !Credential::Invitation.is_one(text) {
            return Ok(None);
        }
        let mut tx = self.pool().begin().await?;
        // Of two who come with it at once, one finds it gone. The address is the person's of now, not of when the session began.
        let accepted = sqlx::query!(
            r#"DELETE FROM invitation i USING person p
               WHERE i.hash = $1 AND p.uid = $2 AND i.email = p.email AND i.expires_at > now()
               RETURNING i.org_uid, i.role, i.email, i.made_by, (SELECT name FROM resource r WHERE r.uid = i.org_uid) AS "org""#,
            hash(text),
            person.id.0
        );
        let Some(row) = accepted.fetch_optional(&mut *tx).await? else { return Ok(None) };
        // Who became a member by another way meanwhile keeps what he has.
        sqlx::query!(
            "INSERT INTO membership (person, org_uid, role, given_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            person.id.0,
            row.org_uid,
            row.role,
            row.made_by
        )
        .execute(&mut *tx)
        .await?;
        let grant = Grant { reach: reach(row.org, "an invitation")?, role: role(&row.role)? };
        let thing = thing(&grant.reach, "Member", &row.email);
        audit::record_thing(&mut tx, by, Verb::AcceptInvitation, &thing).await?;
        tx.commit().await?;
        Ok(Some(grant))
    }
}
