//! What happened to resources.

use skep_schemas::ResourceKey;
use skep_store::{Event, Severity};

use crate::answer::Document;
use crate::call::{self, Call, NoQuery};
use crate::error::ApiError;
use crate::limits::{EVENTS_DEFAULT, PAGE_MAX};
use crate::wire::{EventList, EventQuery, EventSeverity, EventView, ResourceRef};

pub(super) async fn of_resource(call: Call<NoQuery>) -> Result<Document<EventList>, ApiError> {
    let key = call.address.key()?;
    let store = &call.store;
    let resource = store.get(&key).await?.ok_or_else(|| ApiError::NotFound { key: key.clone() })?;
    let events = store.events(resource.meta.uid).await?;
    Ok(Document(EventList { items: events.into_iter().map(|event| view(&key, event)).collect() }))
}

pub(super) async fn of_org(call: Call<EventQuery>) -> Result<Document<EventList>, ApiError> {
    let org = call.address.org().ok_or_else(|| ApiError::internal("the route has no organisation"))?;
    let limit = call::limit(call.query.limit, EVENTS_DEFAULT, PAGE_MAX)?;
    let key = ResourceKey::organization(org);
    if call.store.get(&key).await?.is_none() {
        return Err(ApiError::NotFound { key });
    }
    let events = call.store.org_events(org, limit).await?;
    Ok(Document(EventList { items: events.into_iter().map(|(key, event)| view(&key, event)).collect() }))
}

fn view(key: &ResourceKey, event: Event) -> EventView {
    EventView {
        resource: ResourceRef::from(key),
        severity: match event.severity {
            Severity::Normal => EventSeverity::Normal,
            Severity::Warning => EventSeverity::Warning,
        },
        reason: event.reason,
        message: event.message,
        count: event.count,
        first_seen: event.first_at,
        last_seen: event.last_at,
        reconcile_id: event.reconcile_id,
    }
}
