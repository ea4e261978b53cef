//! The output of an environment's processes, for the API.
//!
//! ```text
//! engine ─> reader: one per service ─> feed: a ring with a bound ─> follow: one per who listens ─> the API
//!        ─> past: what is kept of it, read once, in order ────────┘
//! Loki   ─> older: and what is kept for longer, if there is one
//! ```
//!
//! - A reader never waits for who listens: the ring drops its oldest lines, and whoever had not taken them is told how many they were.
//! - Whoever joins is told what is kept, and then what comes. Both overlap, and [`LogPlace`] takes out what was told, line by line, so that
//!   none is missing where they meet; so it is after a lost connection, and where a reader resumes.
//! - What could be missing all the same is told as a gap.

mod engine;
mod feed;
mod follow;
mod line;
mod loki;
mod older;
mod past;
mod reader;

use std::sync::Arc;

use futures::StreamExt;
use skep_api::wire::LogPlace;
use skep_api::{LogItems, LogRequest, PortError};
use skep_planner::InstanceId;
use skep_schemas::{OrgName, ResourceName, Uid};
use skep_swarm::{SwarmApi, SwarmError};

pub(crate) use self::engine::services;
use self::engine::{Engine, SwarmEngine};
use self::feed::Feeds;
use self::follow::Follow;
pub(crate) use self::line::short;
pub(crate) use self::loki::Loki;
pub use self::loki::{LokiUrl, LokiUrlError};

/// The output of all environments.
pub(crate) struct Logs {
    engine: Arc<dyn Engine>,
    feeds: Arc<Feeds>,
    loki: Option<Arc<Loki>>,
}

/// Whose output.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) uid: Uid,
    pub(crate) org: OrgName,
    pub(crate) name: ResourceName,
    /// When it was made.
    pub(crate) made: jiff::Timestamp,
}

impl Logs {
    /// From this Swarm, of what is this instance's, and from a Loki what is kept for longer.
    pub(crate) fn new(swarm: Arc<dyn SwarmApi>, instance: InstanceId, loki: Option<Arc<Loki>>) -> Self {
        Self::of(Arc::new(SwarmEngine::new(swarm, instance)), loki)
    }

    fn of(engine: Arc<dyn Engine>, loki: Option<Arc<Loki>>) -> Self {
        Self { feeds: Arc::new(Feeds::new(Arc::clone(&engine))), engine, loki }
    }

    /// What the processes of an environment print, or printed.
    pub(crate) async fn read(
        &self,
        environment: Environment,
        request: LogRequest,
    ) -> Result<LogItems, PortError> {
        let mut follow = Follow::new(Arc::clone(&self.engine), Arc::clone(&self.feeds), environment, request);
        follow.begin(self.loki.as_deref()).await?;
        Ok(follow.items().map(Ok).boxed())
    }
}

/// Where whoever asks begins: at the place where he ended, or nowhere.
fn beginning(request: &LogRequest) -> LogPlace {
    let since = request.since.unwrap_or(jiff::Timestamp::MIN);
    request.after.clone().unwrap_or_else(|| LogPlace::since(since))
}

fn unavailable(error: SwarmError) -> PortError {
    PortError::EngineUnavailable { source: Box::new(error) }
}

#[cfg(test)]
mod tests;
