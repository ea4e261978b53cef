//! `skep export`: environments in a form that others deploy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use skep_api::wire::ResourceView;
use skep_compose::{Entry, Exported, Report, export};
use skep_schemas::kind::{AppSpec, DomainSpec, EnvironmentSpec};
use skep_schemas::{Kind, OrgName, ResourceName};

use super::{Outcome, Session, manifest_file};
use crate::output::{print, yaml};

/// `skep export`
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write environments as a Compose file.
    Compose(ComposeArgs),
}

/// `skep export compose`
#[derive(Debug, Args)]
#[command(
    after_help = "What such a file cannot say is told on standard error. Values of secrets are not in it: nobody can read them back. See \
                  docs/guides/compose.md."
)]
pub(crate) struct ComposeArgs {
    /// Environments; all of the organisation when none is named.
    #[arg(value_name = "ENVIRONMENT")]
    environments: Vec<ResourceName>,
    /// Name of the Compose project [default: the organisation].
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// File to write, which must not be there yet, or `-` for standard output.
    #[arg(long = "filename", short = 'f', value_name = "FILE|-", default_value = "-")]
    file: PathBuf,
}

/// Carries it out.
pub(super) async fn run(session: &Session, command: ExportCommand) -> Result<Outcome> {
    let ExportCommand::Compose(args) = command;
    let Some(org) = session.org.clone() else {
        bail!("of which organisation?\nhelp: name one with --org");
    };
    let mut environments: BTreeMap<ResourceName, EnvironmentSpec> =
        specs(session, &org, Kind::Environment).await?;
    let missing = args.environments.iter().find(|name| !environments.contains_key(*name));
    if let Some(missing) = missing {
        bail!(
            "there is no environment `{missing}` in {org}\nhelp: `skep get environments` lists those that there are"
        );
    }
    environments.retain(|name, _| args.environments.is_empty() || args.environments.contains(name));
    if environments.is_empty() {
        bail!("{org} has no environment");
    }
    let apps: BTreeMap<ResourceName, AppSpec> = specs(session, &org, Kind::App).await?;
    let domains: BTreeMap<ResourceName, DomainSpec> = specs(session, &org, Kind::Domain).await?;
    let mut all = Vec::new();
    for (name, environment) in &environments {
        let app = apps.get(&environment.app);
        let app =
            app.with_context(|| format!("environment {name}: the app `{}` is not there", environment.app))?;
        all.push(Exported { name, environment, app, domains: &domains });
    }
    let project = args.project.unwrap_or_else(|| org.to_string());
    let export = export(&project, &all);
    let text = format!("# Made by `skep export compose` of {org}.\n{}", yaml(&export.file)?);
    if args.file == Path::new("-") {
        print(&text)?;
    } else {
        manifest_file::write(&args.file, &text)?;
    }
    eprint!("{}", told(&export.notes));
    Ok(Outcome::Done)
}

async fn specs<S: DeserializeOwned>(
    session: &Session,
    org: &OrgName,
    kind: Kind,
) -> Result<BTreeMap<ResourceName, S>> {
    let (views, _) = session.list(&format!("/v1/orgs/{org}/{}", kind.plural()), None).await?;
    let spec = |view: ResourceView| {
        let spec =
            serde_json::from_value(view.spec).with_context(|| format!("{kind} {}", view.metadata.name))?;
        Ok((view.metadata.name, spec))
    };
    views.into_iter().map(spec).collect()
}

fn told(notes: &Report) -> String {
    let line = |entry: &Entry| {
        let (pointer, text) = (&entry.pointer, entry.outcome.text());
        format!(
            "{:7} {}: {}\n",
            entry.outcome.word(),
            crate::output::text::harmless(pointer),
            crate::output::text::harmless(text)
        )
    };
    notes.entries().iter().map(line).collect()
}
