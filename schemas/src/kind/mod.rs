//! The kinds, one file each.
//!
//! A kind is a spec (what the user wants), a status detail (what the controller reports) and the checks that a JSON Schema
//! cannot express. Adding one means writing its file and adding one line to the [`kinds!`] table below; reader, store, API,
//! CLI, JSON Schema, OpenAPI and `skep explain` follow from the table.

use std::fmt;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::condition::Condition;
use crate::resource::{Generation, ResourceKey, Revision};
use crate::scalar::ScalarError;

mod app;
mod buildpack;
mod domain;
mod drift_policy;
mod environment;
mod image_policy;
mod isolation_tier;
mod network_policy;
mod notification;
mod once;
mod organization;
mod plan;
mod platform;
mod process;
mod registry_credential;
mod secret;
mod signer;
mod stack;
mod template;

pub use app::{AppDetail, AppSource, AppSpec};
pub use buildpack::{BuildpackDetail, BuildpackSpec};
pub use domain::{DomainDetail, DomainSpec, TlsMode};
pub use drift_policy::{DriftMode, DriftPolicyDetail, DriftPolicySpec};
pub use environment::{
    EnvironmentDetail, EnvironmentSpec, ProcessStatus, ReleaseStatus, RestartCondition, RestartSpec,
    RolloutOrder, RolloutSpec, SECRETS_DIRECTORY, SecretMount, SecuritySpec, TaskError, UnroutedDomain,
};
pub use image_policy::{Enforcement, ImagePolicyDetail, ImagePolicySpec, ScanHook};
pub use isolation_tier::{
    Capability, IsolationLevel, IsolationTierDetail, IsolationTierSpec, SecurityProfile,
};
pub use network_policy::{
    EgressRule, IngressRule, LinkDirection, LinkPeer, LinkState, LinkStatus, LinkTarget, NetworkPolicyDetail,
    NetworkPolicySpec,
};
pub use notification::{
    MessageType, NotificationDetail, NotificationSpec, NotificationTarget, SlackTarget, Topic, WebhookTarget,
};
pub use once::{ConcurrencyPolicy, RELEASE_PHASE, ScheduleSpec};
pub use organization::{EdgeStatus, NetworkStatus, OrganizationDetail, OrganizationSpec};
pub use plan::{Egress, NetworkRules, PlanDetail, PlanSpec, Quota};
pub use platform::{PlatformDetail, PlatformSpec};
pub use process::{HealthCheck, INSTANCES_MAX, NamedPort, ProcessSpec, Resources, VolumeMount};
pub use registry_credential::{PasswordSource, RegistryCredentialDetail, RegistryCredentialSpec};
pub use secret::{
    Alphabet, GENERATED_MAX, GenerateSpec, SECRET_VALUE_MAX, SecretDetail, SecretSpec, SecretValue,
};
pub use signer::{Identity, Signer, Subjects};
pub use stack::{StackDetail, StackSpec};
pub use template::{TemplateDetail, TemplateSecret, TemplateSpec};

/// Where the resources of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindScope {
    /// Shared by all organisations.
    Platform,
    /// Inside one organisation.
    Org,
}

/// Something about a spec that its types allow and its meaning forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of error it is.
    pub code: Code,
    /// Where: a JSON pointer relative to the spec, such as `/processes/web/ports/0`.
    pub pointer: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub help: String,
}

/// Collects problems while a spec is checked.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Notes one problem.
    pub fn push(&mut self, pointer: impl Into<String>, problem: impl Into<String>, help: impl Into<String>) {
        let (pointer, problem, help) = (pointer.into(), problem.into(), help.into());
        self.0.push(Problem { code: Code::InvalidSpec, pointer, problem, help });
    }

    /// Notes what is wrong with references at a place.
    pub fn push_references(&mut self, pointer: &str, wrong: Vec<ScalarError>) {
        self.0.extend(wrong.into_iter().map(|ScalarError { problem, help }| Problem {
            code: Code::InvalidReference,
            pointer: pointer.to_owned(),
            problem,
            help,
        }));
    }

    /// All that were noted.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// What the controller reports about a resource: the part that every kind has, and the kind's own detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status<D> {
    /// The generation of the spec that the whole status speaks of.
    pub observed_generation: Generation,
    /// The newest transaction among those that wrote the resource and everything that it refers to, as far as the status knows
    /// them. Who changed an App waits for an Environment whose status has seen that revision, because the Environment's own
    /// generation does not move.
    #[serde(default)]
    pub observed_revision: Revision,
    /// Ready always; Progressing, Stalled and Degraded while they hold.
    pub conditions: Vec<Condition>,
    /// When everything that the status rests on could last be read. There only while something cannot be read now: what the status
    /// says of that is as old as this. Absent as well when nothing was read since the controller started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_observed: Option<Timestamp>,
    /// The pass that last changed the status, as the controller's log and the journal of plans name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconcile_id: Option<String>,
    /// The kind's own.
    #[serde(flatten)]
    pub detail: D,
}

