//! What a message says.

use jiff::Timestamp;
use serde_json::json;
use skep_planner::ReleaseVersion;
use skep_schemas::ResourceKey;
use skep_schemas::kind::MessageType;

use crate::event::{NewEvent, shortened};

/// What an event is for those outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// What it is called there.
    pub message_type: MessageType,
    /// The release that it is about.
    pub release: Option<ReleaseVersion>,
}

impl Notice {
    /// One that is about no release.
    pub const fn of(message_type: MessageType) -> Self {
        Self { message_type, release: None }
    }
}

/// The body of a message, in the form that Standard Webhooks recommends. Fields may be added.
pub(super) fn body(about: &ResourceKey, event: &NewEvent, notice: Notice, at: Timestamp) -> String {
    let organization = about.org().map_or_else(|| about.name().as_str(), |org| org.as_str());
    let mut data = json!({
        "organization": organization,
        "kind": about.kind(),
        "name": about.name(),
        "reason": event.reason,
        "severity": event.severity.as_str(),
        "message": shortened(&event.message),
    });
    if let Some(release) = notice.release {
        data["release"] = release.get().into();
    }
    json!({ "type": notice.message_type.as_str(), "timestamp": at, "data": data }).to_string()
}
