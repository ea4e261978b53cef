//! `skep ps`, `skep scale`, `skep restart`, `skep stop`, `skep start` and `skep suspend`: how much of an environment, or of an organisation, runs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use skep_api::wire::{
    FormationView, InstancesOwner, ProcessItem, ProcessRequest, ResourceView, ScaleRequest, StopRequest,
    SuspendRequest,
};
use skep_schemas::{Kind, OrgName, Owner, ProcessName, ResourceKey, ScaleOwner};

use super::wait::until_ready;
use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::{environment, span};
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless};
use crate::output::{PlanFormat, print, stdout_style};

/// `skep ps`
#[derive(Debug, Args)]
pub(crate) struct PsArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// How it is shown.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// `skep scale`
#[derive(Debug, Args)]
#[command(
    after_help = "A number that a manifest says is changed in that manifest. `web=others` gives the number back to whoever scales the service in the engine."
)]
pub(crate) struct ScaleArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Processes with how many instances each is to have, such as `web=3`; without any, what there is is shown.
    #[arg(value_name = "PROCESS=N", value_parser = wanted)]
    processes: Vec<(ProcessName, Option<u32>)>,
    /// The numbers are an autoscaler's: they do not change what a person said.
    #[arg(long)]
    autoscaler: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// `skep restart`
#[derive(Debug, Args)]
#[command(after_help = "Instances are replaced one after the other, as by a roll-out. It is no release.")]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    what: Processes,
    #[command(flatten)]
    waiting: Waiting,
}

/// `skep stop`
#[derive(Debug, Args)]
#[command(
    after_help = "It stays so until `skep start`; applying manifests, new releases and rollbacks start nothing."
)]
pub(crate) struct StopArgs {
    #[command(flatten)]
    what: Processes,
    /// Why; everyone who looks at the environment sees it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

/// `skep start`
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    what: Processes,
    #[command(flatten)]
    waiting: Waiting,
}

/// `skep suspend`
#[derive(Debug, Args)]
#[command(
    after_help = "For whoever runs the platform. When it is over, everything has as many instances again as it is to have."
)]
pub(crate) struct SuspendArgs {
    /// The organisation.
    #[arg(value_name = "ORG")]
    organization: OrgName,
    /// Why; everyone of the organisation sees it.
    #[arg(long, value_name = "TEXT", conflicts_with = "end")]
    reason: Option<String>,
    /// Let it go on.
    #[arg(long)]
    end: bool,
}

/// An environment, or one process of it.
#[derive(Debug, Args)]
struct Processes {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// One process; all when absent.
    #[arg(value_name = "PROCESS")]
    process: Option<ProcessName>,
}

/// Whether to wait for it.
#[derive(Debug, Args)]
struct Waiting {
    /// Wait until it is so.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
}

fn wanted(text: &str) -> Result<(ProcessName, Option<u32>), String> {
    let (process, instances) = text.split_once('=').ok_or("write a process and a number, such as `web=3`")?;
    let process = process.parse().map_err(|error| format!("{error}"))?;
    let instances = match instances {
        "others" => None,
        number => Some(
            number.parse().map_err(|_| format!("`{number}` is no number of instances, and not `others`"))?,
        ),
    };
    Ok((process, instances))
}

/// Carries `skep ps` out.
pub(super) async fn ps(session: &Session, args: PsArgs) -> Result<Outcome> {
    let key = args.environment.key(session.org.as_ref())?;
    let view: FormationView = session.client.get(&format!("{}/processes", resource_path(&key))).await?;
    print(&args.output.of(&view, || told(&view))?)?;
    Ok(Outcome::Done)
}

/// Carries `skep scale` out.
pub(super) async fn scale(session: &Session, args: ScaleArgs) -> Result<Outcome> {
    if args.processes.is_empty() {
        let (environment, output) = (args.environment, PlanFormat::default());
        return ps(session, PsArgs { environment, output }).await;
    }
    let owner = if args.autoscaler { ScaleOwner::Autoscaler } else { ScaleOwner::Person };
    let processes: BTreeMap<_, _> = args.processes.into_iter().collect();
    let request = ScaleRequest { processes, owner };
    ask(session, &args.environment, "scale", &request, &args.waiting).await
}

/// Carries `skep restart` out.
pub(super) async fn restart(session: &Session, args: RestartArgs) -> Result<Outcome> {
    let request = ProcessRequest { process: args.what.process };
    ask(session, &args.what.environment, "restart", &request, &args.waiting).await
}

/// Carries `skep stop` out.
pub(super) async fn stop(session: &Session, args: StopArgs) -> Result<Outcome> {
    let request = StopRequest { process: args.what.process, reason: args.reason };
    ask(session, &args.what.environment, "stop", &request, &args.waiting).await
}

