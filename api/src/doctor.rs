//! The doctor: what has to be so of an installation, looked at on request.
//!
//! Checks come in groups, one file for each, and one group is one section of the report. A group is run in steps that are short enough for one
//! request; [`examine`] makes one step and says where the next begins, through all groups. A check that takes several steps is told of in
//! each. Adding a group is writing its file and naming it in [`GROUPS`].

mod cluster;
mod secrets;

use std::future::Future;
use std::pin::Pin;

use skep_store::Store;

use crate::error::ApiError;
use crate::port::ControlPlane;
use crate::wire::{CheckOutcome, CheckView, DoctorQuery, DoctorReport};

/// A group of checks.
struct Group {
    section: &'static str,
    run: for<'a> fn(&'a Patient<'a>, Option<&'a str>) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Step, ApiError>> + Send + 'a>>;

/// What is examined.
pub(crate) struct Patient<'a> {
    /// The store, with everything in it.
    pub(crate) store: &'a Store,
    /// Who can look at the cluster.
    pub(crate) control: &'a dyn ControlPlane,
}

/// What one step found.
struct Step {
    checks: Vec<Check>,
    /// Where the group goes on; none when it is done.
    next: Option<String>,
}

/// One check, with what would be said if it fails.
struct Check {
    id: &'static str,
    /// The number of the CIS Docker Benchmark that asks for it.
    benchmark: Option<&'static str>,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    looked_at: u64,
    findings: Vec<String>,
}

const GROUPS: [Group; 2] =
    [Group { section: "secrets", run: secrets::run }, Group { section: "cluster", run: cluster::run }];

/// Makes one step.
pub(crate) async fn examine(patient: &Patient<'_>, query: &DoctorQuery) -> Result<DoctorReport, ApiError> {
    let (asked, at) = match query.after.as_deref().map(|after| after.split_once(':')) {
        None => (query.section.as_deref(), None),
        Some(Some((section, at))) => (Some(section), Some(at).filter(|at| !at.is_empty())),
        Some(None) => return Err(unknown("`after` is no place to go on")),
    };
    let place = match asked {
        None => Some(0),
        Some(asked) => GROUPS.iter().position(|group| group.section == asked),
    };
    let place = place.ok_or_else(|| unknown("there is no such section"))?;
    let group = GROUPS.get(place).ok_or_else(|| unknown("there is no such section"))?;
    let step = (group.run)(patient, at).await?;
    let next = match (step.next, GROUPS.get(place + 1)) {
        (Some(at), _) => Some(format!("{}:{at}", group.section)),
        (None, Some(next)) if query.section.is_none() => Some(format!("{}:", next.section)),
        (None, _) => None,
    };
    let checks = step.checks.into_iter().map(|check| check.into_view(group.section)).collect();
    Ok(DoctorReport { checks, next })
}

fn unknown(problem: &str) -> ApiError {
    let sections: Vec<&str> = GROUPS.iter().map(|group| group.section).collect();
    ApiError::invalid(problem, format!("the sections are: {}", sections.join(", ")))
}

impl Check {
    fn into_view(self, section: &'static str) -> CheckView {
        let Self { id, benchmark, title, why, fix, looked_at, findings } = self;
        let (outcome, why, fix) = match (looked_at, findings.is_empty()) {
            (_, false) => (CheckOutcome::Fail, Some(why.to_owned()), Some(fix.to_owned())),
            (0, true) => (CheckOutcome::Skip, Some("there is nothing to look at".to_owned()), None),
            (_, true) => (CheckOutcome::Pass, None, None),
        };
        CheckView {
            id: id.to_owned(),
            section: section.to_owned(),
            title: title.to_owned(),
            benchmark: benchmark.map(|number| format!("CIS Docker Benchmark 1.7, {number}")),
            outcome,
            looked_at,
            why,
            fix,
            findings,
        }
    }
}