impl<D> Status<D> {
    /// What the planner says. When things were last seen, and by which pass, is the loop's to add.
    pub const fn new(
        observed_generation: Generation,
        observed_revision: Revision,
        conditions: Vec<Condition>,
        detail: D,
    ) -> Self {
        Self {
            observed_generation,
            observed_revision,
            conditions,
            last_observed: None,
            reconcile_id: None,
            detail,
        }
    }
}

/// The part of a status that can be read without knowing the kind.
pub type AnyStatus = Status<serde_json::Map<String, serde_json::Value>>;

/// What makes a type the spec of a kind.
pub trait KindSpec:
    Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The kind it is the spec of.
    const KIND: Kind;
    /// The kind's own part of the status.
    type Detail: Clone
        + fmt::Debug
        + PartialEq
        + Serialize
        + DeserializeOwned
        + JsonSchema
        + Default
        + Send
        + Sync
        + 'static;

    /// Finds what the types allow and the meaning forbids. Only this spec is known here; what depends on other resources is
    /// found by the planner.
    fn check(&self, problems: &mut Problems);

    /// The resources of the same scope, or of the platform, that this spec refers to.
    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey>;

    /// The spec as JSON with the values of secrets: a kind that has a field of type [`SecretValue`] must add it here, because
    /// `Serialize` leaves it out.
    fn to_json_with_secret_values(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}

