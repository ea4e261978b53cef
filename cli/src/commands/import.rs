//! `skep import`: what others deploy with, as manifests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use skep_compose::{Entry, Import, Options, Outcome as Became, Report};
use skep_schemas::{Host, ImageRef, ResourceName, ScalarError};

use super::{Outcome, Session, manifest_file};
use crate::dotenv;
use crate::output::table::{Cell, render};
use crate::output::text::Tone;
use crate::output::{PlanFormat, print, stdout_style};

/// `skep import`
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Make manifests of Compose files, and say what became of every key.
    Compose(ComposeArgs),
}

/// `skep import compose`
#[derive(Debug, Args)]
#[command(
    after_help = "Nothing is sent to a server: what is written is for you to read, and for `skep apply` to apply. Every key of the files is in the \
                  report: done and where it went, to be decided, or refused with the reason; `-o json` has all of them. Values of secrets are written \
                  nowhere. See docs/guides/compose.md."
)]
pub(crate) struct ComposeArgs {
    /// Compose files, the later over the earlier.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What names of resources begin with [default: `name` of the files, or their directory].
    #[arg(long, short = 'p', value_name = "NAME")]
    project: Option<String>,
    /// Import the services of this profile, too; may be given several times, `*` for all.
    #[arg(long = "profile", value_name = "PROFILE")]
    profiles: Vec<String>,
    /// File of variables for `${…}` [default: .env beside the first file, if it is there].
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Image of a service, of one that is built for instance.
    #[arg(long = "image", value_name = "SERVICE=IMAGE", value_parser = of_service::<ImageRef>)]
    images: Vec<(String, ImageRef)>,
    /// Host name at which a service is to be reached.
    #[arg(long = "host", value_name = "SERVICE=HOST", value_parser = of_service::<Host>)]
    hosts: Vec<(String, Host)>,
    /// Name of what a service becomes [default: PROJECT-SERVICE].
    #[arg(long = "name", value_name = "SERVICE=NAME", value_parser = of_service::<ResourceName>)]
    names: Vec<(String, ResourceName)>,
    /// File to write, which must not be there yet, or `-` for standard output, with the report on standard error.
    #[arg(long = "filename", short = 'f', value_name = "FILE|-", default_value = "skep.yaml")]
    file: PathBuf,
    /// Show what is done, too, and not only what is left.
    #[arg(long)]
    all: bool,
    /// Form of the report.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

fn of_service<T: std::str::FromStr<Err = ScalarError>>(text: &str) -> Result<(String, T), String> {
    let (service, value) = text.split_once('=').ok_or("write it as SERVICE=…")?;
    let value = value.parse().map_err(|error: ScalarError| format!("{}; {}", error.problem, error.help))?;
    Ok((service.to_owned(), value))
}

/// Carries it out.
pub(super) fn run(session: &Session, command: ImportCommand) -> Result<Outcome> {
    let ImportCommand::Compose(args) = command;
    let Some(org) = session.org.clone() else {
        bail!("of which organisation will it be?\nhelp: name one with --org");
    };
    let options = Options {
        project: args.project.clone(),
        directory: args.files.first().and_then(|file| directory_of(file)),
        profiles: args.profiles.iter().cloned().collect(),
        variables: variables(&args)?,
        images: args.images.iter().cloned().collect(),
        hosts: args.hosts.iter().cloned().collect(),
        names: args.names.iter().cloned().collect(),
        ..Options::new(org)
    };
    let import = skep_compose::import(&args.files, &options, &|path| std::fs::read_to_string(path))?;
    if import.manifests.is_empty() {
        print(&args.output.of(&ReportView::of(&import.report), || told(&import.report, true))?)?;
        bail!("nothing is left that a manifest could be made of");
    }
    let comment = format!(
        "Made by `skep import compose` of the project `{}`. It is yours from here on.",
        import.project
    );
    let text = manifest_file::text(&comment, &import.manifests)?;
    manifest_file::read(&args.file, &text)?;
    let report = args.output.of(&ReportView::of(&import.report), || said(&args, &import))?;
    if args.file == Path::new("-") {
        print(&text)?;
        eprint!("{report}");
    } else {
        manifest_file::write(&args.file, &text)?;
        print(&report)?;
    }
    Ok(Outcome::Done)
}

/// The name of the directory in which a file lies, wherever it is named from.
fn directory_of(file: &Path) -> Option<String> {
    let whole = std::fs::canonicalize(file).ok()?;
    Some(whole.parent()?.file_name()?.to_string_lossy().into_owned())
}

fn variables(args: &ComposeArgs) -> Result<BTreeMap<String, String>> {
    let usual = args.files.first().map(|file| file.with_file_name(".env")).filter(|file| file.exists());
    let files = if args.env_files.is_empty() { usual.into_iter().collect() } else { args.env_files.clone() };
    let mut found = BTreeMap::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let read = dotenv::parse(&text).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        found.extend(read.into_iter().map(|(name, value)| (name.to_string(), value)));
    }
    Ok(found)
}

