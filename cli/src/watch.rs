//! Follows the resources of one kind in one place, over as many connections as it takes.
//!
//! The server's stream has a position. After a break the watch resumes there, so nothing is missed; when the position is too
//! old the watch begins anew with a snapshot, which replaces everything known before in one step. Guarantees: a snapshot is
//! complete before it is given; problems that pass by themselves never end the watch, and neither does an organisation that does
//! not exist (it has an empty snapshot); problems that do not pass (no permission, no such route) do.

use std::time::Duration;

use skep_api::wire::{ListQuery, Problem, ResourceRef, ResourceView, WatchEvent};
use skep_schemas::codes::Code;
use skep_schemas::{Kind, Scope, Uid};

use crate::address::collection_path;
use crate::client::{Client, ClientError, EventSource, with_query};
use crate::sse::Event;

/// The most resources of one snapshot, as the server's own limit.
const SNAPSHOT_MAX: usize = 50_000;
/// The pauses between attempts grow up to this: a person is waiting.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// The first pause, which is also the least time between two connections.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Where.
    pub(crate) scope: Scope,
    /// What.
    pub(crate) kind: Kind,
    /// In all organisations, whatever the scope says.
    pub(crate) all_orgs: bool,
    /// Which, by label.
    pub(crate) selector: Option<String>,
}

impl Watched {
    /// The path of its list.
    pub(crate) fn path(&self) -> String {
        let scope = if self.all_orgs { &Scope::Platform } else { &self.scope };
        collection_path(scope, self.kind)
    }
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Update {
    /// These are all that there are.
    Snapshot(Vec<ResourceView>),
    /// One is new or has changed.
    Changed(Box<ResourceView>),
    /// One is gone.
    Gone(ResourceRef, Uid),
    /// The connection is interrupted, in words; it is being restored.
    Interrupted(String),
}

/// Why a watch cannot go on.
#[derive(Debug)]
enum Fault {
    /// It can, after a pause.
    Passing(String),
    /// It has to begin anew.
    Expired,
    /// The organisation does not exist, or no longer, and nothing in it.
    Nowhere,
    /// It cannot.
    Final(ClientError),
}

/// A watch and its position.
pub(crate) struct Watch {
    client: Client,
    watched: Watched,
    progress: Progress,
    source: Option<EventSource>,
    pause: Duration,
    begun: bool,
}

impl Watch {
    /// A watch that begins at a position, such as a list's, or with a snapshot.
    pub(crate) fn new(client: Client, watched: Watched, since: Option<String>) -> Self {
        let progress = since.map_or_else(|| Progress::Snapshot(Vec::new()), Progress::At);
        Self { client, watched, progress, source: None, pause: PAUSE_MIN, begun: false }
    }

    /// The next update. Fails only with what does not pass by itself.
    pub(crate) async fn next(&mut self) -> Result<Update, ClientError> {
        loop {
            let fault = match self.step().await {
                Ok(Some(update)) => return Ok(update),
                Ok(None) => continue,
                Err(fault) => fault,
            };
            self.source = None;
            if let Progress::Snapshot(part) = &mut self.progress {
                // The rest of a snapshot cannot be asked for.
                part.clear();
            }
            match fault {
                Fault::Final(error) => return Err(error),
                Fault::Expired => self.progress = Progress::Snapshot(Vec::new()),
                Fault::Nowhere => {
                    self.progress = Progress::Snapshot(Vec::new());
                    return Ok(Update::Snapshot(Vec::new()));
                }
                Fault::Passing(why) => return Ok(Update::Interrupted(why)),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Update>, Fault> {
        let source = match &mut self.source {
            Some(source) => source,
            None => {
                if self.begun {
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSE_MAX);
                }
                self.begun = true;
                let opened = open(&self.client, &self.watched, &self.progress).await.map_err(classify)?;
                self.source.insert(opened)
            }
        };
        match source.next().await.map_err(classify)? {
            Some(event) => {
                self.pause = PAUSE_MIN;
                self.progress.take(event)
            }
            None => {
                // The server ends streams now and then; that is no interruption worth mentioning.
                self.source = None;
                if let Progress::Snapshot(part) = &mut self.progress {
                    part.clear();
                }
                Ok(None)
            }
        }
    }
}

async fn open(client: &Client, watched: &Watched, progress: &Progress) -> Result<EventSource, ClientError> {
    let since = match progress {
        Progress::At(position) => Some(position.clone()),
        Progress::Snapshot(_) => None,
    };
    let query =
        ListQuery { label_selector: watched.selector.clone(), watch: true, since, ..ListQuery::default() };
    let path = with_query(&watched.path(), &query).map_err(|error| ClientError::Request(error.into()))?;
    client.stream(&path).await
}

fn classify(error: ClientError) -> Fault {
    match error.code() {
        Some(Code::CursorExpired) => Fault::Expired,
        Some(Code::OrganizationMissing | Code::NotFound) => Fault::Nowhere,
        _ if error.may_pass() => Fault::Passing(error.to_string()),
        _ => Fault::Final(error),
    }
}

/// How far the watch has come.
#[derive(Debug, PartialEq)]
enum Progress {
    /// The snapshot so far.
    Snapshot(Vec<ResourceView>),
    /// Everything up to this position has been told. What a position looks like is the server's business.
    At(String),
}

impl Progress {
    /// Takes an event of the stream.
    fn take(&mut self, event: Event) -> Result<Option<Update>, Fault> {
        let unreadable = |error: serde_json::Error| {
            Fault::Final(ClientError::Answer { server: "the server".to_owned(), why: error.to_string() })
        };
        if event.name == "problem" {
            let problem: Problem = serde_json::from_str(&event.data).map_err(unreadable)?;
            return Err(classify(ClientError::Problem(Box::new(problem))));
        }
        let id = event.id;
        let event: WatchEvent = serde_json::from_str(&event.data).map_err(unreadable)?;
        match self {
            Self::Snapshot(part) => match event {
                WatchEvent::Added { resource, .. } | WatchEvent::Modified { resource, .. } => {
                    if part.len() >= SNAPSHOT_MAX {
                        let limit = SNAPSHOT_MAX;
                        return Err(Fault::Final(ClientError::TooLarge {
                            server: "the server".to_owned(),
                            limit,
                        }));
                    }
                    part.push(*resource);
                    Ok(None)
                }
                WatchEvent::Deleted { uid, .. } => {
                    part.retain(|view| view.metadata.uid != uid);
                    Ok(None)
                }
                WatchEvent::Bookmark {} => {
                    let all = std::mem::take(part);
                    // Without a position the watch can only begin anew after a break.
                    if let Some(id) = id {
                        *self = Self::At(id);
                    }
                    Ok(Some(Update::Snapshot(all)))
                }
            },
            Self::At(position) => {
                if let Some(id) = id {
                    *position = id;
                }
                Ok(match event {
                    WatchEvent::Added { resource, .. } | WatchEvent::Modified { resource, .. } => {
                        Some(Update::Changed(resource))
                    }
                    WatchEvent::Deleted { resource, uid, .. } => Some(Update::Gone(resource, uid)),
                    WatchEvent::Bookmark {} => None,
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
