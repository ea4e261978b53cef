//! `skep token`: make, list and revoke tokens; and `skep whoami`.

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use skep_api::wire::{GrantView, MadeToken, RevokedToken, TokenList, TokenRequest, TokenView, WhoAmI};
use skep_schemas::{Duration, ResourceName, Role};

use super::{Outcome, Session};
use crate::output::table::{Cell, render};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep token`
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
    /// Of the platform with all organisations, instead of the organisation.
    #[arg(long, global = true)]
    platform: bool,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; it is printed once and kept nowhere.
    Create {
        /// Its name.
        name: ResourceName,
        /// How much it allows: viewer, deployer, admin or owner.
        #[arg(long)]
        role: Role,
        /// When it ends by itself, such as `720h`; without this when it is revoked.
        #[arg(long, value_name = "SPAN")]
        expires_in: Option<Duration>,
    },
    /// List the tokens.
    List {
        /// Output format.
        #[arg(long, short, value_enum, default_value_t)]
        output: PlanFormat,
    },
    /// Revoke a token: it is refused from then on.
    Revoke {
        /// Its name.
        name: ResourceName,
    },
}

/// `skep whoami`
#[derive(Debug, Args)]
pub(crate) struct WhoAmIArgs {
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: TokenArgs) -> Result<Outcome> {
    let path = match (&session.org, args.platform) {
        (_, true) => "/v1/tokens".to_owned(),
        (Some(org), false) => format!("/v1/orgs/{org}/tokens"),
        (None, false) => {
            anyhow::bail!("whose tokens?\nhelp: name an organisation with --org, or say --platform")
        }
    };
    match args.command {
        TokenCommand::Create { name, role, expires_in } => {
            let made: MadeToken =
                session.client.post(&path, &TokenRequest { name, role, expires_in }).await?;
            print(&format!("{}\n", made.token))?;
            let until = made.expires_at.map_or_else(String::new, |at| format!("; it ends at {at}"));
            eprintln!("token {} made: keep it, it cannot be shown again{until}", made.name);
        }
        TokenCommand::List { output } => {
            let tokens: TokenList = session.client.get(&path).await?;
            print(&output.of(&tokens, || table(&tokens))?)?;
        }
        TokenCommand::Revoke { name } => {
            let revoked: RevokedToken = session.client.delete(&format!("{path}/{name}")).await?;
            print(&format!("token {} revoked\n", revoked.name))?;
        }
    }
    Ok(Outcome::Done)
}

/// Carries `skep whoami` out.
pub(super) async fn whoami(session: &Session, args: &WhoAmIArgs) -> Result<Outcome> {
    let who: WhoAmI = session.client.get("/v1/whoami").await?;
    print(&args.output.of(&who, || {
        let grants: Vec<_> = who.grants.iter().map(told).collect();
        let grants = if grants.is_empty() { "no role anywhere".to_owned() } else { grants.join(", ") };
        format!("{}, {grants}\n", who.name)
    })?)?;
    Ok(Outcome::Done)
}

/// A grant in words.
pub(super) fn told(grant: &GrantView) -> String {
    let place = grant.org.as_ref().map_or("the platform", |org| org.as_str());
    format!("{} of {place}", grant.role)
}

fn table(tokens: &TokenList) -> String {
    let time = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let row = |token: &TokenView| -> Vec<Cell> {
        vec![
            token.name.clone().into(),
            token.role.as_str().into(),
            token.made_by.clone().unwrap_or_else(|| "-".to_owned()).into(),
            token.created_at.to_string().into(),
            time(token.expires_at).into(),
            time(token.last_used_at).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = tokens.items.iter().map(row).collect();
    render(&["NAME", "ROLE", "MADE BY", "MADE", "ENDS", "LAST USED"], &rows, stdout_style())
}
