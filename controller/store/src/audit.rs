//! Who asked for what, written in the transaction that did it.

use skep_schemas::{ResourceKey, Uid};
use sqlx::PgConnection;

use crate::row::org_column;

/// Longest name of an actor; longer ones are cut, so that a hostile name cannot grow the table.
const ACTOR_MAX: usize = 128;

/// Who asks: a token's name, a Git source, or Skep itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor(String);

impl Actor {
    /// By name.
    pub fn new(name: &str) -> Self {
        Self(name.chars().take(ACTOR_MAX).collect())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Create,
    Configure,
    Delete,
    Pause,
    Resume,
    Retry,
    Adopt,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Configure => "configure",
            Self::Delete => "delete",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Adopt => "adopt",
        }
    }
}

pub(crate) async fn record(
    tx: &mut PgConnection,
    actor: &Actor,
    verb: Verb,
    key: &ResourceKey,
    uid: Uid,
    generation: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit (actor, verb, uid, org, kind, name, generation) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        actor.as_str(),
        verb.as_str(),
        uid.uuid(),
        org_column(key.scope()),
        key.kind().as_str(),
        key.name().as_str(),
        generation
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Notes that someone confirmed a hold. A hold has no identity but its number.
pub(crate) async fn record_confirmation(
    tx: &mut PgConnection,
    actor: &Actor,
    hold: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit (actor, verb, uid, org, kind, name, generation)
         VALUES ($1, 'confirm', '00000000-0000-0000-0000-000000000000', '', 'Hold', $2::bigint::text, 0)",
        actor.as_str(),
        hold
    )
    .execute(tx)
    .await
    .map(drop)
}
