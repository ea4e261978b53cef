//! `skep delete`: asks for deletions, and waits until the world is clean if asked to.
//!
//! Resources of manifests are deleted in reverse order, so that what refers to others goes first.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use skep_api::wire::ResourceView;
use skep_schemas::codes::Code;
use skep_schemas::{ResourceKey, ResourceName};

use super::{Outcome, Session, apply};
use crate::address::{Address, resource_path};
use crate::args::{Sources, span};
use crate::client::ClientError;
use crate::output::print;
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
    let lenient = keys.len() > 1;
    let mut tracker = Tracker::default();
    let mut asked = BTreeSet::new();
    for key in keys {
        if !asked.insert(key.clone()) {
            continue;
        }
        match delete(session, &key, lenient).await? {
            Deletion::Done => print(&format!("{key} deleted\n"))?,
            Deletion::Begun(view) => {
                print(&format!("{key} deletion requested\n"))?;
                let target = Target { uid: Some(view.metadata.uid), ..Target::named(Goal::Deleted) };
                tracker.add(key, target, Seen::Present(view));
            }
            Deletion::Absent => print(&format!("{key} does not exist\n"))?,
        }
    }
    if !args.wait {
        return Ok(Outcome::Done);
    }
    let end = wait(&session.client, tracker, args.timeout, Display::for_stderr(args.timeout)).await?;
    Ok(apply::conclude(&end, args.timeout))
}

/// What became of a request to delete.
enum Deletion {
    /// The resource had nothing in the world and is gone.
    Done,
    /// It goes when the world is clean.
    Begun(Box<ResourceView>),
    /// There was none.
    Absent,
}

async fn delete(session: &Session, key: &ResourceKey, lenient: bool) -> Result<Deletion> {
    match session.client.delete::<Option<ResourceView>>(&resource_path(key)).await {
        Ok(Some(view)) => Ok(Deletion::Begun(Box::new(view))),
        Ok(None) => Ok(Deletion::Done),
        Err(error) if lenient && is_absent(&error) => Ok(Deletion::Absent),
        Err(error) => Err(error).with_context(|| format!("cannot delete {key}")),
    }
}

fn is_absent(error: &ClientError) -> bool {
    matches!(error.code(), Some(Code::NotFound | Code::OrganizationMissing))
}
