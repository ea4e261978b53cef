//! `skep apply`: check manifests here, send them as one transaction, and wait for what comes of it if asked to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::de::DeserializeOwned;
use skep_api::wire::{ApplyAnswer, Batch, BatchQuery, ResourceView};
use skep_schemas::manifest::{ReadOptions, SourcedManifest};
use skep_schemas::{ResourceKey, Revision};

use super::deployment::tell_last_lines;
use super::{Outcome, Session};
use crate::address::key_of;
use crate::args::{TakeOver, span};
use crate::client::with_query;
use crate::output::{Format, json, print, yaml};
use crate::plan_file::PlanFile;
use crate::wait::progress::Display;
use crate::wait::run::{End, run as wait};
use crate::wait::{Goal, Seen, Target, Tracker};

/// `skep apply`
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// File or directory with manifests, or `-` for standard input; may be given several times.
    #[arg(long = "filename", short = 'f', value_name = "FILE|DIR|-", required_unless_present = "plan")]
    files: Vec<PathBuf>,
    /// Carry out a plan that `skep plan -o FILE` wrote; nothing is applied if the world has moved since.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    plan: Option<PathBuf>,
    /// Wait until everything that was applied is ready.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
    /// Let the server check everything, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    take_over: TakeOver,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: ApplyArgs) -> Result<Outcome> {
    let path = with_query("/v1/apply", &BatchQuery { dry_run: args.dry_run, ..args.take_over.query() })?;
    let (manifests, batch) = match &args.plan {
        Some(file) => planned(file)?,
        None => {
            let manifests = session.read_files(&args.files)?;
            let batch = batch(&manifests)?;
            (manifests, batch)
        }
    };
    let answer: ApplyAnswer = post(session, &path, &manifests, &batch).await?;
    print(&shown(&answer, args.output)?)?;
    if !args.wait {
        return Ok(Outcome::Done);
    }
    let views: Vec<ResourceView> = answer.results.into_iter().map(|result| result.resource).collect();
    let end =
        wait(&session.client, tracker(&manifests, views), args.timeout, Display::for_stderr(args.timeout))
            .await?;
    let outcome = conclude(&end, args.timeout);
    if matches!(end, End::Failed(_)) {
        let keys: Vec<ResourceKey> = manifests.iter().map(|sourced| sourced.manifest.key.clone()).collect();
        tell_last_lines(session, &keys).await?;
    }
    Ok(outcome)
}

/// What a plan file says is to be applied.
fn planned(path: &Path) -> Result<(Vec<SourcedManifest>, Batch)> {
    let file = PlanFile::read(path)?;
    let mut read = skep_schemas::Batch::new(ReadOptions::default());
    for (index, document) in file.documents.iter().enumerate() {
        read.add_json(&format!("{}#/documents/{index}", path.display()), &document.to_string());
    }
    let manifests = read.finish()?;
    let batch = Batch { documents: file.documents, delete: Vec::new(), binding: Some(file.binding) };
    Ok((manifests, batch))
}

/// Sends manifests to a path. What the server finds wrong with them is told with the places that they were read from.
pub(super) async fn send<A: DeserializeOwned>(
    session: &Session,
    path: &str,
    manifests: &[SourcedManifest],
) -> Result<A> {
    post(session, path, manifests, &batch(manifests)?).await
}

async fn post<A: DeserializeOwned>(
    session: &Session,
    path: &str,
    manifests: &[SourcedManifest],
    batch: &Batch,
) -> Result<A> {
    let answer = session.client.post(path, batch).await;
    Ok(answer.map_err(|error| error.placed(manifests))?)
}

/// The body of the request, with the values of secrets: this is where they go to the server.
fn batch(manifests: &[SourcedManifest]) -> Result<Batch> {
    let documents = manifests.iter().map(|sourced| sourced.manifest.to_json_with_secret_values());
    Ok(Batch { documents: documents.collect::<Result<_, _>>()?, delete: Vec::new(), binding: None })
}

fn shown(answer: &ApplyAnswer, format: Format) -> Result<String> {
    let address = |view: &ResourceView| key_of(view).map_or_else(String::new, |key| key.to_string());
    Ok(match format {
        Format::Json => json(answer)?,
        Format::Yaml => yaml(answer)?,
        Format::Name => answer.results.iter().map(|result| address(&result.resource) + "\n").collect(),
        Format::Table | Format::Wide => {
            let note = if answer.dry_run { " (dry run)" } else { "" };
            let line = |result: &skep_api::wire::ApplyResult| {
                format!("{} {}{note}\n", address(&result.resource), result.action)
            };
            answer.results.iter().map(line).collect()
        }
    })
}

