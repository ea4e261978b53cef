//! The doctor: checks of an installation, each with what it found and what helps.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoctorQuery {
    /// Those of one section only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Where to go on: `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Checks, or as much of them as one request does. One that takes several requests is in each of their answers, with what was found there:
/// it failed if it failed in any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DoctorReport {
    /// The checks.
    pub checks: Vec<CheckView>,
    /// Where to go on; absent when all checks were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckView {
    /// What it is known by, such as `secrets.values`.
    pub id: String,
    /// The section that it belongs to.
    pub section: String,
    /// What has to be so.
    pub title: String,
    /// Where else it is asked for, as `CIS Docker Benchmark 1.7, 7.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark: Option<String>,
    /// Is it?
    pub outcome: CheckOutcome,
    /// How many things were looked at.
    pub looked_at: u64,
    /// Why it matters, or why it was skipped; absent if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What helps; absent if it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What was found, one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// What a check came to. The worse is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CheckOutcome {
    /// There was nothing to look at, or no way to.
    Skip,
    /// It is so.
    Pass,
    /// It is not so.
    Fail,
}

impl fmt::Display for CheckOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skip => "skip",
            Self::Pass => "pass",
            Self::Fail => "fail",
        })
    }
}
