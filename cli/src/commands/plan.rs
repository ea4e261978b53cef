//! `skep plan`: what an apply would change and what that costs, from the planner that the server itself uses.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use skep_api::wire::PreviewView;
use skep_schemas::manifest::SourcedManifest;

use super::{Outcome, Session, apply};
use crate::args::{Sources, TakeOver};
use crate::client::with_query;
use crate::output::{PlanFormat, print};
use crate::plan_file::PlanFile;

/// `skep plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    take_over: TakeOver,
    /// Output format: text, json or yaml; or a FILE that `skep apply --plan FILE` carries out, unless anything that the plan was
    /// made from has moved by then.
    #[arg(long, short, value_name = "FORMAT|FILE", default_value = "text", value_parser = output)]
    output: Output,
}

/// Where the plan goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Output {
    /// To standard output.
    Shown(PlanFormat),
    /// To a file, bound to what it was made from.
    Bound(PathBuf),
}

fn output(text: &str) -> Result<Output, String> {
    if let Ok(format) = PlanFormat::from_str(text, false) {
        return Ok(Output::Shown(format));
    }
    // A misspelt format is no file name.
    if text.contains(['.', '/']) {
        return Ok(Output::Bound(PathBuf::from(text)));
    }
    Err("neither text, json or yaml, nor a file such as plan.json".to_owned())
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: PlanArgs) -> Result<Outcome> {
    let manifests = session.read(&args.sources)?;
    let preview = preview(session, &manifests, args.take_over).await?;
    match args.output {
        Output::Shown(format) => print(&shown(&preview, format)?)?,
        Output::Bound(path) => {
            print(&preview.render())?;
            PlanFile::new(&manifests, preview)?.write(&path)?;
            let flag = if args.take_over.take_over { " --take-over" } else { "" };
            print(&format!("Carry it out with `skep apply --plan {}{flag}`.\n", path.display()))?;
        }
    }
    Ok(Outcome::Done)
}

/// Asks the server. The values of secrets go with it: whether they changed is part of the plan.
pub(super) async fn preview(
    session: &Session,
    manifests: &[SourcedManifest],
    take_over: TakeOver,
) -> Result<PreviewView> {
    apply::send(session, &with_query("/v1/plan", &take_over.query())?, manifests).await
}

/// The preview in a format.
pub(super) fn shown(preview: &PreviewView, format: PlanFormat) -> Result<String> {
    format.of(preview, || preview.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_format_and_what_looks_like_a_file_is_one() {
        assert_eq!(output("json"), Ok(Output::Shown(PlanFormat::Json)));
        assert_eq!(output("plan.json"), Ok(Output::Bound(PathBuf::from("plan.json"))));
        assert!(output("jsn").is_err());
    }
}
