//! API tokens: long random texts, kept as hashes, shown once.
//!
//! A token is of an organisation, by its uid, or of the platform. It ends when it is revoked, when its time is over, and with its
//! organisation. Nothing of a text is kept from which the token could be made again.

use jiff::Timestamp;
use secrecy::SecretString;
use skep_schemas::{OrgName, ResourceKey, ResourceName, Role, Scope};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::audit::{self, Actor, Thing, Verb};
use crate::credential::Credential;
use crate::error::{Fault, Operation, StoreError, violated};
use crate::principal::{Grant, Principal, reach, role};
use crate::scoped::ScopedStore;
use crate::store::Store;
use crate::time::Time;

/// The most valid tokens of one organisation, and of the platform: they are listed whole.
const TOKENS_MAX: usize = 1000;
/// The name of the first token.
const BOOTSTRAP: &str = "bootstrap";

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// Its name, its own among the valid ones of its reach.
    pub name: ResourceName,
    /// Where it is valid.
    pub reach: Scope,
    /// How much it allows there.
    pub role: Role,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// How much it allows.
    pub role: Role,
    /// Who made it; nobody made the first.
    pub made_by: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

impl Store {
    /// Makes the first administrator's token, exactly once in the life of a database; `None` ever after.
    pub async fn bootstrap_token(&self) -> Result<Option<SecretString>, StoreError> {
        self.try_bootstrap().await.map_err(|fault| fault.during(Operation::Token))
    }

    async fn try_bootstrap(&self) -> Result<Option<SecretString>, Fault> {
        let mut tx = self.pool().begin().await?;
        let first = sqlx::query!("UPDATE instance SET bootstrapped_at = now() WHERE bootstrapped_at IS NULL");
        if first.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let row = Row { name: BOOTSTRAP, org: None, role: Role::Owner, made_by: None, expires_at: None };
        let token = insert(&mut tx, row).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// Who the token with a hash stands for.
    pub(crate) async fn bearer_of_token(&self, hash: &[u8]) -> Result<Option<Principal>, Fault> {
        let row = sqlx::query!(
            r#"SELECT t.id, t.name, t.role, r.name AS "org?",
                      (t.last_used_at IS NULL OR t.last_used_at < now() - interval '1 minute') AS "unnoted!"
               FROM api_token t LEFT JOIN resource r ON r.uid = t.org_uid
               WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > now())"#,
            hash
        );
        let Some(row) = row.fetch_optional(self.pool()).await? else { return Ok(None) };
        if row.unnoted {
            sqlx::query!("UPDATE api_token SET last_used_at = now() WHERE id = $1", row.id)
                .execute(self.pool())
                .await?;
        }
        let grant =
            Grant { reach: reach(row.org, &format!("the token {}", row.name))?, role: role(&row.role)? };
        Ok(Some(Principal::Token { name: row.name, grant }))
    }
}

impl ScopedStore {
    /// Makes a token. Its text is told here and never again.
    pub async fn create_token(&self, new: &NewToken, by: &Actor) -> Result<SecretString, StoreError> {
        self.try_create(new, by).await.map_err(|fault| fault.during(Operation::Token))
    }