macro_rules! kinds {
    ($($kind:ident { spec: $spec:ty, scope: $scope:ident, plural: $plural:literal, about: $about:literal },)*) => {
        /// The name of a kind.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            /// All kinds, in the order in which a reader should meet them: what is referred to comes first.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name as manifests write it, for example `Environment`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// The name as URLs write it, for example `environments`.
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)* }
            }

            /// Where its resources live.
            pub const fn scope(self) -> KindScope {
                match self { $(Self::$kind => KindScope::$scope,)* }
            }

            /// One sentence about it.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$kind => $about,)* }
            }

            /// The JSON Schema of its spec, with definitions added to the generator.
            pub fn spec_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$kind => generator.subschema_for::<$spec>(),)* }
            }

            /// The JSON Schema of its own part of the status.
            pub fn detail_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$kind => generator.subschema_for::<<$spec as KindSpec>::Detail>(),)* }
            }

            /// The JSON Schema of its whole status.
            pub fn status_schema(self, generator: &mut SchemaGenerator) -> Schema {
                match self { $(Self::$kind => generator.subschema_for::<Status<<$spec as KindSpec>::Detail>>(),)* }
            }
        }

        /// The spec of any kind.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnySpec {
            $(#[doc = $about] $kind(Box<$spec>),)*
        }

        impl AnySpec {
            /// Reads the spec of a kind from JSON. Checks types and fields, not [`AnySpec::check`].
            pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Self, serde_json::Error> {
                match kind { $(Kind::$kind => serde_json::from_value(json).map(|spec| Self::$kind(Box::new(spec))),)* }
            }

            /// The spec as JSON, without the values of secrets.
            pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Self::$kind(spec) => serde_json::to_value(spec),)* }
            }

            /// The spec as JSON, with the values of secrets; see [`crate::Manifest::to_json_with_secret_values`].
            pub(crate) fn to_json_with_secret_values(&self) -> Result<serde_json::Value, serde_json::Error> {
                match self { $(Self::$kind(spec) => spec.to_json_with_secret_values(),)* }
            }

            /// The kind it is the spec of.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// See [`KindSpec::check`].
            pub fn check(&self, problems: &mut Problems) {
                match self { $(Self::$kind(spec) => spec.check(problems),)* }
            }

            /// See [`KindSpec::references`].
            pub fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
                match self { $(Self::$kind(spec) => spec.references(key),)* }
            }
        }

        $(
            impl From<$spec> for AnySpec {
                fn from(spec: $spec) -> Self {
                    Self::$kind(Box::new(spec))
                }
            }

            impl TryFrom<AnySpec> for $spec {
                type Error = AnySpec;

                fn try_from(spec: AnySpec) -> Result<Self, AnySpec> {
                    match spec {
                        AnySpec::$kind(spec) => Ok(*spec),
                        #[allow(unreachable_patterns, reason = "a table of one kind has no other variant")]
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

kinds! {
    Organization {
        spec: OrganizationSpec, scope: Platform, plural: "organizations",
        about: "A tenant: its own network, its own resources, nothing shared with another."
    },
    Platform {
        spec: PlatformSpec, scope: Platform, plural: "platforms",
        about: "What holds for all organisations: which features there are."
    },
    Plan {
        spec: PlanSpec, scope: Platform, plural: "plans",
        about: "What an environment may use: resources of one instance, and how many instances."
    },
    IsolationTier {
        spec: IsolationTierSpec, scope: Platform, plural: "isolationtiers",
        about: "How organisations are kept apart: on which nodes their instances run, and what their containers may be."
    },
    Buildpack {
        spec: BuildpackSpec, scope: Platform, plural: "buildpacks",
        about: "What recognises the code of one language or framework, and makes it run."
    },
    Stack {
        spec: StackSpec, scope: Platform, plural: "stacks",
        about: "What images of apps are built with, and what they run on."
    },
    Template {
        spec: TemplateSpec, scope: Platform, plural: "templates",
        about: "What an application of one framework begins with."
    },
    Secret {
        spec: SecretSpec, scope: Org, plural: "secrets",
        about: "A value that processes read as a file and that nobody can read back."
    },
    RegistryCredential {
        spec: RegistryCredentialSpec, scope: Org, plural: "registrycredentials",
        about: "The user and the password with which an organisation's images are pulled from one registry."
    },
    App {
        spec: AppSpec, scope: Org, plural: "apps",
        about: "What is built and released: where its image comes from and which processes it has."
    },
    Environment {
        spec: EnvironmentSpec, scope: Org, plural: "environments",
        about: "One running copy of an app: its region, plan, configuration and formation."
    },
    Domain {
        spec: DomainSpec, scope: Org, plural: "domains",
        about: "A host name that is routed to a process of an environment."
    },
    DriftPolicy {
        spec: DriftPolicySpec, scope: Org, plural: "driftpolicies",
        about: "What happens when somebody else changes what Skep made: correct it, report it, or leave fields alone."
    },
    ImagePolicy {
        spec: ImagePolicySpec, scope: Org, plural: "imagepolicies",
        about: "Which images an organisation's environments may run, and what happens to others."
    },
    NetworkPolicy {
        spec: NetworkPolicySpec, scope: Org, plural: "networkpolicies",
        about: "Which port of an organisation which other organisation may reach, and what of others it reaches itself."
    },
    Notification {
        spec: NotificationSpec, scope: Org, plural: "notifications",
        about: "Who outside is told what happens in an organisation: releases, rollbacks, crash loops, drift."
    },
}

impl Kind {
    /// Has a resource of this kind objects of its own in the Swarm? Then it has a finalizer, and is planned for; of any other kind whatever depends
    /// on it is.
    pub const fn has_objects(self) -> bool {
        match self {
            Self::Organization | Self::Secret | Self::Environment | Self::NetworkPolicy => true,
            Self::Platform
            | Self::Plan
            | Self::IsolationTier
            | Self::Buildpack
            | Self::Stack
            | Self::Template
            | Self::App
            | Self::Domain
            | Self::DriftPolicy
            | Self::ImagePolicy
            | Self::RegistryCredential
            | Self::Notification => false,
        }
    }

    /// Is it a part of the platform's catalogue? Every organisation may read what there is to choose from, and what not, and the platform alone writes it.
    pub const fn is_of_catalog(self) -> bool {
        match self {
            Self::Platform
            | Self::Plan
            | Self::IsolationTier
            | Self::Buildpack
            | Self::Stack
            | Self::Template => true,
            Self::Organization
            | Self::Secret
            | Self::RegistryCredential
            | Self::App
            | Self::Environment
            | Self::Domain
            | Self::DriftPolicy
            | Self::ImagePolicy
            | Self::NetworkPolicy
            | Self::Notification => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No kind has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a kind")]
pub struct UnknownKind {
    /// The name that was given.
    pub name: String,
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    /// Reads the manifest form, the plural, or either in any case (`Environment`, `environments`, `environment`), and `org`
    /// and `env` for the two that are typed most.
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let lower = text.to_ascii_lowercase();
        let by_name =
            Self::ALL.iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text) || kind.plural() == lower);
        match (by_name, lower.as_str()) {
            (Some(kind), _) => Ok(*kind),
            (None, "org" | "orgs") => Ok(Self::Organization),
            (None, "env" | "envs") => Ok(Self::Environment),
            (None, _) => Err(UnknownKind { name: text.to_owned() }),
        }
    }
}
