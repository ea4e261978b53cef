//! Notifications: what was told, what was not, and trying it again.
//!
//! What is asked for is written down; the duty that sends messages finds it.

use skep_schemas::{Kind, ResourceKey, Uid};
use skep_store::{Delivery, Resend, Snapshot};

use crate::access::{Access, Permission};
use crate::answer::Document;
use crate::call::{Call, NoBody, NoQuery, limit};
use crate::error::ApiError;
use crate::limits::{RELEASES_DEFAULT, RELEASES_MAX};
use crate::route::Route;
use crate::route::Verb::{Get, Post};
use crate::wire::{DeliveryList, DeliveryQuery, DeliveryState, DeliveryView, Resent, TestSent};

/// The routes.
pub(super) fn table() -> Vec<Route> {
    const READ: Access = Access::Needs(Permission::Read);
    const WRITE: Access = Access::Needs(Permission::Write);
    vec![
        Route::new(
            Get,
            "/v1/orgs/{org}/{kind}/{name}/deliveries",
            READ,
            "listDeliveries",
            "The messages of a Notification, newest first.",
            list,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/deliveries/retry",
            WRITE,
            "retryDeliveries",
            "Send all messages again that were given up.",
            retry_all,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/deliveries/{id}/retry",
            WRITE,
            "retryDelivery",
            "Send a message again that was not taken.",
            retry,
        ),
        Route::new(
            Post,
            "/v1/orgs/{org}/{kind}/{name}/test",
            WRITE,
            "testNotification",
            "Send a test message.",
            test,
        ),
    ]
}

async fn list(call: Call<DeliveryQuery>) -> Result<Document<DeliveryList>, ApiError> {
    let key = of_notification(call.address.key()?)?;
    let limit = limit(call.query.limit, RELEASES_DEFAULT, RELEASES_MAX)?;
    let mut snapshot = call.store.snapshot().await?;
    let uid = uid(&mut snapshot, key).await?;
    let state = call.query.state.map(asked);
    let found = snapshot.deliveries(uid, state, call.query.before, limit).await?;
    let items: Vec<DeliveryView> = found.into_iter().map(view).collect();
    let is_full = u32::try_from(items.len()).is_ok_and(|length| length >= limit);
    let next = items.last().map(|last| last.id).filter(|_| is_full);
    Ok(Document(DeliveryList { items, next }))
}

async fn retry_all(call: Call<NoQuery, NoBody>) -> Result<Document<Resent>, ApiError> {
    let key = of_notification(call.address.key()?)?;
    let messages = call.store.resend(&key, Resend::AllDead, &call.actor).await?;
    Ok(Document(Resent { messages }))
}

async fn retry(call: Call<NoQuery, NoBody>) -> Result<Document<Resent>, ApiError> {
    let key = of_notification(call.address.key()?)?;
    let id = call.address.number()?;
    let messages = call.store.resend(&key, Resend::One(id), &call.actor).await?;
    if messages == 0 {
        let problem = format!("{key} has no message {id} that was not taken");
        let help = "see those that it has with `skep notifications list`";
        return Err(ApiError::NoneSuch { problem, help });
    }
    Ok(Document(Resent { messages }))
}

async fn test(call: Call<NoQuery, NoBody>) -> Result<Document<TestSent>, ApiError> {
    let key = of_notification(call.address.key()?)?;
    let id = call.store.test_notification(&key, &call.actor).await?;
    Ok(Document(TestSent { message_id: id.to_string() }))
}

fn of_notification(key: ResourceKey) -> Result<ResourceKey, ApiError> {
    if key.kind() == Kind::Notification {
        return Ok(key);
    }
    let problem = format!("{key} sends no messages: it is no Notification");
    Err(ApiError::invalid(problem, "name a Notification"))
}

async fn uid(snapshot: &mut Snapshot, key: ResourceKey) -> Result<Uid, ApiError> {
    Ok(snapshot.get(&key).await?.ok_or(ApiError::NotFound { key })?.meta.uid)
}

const fn asked(state: DeliveryState) -> skep_store::DeliveryState {
    match state {
        DeliveryState::Waiting => skep_store::DeliveryState::Waiting,
        DeliveryState::Delivered => skep_store::DeliveryState::Delivered,
        DeliveryState::Dead => skep_store::DeliveryState::Dead,
    }
}

fn view(delivery: Delivery) -> DeliveryView {
    DeliveryView {
        id: delivery.id,
        message_id: delivery.message_id.to_string(),
        state: match delivery.state {
            skep_store::DeliveryState::Waiting => DeliveryState::Waiting,
            skep_store::DeliveryState::Delivered => DeliveryState::Delivered,
            skep_store::DeliveryState::Dead => DeliveryState::Dead,
        },
        // Written by the store as JSON.
        body: serde_json::from_str(&delivery.body).unwrap_or_default(),
        attempts: delivery.attempts,
        last_error: delivery.last_error,
        created_at: delivery.created_at,
        next_at: delivery.next_at,
        ended_at: delivery.ended_at,
    }
}
