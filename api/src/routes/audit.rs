//! The audit: entries to search, and the chain to check.

use skep_store::{AUDIT_PAGE_MAX, AuditEntry, AuditKey, AuditQuery, AuditSeal};

use crate::answer::Document;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::limits::AUDIT_DEFAULT;
use crate::wire::{
    AuditChainQuery, AuditChainView, AuditKeyView, AuditList, AuditOutcome, AuditSealView, AuditSearch,
    AuditView,
};

pub(super) async fn search(call: Call<AuditSearch>) -> Result<Document<AuditList>, ApiError> {
    let AuditSearch { actor, verb, kind, name, outcome, since, before, limit } = call.query;
    let outcome = outcome.map(|outcome| match outcome {
        AuditOutcome::Allowed => skep_store::AuditOutcome::Allowed,
        AuditOutcome::Denied => skep_store::AuditOutcome::Denied,
    });
    let limit = call::limit(limit, AUDIT_DEFAULT, AUDIT_PAGE_MAX)?;
    let query =
        AuditQuery { reach: call.address.scope(), actor, verb, kind, name, outcome, since, before, limit };
    let found = call.store.audit(&query).await?;
    Ok(Document(AuditList { items: found.entries.into_iter().map(view).collect(), next: found.next }))
}

pub(super) async fn chain(call: Call<AuditChainQuery>) -> Result<Document<AuditChainView>, ApiError> {
    let limit = call::limit(call.query.limit, AUDIT_PAGE_MAX, AUDIT_PAGE_MAX)?;
    let store = call.platform_store()?;
    let instance = store.instance_id().await?.to_string();
    let chain = store.audit_chain(call.query.after, limit).await?;
    Ok(Document(AuditChainView {
        instance,
        position: chain.head.position,
        link: hex::encode(chain.head.link),
        floor_position: chain.head.floor_position,
        floor_link: hex::encode(chain.head.floor_link),
        items: chain.entries.into_iter().map(view).collect(),
        seals: chain.seals.into_iter().map(seal).collect(),
        keys: chain.keys.into_iter().map(key).collect(),
    }))
}

fn view(entry: AuditEntry) -> AuditView {
    AuditView {
        id: entry.id,
        position: entry.position,
        at: entry.at,
        outcome: match entry.outcome {
            skep_store::AuditOutcome::Allowed => AuditOutcome::Allowed,
            skep_store::AuditOutcome::Denied => AuditOutcome::Denied,
        },
        actor: entry.actor,
        acting_as: entry.acting_as,
        peer: entry.peer,
        request_id: entry.request_id,
        verb: entry.verb,
        org: entry.org,
        kind: entry.kind,
        name: entry.name,
        uid: entry.uid.to_string(),
        generation: entry.generation,
        before: entry.before.map(hex::encode),
        after: entry.after.map(hex::encode),
        link: entry.link.map(hex::encode),
    }
}

fn key(key: AuditKey) -> AuditKeyView {
    AuditKeyView {
        public_key: hex::encode(key.public_key),
        after_position: key.after_position,
        endorsed_by: key.endorsed_by.map(hex::encode),
        endorsement: key.endorsement.map(hex::encode),
    }
}

fn seal(seal: AuditSeal) -> AuditSealView {
    AuditSealView {
        position: seal.position,
        link: hex::encode(seal.link),
        sealed_at: seal.sealed_at,
        public_key: hex::encode(seal.public_key),
        signature: hex::encode(seal.signature),
    }
}