    async fn try_create(&self, new: &NewToken, by: &Actor) -> Result<SecretString, Fault> {
        let mut tx = self.begin().await?;
        let org = match &new.reach {
            Scope::Platform => None,
            // Held: tokens are counted, and the organisation must not go meanwhile.
            Scope::Org(org) => Some(uid_of(&mut tx, org).await?),
        };
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM api_token
               WHERE org_uid IS NOT DISTINCT FROM $1 AND revoked_at IS NULL"#,
            org
        );
        let found = usize::try_from(count.fetch_one(&mut *tx).await?).unwrap_or(usize::MAX);
        if found >= TOKENS_MAX {
            return Err(StoreError::TooManyTokens { found, limit: TOKENS_MAX }.into());
        }
        let row = Row {
            name: new.name.as_str(),
            org,
            role: new.role,
            made_by: Some(by.as_str()),
            expires_at: new.expires_at,
        };
        let token = insert(&mut tx, row).await?;
        audit::record_thing(&mut tx, by, Verb::CreateToken, &thing(&new.reach, new.name.as_str())).await?;
        tx.commit().await?;
        Ok(token)
    }

    /// Ends a token. Was there one?
    pub async fn revoke_token(&self, reach: &Scope, name: &str, by: &Actor) -> Result<bool, StoreError> {
        self.try_revoke(reach, name, by).await.map_err(|fault| fault.during(Operation::Token))
    }

    async fn try_revoke(&self, reach: &Scope, name: &str, by: &Actor) -> Result<bool, Fault> {
        let mut tx = self.begin().await?;
        let revoked = sqlx::query!(
            "UPDATE api_token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL
             AND CASE WHEN $2::text IS NULL THEN org_uid IS NULL
                 ELSE org_uid = (SELECT uid FROM resource WHERE kind = 'Organization' AND name = $2) END",
            name,
            reach.org().map(OrgName::as_str)
        );
        if revoked.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        audit::record_thing(&mut tx, by, Verb::RevokeToken, &thing(reach, name)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The tokens of a reach that were not revoked, by name; those whose time is over are among them.
    pub async fn tokens(&self, reach: &Scope) -> Result<Vec<TokenInfo>, StoreError> {
        self.try_tokens(reach).await.map_err(|fault| fault.during(Operation::Token))
    }

    async fn try_tokens(&self, reach: &Scope) -> Result<Vec<TokenInfo>, Fault> {
        let rows = sqlx::query!(
            r#"SELECT name, role, made_by, created_at AS "created_at: Time", expires_at AS "expires_at: Time",
                      last_used_at AS "last_used_at: Time"
               FROM api_token WHERE revoked_at IS NULL
               AND CASE WHEN $1::text IS NULL THEN org_uid IS NULL
                   ELSE org_uid = (SELECT uid FROM resource WHERE kind = 'Organization' AND name = $1) END
               ORDER BY name"#,
            reach.org().map(OrgName::as_str)
        )
        .fetch_all(&mut *self.reader().await?)
        .await?;
        let mut tokens = Vec::with_capacity(rows.len());
        for row in rows {
            tokens.push(TokenInfo {
                role: role(&row.role)?,
                name: row.name,
                made_by: row.made_by,
                created_at: row.created_at.0,
                expires_at: row.expires_at.map(|at| at.0),
                last_used_at: row.last_used_at.map(|at| at.0),
            });
        }
        Ok(tokens)
    }
}

/// The uid of an organisation, which stays until the transaction ends.
pub(crate) async fn uid_of(tx: &mut PgConnection, org: &OrgName) -> Result<Uuid, Fault> {
    let uid = sqlx::query_scalar!(
        "SELECT uid FROM resource WHERE kind = 'Organization' AND name = $1 AND deletion_requested_at IS NULL FOR NO KEY UPDATE",
        org.as_str()
    );
    let found = uid.fetch_optional(tx).await?;
    found.ok_or_else(|| StoreError::NotFound { key: ResourceKey::organization(org) }.into())
}

struct Row<'a> {
    name: &'a str,
    org: Option<Uuid>,
    role: Role,
    made_by: Option<&'a str>,
    expires_at: Option<Timestamp>,
}

/// A token as the audit tells of it.
const fn thing<'a>(reach: &'a Scope, name: &'a str) -> Thing<'a> {
    Thing { org: reach.org(), kind: "Token", name }
}

async fn insert(tx: &mut PgConnection, row: Row<'_>) -> Result<SecretString, Fault> {
    let (token, hash) = Credential::Token.fresh()?;
    let Row { name, org, role, made_by, expires_at } = row;
    let inserted = sqlx::query!(
        "INSERT INTO api_token (id, name, hash, org_uid, role, made_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz)",
        Uuid::now_v7(),
        name,
        hash,
        org,
        role.as_str(),
        made_by,
        expires_at.map(|at| at.to_string())
    );
    inserted.execute(tx).await.map_err(|error| match violated(&error) {
        Some("api_token_name") => Fault::from(StoreError::TokenNameTaken { name: name.to_owned() }),
        _ => error.into(),
    })?;
    Ok(token)
}
