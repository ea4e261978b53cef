//! Releases: immutable facts about what an environment runs.
//!
//! A [`ReleaseContent`] is everything that a task of the environment depends on: the pinned image, the processes with their
//! merged configuration, the exact secret values, placement and confinement. How many instances run, how they are replaced and
//! which hosts are routed to them are not part of it: those change without a new release.
//!
//! Two contents that are equal are the same release, so applying the same manifests again makes none (invariant I10).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_schemas::kind::{
    HealthCheck, NamedPort, RELEASE_PHASE, Resources, RestartSpec, ScheduleSpec, SecuritySpec, VolumeMount,
};
use skep_schemas::{
    Duration, EnvName, ImageDigest, ImageRef, MountPath, ProcessName, Reference, Region, ResourceName,
};

use crate::deployment::Timeline;
use crate::image_start::ImageStart;

/// The number of a release within its environment; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseVersion(u32);

impl ReleaseVersion {
    /// The first release of an environment.
    pub const FIRST: Self = Self(1);

    /// From its stored form.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after it.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl std::fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What a release runs. Never changed once recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseContent {
    /// The image.
    pub image: ReleaseImage,
    /// The processes, with everything merged that app, environment and plan say.
    pub processes: BTreeMap<ProcessName, ReleaseProcess>,
    /// What runs once before they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_phase: Option<ReleasePhase>,
    /// What runs by a schedule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<ProcessName, ReleaseSchedule>,
    /// What the references in variables stood for when it was made. The variables above have it as text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<Reference, String>,
    /// The secrets that all of them read.
    pub secrets: Vec<ReleaseSecret>,
    /// Where they run.
    pub region: Option<Region>,
    /// What happens when an instance ends.
    pub restart: RestartSpec,
    /// What their containers may do.
    pub security: SecuritySpec,
}

/// The image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseImage {
    /// As the user wrote it.
    pub reference: ImageRef,
    /// What it was resolved to when the release was made.
    pub resolved: ResolvedImage,
    /// What it starts by itself, if it could be read then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<ImageStart>,
}

impl ReleaseContent {
    /// Everything that runs, by name: the processes that go on running, what has a schedule, and the release phase.
    pub fn runnables(&self) -> impl Iterator<Item = (&str, &ReleaseProcess)> {
        let phase = self.release_phase.iter().map(|phase| (RELEASE_PHASE, &phase.process));
        let scheduled = self.schedules.iter().map(|(name, schedule)| (name.as_str(), &schedule.process));
        self.processes.iter().map(|(name, process)| (name.as_str(), process)).chain(scheduled).chain(phase)
    }

    /// What a run of a process runs: one that goes on running, one that has a schedule, or the release phase.
    pub fn runnable(&self, name: &ProcessName) -> Option<&ReleaseProcess> {
        let scheduled = || self.schedules.get(name).map(|schedule| &schedule.process);
        let phase = || self.release_phase.as_ref().filter(|_| name.as_str() == RELEASE_PHASE);
        self.processes.get(name).or_else(scheduled).or_else(|| phase().map(|phase| &phase.process))
    }

    /// Does anything of it take a secret as a variable?
    pub fn has_secret_variables(&self) -> bool {
        self.secrets.iter().any(|secret| secret.env.is_some())
    }
}

impl ReleaseImage {
    /// The reference that tasks are given.
    pub fn pinned(&self) -> String {
        match &self.resolved {
            ResolvedImage::Registry { digest } => self.reference.pinned(digest.clone()).to_string(),
            // The engine cannot find an image of its own by a digest that no registry ever gave it.
            ResolvedImage::Engine { .. } => self.reference.to_string(),
        }
    }

    /// The content that it stands for: a registry's digest, or the engine's own image id.
    pub fn digest(&self) -> &ImageDigest {
        match &self.resolved {
            ResolvedImage::Registry { digest } | ResolvedImage::Engine { id: digest } => digest,
        }
    }
}

/// What an image reference stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum ResolvedImage {
    /// A registry knows it by this digest.
    Registry {
        /// The digest of its manifest.
        digest: ImageDigest,
    },
    /// No registry has it, and the engine has an image of that name.
    Engine {
        /// The image's own id, which names its configuration.
        id: ImageDigest,
    },
}

/// One process of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseProcess {
    /// In place of the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    pub command: Option<Vec<String>>,
    /// Where the program starts.
    pub working_dir: Option<MountPath>,
    /// All environment variables, the environment's included.
    pub env: BTreeMap<EnvName, String>,
    /// The ports that it listens on.
    pub ports: Vec<NamedPort>,
    /// How to tell that an instance works.
    pub health_check: Option<HealthCheck>,
    /// What one instance may use.
    pub resources: Resources,
    /// Named volumes.
    pub volumes: Vec<VolumeMount>,
    /// How long an instance may take to end.
    pub stop_grace_period: Duration,
}

/// What runs once, with the release's image, config and secrets, before its processes do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleasePhase {
    /// What runs.
    pub process: ReleaseProcess,
    /// For how long it may.
    pub time_limit: Duration,
}

/// What runs again and again, with the release's image, config and secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSchedule {
    /// What runs.
    pub process: ReleaseProcess,
    /// When, and what is done about what is late or not over.
    pub schedule: ScheduleSpec,
    /// For how long it may.
    pub time_limit: Duration,
}

/// One secret of a release, down to the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSecret {
    /// The Secret resource.
    pub name: ResourceName,
    /// The version of its value.
    pub version: u32,
    /// The object in the Swarm that holds this value.
    pub object: String,
    /// The file that it appears as, under `/run/secrets`.
    pub file: String,
    /// The variable that it is in as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
}

/// How a release went. Once it is not [`Verdict::Pending`], it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Verdict {
    /// Being rolled out.
    Pending,
    /// Every process ran it as it should.
    Succeeded,
    /// It failed, and the one before runs again.
    RolledBack {
        /// Why, in words.
        reason: String,
    },
    /// It failed, and there was nothing to go back to.
    Failed {
        /// Why, in words.
        reason: String,
    },
    /// A newer one took its place before it was done.
    Superseded,
    /// Somebody cancelled it before it was done.
    Cancelled {
        /// Who, in words.
        reason: String,
    },
}

impl Verdict {
    /// Is it known how the release went?
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Pending)
    }

    /// The word for it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::RolledBack { .. } => "rolled-back",
            Self::Failed { .. } => "failed",
            Self::Superseded => "superseded",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Why it is not to run, if it is not: it failed, or was cancelled.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::RolledBack { reason } | Self::Failed { reason } | Self::Cancelled { reason } => {
                Some(reason)
            }
            Self::Pending | Self::Succeeded | Self::Superseded => None,
        }
    }
}

/// A recorded release.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// Its number.
    pub version: ReleaseVersion,
    /// What it runs.
    pub content: ReleaseContent,
    /// How it went.
    pub verdict: Verdict,
    /// When it was made.
    pub created_at: Timestamp,
    /// The release to which it is a return.
    pub rollback_to: Option<ReleaseVersion>,
    /// Who asked that it be cancelled while it was pending.
    pub cancelled: Option<Cancelled>,
    /// What was noted while it was pending; none for one from before that was.
    pub timeline: Option<Timeline>,
}

/// That somebody asked for a release to be cancelled. It stays with the release; what is done about it is for the loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Cancelled {
    /// How such a release went.
    pub fn verdict(&self) -> Verdict {
        Verdict::Cancelled { reason: format!("cancelled by {}", self.by) }
    }
}
