//! `skep releases`, `skep release`, `skep promote`, `skep rollback` and `skep cancel`: what an environment ran, what it runs, what is different between two of them, and giving the
//! same to another environment, or a former release to the same one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use skep_api::wire::{
    ApplyAction, OneReleaseQuery, PromoteRequest, PromotionView, ReleaseItem, ReleaseList, ReleaseQuery,
    ReleaseVerdict, ReleaseView, ResourceView, RollbackRequest, RollbackView,
};
use skep_planner::FieldChange;
use skep_schemas::ResourceKey;

use super::deployment::{show_last_lines, stages};
use super::wait::until_ready;
use super::{Outcome, Session};
use crate::address::{Address, resource_path};
use crate::args::{environment, span};
use crate::client::with_query;
use crate::output::table::{Cell, render};
use crate::output::text::{Tone, harmless, lasted};
use crate::output::{PlanFormat, print, stdout_style, yaml};

/// `skep releases`
#[derive(Debug, Args)]
pub(crate) struct ReleasesArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Only those before this one, such as `v41`.
    #[arg(long, value_name = "RELEASE", value_parser = number)]
    before: Option<u32>,
    /// How many.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// `skep release`
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Which release, such as `v42`.
    #[arg(value_name = "RELEASE", value_parser = number)]
    release: u32,
    /// Show what is different from this release, instead of all that it runs.
    #[arg(long, value_name = "RELEASE", value_parser = number)]
    against: Option<u32>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// `skep promote`
#[derive(Debug, Args)]
#[command(
    after_help = "The image is given by its digest, so it is the same one. Config, secrets and everything else stay the environment's own."
)]
pub(crate) struct PromoteArgs {
    /// The environment that has it: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "FROM", value_parser = environment)]
    from: Address,
    /// The environment that gets it, of the same app and organisation.
    #[arg(value_name = "TO", value_parser = environment)]
    to: Address,
    /// Which release, such as `v42`; the newest that succeeded when absent.
    #[arg(long, value_name = "RELEASE", value_parser = number)]
    release: Option<u32>,
}

/// `skep rollback`
#[derive(Debug, Args)]
#[command(
    after_help = "Image, config and the versions of secrets are those of that release. It stays so until the manifests ask for something else, or until `--end`."
)]
pub(crate) struct RollbackArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// To which release, such as `v41`; the last good one that ran something else when absent.
    #[arg(value_name = "RELEASE", value_parser = number)]
    release: Option<u32>,
    /// Go back to what the manifests ask for.
    #[arg(long, conflicts_with = "release")]
    end: bool,
    /// Wait until it runs.
    #[arg(long)]
    wait: bool,
    /// How long to wait at most.
    #[arg(long, value_name = "SPAN", default_value = "15m", value_parser = span)]
    timeout: Duration,
}

/// `skep cancel`
#[derive(Debug, Args)]
#[command(
    after_help = "What ran before runs again. A release phase that is under way is stopped. It stays so until something is changed, or until `skep retry`."
)]
pub(crate) struct CancelArgs {
    /// Environment: NAME, env/NAME or ORG/Environment/NAME.
    #[arg(value_name = "ENVIRONMENT", value_parser = environment)]
    environment: Address,
    /// Which release, such as `v42`; the one that is being rolled out when absent.
    #[arg(value_name = "RELEASE", value_parser = number)]
    release: Option<u32>,
}

pub(super) fn number(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.parse().map_err(|_| "releases are called v1, v2 and so on".to_owned())
}

/// Carries `skep releases` out.
pub(super) async fn list(session: &Session, args: ReleasesArgs) -> Result<Outcome> {
    let path = format!("{}/releases", resource_path(&args.environment.key(session.org.as_ref())?));
    let query = ReleaseQuery { before: args.before, limit: Some(args.limit) };
    let releases: ReleaseList = session.client.get(&with_query(&path, &query)?).await?;
    print(&args.output.of(&releases, || table(&releases))?)?;
    if let Some(next) = releases.next {
        eprintln!("there are earlier ones: --before v{next}");
    }
    Ok(Outcome::Done)
}

