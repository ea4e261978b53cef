//! Output, as a stream of events or as plain text: that of an environment's processes, and by [`tell`] whatever else prints.

use axum::response::sse::Event;
use futures::StreamExt;
use http::HeaderMap;
use http::header::ACCEPT;
use skep_schemas::Kind;
use skep_schemas::diagnostic::harmless;

use super::watch::last_event_id;
use crate::answer::Logs;
use crate::call::Call;
use crate::error::ApiError;
use crate::limits::{TAIL_DEFAULT, TAIL_MAX};
use crate::log_share::LogShare;
use crate::port::{LogItem, LogItems, LogRequest};
use crate::stream::Slot;
use crate::wire::{InstanceState, LogEvent, LogPlace, LogQuery};

pub(crate) async fn read(call: Call<LogQuery>) -> Result<Logs, ApiError> {
    let slot = Slot::take(&call)?;
    let key = call.address.key_of(Kind::Environment)?;
    let request = request(&call)?;
    if call.store.get(&key).await?.is_none() {
        return Err(ApiError::NotFound { key });
    }
    let share = call.app.log_shares.take(&call.principal)?;
    let items = call.app.control.logs(&call.store, &key, request).await?;
    Ok(tell(slot, share, items, &call.headers))
}

fn request(call: &Call<LogQuery>) -> Result<LogRequest, ApiError> {
    let LogQuery { process, run, instance, since, tail, follow, after } = call.query.clone();
    let tail = tail.unwrap_or(TAIL_DEFAULT);
    if tail > TAIL_MAX {
        let problem = format!("{tail} lines are too many");
        return Err(ApiError::invalid(problem, format!("ask for at most {TAIL_MAX} with `tail`, or follow")));
    }
    let after = last_event_id(&call.headers)?.or(after.as_deref()).map(str::parse::<LogPlace>).transpose();
    let after = after.map_err(|_| {
        let problem = "`after` or Last-Event-ID is not a place in this stream";
        ApiError::invalid(problem, "use an id that was received, as it is, or `since`")
    })?;
    Ok(LogRequest { process, run, instance, since, tail, follow, after })
}

/// Tells output in the form that the client takes: events with ids unless it asks for plain text. Lines are told no quicker than the
/// organisation's share of them allows.
pub(crate) fn tell(slot: Slot, share: LogShare, items: LogItems, headers: &HeaderMap) -> Logs {
    let items = futures::stream::unfold((items, share), |(mut items, share)| async move {
        let item = items.next().await?;
        if let Ok(LogItem { event: LogEvent::Line(_), .. }) = &item {
            share.line().await;
        }
        Some((item.map_err(ApiError::from), (items, share)))
    });
    if wants_text(headers) {
        return Logs::Text(slot.send_text(items.map(|item| item.map(|item| text(&item.event)))));
    }
    let events = items.map(|item| event(&item?));
    let end = futures::stream::once(std::future::ready(Ok(Event::default().event("end").data("{}"))));
    Logs::Events(slot.send(events.chain(end)))
}

/// Does the client take plain text, and no events?
fn wants_text(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut media = accepts
        .flat_map(|value| value.split(','))
        .map(|media| media.split_once(';').map_or(media, |(media, _)| media).trim());
    media.next() == Some("text/plain")
}

fn event(item: &LogItem) -> Result<Event, ApiError> {
    let event = Event::default().event(item.event.name());
    let event = event.json_data(&item.event).map_err(ApiError::internal)?;
    Ok(match &item.place {
        Some(place) => event.id(place.to_string()),
        None => event,
    })
}

/// One line, harmless on a terminal.
fn text(event: &LogEvent) -> String {
    let who = |process: &str, slot: Option<u64>, instance: &str| match slot {
        Some(slot) => format!("{process}.{slot}"),
        None => format!("{process}.{}", harmless(instance)),
    };
    match event {
        LogEvent::Line(line) => {
            let who = who(line.process.as_str(), line.slot, &line.instance);
            let rest = if line.cut { " …" } else { "" };
            format!("{} {who} | {}{rest}\n", line.at, harmless(&line.text))
        }
        LogEvent::Gap(gap) => format!("-- {} --\n", harmless(&gap.message)),
        LogEvent::Instance(change) => {
            let who = who(change.process.as_str(), change.slot, &change.instance);
            match (change.state, change.exit_code) {
                (InstanceState::Running, _) => format!("-- {who} runs ({}) --\n", harmless(&change.instance)),
                (InstanceState::Ended, Some(code)) => format!("-- {who} ended with exit code {code} --\n"),
                (InstanceState::Ended, None) => format!("-- {who} ended --\n"),
            }
        }
    }
}
