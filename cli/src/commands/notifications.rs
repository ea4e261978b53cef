//! `skep notifications`: what was told outside, what was not, and trying it again.

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use skep_api::wire::{DeliveryList, DeliveryQuery, DeliveryState, DeliveryView, Resent, TestSent};
use skep_schemas::ResourceName;

use super::{Outcome, Session};
use crate::client::with_query;
use crate::output::table::{Cell, render};
use crate::output::text::Tone;
use crate::output::{PlanFormat, print, stdout_style};

/// `skep notifications`
#[derive(Debug, Args)]
pub(crate) struct NotificationsArgs {
    #[command(subcommand)]
    command: NotificationsCommand,
}

#[derive(Debug, Subcommand)]
enum NotificationsCommand {
    /// List the messages of a Notification, newest first.
    List {
        /// The Notification.
        name: ResourceName,
        /// Only those that were given up.
        #[arg(long)]
        dead: bool,
        /// Only those before this one.
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Send a message again that was not taken, or all that were given up.
    Retry {
        /// The Notification.
        name: ResourceName,
        /// The message.
        #[arg(value_name = "ID", required_unless_present = "all_dead")]
        id: Option<i64>,
        /// All that were given up.
        #[arg(long, conflicts_with = "id")]
        all_dead: bool,
    },
    /// Send a test message.
    Test {
        /// The Notification.
        name: ResourceName,
    },
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: NotificationsArgs) -> Result<Outcome> {
    match args.command {
        NotificationsCommand::List { name, dead, before, limit, output } => {
            let state = dead.then_some(DeliveryState::Dead);
            let query = DeliveryQuery { state, before, limit: Some(limit) };
            let path = format!("{}/deliveries", path(session, &name)?);
            let list: DeliveryList = session.client.get(&with_query(&path, &query)?).await?;
            print(&output.of(&list, || table(&list))?)?;
        }
        NotificationsCommand::Retry { name, id, all_dead } => {
            let path = format!("{}/deliveries", path(session, &name)?);
            let path = match (id, all_dead) {
                (Some(id), false) => format!("{path}/{id}/retry"),
                (None, true) => format!("{path}/retry"),
                // The arguments do not allow it.
                (Some(_), true) | (None, false) => bail!("name a message, or say --all-dead"),
            };
            let Resent { messages } = session.client.post(&path, &()).await?;
            print(&format!("messages that are sent again: {messages}\n"))?;
        }
        NotificationsCommand::Test { name } => {
            let TestSent { message_id } =
                session.client.post(&format!("{}/test", path(session, &name)?), &()).await?;
            print(&format!(
                "{message_id} is sent; `skep notifications list {name}` shows what became of it\n"
            ))?;
        }
    }
    Ok(Outcome::Done)
}

/// Where the server has a Notification.
fn path(session: &Session, name: &ResourceName) -> Result<String> {
    let org = session.org.as_ref().context("whose notification?\nhelp: name an organisation with --org")?;
    Ok(format!("/v1/orgs/{org}/notifications/{name}"))
}

fn table(list: &DeliveryList) -> String {
    let rows: Vec<Vec<Cell>> = list.items.iter().map(row).collect();
    let headings = ["ID", "STATE", "ATTEMPTS", "SINCE", "MESSAGE", "LAST ERROR"];
    render(&headings, &rows, stdout_style())
}

fn row(delivery: &DeliveryView) -> Vec<Cell> {
    let text = |pointer: &str| {
        let found = delivery.body.pointer(pointer).and_then(|value| value.as_str());
        found.unwrap_or_default().to_owned()
    };
    let said = format!("{} {}: {}", text("/type"), text("/data/name"), text("/data/message"));
    vec![
        delivery.id.to_string().into(),
        state(delivery.state),
        delivery.attempts.to_string().into(),
        delivery.created_at.to_string().into(),
        said.into(),
        delivery.last_error.as_deref().unwrap_or("-").into(),
    ]
}

fn state(state: DeliveryState) -> Cell {
    match state {
        DeliveryState::Waiting => Cell::toned("waiting", Tone::Plain),
        DeliveryState::Delivered => Cell::toned("delivered", Tone::Good),
        DeliveryState::Dead => Cell::toned("dead", Tone::Bad),
    }
}