/// What to wait for: that each resource is ready in the generation that was applied, by a report that rests on everything
/// that was applied with it.
fn tracker(manifests: &[SourcedManifest], views: Vec<ResourceView>) -> Tracker {
    let revisions: BTreeMap<ResourceKey, Revision> =
        views.iter().filter_map(|view| Some((key_of(view)?, view.metadata.revision))).collect();
    let references: BTreeMap<&ResourceKey, Vec<ResourceKey>> =
        manifests.iter().map(|s| (&s.manifest.key, s.manifest.spec.references(&s.manifest.key))).collect();
    let mut tracker = Tracker::default();
    for view in views {
        let Some(key) = key_of(&view) else { continue };
        let referred = references.get(&key).into_iter().flatten().chain([&key]);
        let target = Target {
            goal: Goal::Ready,
            uid: Some(view.metadata.uid),
            generation: Some(view.metadata.generation),
            inputs: referred.filter_map(|key| revisions.get(key)).max().copied(),
        };
        tracker.add(key, target, Seen::Present(Box::new(view)));
    }
    tracker
}

/// Says how a wait ended.
pub(super) fn conclude(end: &End, timeout: Duration) -> Outcome {
    let list = |lines: &[String]| {
        for line in lines {
            eprintln!("  {}", crate::output::text::harmless(line));
        }
    };
    match end {
        End::Reached => Outcome::Done,
        End::Failed(lines) => {
            eprintln!("failed:");
            list(lines);
            Outcome::Negative
        }
        End::TimedOut(lines) => {
            eprintln!("not reached within {} s; still waiting for:", timeout.as_secs());
            list(lines);
            Outcome::Negative
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use skep_schemas::Kind;
    use skep_schemas::manifest::{ReadOptions, read_str};

    use super::*;
    use crate::fixture::resource;
    use crate::wait::Standing;

    const MANIFESTS: &str = "
apiVersion: skep.dev/v1
kind: App
metadata: {org: acme, name: shop}
spec: {source: {image: 'shop:2'}}
---
apiVersion: skep.dev/v1
kind: Environment
metadata: {org: acme, name: shop}
spec: {app: shop}
---
apiVersion: skep.dev/v1
kind: Secret
metadata: {org: acme, name: db}
spec: {value: canary-4711}
";

    fn ready(observed_revision: i64) -> Value {
        json!({"observedGeneration": 2, "observedRevision": observed_revision,
            "conditions": [crate::fixture::condition("Ready", "True", "Converged", "", 2)]})
    }

    #[test]
    fn an_environment_whose_app_changed_is_not_believed_before_the_controller_saw_that() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        // Revisions as the fixture makes them: 12 for all; the app was written later.
        let mut app = resource(Kind::App, "shop", 2, &json!({}), &ready(40));
        app.metadata.revision = Revision::new(40);
        let environment = |observed| resource(Kind::Environment, "shop", 2, &json!({}), &ready(observed));
        let mut tracker = tracker(&manifests[..2], vec![app, environment(12)]);
        assert_eq!(tracker.standing(), Standing::Open);
        tracker.see(environment(40));
        assert_eq!(tracker.standing(), Standing::Reached);
    }

    #[tokio::test]
    async fn what_the_server_finds_wrong_is_told_with_the_place_in_the_file() {
        let url = crate::loopback::server(|_| {
            let problem = json!({"type": "x", "title": "t", "status": 409, "code": "SK0304", "detail": "d", "diagnostics": [
                {"code": "SK0304", "message": "acme/Secret/db is being deleted", "source": "documents/2"}]});
            crate::loopback::answer(409, skep_api::wire::PROBLEM_JSON, &problem.to_string())
        })
        .await;
        let session = Session { client: crate::loopback::client(&url), org: None };
        let manifests = read_str("m.yaml", MANIFESTS, &ReadOptions::default()).unwrap();
        let error = send::<Value>(&session, "/v1/apply", &manifests).await.unwrap_err().to_string();
        assert!(
            error.starts_with("error[SK0304]: acme/Secret/db is being deleted\n  --> m.yaml:12:1\n"),
            "{error}"
        );
    }

    #[test]
    fn the_body_has_the_values_of_secrets_and_shows_them_to_nobody_else() {
        let manifests = read_str("m", MANIFESTS, &ReadOptions::default()).unwrap();
        let batch = batch(&manifests).unwrap();
        assert_eq!(batch.documents[2]["spec"]["value"], "canary-4711");
        assert!(!format!("{batch:?}{manifests:?}").contains("canary"));
    }
}
