//! Notification: what is told to somebody outside of what happens in an organisation.
//!
//! What can be told has a type, which is in each message, and a topic, by which it is asked for. Both are lists of what Skep really tells: a manifest
//! that asks for a topic that there is not is refused, and does not wait for ever.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, KindSpec, Problems};
use crate::resource::ResourceKey;
use crate::scalar::{HookUrl, ResourceName};

/// More than anyone lists by hand; who wants more wants all.
const ENVIRONMENTS_MAX: usize = 100;

/// Who is told what of an organisation. Exactly one of `webhook` and `slack` is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NotificationSpec {
    /// A host that takes signed messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookTarget>,
    /// A channel of Slack, or of what takes the same messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slack: Option<SlackTarget>,
    /// What is told. Everything when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Topic>,
    /// Of which environments. Of everything in the organisation when absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<ResourceName>,
}

/// A host that takes messages in the form of Standard Webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookTarget {
    /// Where they are sent.
    pub url: HookUrl,
    /// The Secret of the organisation with whose value they are signed. A line end behind it does not count.
    pub secret: ResourceName,
}

/// A channel of Slack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlackTarget {
    /// The Secret of the organisation whose value is the address of the incoming webhook: whoever knows that may write to the channel. A line end
    /// behind it does not count.
    pub secret: ResourceName,
}

/// Where messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationTarget<'a> {
    /// To a host that takes signed messages.
    Webhook(&'a WebhookTarget),
    /// To a channel of Slack.
    Slack(&'a SlackTarget),
}

impl NotificationTarget<'_> {
    /// The Secret that is opened for each message.
    pub const fn secret(&self) -> &ResourceName {
        match self {
            Self::Webhook(target) => &target.secret,
            Self::Slack(target) => &target.secret,
        }
    }
}

/// What is told, in groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Topic {
    /// A release is made, runs, failed, or cannot be made.
    Deploy,
    /// A release failed and the one before runs again, or somebody went back to an older one.
    Rollback,
    /// Instances start and end again and again.
    CrashLoop,
    /// Somebody else changed what Skep made.
    Drift,
    /// Something does not fit into the plan.
    Quota,
    /// A run ended badly.
    Run,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Deploy, Self::Rollback, Self::CrashLoop, Self::Drift, Self::Quota, Self::Run];

    /// The word for it, as manifests have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "Deploy",
            Self::Rollback => "Rollback",
            Self::CrashLoop => "CrashLoop",
            Self::Drift => "Drift",
            Self::Quota => "Quota",
            Self::Run => "Run",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a message tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// A release was made and is being rolled out.
    ReleaseCreated,
    /// A release runs.
    ReleaseSucceeded,
    /// A release was replaced before it was done.
    ReleaseSuperseded,
    /// Somebody called a release off.
    ReleaseCancelled,
    /// A release failed.
    ReleaseFailed,
    /// No release can be made, or sent, until somebody changes something.
    DeployBlocked,
    /// A release failed and the one before runs again.
    ReleaseRolledBack,
    /// Somebody went back to an older release.
    RollbackStarted,
    /// The manifests ask for something else again, and the rollback is over.
    RollbackEnded,
    /// Instances start and end again and again.
    CrashLooping,
    /// Somebody else changed what Skep made, and it stays so.
    DriftFound,
    /// Somebody else changed what Skep made, and it was put back.
    DriftCorrected,
    /// Somebody else changes the same again and again, and Skep has stopped.
    DriftContested,
    /// Something does not fit into the plan.
    QuotaExceeded,
    /// A run ended badly.
    RunFailed,
    /// Somebody wants to see whether messages arrive.
    Test,
}

impl MessageType {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::ReleaseCreated,
        Self::ReleaseSucceeded,
        Self::ReleaseSuperseded,
        Self::ReleaseCancelled,
        Self::ReleaseFailed,
        Self::DeployBlocked,
        Self::ReleaseRolledBack,
        Self::RollbackStarted,
        Self::RollbackEnded,
        Self::CrashLooping,
        Self::DriftFound,
        Self::DriftCorrected,
        Self::DriftContested,
        Self::QuotaExceeded,
        Self::RunFailed,
        Self::Test,
    ];

    /// The word for it, as messages have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReleaseCreated => "release.created",
            Self::ReleaseSucceeded => "release.succeeded",
            Self::ReleaseSuperseded => "release.superseded",
            Self::ReleaseCancelled => "release.cancelled",
            Self::ReleaseFailed => "release.failed",
            Self::DeployBlocked => "deploy.blocked",
            Self::ReleaseRolledBack => "release.rolled_back",
            Self::RollbackStarted => "rollback.started",
            Self::RollbackEnded => "rollback.ended",
            Self::CrashLooping => "environment.crash_looping",
            Self::DriftFound => "drift.found",
            Self::DriftCorrected => "drift.corrected",
            Self::DriftContested => "drift.contested",
            Self::QuotaExceeded => "quota.exceeded",
            Self::RunFailed => "run.failed",
            Self::Test => "notification.test",
        }
    }

    /// By which topic it is asked for; a test by none, because whoever wants one asks for it.
    pub const fn topic(self) -> Option<Topic> {
        match self {
            Self::ReleaseCreated
            | Self::ReleaseSucceeded
            | Self::ReleaseSuperseded
            | Self::ReleaseCancelled
            | Self::ReleaseFailed
            | Self::DeployBlocked => Some(Topic::Deploy),
            Self::ReleaseRolledBack | Self::RollbackStarted | Self::RollbackEnded => Some(Topic::Rollback),
            Self::CrashLooping => Some(Topic::CrashLoop),
            Self::DriftFound | Self::DriftCorrected | Self::DriftContested => Some(Topic::Drift),
            Self::QuotaExceeded => Some(Topic::Quota),
            Self::RunFailed => Some(Topic::Run),
            Self::Test => None,
        }
    }
}