/// The report for programs.
#[derive(Debug, Serialize)]
struct ReportView<'a> {
    entries: Vec<EntryView<'a>>,
}

#[derive(Debug, Serialize)]
struct EntryView<'a> {
    pointer: &'a str,
    outcome: &'static str,
    text: &'a str,
}

impl<'a> ReportView<'a> {
    fn of(report: &'a Report) -> Self {
        let view = |entry: &'a Entry| EntryView {
            pointer: &entry.pointer,
            outcome: entry.outcome.word(),
            text: entry.outcome.text(),
        };
        Self { entries: report.entries().iter().map(view).collect() }
    }
}

fn said(args: &ComposeArgs, import: &Import) -> String {
    let (done, decide, refused) = import.report.counts();
    let mut text = told(&import.report, args.all);
    let kinds: Vec<String> =
        import.manifests.iter().map(|manifest| format!("  {}\n", manifest.key)).collect();
    text.push_str(&format!("{done} keys done, {decide} to be decided, {refused} refused\n"));
    if args.file == Path::new("-") {
        return text;
    }
    let file = args.file.display();
    text.push_str(&format!(
        "wrote {file}:\n{}next:\n  skep diff -f {file}\n  skep apply -f {file} --wait\n",
        kinds.concat()
    ));
    text
}

fn told(report: &Report, all: bool) -> String {
    let is_told = |entry: &&Entry| all || !matches!(entry.outcome, Became::Done { .. });
    let row = |entry: &Entry| -> Vec<Cell> {
        let tone = match entry.outcome {
            Became::Done { .. } => Tone::Good,
            Became::Decide { .. } => Tone::Busy,
            Became::Refused { .. } => Tone::Bad,
        };
        vec![
            Cell::toned(entry.outcome.word(), tone),
            crate::output::text::harmless(&entry.pointer).into(),
            crate::output::text::harmless(entry.outcome.text()).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = report.entries().iter().filter(is_told).map(row).collect();
    if rows.is_empty() {
        String::new()
    } else {
        render(&["", "KEY", "WHAT BECOMES OF IT"], &rows, stdout_style())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_service_is_read_and_what_is_wrong_is_told() {
        assert_eq!(of_service::<Host>("web=www.example.com").unwrap().0, "web");
        assert!(of_service::<Host>("www.example.com").unwrap_err().contains("SERVICE=…"));
        assert!(of_service::<ResourceName>("web=A_B").is_err());
    }

    #[test]
    fn what_is_done_is_counted_and_what_is_left_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("compose.yaml");
        std::fs::write(&file, "services: {web: {image: 'a:1', tty: true}}").unwrap();
        let options = Options { project: Some("p".to_owned()), ..Options::new("acme".parse().unwrap()) };
        let import = skep_compose::import(&[file], &options, &|path| std::fs::read_to_string(path)).unwrap();
        let shown = told(&import.report, false);
        assert!(shown.contains("services.web.tty") && !shown.contains("services.web.image"), "{shown}");
        assert!(told(&import.report, true).contains("services.web.image"));
    }
}