/// Carries `skep release` out.
pub(super) async fn show(session: &Session, args: ReleaseArgs) -> Result<Outcome> {
    let environment = resource_path(&args.environment.key(session.org.as_ref())?);
    let path = format!("{environment}/releases/{}", args.release);
    let query = OneReleaseQuery { against: args.against };
    let view: ReleaseView = session.client.get(&with_query(&path, &query)?).await?;
    let told = told(&view)?;
    print(&args.output.of(&view, || told)?)?;
    if args.output == PlanFormat::default() && args.against.is_none() {
        show_last_lines(session, &environment, &view.release).await?;
    }
    Ok(Outcome::Done)
}

/// Carries `skep promote` out.
pub(super) async fn promote(session: &Session, args: PromoteArgs) -> Result<Outcome> {
    let from = args.from.key(session.org.as_ref())?;
    let to = args.to.key(session.org.as_ref())?;
    ensure!(
        from.org() == to.org(),
        "{from} and {to} are of two organisations\nhelp: promote within one; another organisation pulls the image itself"
    );
    let request = PromoteRequest { from: from.name().clone(), release: args.release };
    let path = format!("{}/promote", resource_path(&to));
    let given: PromotionView = session.client.post(&path, &request).await?;
    let verb = match given.action {
        ApplyAction::Unchanged => "has",
        ApplyAction::Created | ApplyAction::Configured => "gets",
    };
    print(&format!(
        "{to} {verb} {} of release v{} of {}\n",
        harmless(&given.image),
        given.release,
        given.from
    ))?;
    Ok(Outcome::Done)
}

/// Carries `skep rollback` out.
pub(super) async fn roll_back(session: &Session, args: RollbackArgs) -> Result<Outcome> {
    let key = args.environment.key(session.org.as_ref())?;
    let path = resource_path(&key);
    let view = if args.end {
        let view: ResourceView = session.client.post(&format!("{path}/end-rollback"), &()).await?;
        print(&format!("{key} goes back to what its manifests ask for\n"))?;
        view
    } else {
        let request = RollbackRequest { to: args.release };
        let given: RollbackView = session.client.post(&format!("{path}/rollback"), &request).await?;
        print(&returned(&key, &given))?;
        given.resource
    };
    if !args.wait {
        return Ok(Outcome::Done);
    }
    until_ready(session, key, view, args.timeout).await
}

/// Carries `skep cancel` out.
pub(super) async fn cancel(session: &Session, args: CancelArgs) -> Result<Outcome> {
    let key = args.environment.key(session.org.as_ref())?;
    let path = format!("{}/releases", resource_path(&key));
    let release = match args.release {
        Some(release) => release,
        None => {
            let query = ReleaseQuery { before: None, limit: Some(1) };
            let newest: ReleaseList = session.client.get(&with_query(&path, &query)?).await?;
            let pending = newest.items.iter().find(|newest| newest.verdict == ReleaseVerdict::Pending);
            pending.with_context(|| format!("no release of {key} is being rolled out"))?.version
        }
    };
    let _: ReleaseItem = session.client.post(&format!("{path}/{release}/cancel"), &()).await?;
    print(&format!("release v{release} of {key} is being cancelled\n"))?;
    Ok(Outcome::Done)
}

fn returned(key: &ResourceKey, given: &RollbackView) -> String {
    let mut text = format!("{key} returns from v{} to v{}\n", given.from, given.to);
    if given.changes.is_empty() {
        text.push_str("  nothing is different\n");
    }
    given.changes.iter().for_each(|change| text.push_str(&line(change)));
    text
}

fn table(releases: &ReleaseList) -> String {
    let row = |release: &ReleaseItem| -> Vec<Cell> {
        vec![
            format!("v{}", release.version).into(),
            Cell::toned(release.verdict.as_str(), tone(release.verdict)),
            release.image.as_str().into(),
            release.created_at.to_string().into(),
            took(release).unwrap_or_else(|| "-".to_owned()).into(),
            release.made_by.as_deref().unwrap_or("-").into(),
            release.why.as_str().into(),
        ]
    };
    let rows: Vec<_> = releases.items.iter().map(row).collect();
    render(&["RELEASE", "VERDICT", "IMAGE", "MADE", "TOOK", "BY", "WHY"], &rows, stdout_style())
}

