//! Health checks: a program in the container, without a shell of ours.

use serde_json::Value;
use skep_schemas::Duration;
use skep_schemas::kind::HealthCheck;

use super::draft::Draft;
use super::number;
use crate::Report;
use crate::keys::Keys;
use crate::value;

/// What Docker takes where nothing is said.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;

pub(super) fn take(draft: &mut Draft, keys: &mut Keys, report: &mut Report) {
    let Some(taken) = keys.take("healthcheck") else { return };
    let mut keys = Keys::of(taken, report);
    let disabled = keys.take("disable");
    let test = keys.take("test");
    let is_none = test.as_ref().is_some_and(|test| words(&test.value).is_some_and(|words| words.is_empty()));
    if disabled.as_ref().is_some_and(crate::keys::Taken::is_true) || is_none {
        for taken in disabled.into_iter().chain(test) {
            let what = "the image's own check, if it has one, still counts; it is part of the image";
            report.decide(taken.pointer, what);
        }
        return keys.rest(report);
    }
    if let Some(disabled) = disabled {
        report.done(disabled.pointer, "it is not disabled");
    }
    let Some(test) = test else {
        let what =
            "it has no test of its own: write the image's as `healthCheck.command`, and these beside it";
        for (_, taken) in keys.into_each() {
            report.decide(taken.pointer, what);
        }
        return;
    };
    let Some(command) = words(&test.value).filter(|words| !words.is_empty()) else {
        report.refuse(
            test.pointer,
            "it is neither a command, nor a list that begins with CMD, CMD-SHELL or NONE",
        );
        return keys.rest(report);
    };
    report.done(test.pointer, draft.in_process("healthCheck.command"));
    let at_least = Duration::from_secs(1);
    let span =
        |keys: &mut Keys, key: &str, field: &str, usual: Duration, least: Duration, report: &mut Report| {
            let Some(taken) = keys.take(key) else { return usual };
            match taken.text().as_deref().and_then(value::duration) {
                Some(span) if span >= least => {
                    report.done(taken.pointer, draft.in_process(&format!("healthCheck.{field}")));
                    span
                }
                Some(_) => {
                    report.decide(
                        taken.pointer,
                        format!(
                            "{}, as {least}: checks are a second apart at least",
                            draft.in_process(&format!("healthCheck.{field}"))
                        ),
                    );
                    least
                }
                None => {
                    report.refuse(taken.pointer, "it is no span of time such as `30s`");
                    usual
                }
            }
        };
    let interval = span(&mut keys, "interval", "interval", INTERVAL, at_least, report);
    let timeout = span(&mut keys, "timeout", "timeout", TIMEOUT, at_least, report);
    let nothing = Duration::from_secs(0);
    let start_period = span(&mut keys, "start_period", "startPeriod", nothing, nothing, report);
    let mut retries = RETRIES;
    if let Some(taken) = keys.take("retries") {
        match number(&taken.value).filter(|retries| (1..=100).contains(retries)) {
            Some(number) => {
                retries = number;
                report.done(taken.pointer, draft.in_process("healthCheck.retries"));
            }
            None => report.refuse(taken.pointer, "it is no number from 1 to 100"),
        }
    }
    keys.refuse(&["start_interval"], "checks are as far apart at the start as later", report);
    keys.rest(report);
    draft.health_check = Some(HealthCheck { command, interval, timeout, retries, start_period });
}

/// The program and its arguments. None at all is `NONE`.
fn words(test: &Value) -> Option<Vec<String>> {
    let shell = |line: String| vec!["/bin/sh".to_owned(), "-c".to_owned(), line];
    let Value::Array(items) = test else { return value::text(test).map(shell) };
    let mut words: Vec<String> = items.iter().map(value::text).collect::<Option<_>>()?;
    if words.is_empty() {
        return None;
    }
    match words.remove(0).as_str() {
        "NONE" => Some(Vec::new()),
        "CMD" => Some(words),
        "CMD-SHELL" => Some(shell(words.join(" "))),
        _ => None,
    }
}
