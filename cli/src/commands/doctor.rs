//! `skep doctor`: is the installation as it has to be?

use anyhow::{Result, bail};
use clap::Args;
use skep_api::wire::{CheckOutcome, CheckView, DoctorQuery, DoctorReport};
use skep_schemas::diagnostic::Style;

use super::{Outcome, Session};
use crate::client::with_query;
use crate::output::text::{Tone, harmless, paint};
use crate::output::{PlanFormat, print, stdout_style};

/// The most requests of one examination. Each looks at a hundred things or more.
const STEPS_MAX: usize = 100_000;

/// Findings of one check that are shown to people; other formats have all.
const SHOWN_MAX: usize = 20;

/// `skep doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// One section only, such as `secrets`.
    #[arg(long)]
    section: Option<String>,
    /// Output format.
    #[arg(long, short, value_enum, default_value_t)]
    output: PlanFormat,
}

/// Carries it out.
pub(super) async fn run(session: &Session, args: DoctorArgs) -> Result<Outcome> {
    let checks = examined(session, args.section).await?;
    let failed = checks.iter().any(|check| check.outcome == CheckOutcome::Fail);
    let report = DoctorReport { checks, next: None };
    print(
        &args
            .output
            .of(&report, || report.checks.iter().map(|check| shown(check, stdout_style())).collect())?,
    )?;
    Ok(if failed { Outcome::Negative } else { Outcome::Done })
}

async fn examined(session: &Session, section: Option<String>) -> Result<Vec<CheckView>> {
    let mut query = DoctorQuery { section, after: None };
    let mut checks: Vec<CheckView> = Vec::new();
    for _ in 0..STEPS_MAX {
        let step: DoctorReport = session.client.get(&with_query("/v1/doctor", &query)?).await?;
        for check in step.checks {
            match checks.iter_mut().find(|known| known.id == check.id) {
                Some(known) => merge(known, check),
                None => checks.push(check),
            }
        }
        match step.next {
            Some(next) => query.after = Some(next),
            None => return Ok(checks),
        }
    }
    bail!("the examination does not end")
}

/// Adds what a further step found of the same check: the worse counts.
fn merge(known: &mut CheckView, step: CheckView) {
    known.looked_at += step.looked_at;
    known.findings.extend(step.findings);
    if step.outcome > known.outcome {
        (known.outcome, known.why, known.fix) = (step.outcome, step.why, step.fix);
    }
}

fn shown(check: &CheckView, style: Style) -> String {
    let tone = match check.outcome {
        CheckOutcome::Pass => Tone::Good,
        CheckOutcome::Fail => Tone::Bad,
        CheckOutcome::Skip => Tone::Plain,
    };
    let outcome = paint(&check.outcome.to_string(), tone, style);
    let CheckView { id, title, looked_at, .. } = check;
    let asks = check.benchmark.as_ref().map(|number| format!(" [{}]", harmless(number))).unwrap_or_default();
    let mut text =
        format!("{outcome}  {}  {}{asks} ({looked_at} looked at)\n", harmless(id), harmless(title));
    for finding in check.findings.iter().take(SHOWN_MAX) {
        text.push_str(&format!("        {}\n", harmless(finding)));
    }
    if let Some(more) = check.findings.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("        and {more} more: `-o json` has all\n"));
    }
    for (word, said) in [("why", &check.why), ("fix", &check.fix)] {
        if let Some(said) = said {
            text.push_str(&format!("      {word}: {}\n", harmless(said)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: CheckOutcome, looked_at: u64, findings: &[&str]) -> CheckView {
        let failed = outcome == CheckOutcome::Fail;
        CheckView {
            id: "secrets.values".to_owned(),
            section: "secrets".to_owned(),
            title: "every stored value opens".to_owned(),
            benchmark: None,
            outcome,
            looked_at,
            why: failed.then(|| "it matters".to_owned()),
            fix: failed.then(|| "write it again".to_owned()),
            findings: findings.iter().map(|finding| (*finding).to_owned()).collect(),
        }
    }

    #[test]
    fn a_check_of_several_steps_failed_if_any_of_them_did() {
        let mut all = check(CheckOutcome::Skip, 0, &[]);
        for step in [
            check(CheckOutcome::Pass, 100, &[]),
            check(CheckOutcome::Fail, 100, &["acme/Secret/db version 3: it is empty\u{1b}[2J"]),
            check(CheckOutcome::Pass, 7, &[]),
        ] {
            merge(&mut all, step);
        }
        assert_eq!((all.outcome, all.looked_at, all.findings.len()), (CheckOutcome::Fail, 207, 1));
        let text = shown(&all, Style::Plain);
        assert!(
            text.starts_with("fail  secrets.values  every stored value opens (207 looked at)\n"),
            "{text}"
        );
        assert!(text.contains("why: it matters") && text.contains("fix: write it again"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn people_are_shown_the_first_findings_and_how_to_see_all() {
        let findings: Vec<String> = (0..25).map(|number| format!("finding {number}")).collect();
        let findings: Vec<&str> = findings.iter().map(String::as_str).collect();
        let text = shown(&check(CheckOutcome::Fail, 25, &findings), Style::Plain);
        assert!(text.contains("finding 19\n") && !text.contains("finding 20\n"), "{text}");
        assert!(text.contains("and 5 more"), "{text}");
    }
}