const fn tone(verdict: ReleaseVerdict) -> Tone {
    match verdict {
        ReleaseVerdict::Succeeded => Tone::Good,
        ReleaseVerdict::RolledBack | ReleaseVerdict::Failed => Tone::Bad,
        ReleaseVerdict::Pending | ReleaseVerdict::Superseded | ReleaseVerdict::Cancelled => Tone::Plain,
    }
}

/// How long it took until it was known how it went.
fn took(release: &ReleaseItem) -> Option<String> {
    let seconds = release.decided_at?.duration_since(release.created_at).as_secs_f64();
    Some(lasted(seconds))
}

fn told(view: &ReleaseView) -> Result<String> {
    let release = &view.release;
    let mut text = format!("release v{}: {}", release.version, release.verdict.as_str());
    if let Some(took) = took(release) {
        text.push_str(&format!(" after {took}"));
    }
    let by = release.made_by.as_deref().map(|by| format!(" by {}", harmless(by))).unwrap_or_default();
    text.push_str(&format!("\nmade {}{by} ({})\n", release.created_at, harmless(&release.why)));
    text.push_str(&format!("image {} = {}\n", harmless(&release.image), harmless(&release.digest)));
    if let Some(reason) = &release.reason {
        text.push_str(&format!("because {}\n", harmless(reason)));
    }
    if view.difference.is_none() && !release.timeline.is_empty() {
        text.push_str(&format!("\n{}", stages(&release.timeline, stdout_style())));
    }
    match &view.difference {
        Some(difference) if difference.changes.is_empty() => {
            text.push_str(&format!("the same as v{}\n", difference.against));
        }
        Some(difference) => {
            text.push_str(&format!("from v{}:\n", difference.against));
            difference.changes.iter().for_each(|change| text.push_str(&line(change)));
        }
        None => text.push_str(&format!("\n{}", yaml(&view.content)?)),
    }
    Ok(text)
}

fn line(change: &FieldChange) -> String {
    let side = |value: &Option<serde_json::Value>| {
        value.as_ref().map_or_else(|| "nothing".to_owned(), |value| harmless(&value.to_string()))
    };
    format!("  {}: {} -> {}\n", harmless(&change.pointer), side(&change.from), side(&change.to))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(difference: serde_json::Value) -> ReleaseView {
        serde_json::from_value(json!({
            "release": {"version": 3, "image": "shop:2", "digest": "sha256:ab", "processes": ["web"], "why": "changed: image", "madeBy": "ann",
                "verdict": "rolledBack", "state": "rolledBack", "reason": "web ended with 1", "createdAt": "2026-11-22T10:00:00Z",
                "decidedAt": "2026-11-22T10:00:12Z"},
            "content": {"image": "shop:2", "processes": {}, "secrets": {"key": {"name": "key", "version": 2}},
                "restart": {}, "security": {}},
            "difference": difference
        }))
        .unwrap()
    }

    #[test]
    fn a_release_is_told_with_what_it_runs_or_with_what_is_different() {
        let difference = json!({"against": 2, "changes": [
            {"pointer": "/secrets/key/version", "from": 1, "to": 2}, {"pointer": "/region", "from": "eu\u{1b}[2J"}]});
        assert_eq!(
            told(&view(difference)).unwrap(),
            "release v3: rolled back after 12.0 s\nmade 2026-11-22T10:00:00Z by ann (changed: image)\nimage shop:2 = sha256:ab\n\
             because web ended with 1\nfrom v2:\n  /secrets/key/version: 1 -> 2\n  /region: \"eu\\u001b[2J\" -> nothing\n"
        );
        let whole = told(&view(json!(null))).unwrap();
        assert!(whole.contains("secrets:\n") && whole.contains("version: 2"), "{whole}");
    }

    #[test]
    fn releases_are_numbers_with_or_without_the_letter() {
        assert_eq!((number("v42"), number("42")), (Ok(42), Ok(42)));
        assert!(number("latest").is_err() && number("v").is_err() && number("-1").is_err());
    }
}
