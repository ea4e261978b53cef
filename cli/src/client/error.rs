//! Why a request did not get the answer that it asked for, in words.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use skep_api::wire::Problem;
use skep_schemas::codes::Code;
use skep_schemas::diagnostic::{Diagnostics, Style};
use skep_schemas::manifest::SourcedManifest;

use crate::output::text::harmless;

/// How much of an answer that is not Skep's is shown.
const EXCERPT: usize = 200;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The server refused, and said why.
    #[error("{}", said(.0))]
    Problem(Box<Problem>),
    /// Something answered, and it is not Skep.
    #[error(
        "{server} answered {status}, and not in Skep's way: {start}\nhelp: is this the address of Skep's API?"
    )]
    Unexpected {
        /// Who.
        server: String,
        /// With which status.
        status: StatusCode,
        /// How the answer begins.
        start: String,
    },
    /// The answer has another form than this program knows.
    #[error(
        "{server} answered in a form that this version does not know: {why}\nhelp: compare `skep version` with the server's"
    )]
    Answer {
        /// Who.
        server: String,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or it broke.
    #[error(
        "cannot talk to {server}: {why}\nhelp: is it running, and is the address right (--server, SKEP_SERVER)?"
    )]
    Transport {
        /// To whom.
        server: String,
        /// What happened.
        why: String,
    },
    /// It took too long.
    #[error("{server} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Who.
        server: String,
        /// After how long.
        after: Duration,
    },
    /// A stream said nothing for too long.
    #[error("the stream went silent")]
    Silent,
    /// The answer is too large.
    #[error("{server} answered with more than {limit} bytes")]
    TooLarge {
        /// Who.
        server: String,
        /// The limit.
        limit: usize,
    },
    /// The request is too large.
    #[error(
        "the request has {size} bytes, the limit is {limit}\nhelp: apply the manifests in several batches"
    )]
    TooMuch {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The authorities cannot be read.
    #[error("cannot use the authorities in {path}: {why}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The request could not even be built.
    #[error("cannot make the request: {0}")]
    Request(Box<dyn std::error::Error + Send + Sync>),
}

impl ClientError {
    /// Could the same request succeed a moment later, without anyone doing anything?
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status == 429 || matches!(problem.status, 502..=504),
            Self::Unexpected { status, .. } => matches!(status.as_u16(), 502..=504),
            Self::Transport { .. } | Self::TimedOut { .. } | Self::Silent => true,
            Self::Answer { .. }
            | Self::TooLarge { .. }
            | Self::TooMuch { .. }
            | Self::Authorities { .. }
            | Self::Request(_) => false,
        }
    }

    /// May the request be done, or be worked on, although this is the answer? Then it is worth sending again, if it has a key.
    pub(crate) fn may_be_done(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code == Code::KeyInUse || matches!(problem.status, 502..=504),
            other => other.may_pass(),
        }
    }

    /// The code that the server gave.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }
}

impl ClientError {
    /// What the server found wrong with manifests, if that is the problem.
    pub(crate) fn diagnostics(&self) -> Option<Diagnostics> {
        match self {
            Self::Problem(problem) if !problem.diagnostics.is_empty() => {
                Some(problem.diagnostics.iter().cloned().collect())
            }
            _ => None,
        }
    }

    /// The same with the places of manifests in the files that they were read from. The server knows them by their number in
    /// the batch.
    pub(crate) fn placed(mut self, manifests: &[SourcedManifest]) -> Self {
        if let Self::Problem(problem) = &mut self {
            for diagnostic in &mut problem.diagnostics {
                let number =
                    diagnostic.source.as_deref().and_then(|source| source.strip_prefix("documents/"));
                let number = number.and_then(|number| number.parse::<usize>().ok());
                let Some(manifest) = number.and_then(|number| manifests.get(number)) else { continue };
                diagnostic.source = Some(manifest.source.clone());
                diagnostic.line = manifest.line;
                diagnostic.column = manifest.line.map(|_| 1);
            }
        }
        self
    }
}

/// A problem as text: like the reader's own errors, and for manifests one paragraph for each.
fn said(problem: &Problem) -> String {
    if !problem.diagnostics.is_empty() {
        let all: Diagnostics = problem.diagnostics.iter().cloned().collect();
        return all.render(Style::Plain).trim_end().to_owned();
    }
    let mut text = format!("[{}] {}", problem.code, harmless(&problem.detail));
    if problem.code == Code::Unauthorized {
        // The server speaks of headers; here a token comes from elsewhere.
        text.push_str("\nhelp: set SKEP_TOKEN, or `token` in a context of the configuration file");
    } else if let Some(help) = &problem.help {
        text.push_str(&format!("\nhelp: {}", harmless(help)));
    }
    if let (500.., Some(id)) = (problem.status, &problem.request_id) {
        text.push_str(&format!("\nnote: the server's log has more under the request id {}", harmless(id)));
    }
    text
}

/// The innermost cause of an error, which is the one that says what happened ("connection refused").
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

pub(super) fn excerpt(text: &str) -> String {
    let text = harmless(text.trim());
    if text.is_empty() {
        return "(nothing)".to_owned();
    }
    let head: String = text.chars().take(EXCERPT).collect();
    if head.len() < text.len() { format!("{head}…") } else { head }
}
