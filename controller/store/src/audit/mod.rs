//! Who asked for what, written in the transaction that did it, or by itself when it was denied.
//!
//! ```text
//! a change ──────── record ──┐
//! what was denied ─ denied ──┴─> audit ── at the commit: number, digest over it and the one before ──> audit_head
//!                                                                                  seal: signature ──> audit_seal
//! ```
//!
//! Entries are never changed and go only from the oldest on, when they need not be kept any longer (`migrations/0011_audit_chain.sql`
//! sees to both). [`chain`] has what makes tampering visible, [`search`] finds entries again.

mod chain;
mod search;

use std::net::IpAddr;

use serde_json::Value;
use skep_schemas::{OrgName, ResourceKey, Uid};
use sqlx::PgConnection;

use crate::error::{Fault, Operation, StoreError};
use crate::row::org_column;
use crate::store::Store;

pub use chain::{AUDIT_PAGE_MAX, AuditChain, AuditHead, AuditKey, AuditSeal, Sealed};
pub use search::{AuditEntry, AuditOutcome, AuditPage, AuditQuery};

/// Longest text of an entry that somebody else chose; longer ones are cut, so that a hostile name cannot grow the table.
const TEXT_MAX: usize = 128;

/// Who asks: a token's name, a Git source, or Skep itself; and from where, if it came with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    origin: Origin,
}

/// Where a request came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// In which role, and where: `deployer of acme`.
    pub acting_as: Option<String>,
    /// The address of the other end.
    pub peer: Option<IpAddr>,
    /// The request's id.
    pub request_id: Option<String>,
}

impl Actor {
    /// By name.
    pub fn new(name: &str) -> Self {
        Self { name: cut(name), origin: Origin::default() }
    }

    /// With where the request came from.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = Origin {
            acting_as: origin.acting_as.as_deref().map(cut),
            request_id: origin.request_id.as_deref().map(cut),
            peer: origin.peer,
        };
        self
    }

    /// The same in another role.
    #[must_use]
    pub fn in_role(mut self, acting_as: Option<&str>) -> Self {
        self.origin.acting_as = acting_as.map(cut);
        self
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// In which role it is.
    pub(crate) fn acting_as(&self) -> Option<&str> {
        self.origin.acting_as.as_deref()
    }

    /// The same request, by somebody whom it has made known.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = cut(name);
        self
    }

    /// Where it is.
    pub const fn peer(&self) -> Option<IpAddr> {
        self.origin.peer
    }

    /// With which request it asks.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.origin.request_id.as_deref()
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
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
    SetOwner,
    RollBack,
    EndRollback,
    Cancel,
    Run,
    StopRun,
    Test,
    Scale,
    Restart,
    Stop,
    Start,
    Suspend,
    EndSuspension,
    Adopt,
    Confirm,
    CreateToken,
    RevokeToken,
    RotateMasterKey,
    CreatePerson,
    RemovePerson,
    LinkPerson,
    StartSession,
    EndSession,
    Invite,
    RevokeInvitation,
    AcceptInvitation,
    ChangeRole,
    RemoveMember,
    RotateSecret,
    RestoreSecret,
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
            Self::SetOwner => "set-owner",
            Self::RollBack => "roll-back",
            Self::EndRollback => "end-rollback",
            Self::Cancel => "cancel",
            Self::Run => "run",
            Self::StopRun => "stop-run",
            Self::Test => "test",
            Self::Scale => "scale",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Suspend => "suspend",
            Self::EndSuspension => "end-suspension",
            Self::Adopt => "adopt",
            Self::Confirm => "confirm",
            Self::CreateToken => "create-token",
            Self::RevokeToken => "revoke-token",
            Self::RotateMasterKey => "rotate-master-key",
            Self::CreatePerson => "create-person",
            Self::RemovePerson => "remove-person",
            Self::LinkPerson => "link-person",
            Self::StartSession => "start-session",
            Self::EndSession => "end-session",
            Self::Invite => "invite",
            Self::RevokeInvitation => "revoke-invitation",
            Self::AcceptInvitation => "accept-invitation",
            Self::ChangeRole => "change-role",
            Self::RemoveMember => "remove-member",
            Self::RotateSecret => "rotate-secret",
            Self::RestoreSecret => "restore-secret",
        }
    }
}

