//! API tokens: long random texts, kept as hashes, shown once.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::error::{Fault, Operation, StoreError, violated};
use crate::store::Store;
use crate::time::Time;

/// So that scanners, and people, see what a leaked token is.
const PREFIX: &str = "skep_";
/// With 256 random bits a plain hash is enough: there is nothing to guess.
const TOKEN_BYTES: usize = 32;
/// Longer texts are no tokens and are not even hashed.
const TOKEN_MAX: usize = 128;
/// The most tokens that are listed.
const TOKENS_MAX: i64 = 1000;
/// The name of the first token.
const BOOTSTRAP: &str = "bootstrap";

/// Who a token stands for. Every token is an administrator's so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The token's id.
    pub id: Uuid,
    /// The token's name, which the audit shows.
    pub name: String,
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
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
        let token = insert(&mut tx, BOOTSTRAP).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// Makes a token of that name. Its text is told here and never again.
    pub async fn create_token(&self, name: &str) -> Result<SecretString, StoreError> {
        let mut tx = self.pool().acquire().await.map_err(token_fault)?;
        insert(&mut tx, name).await.map_err(|fault| fault.during(Operation::Token))
    }

    /// Ends a token. Was there one?
    pub async fn revoke_token(&self, name: &str) -> Result<bool, StoreError> {
        sqlx::query!("UPDATE api_token SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL", name)
            .execute(self.pool())
            .await
            .map(|revoked| revoked.rows_affected() > 0)
            .map_err(token_fault)
    }

    /// The tokens that are valid, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenInfo>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT name, created_at AS "created_at: Time" FROM api_token
               WHERE revoked_at IS NULL ORDER BY name LIMIT $1"#,
            TOKENS_MAX
        )
        .fetch_all(self.pool())
        .await
        .map_err(token_fault)?;
        Ok(rows.into_iter().map(|row| TokenInfo { name: row.name, created_at: row.created_at.0 }).collect())
    }

    /// Who a token stands for; `None` for one that is not valid.
    pub async fn authenticate(&self, token: &SecretString) -> Result<Option<Principal>, StoreError> {
        let text = token.expose_secret();
        if !text.starts_with(PREFIX) || text.len() > TOKEN_MAX {
            return Ok(None);
        }
        sqlx::query_as!(
            Principal,
            "SELECT id, name FROM api_token WHERE hash = $1 AND revoked_at IS NULL",
            hash(text)
        )
        .fetch_optional(self.pool())
        .await
        .map_err(token_fault)
    }
}

async fn insert(tx: &mut PgConnection, name: &str) -> Result<SecretString, Fault> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreError::Seal)?;
    let text = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes));
    let token = sqlx::query!(
        "INSERT INTO api_token (id, name, hash) VALUES ($1, $2, $3)",
        Uuid::now_v7(),
        name,
        hash(&text)
    );
    token.execute(tx).await.map_err(|error| match violated(&error) {
        Some("api_token_name") => Fault::from(StoreError::TokenNameTaken { name: name.to_owned() }),
        _ => error.into(),
    })?;
    Ok(SecretString::from(text))
}

fn hash(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

fn token_fault(error: sqlx::Error) -> StoreError {
    Fault::from(error).during(Operation::Token)
}
