//! Drift as it travels: what somebody else changed, what is done about it, and how it ended. And what people may ask about it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use skep_planner::drift::{DriftClass, Response};
use skep_schemas::{Kind, ResourceName};

use super::ResourceRef;

/// Which differences are wanted, and whether to go on following them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DriftQuery {
    /// Only of resources of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Only of resources of this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ResourceName>,
    /// Only differences of this class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<DriftClass>,
    /// Only those about which this is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Only those that stand (`true`), or only those that ended (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// How many at most, those that changed last first; 500 when absent, and never more. With `watch`: of those that stand and
    /// of those that ended, each, before the changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Answer with a stream: what there is, a `bookmark`, and then every change. A difference that was told is told again when
    /// it changes, also when it is not selected any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watch: bool,
}

/// Differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftList {
    /// Those that changed last first.
    pub items: Vec<DriftView>,
}

/// One difference between what is live and what was last converged, which nobody asked for in a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftView {
    /// Its number.
    pub id: i64,
    /// Rises with every change of it.
    pub serial: i64,
    /// The resource that answers for the object.
    pub resource: ResourceRef,
    /// The object in the Swarm.
    pub object: DriftObject,
    /// The field, as a JSON pointer; empty when it is about the object as a whole.
    pub pointer: String,
    /// In what way it differs.
    pub class: DriftClass,
    /// What Skep wants there; absent for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Value>,
    /// What is, or was, there; absent for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Value>,
    /// What is, or was, done about it.
    pub response: Response,
    /// What made Skep look.
    pub noticed: DriftNoticed,
    /// When it was noticed.
    pub first_seen: Timestamp,
    /// When it was last noted that it stands.
    pub last_seen: Timestamp,
    /// How it ended; absent while it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<DriftOutcome>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How long it stood, in milliseconds, once it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// What became of it, in words for people: `corrected in 104 ms`, `reported`, `gave up`.
    pub ending: String,
}

/// An object of the Swarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftObject {
    /// What it is: `service`, `network`, `secret` or `edge-attachment`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What made Skep look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftNoticed {
    /// An event of the engine.
    Event,
    /// A change in Skep, or the end of something that was under way.
    Change,
    /// The regular look at everything.
    Resync,
}

impl DriftNoticed {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Change => "change",
            Self::Resync => "resync",
        }
    }
}

/// How a difference ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DriftOutcome {
    /// Skep put it right.
    Corrected,
    /// Others put it right, or it is wanted otherwise now.
    Ended,
}

/// What is to be said about a difference at the end of its line.
pub(crate) fn ending(response: Response, outcome: Option<(DriftOutcome, u64)>) -> String {
    match (outcome, response) {
        (Some((DriftOutcome::Corrected, millis)), _) => format!("corrected in {}", span(millis)),
        (Some((DriftOutcome::Ended, _)), _) => "ended by others".to_owned(),
        (None, Response::Correct) => "being corrected".to_owned(),
        (None, Response::Report) => "reported".to_owned(),
        (None, Response::Ignore) => "ignored".to_owned(),
        (None, Response::Paused) => "paused".to_owned(),
        (None, Response::GiveUp) => "gave up".to_owned(),
    }
}

/// A length of time in the unit in which one thinks of it.
fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

/// One event of a stream of the drift report. Its SSE `event` is the type. It has no id: a stream that broke begins anew.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum DriftEvent {
    /// A difference as it is now: new, changed, or ended.
    Drift {
        /// The difference.
        drift: Box<DriftView>,
    },
    /// Everything that there was has been sent; what follows are changes.
    Bookmark {},
}

impl DriftEvent {
    /// The SSE `event`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Drift { .. } => "drift",
            Self::Bookmark {} => "bookmark",
        }
    }
}

/// Asks that nothing be changed for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PauseRequest {
    /// Why, for whoever wonders later; 500 characters at most.
    pub reason: String,
    /// When it ends by itself, such as `2h`, `1h30m` or `14d`; 90 days at most. Never, when absent.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_what_became_of_a_difference_in_words() {
        let corrected = |millis| ending(Response::Correct, Some((DriftOutcome::Corrected, millis)));
        assert_eq!(corrected(104), "corrected in 104 ms");
        assert_eq!(corrected(2_345), "corrected in 2.3 s");
        assert_eq!(corrected(360_000), "corrected in 6 min");
        assert_eq!(corrected(9_000_000), "corrected in 2 h");
        assert_eq!(ending(Response::Paused, Some((DriftOutcome::Ended, 5))), "ended by others");
        let open: Vec<_> = Response::ALL.into_iter().map(|response| ending(response, None)).collect();
        assert_eq!(open, ["being corrected", "reported", "ignored", "paused", "gave up"]);
    }
}
