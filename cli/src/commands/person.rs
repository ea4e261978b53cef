//! `skep person` and `skep session`: accounts, for the platform's owners; and one's own sessions.

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use skep_api::wire::{
    EndedSession, MadeSession, PeopleQuery, PersonList, PersonRequest, PersonView, RemovedPerson,
    SessionList, SessionRequest, SessionView,
};
use skep_schemas::{Duration, EmailAddress};

use super::{Outcome, Session};
use crate::client::{escape, with_query};
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep person`
#[derive(Debug, Args)]
pub(crate) struct PersonArgs {
    #[command(subcommand)]
    command: PersonCommand,
}

#[derive(Debug, Subcommand)]
enum PersonCommand {
    /// List everybody who has an account.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Make an account: you vouch that the address is this person's.
    Create {
        /// The address.
        email: EmailAddress,
        /// How the person is called.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
    },
    /// Make a session for a person, to be handed over; it is printed once.
    Session {
        /// The address.
        email: EmailAddress,
        /// When it ends, at most 30 days.
        #[arg(long, value_name = "SPAN", default_value = "12h")]
        expires_in: Duration,
    },
    /// Remove an account with its sessions and memberships.
    Remove {
        /// The address.
        email: EmailAddress,
    },
}

/// `skep session`
#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// List your sessions.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// End one of your sessions.
    End {
        /// Its number, as `list` shows it.
        id: i64,
    },
}

/// Carries `skep person` out.
pub(super) async fn run(session: &Session, args: PersonArgs) -> Result<Outcome> {
    match args.command {
        PersonCommand::List { output } => {
            let people = everybody(session).await?;
            print(&output.of(&people, || person_table(&people))?)?;
        }
        PersonCommand::Create { email, display_name } => {
            let request = PersonRequest { email, display_name };
            let person: PersonView = session.client.post("/v1/people", &request).await?;
            print(&format!("{} has an account\n", person.email))?;
        }
        PersonCommand::Session { email, expires_in } => {
            let path = format!("/v1/people/{}/sessions", escape(email.as_str()));
            let made: MadeSession = session.client.post(&path, &SessionRequest { expires_in }).await?;
            print(&format!("{}\n", made.token))?;
            eprintln!(
                "hand it to {} alone: it cannot be shown again; it ends at {}",
                made.email, made.expires_at
            );
        }
        PersonCommand::Remove { email } => {
            let path = format!("/v1/people/{}", escape(email.as_str()));
            let removed: RemovedPerson = session.client.delete(&path).await?;
            print(&format!("{} has no account any more\n", removed.email))?;
        }
    }
    Ok(Outcome::Done)
}

/// Carries `skep session` out.
pub(super) async fn sessions(session: &Session, args: SessionArgs) -> Result<Outcome> {
    match args.command {
        SessionCommand::List { output } => {
            let sessions: SessionList = session.client.get("/v1/sessions").await?;
            print(&output.of(&sessions, || session_table(&sessions))?)?;
        }
        SessionCommand::End { id } => {
            let ended: EndedSession = session.client.delete(&format!("/v1/sessions/{id}")).await?;
            print(&format!("session {} ended\n", ended.id))?;
        }
    }
    Ok(Outcome::Done)
}

async fn everybody(session: &Session) -> Result<PersonList> {
    let mut all = Vec::new();
    let mut query = PeopleQuery::default();
    for _ in 0..super::PAGES_MAX {
        let page: PersonList = session.client.get(&with_query("/v1/people", &query)?).await?;
        all.extend(page.items);
        if page.next.is_none() {
            return Ok(PersonList { items: all, next: None });
        }
        query.after = page.next;
    }
    anyhow::bail!("the list has more than {} pages", super::PAGES_MAX)
}

fn person_table(people: &PersonList) -> String {
    let row = |person: &PersonView| -> Vec<Cell> {
        vec![person.email.as_str().into(), person.display_name.as_deref().unwrap_or("-").into()]
    };
    let rows: Vec<_> = people.items.iter().map(row).collect();
    render(&["ADDRESS", "NAME"], &rows, stdout_style())
}

fn session_table(sessions: &SessionList) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let row = |session: &SessionView| -> Vec<Cell> {
        vec![
            session.id.to_string().into(),
            if session.current { "this" } else { "" }.into(),
            session.origin.as_str().into(),
            session.created_at.to_string().into(),
            session.expires_at.to_string().into(),
            time(session.last_used_at).into(),
        ]
    };
    let rows: Vec<_> = sessions.items.iter().map(row).collect();
    render(&["ID", "", "BY", "MADE", "ENDS", "LAST USED"], &rows, stdout_style())
}
