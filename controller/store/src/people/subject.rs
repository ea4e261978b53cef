//! People for whom somebody else vouches: the subject by which an issuer knows a person.

use skep_schemas::EmailAddress;

use super::{PeopleError, Person, PersonId, address, thing};
use crate::audit::{self, Actor, Verb};
use crate::error::{Fault, Operation, StoreError};
use crate::principal::{Grant, reach, role};
use crate::store::Store;

/// Whom an issuer vouches for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Who vouches.
    pub issuer: &'a str,
    /// By what the issuer knows the person, for ever.
    pub subject: &'a str,
    /// The address, which makes the link the first time and says nothing afterwards.
    pub email: &'a EmailAddress,
    /// How the person is called.
    pub display_name: Option<&'a str>,
}

impl Store {
    /// The person whom an issuer vouches for, and what that person may do now. Is made when the issuer vouches for the first time.
    pub async fn person_vouched_for(
        &self,
        subject: Subject<'_>,
        by: &Actor,
    ) -> Result<(Person, Vec<Grant>), StoreError> {
        let found = self.known_subject(subject).await;
        if let Some(found) = found.map_err(|fault| fault.during(Operation::People))? {
            return Ok(found);
        }
        let person = self.ensure_person(subject.email, subject.display_name, by).await?;
        self.link(&person, subject, by).await.map_err(|fault| fault.during(Operation::People))?;
        let found = self.known_subject(subject).await.map_err(|fault| fault.during(Operation::People))?;
        // Removed in between.
        found.ok_or_else(|| PeopleError::NoSuchPerson { email: person.email }.into())
    }

    async fn known_subject(&self, subject: Subject<'_>) -> Result<Option<(Person, Vec<Grant>)>, Fault> {
        let row = sqlx::query!(
            r#"SELECT p.uid, p.email, p.display_name,
                      array_agg(m.role ORDER BY r.name) FILTER (WHERE m.role IS NOT NULL) AS "roles?: Vec<String>",
                      array_agg(r.name ORDER BY r.name) FILTER (WHERE m.role IS NOT NULL) AS "orgs?: Vec<Option<String>>"
               FROM person_subject s JOIN person p ON p.uid = s.person
                   LEFT JOIN membership m ON m.person = p.uid LEFT JOIN resource r ON r.uid = m.org_uid
               WHERE s.issuer = $1 AND s.subject = $2 GROUP BY p.uid"#,
            subject.issuer,
            subject.subject
        );
        let Some(row) = row.fetch_optional(self.pool()).await? else { return Ok(None) };
        let of = format!("the membership of {}", row.email);
        let mut grants = Vec::new();
        for (word, org) in row.roles.unwrap_or_default().into_iter().zip(row.orgs.unwrap_or_default()) {
            grants.push(Grant { reach: reach(org, &of)?, role: role(&word)? });
        }
        let email = address(&row.email)?;
        Ok(Some((Person { id: PersonId(row.uid), email, display_name: row.display_name }, grants)))
    }

    /// Notes that the subject is this person, unless the issuer knows the person as another one.
    async fn link(&self, person: &Person, subject: Subject<'_>, by: &Actor) -> Result<(), Fault> {
        let mut tx = self.pool().begin().await?;
        let linked = sqlx::query!(
            "INSERT INTO person_subject (issuer, subject, person) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            subject.issuer,
            subject.subject,
            person.id.0
        );
        if linked.execute(&mut *tx).await?.rows_affected() == 1 {
            let thing = thing(&skep_schemas::Scope::Platform, "Person", person.email.as_str());
            audit::record_thing(&mut tx, by, Verb::LinkPerson, &thing).await?;
            tx.commit().await?;
            return Ok(());
        }
        let same = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT FROM person_subject WHERE issuer = $1 AND subject = $2) AS "same!""#,
            subject.issuer,
            subject.subject
        );
        if same.fetch_one(&mut *tx).await? {
            return Ok(());
        }
        Err(PeopleError::AddressOfAnother { email: person.email.clone() }.into())
    }
}
