//! `skep delete`: asks for deletions, and waits until the world is clean if asked to.
//!
//! Resources of manifests are deleted in reverse order, so that what refers to others goes first, and in one transaction: either
//! all of them or none. Removals that go too far are held by the server; whoever asked is told at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use skep_api::wire::{
    Batch, DeleteAnswer, DeleteBatchQuery, DeleteOutcome, DeleteQuery, DeleteResult, ResourceRef,
    ResourceView,
};
use skep_schemas::{ResourceKey, ResourceName};

use super::{Outcome, Session, apply, holds};
use crate::address::{Address, key_of_ref, resource_path};
use crate::args::{Sources, span};
use crate::client::with_query;
use crate::output::print;
use crate::output::text::harmless;
use crate::wait::progress::Display;
use crate::wait::run::run as wait;
use crate::wait::{Goal, Seen, Target, Tracker};

/// `skep delete`
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Kind, or KIND/NAME, or ORG/KIND/NAME.
    #[arg(value_name = "KIND", required_unless_present = "files")]
    address: Option<Address>,
    /// Name.
    #[arg(value_name = "NAME")]
    name: Option<ResourceName>,
    /// File or directory with manifests of what is to go, or `-` for standard input; may be given several times.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-", conflicts_with = "address")]
    files: Vec<PathBuf>,
    /// It is meant, however much is removed with it.
    #[arg(long)]
    confirm_removal: bool,
    /// Wait until everything is gone.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: DeleteArgs) -> Result<Outcome> {
    let keys = match args.address {
        Some(address) => vec![address.with_name(args.name)?.key(session.org.as_ref())?],
        None => {
            let manifests = session.read(&Sources { files: args.files })?;
            manifests.into_iter().rev().map(|sourced| sourced.manifest.key).collect()
        }
    };
    // One that is named alone has to exist; of a set, what is gone already is as it should be.
    let mut asked = BTreeSet::new();
    let keys: Vec<ResourceKey> = keys.into_iter().filter(|key| asked.insert(key.clone())).collect();
    let results = match keys.as_slice() {
        [key] => vec![delete_one(session, key, args.confirm_removal).await?],
        keys => delete_all(session, keys, args.confirm_removal).await?,
    };
    let mut tracker = Tracker::default();
    for DeleteResult { resource, outcome, view } in results {
        let key = key_of_ref(&resource).context("the server names a resource that cannot be")?;
        print(&format!("{key} {outcome}\n"))?;
        if let Some(view) = view {
            let target = Target { uid: Some(view.metadata.uid), ..Target::named(Goal::Deleted) };
            tracker.add(key, target, Seen::Present(view));
        }
    }
    tell_of_holds(session).await?;
    if !args.wait {
        return Ok(Outcome::Done);
    }
    let end = wait(&session.client, tracker, args.timeout, Display::for_stderr(args.timeout)).await?;
    Ok(apply::conclude(&end, args.timeout))
}

async fn delete_one(session: &Session, key: &ResourceKey, confirm: bool) -> Result<DeleteResult> {
    let path = with_query(&resource_path(key), &DeleteQuery { confirm })?;
    let view: Option<Box<ResourceView>> =
        session.client.delete(&path).await.with_context(|| format!("cannot delete {key}"))?;
    let outcome = if view.is_some() { DeleteOutcome::Requested } else { DeleteOutcome::Deleted };
    Ok(DeleteResult { resource: ResourceRef::from(key), outcome, view })
}

/// In one transaction, so that what goes together is weighed together.
async fn delete_all(session: &Session, keys: &[ResourceKey], confirm: bool) -> Result<Vec<DeleteResult>> {
    let path = with_query("/v1/delete", &DeleteBatchQuery { org: None, confirm })?;
    let batch = Batch { delete: keys.iter().map(ResourceRef::from).collect(), ..Batch::default() };
    let answer: DeleteAnswer = session.client.post(&path, &batch).await?;
    Ok(answer.results)
}

/// A deletion that is held looks like one that takes its time; the difference has to be said.
async fn tell_of_holds(session: &Session) -> Result<()> {
    if session.client.on_hold().is_none() {
        return Ok(());
    }
    for hold in holds::list(session, false).await?.items {
        eprintln!("on hold, nothing is removed: {}", harmless(&hold.why));
        eprintln!("  look at `skep holds`, and if it is meant, run `skep confirm {}`", hold.id);
    }
    Ok(())
}
