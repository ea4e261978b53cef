//! `skep events`: what happened to a resource, or in an organisation.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use jiff::Timestamp;
use skep_api::wire::{EventList, EventQuery, EventView};
use skep_schemas::ResourceName;

use super::{Outcome, Session};
use crate::address::{Address, key_of_ref, resource_path};
use crate::client::with_query;
use crate::output::events::{EventLayout, line, table};
use crate::output::{Format, json, print, stdout_style, yaml};

/// How often new events are asked for: they are for people to read.
const POLL: Duration = Duration::from_secs(2);
/// The most events of one answer.
const LIMIT_MAX: u32 = 500;

/// `skep events`
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Kind, or KIND/NAME, or ORG/KIND/NAME; everything in the organisation when absent.
    #[arg(value_name = "KIND")]
    address: Option<Address>,
    /// Name.
    #[arg(value_name = "NAME")]
    name: Option<ResourceName>,
    /// Go on showing new events.
    #[arg(long, short)]
    watch: bool,
    /// How many of the newest; only for a whole organisation.
    #[arg(
        long,
        value_name = "COUNT",
        conflicts_with = "address",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(LIMIT_MAX))
    )]
    limit: Option<u32>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: EventsArgs) -> Result<Outcome> {
    let path = match args.address {
        Some(address) => {
            let key = address.with_name(args.name)?.key(session.org.as_ref())?;
            format!("{}/events", resource_path(&key))
        }
        None => {
            let org = session
                .org
                .as_ref()
                .context("the events of which organisation?\nhelp: add --org NAME, or set SKEP_ORG")?;
            format!("/v1/orgs/{org}/events")
        }
    };
    let path = with_query(&path, &EventQuery { limit: args.limit })?;
    let EventList { items } = session.client.get(&path).await?;
    print(&page(&items, args.output)?)?;
    if !args.watch {
        return Ok(Outcome::Done);
    }
    let mut shown = newest(&items);
    loop {
        tokio::time::sleep(POLL).await;
        let list: Result<EventList, _> = session.client.get(&path).await;
        let items = match list {
            Ok(list) => list.items,
            Err(error) if error.may_pass() => {
                eprintln!("note: {}", error.to_string().lines().next().unwrap_or_default());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for event in items.iter().filter(|event| shown.get(&identity(event)) != Some(&event.last_seen)) {
            print(&change(event, args.output)?)?;
        }
        shown = newest(&items);
    }
}

/// What makes an event that repeats itself the same one.
type Identity = (String, String, String, Timestamp);

fn identity(event: &EventView) -> Identity {
    let resource = key_of_ref(&event.resource).map_or_else(String::new, |key| key.to_string());
    (resource, event.reason.clone(), event.message.clone(), event.first_seen)
}

fn newest(events: &[EventView]) -> BTreeMap<Identity, Timestamp> {
    events.iter().map(|event| (identity(event), event.last_seen)).collect()
}

fn layout(format: Format) -> EventLayout {
    EventLayout { wide: format == Format::Wide, now: Timestamp::now(), style: stdout_style() }
}

fn page(events: &[EventView], format: Format) -> Result<String> {
    match format {
        Format::Json => json(&events),
        Format::Yaml => yaml(&events),
        Format::Name => Ok(events.iter().map(|event| identity(event).0 + "\n").collect()),
        Format::Table | Format::Wide => Ok(table(events, &layout(format))),
    }
}

fn change(event: &EventView, format: Format) -> Result<String> {
    match format {
        Format::Json => Ok(serde_json::to_string(event)? + "\n"),
        Format::Yaml => Ok(format!("---\n{}", yaml(event)?)),
        Format::Name => Ok(identity(event).0 + "\n"),
        Format::Table | Format::Wide => Ok(line(event, &layout(format))),
    }
}