/// Carries `skep start` out.
pub(super) async fn start(session: &Session, args: StartArgs) -> Result<Outcome> {
    let request = ProcessRequest { process: args.what.process };
    ask(session, &args.what.environment, "start", &request, &args.waiting).await
}

/// Carries `skep suspend` out.
pub(super) async fn suspend(session: &Session, args: SuspendArgs) -> Result<Outcome> {
    let key = ResourceKey::organization(&args.organization);
    let path = resource_path(&key);
    if args.end {
        let _: ResourceView = session.client.post(&format!("{path}/end-suspension"), &()).await?;
        print(&format!("{key} goes on\n"))?;
        return Ok(Outcome::Done);
    }
    let request = SuspendRequest { reason: args.reason };
    let view: ResourceView = session.client.post(&format!("{path}/suspend"), &request).await?;
    let words = view.metadata.suspension.map(|stopped| stopped.in_words()).unwrap_or_default();
    print(&format!("{key} is suspended {}\n", harmless(&words)))?;
    Ok(Outcome::Done)
}

async fn ask<B: Serialize>(
    session: &Session,
    environment: &Address,
    verb: &str,
    request: &B,
    waiting: &Waiting,
) -> Result<Outcome> {
    let key = environment.key(session.org.as_ref())?;
    let view = session.client.post(&format!("{}/{verb}", resource_path(&key)), request).await?;
    end(session, key, view, waiting).await
}

async fn end(session: &Session, key: ResourceKey, view: FormationView, waiting: &Waiting) -> Result<Outcome> {
    print(&told(&view))?;
    if waiting.wait {
        return until_ready(session, key, view.resource, waiting.timeout).await;
    }
    Ok(Outcome::Done)
}

fn told(view: &FormationView) -> String {
    let rows: Vec<_> = view.items.iter().map(row).collect();
    let mut text = render(&["PROCESS", "TYPE", "WANTED", "RUNNING", "BY", "COMMAND"], &rows, stdout_style());
    let suspended =
        view.suspended.iter().map(|stopped| format!("the organisation is suspended {}", stopped.in_words()));
    let stopped =
        |item: &ProcessItem| Some(format!("{} is stopped {}", item.name, item.stopped.as_ref()?.in_words()));
    for line in suspended.chain(view.items.iter().filter_map(stopped)) {
        text.push_str(&format!("{}\n", harmless(&line)));
    }
    text
}

fn row(item: &ProcessItem) -> Vec<Cell> {
    let tone = if item.running == item.wanted { Tone::Good } else { Tone::Busy };
    let command = if item.command.is_empty() { "-".to_owned() } else { item.command.join(" ") };
    vec![
        item.name.as_str().into(),
        item.process_type.as_str().into(),
        item.wanted.to_string().into(),
        Cell::toned(&item.running.to_string(), tone),
        by(&item.instances).into(),
        command.into(),
    ]
}

/// Who says how many there are to be.
fn by(owner: &InstancesOwner) -> String {
    match owner {
        InstancesOwner::Manifest { number, resource, managed_by } => {
            let git = match managed_by {
                Owner::Api => String::new(),
                Owner::Git { source } => format!(" of {source}"),
            };
            let kind = if resource.kind == Kind::App { "app" } else { "env" };
            format!("{kind}/{}{git}: {number}", resource.name)
        }
        InstancesOwner::Scale { number, owner: ScaleOwner::Person, who, .. } => format!("{who}: {number}"),
        InstancesOwner::Scale { number, owner, who, .. } => format!("{who} ({}): {number}", owner.as_str()),
        InstancesOwner::Engine {} => "whoever scales it".to_owned(),
        InstancesOwner::Schedule { recurrence } => recurrence.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_is_given_by_process_or_given_back() {
        let web: ProcessName = "web".parse().unwrap();
        assert_eq!(wanted("web=3"), Ok((web.clone(), Some(3))));
        assert_eq!(wanted("web=others"), Ok((web, None)));
        for wrong in ["web", "web=", "web=-1", "web=many", "WEB!=1"] {
            assert!(wanted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn who_says_how_many_there_are_to_be_is_told_with_the_number() {
        let owner = |value| by(&serde_json::from_value(value).unwrap());
        let resource = json!({"org": "acme", "kind": "App", "name": "shop"});
        let manifest = json!({"by": "manifest", "number": 3, "resource": resource, "managedBy": {"by": "git", "source": {"org": "acme", "name": "main"}}});
        assert_eq!(owner(manifest), "app/shop of GitSource acme/main: 3");
        let at = "2026-11-22T10:00:00Z";
        let scaled = |owner| json!({"by": "scale", "number": 4, "owner": owner, "who": "bob", "at": at});
        assert_eq!(owner(scaled("person")), "bob: 4");
        assert_eq!(owner(scaled("autoscaler")), "bob (autoscaler): 4");
        assert_eq!(owner(json!({"by": "engine"})), "whoever scales it");
    }
}
