//! `skep adopt`: shows what would become of objects that Skep did not make, asks, and makes them a resource's own.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use skep_api::wire::{AdoptQuery, AdoptView};
use skep_schemas::ResourceKey;

use super::{Outcome, Session};
use crate::address::resource_path;
use crate::args::OneResource;
use crate::ask::agreed;
use crate::client::with_query;
use crate::output::print;
use crate::output::text::harmless;

/// `skep adopt`
#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    #[command(flatten)]
    what: OneResource,
    /// Only show what would become of them.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: AdoptArgs) -> Result<Outcome> {
    let key = args.what.address()?.key(session.org.as_ref())?;
    let found = adopt(session, &key, true).await?;
    if found.objects.is_empty() {
        eprintln!("there is nothing to adopt: no object under the names of {key} was made by someone else");
        return Ok(Outcome::Done);
    }
    print(&shown(&found))?;
    if found.objects.iter().any(|object| object.unfit.is_some()) {
        return Ok(Outcome::Negative);
    }
    if args.dry_run || !args.yes && !agreed("adopt", "look at it with --dry-run")? {
        eprintln!("not adopted");
        return Ok(if args.dry_run { Outcome::Done } else { Outcome::Negative });
    }
    let adopted = adopt(session, &key, false).await?;
    print(&if adopted.adopted { format!("adopted for {key}\n") } else { shown(&adopted) })?;
    Ok(if adopted.adopted { Outcome::Done } else { Outcome::Negative })
}

async fn adopt(session: &Session, key: &ResourceKey, dry_run: bool) -> Result<AdoptView> {
    let path = with_query(&format!("{}/adopt", resource_path(key)), &AdoptQuery { dry_run })?;
    session.client.post(&path, &json!({})).await.with_context(|| format!("cannot adopt for {key}"))
}

fn shown(view: &AdoptView) -> String {
    let mut text = String::new();
    for object in &view.objects {
        text.push_str(&match &object.unfit {
            None => format!("{} {} ({}) can be adopted\n", object.kind, object.name, object.id),
            Some(why) => format!("{} {} cannot be adopted: {}\n", object.kind, object.name, harmless(why)),
        });
    }
    text + &view.preview.render()
}