/// The resource that something was done to.
pub(crate) struct Subject<'a> {
    pub(crate) key: &'a ResourceKey,
    pub(crate) uid: Uid,
    pub(crate) generation: i64,
    /// Its spec before, if that is told.
    pub(crate) before: Option<&'a Value>,
    /// Its spec after.
    pub(crate) after: Option<&'a Value>,
}

impl<'a> Subject<'a> {
    /// A resource whose spec stays as it is.
    pub(crate) const fn unchanged(key: &'a ResourceKey, uid: Uid, generation: i64) -> Self {
        Self { key, uid, generation, before: None, after: None }
    }
}

pub(crate) async fn record(
    tx: &mut PgConnection,
    actor: &Actor,
    verb: Verb,
    subject: &Subject<'_>,
) -> Result<(), sqlx::Error> {
    let Subject { key, uid, generation, before, after } = subject;
    sqlx::query!(
        "INSERT INTO audit (actor, acting_as, peer, request_id, verb, uid, org, kind, name, generation, before, after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, spec_digest($11), spec_digest($12))",
        actor.as_str(),
        actor.acting_as(),
        actor.peer().map(|peer| peer.to_string()),
        actor.request_id(),
        verb.as_str(),
        uid.uuid(),
        org_column(key.scope()),
        key.kind().as_str(),
        key.name().as_str(),
        generation,
        *before,
        *after
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Something that is no resource: it has a kind and a name for people, and no uid.
pub(crate) struct Thing<'a> {
    pub(crate) org: Option<&'a OrgName>,
    pub(crate) kind: &'static str,
    pub(crate) name: &'a str,
}

/// Notes that something was done to what is no resource: a token, a hold.
pub(crate) async fn record_thing(
    tx: &mut PgConnection,
    actor: &Actor,
    verb: Verb,
    thing: &Thing<'_>,
) -> Result<(), sqlx::Error> {
    insert_thing(tx, actor, AuditOutcome::Allowed, verb.as_str(), thing).await
}

async fn insert_thing(
    tx: &mut PgConnection,
    actor: &Actor,
    outcome: AuditOutcome,
    verb: &str,
    thing: &Thing<'_>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO audit (outcome, actor, acting_as, peer, request_id, verb, uid, org, kind, name, generation)
         VALUES ($1, $2, $3, $4, $5, $6, '00000000-0000-0000-0000-000000000000', $7, $8, $9, 0)",
        outcome.as_str(),
        actor.as_str(),
        actor.acting_as(),
        actor.peer().map(|peer| peer.to_string()),
        actor.request_id(),
        verb,
        thing.org.map_or("", OrgName::as_str),
        thing.kind,
        thing.name
    )
    .execute(tx)
    .await
    .map(drop)
}

/// What somebody asked for and was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What it would have taken: the word of a permission.
    pub permission: &'static str,
    /// The organisation that it was about.
    pub org: Option<OrgName>,
    /// The kind of the resource, if one was named.
    pub kind: Option<&'static str>,
    /// Its name.
    pub name: Option<String>,
}

impl Store {
    /// Records that something was denied.
    pub async fn record_denied(&self, actor: &Actor, denied: &Denied) -> Result<(), StoreError> {
        let fault = |source| Fault::from(source).during(Operation::Audit);
        let name = denied.name.as_deref().map(cut).unwrap_or_default();
        let thing = Thing { org: denied.org.as_ref(), kind: denied.kind.unwrap_or_default(), name: &name };
        let mut tx = self.pool().begin().await.map_err(fault)?;
        insert_thing(&mut tx, actor, AuditOutcome::Denied, denied.permission, &thing).await.map_err(fault)?;
        tx.commit().await.map_err(fault)
    }
}