/// What is so about a notification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationDetail {
    /// The version of the Secret that is used now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_version: Option<u32>,
    /// How many messages were given up and are kept: the dead-letter list.
    #[serde(default)]
    pub dead: u64,
    /// How many messages were not even kept, because too many waited.
    #[serde(default)]
    pub dropped: u64,
}

impl NotificationSpec {
    /// Where messages are sent; none if that is not said, or twice.
    pub const fn target(&self) -> Option<NotificationTarget<'_>> {
        match (&self.webhook, &self.slack) {
            (Some(webhook), None) => Some(NotificationTarget::Webhook(webhook)),
            (None, Some(slack)) => Some(NotificationTarget::Slack(slack)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

impl KindSpec for NotificationSpec {
    const KIND: Kind = Kind::Notification;
    type Detail = NotificationDetail;

    fn check(&self, problems: &mut Problems) {
        if self.target().is_none() {
            let problem = if self.webhook.is_some() {
                "it has both a `webhook` and a `slack`"
            } else {
                "it says nobody who is told"
            };
            let help = "set exactly one of `webhook: {url, secret}` and `slack: {secret}`; write two Notifications to tell two";
            problems.push("", problem, help);
        }
        let environments = self.environments.len();
        if environments > ENVIRONMENTS_MAX {
            problems.push(
                "/environments",
                format!("{environments} are more than the {ENVIRONMENTS_MAX} that a Notification may list"),
                "leave the list out to be told of all",
            );
        }
    }

    fn references(&self, key: &ResourceKey) -> Vec<ResourceKey> {
        // Environments are not: a change of one changes nothing of this, and it may be of some that are yet to come.
        let secrets = [
            self.webhook.as_ref().map(|target| &target.secret),
            self.slack.as_ref().map(|target| &target.secret),
        ];
        secrets.into_iter().flatten().filter_map(|secret| key.sibling(Kind::Secret, secret.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn found(spec: &Value) -> Vec<String> {
        let spec: NotificationSpec = serde_json::from_value(spec.clone()).unwrap();
        let mut problems = Problems::default();
        spec.check(&mut problems);
        problems.into_vec().into_iter().map(|problem| problem.pointer).collect()
    }

    #[test]
    fn exactly_one_is_told_and_by_a_secret_that_is_named_and_never_written() {
        let webhook = json!({ "url": "https://hooks.acme.test/skep", "secret": "hook-key" });
        let slack = json!({ "secret": "slack-url" });
        assert!(found(&json!({ "webhook": webhook })).is_empty());
        assert!(found(&json!({ "slack": slack, "events": ["Deploy"], "environments": ["shop"] })).is_empty());
        assert_eq!(found(&json!({ "webhook": webhook, "slack": slack })), [""]);
        assert_eq!(found(&json!({})), [""]);
        for bad in [
            json!({ "slack": { "url": "https://hooks.slack.com/services/T/B/x" } }),
            json!({ "webhook": { "url": "https://hooks.acme.test/?key=1", "secret": "a" } }),
            json!({ "webhook": { "url": "https://hooks.acme.test/" } }),
            json!({ "slack": slack, "events": ["Weather"] }),
        ] {
            assert!(serde_json::from_value::<NotificationSpec>(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_topic_has_something_to_tell_and_each_type_its_own_word() {
        let told: BTreeSet<Topic> = MessageType::ALL.into_iter().filter_map(MessageType::topic).collect();
        assert_eq!(told, BTreeSet::from(Topic::ALL));
        let words: BTreeSet<&str> = MessageType::ALL.into_iter().map(MessageType::as_str).collect();
        assert_eq!(words.len(), MessageType::ALL.len());
        for topic in Topic::ALL {
            assert_eq!(serde_json::to_value(topic).unwrap(), topic.as_str());
        }
    }
}
