//! Members of an organisation, or of the platform.

use jiff::Timestamp;
use skep_schemas::{EmailAddress, Role, Scope};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::{PeopleError, address, hold, kept, org, thing};
use crate::audit::{self, Actor, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::principal::role;
use crate::scoped::ScopedStore;
use crate::time::Time;

/// A member as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// Who.
    pub email: EmailAddress,
    /// How the person is called.
    pub display_name: Option<String>,
    /// How much the person may do.
    pub role: Role,
    /// Who gave that role.
    pub given_by: String,
    /// Since when the person has it.
    pub since: Timestamp,
}

/// A membership that is about to be changed.
struct Held {
    person: Uuid,
    org: Option<Uuid>,
}

impl ScopedStore {
    /// The members, by address.
    pub async fn members(&self, reach: &Scope) -> Result<Vec<MemberInfo>, StoreError> {
        self.try_members(reach).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_members(&self, reach: &Scope) -> Result<Vec<MemberInfo>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT p.email, p.display_name, m.role, m.given_by, m.since AS "since: Time"
               FROM membership m JOIN person p ON p.uid = m.person
               WHERE CASE WHEN $1::text IS NULL THEN m.org_uid IS NULL
                     ELSE m.org_uid = (SELECT uid FROM resource WHERE kind = 'Organization' AND name = $1) END
               ORDER BY p.email"#,
            org(reach)
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let mut members = Vec::with_capacity(rows.len());
        for row in rows {
            members.push(MemberInfo {
                email: address(&row.email)?,
                display_name: row.display_name,
                role: role(&row.role)?,
                given_by: row.given_by,
                since: row.since.0,
            });
        }
        Ok(members)
    }

    /// Gives a member another role. `most` is the role of whoever asks: nobody decides about those who are above him.
    pub async fn set_role(
        &self,
        reach: &Scope,
        email: &EmailAddress,
        role: Role,
        most: Role,
        by: &Actor,
    ) -> Result<(), StoreError> {
        self.try_set_role(reach, email, role, most, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_set_role(
        &self,
        reach: &Scope,
        email: &EmailAddress,
        role: Role,
        most: Role,
        by: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.begin().await?;
        let Held { person, org } = held(&mut tx, reach, email, most).await?;
        let changed = sqlx::query!(
            "UPDATE membership SET role = $3, given_by = $4, since = now()
             WHERE person = $1 AND org_uid IS NOT DISTINCT FROM $2 AND role <> $3",
            person,
            org,
            role.as_str(),
            by.as_str()
        );
        if changed.execute(&mut *tx).await.map_err(kept)?.rows_affected() > 0 {
            audit::record_thing(&mut tx, by, Verb::ChangeRole, &thing(reach, "Member", email.as_str()))
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends a membership. `most` as with [`ScopedStore::set_role`].
    pub async fn remove_member(
        &self,
        reach: &Scope,
        email: &EmailAddress,
        most: Role,
        by: &Actor,
    ) -> Result<(), StoreError> {
        self.try_remove_member(reach, email, most, by).await.map_err(|fault| fault.during(Operation::People))
    }

    async fn try_remove_member(
        &self,
        reach: &Scope,
        email: &EmailAddress,
        most: Role,
        by: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.begin().await?;
        let Held { person, org } = held(&mut tx, reach, email, most).await?;
        sqlx::query!(
            "DELETE FROM membership WHERE person = $1 AND org_uid IS NOT DISTINCT FROM $2",
            person,
            org
        )
        .execute(&mut *tx)
        .await
        .map_err(kept)?;
        audit::record_thing(&mut tx, by, Verb::RemoveMember, &thing(reach, "Member", email.as_str())).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The membership of somebody who is not above whoever asks.
async fn held(tx: &mut PgConnection, reach: &Scope, email: &EmailAddress, most: Role) -> Result<Held, Fault> {
    let org = hold(tx, reach).await?;
    let row = sqlx::query!(
        "SELECT m.person, m.role FROM membership m JOIN person p ON p.uid = m.person
         WHERE p.email = $1 AND m.org_uid IS NOT DISTINCT FROM $2",
        email.as_str(),
        org
    );
    let row = row.fetch_optional(tx).await?;
    let row = row.ok_or_else(|| PeopleError::NotMember { email: email.clone() })?;
    let found = role(&row.role)?;
    if found > most {
        return Err(PeopleError::MemberAbove { email: email.clone(), role: found }.into());
    }
    Ok(Held { person: row.person, org })
}
