//! Why there are no files: what is wrong, what to do, and whether it may pass by itself.

use std::time::Duration;

use skep_outbound::OutboundError;

use crate::limits::Bound;

/// Why a remote gave no files. Nothing in it is secret, and what a server said is in it only as an excerpt without control characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host cannot or must not be asked.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It took too long: a server that does not answer, or stops in the middle.
    #[error("the fetch was not finished within {} s; the server is slow or stopped answering", .within.as_secs_f32())]
    TimedOut {
        /// The limit.
        within: Duration,
    },
    /// More than a limit allows.
    #[error("{}{measured} {} are more than {limit}; {}", .path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default(), .bound.counts(), .bound.help())]
    Limit {
        /// Which.
        bound: Bound,
        /// What it allows.
        limit: u64,
        /// What there was when it was noticed; there may be more.
        measured: u64,
        /// The file or directory, if it is one's.
        path: Option<String>,
    },
    /// The server does not let us in, or no longer.
    #[error(
        "the server refuses the credentials ({said}); see that the token or key is valid and may read this repository"
    )]
    Refused {
        /// How it said so.
        said: String,
    },
    /// There is no such repository, or none for these credentials: servers do not tell which.
    #[error("there is no repository at this address, or these credentials may not read it ({said})")]
    NoRepository {
        /// How it said so.
        said: String,
    },
    /// The branch, tag or commit is not there.
    #[error("{reference} is not in the repository")]
    NoReference {
        /// What was asked for.
        reference: String,
    },
    /// Nothing was ever committed.
    #[error("the repository is empty: push a first commit to {reference}")]
    EmptyRepository {
        /// What was asked for.
        reference: String,
    },
    /// The path is not in the commit.
    #[error("`{path}` is no directory of the commit; correct `path`")]
    NoPath {
        /// The path.
        path: String,
    },
    /// Something in the tree that is not taken.
    #[error("{path}: {why}")]
    Entry {
        /// Where.
        path: String,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// The server sends elsewhere.
    #[error("the server sends to {to}, which is not followed; write the address that is right as `url`")]
    Redirected {
        /// Where, without anything that may be secret.
        to: String,
    },
    /// What answers is no Git server.
    #[error("this is no Git server that speaks smart HTTP or SSH: {why}")]
    NotGit {
        /// What was seen.
        why: String,
    },
    /// The server lacks something, or the repository is of a sort that is not read.
    #[error("this cannot be fetched: {what}")]
    Unsupported {
        /// What.
        what: &'static str,
    },
    /// The server, or the connection, ended before everything was there.
    #[error("the connection ended before everything was received: {why}")]
    EndedEarly {
        /// What was missing.
        why: String,
    },
    /// The server failed.
    #[error("the server failed: {said}")]
    Server {
        /// What it said.
        said: String,
    },
    /// What the server sends is not as Git has it.
    #[error("what the server sent cannot be read: {why}")]
    Corrupt {
        /// What is wrong.
        why: String,
    },
    /// SSH: there is no pinned key for the host.
    #[error(
        "no key of {host} is in `knownHosts`; the server showed {fingerprint}: compare it with what its operator publishes, and add its line"
    )]
    UnknownHost {
        /// The host.
        host: String,
        /// What it showed.
        fingerprint: String,
    },
    /// SSH: the host showed another key than the pinned one.
    #[error(
        "{host} showed {fingerprint}, which is not the key in `knownHosts`: either it was changed, or something stands between; compare it with what its operator publishes"
    )]
    HostKeyChanged {
        /// The host.
        host: String,
        /// What it showed.
        fingerprint: String,
    },
    /// SSH: the key or the known hosts cannot be used.
    #[error("the credentials for ssh cannot be used: {why}")]
    Unusable {
        /// Why not.
        why: &'static str,
    },
    /// The directory cannot be read.
    #[error("{path} cannot be read: {why}")]
    Directory {
        /// Which, relative to the source's directory.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The directory was written to while it was read.
    #[error(
        "the directory changed while it was read, several times; replace it by a rename to publish it at once"
    )]
    Changing,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// It may pass by itself: look again, with growing pauses.
    Retry,
    /// It cannot pass until somebody changes the source, the repository, the server or a credential: look at the usual interval.
    Wants,
}

impl FetchError {
    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Outbound(error) if error.is_refusal() => Disposition::Wants,
            Self::Outbound(_)
            | Self::TimedOut { .. }
            | Self::EndedEarly { .. }
            | Self::Server { .. }
            | Self::Changing => Disposition::Retry,
            Self::Limit { .. }
            | Self::Refused { .. }
            | Self::NoRepository { .. }
            | Self::NoReference { .. }
            | Self::EmptyRepository { .. }
            | Self::NoPath { .. }
            | Self::Entry { .. }
            | Self::Redirected { .. }
            | Self::NotGit { .. }
            | Self::Unsupported { .. }
            | Self::Corrupt { .. }
            | Self::UnknownHost { .. }
            | Self::HostKeyChanged { .. }
            | Self::Unusable { .. }
            | Self::Directory { .. } => Disposition::Wants,
        }
    }
}

/// The most characters of what a server says that are repeated.
const SAID_MAX: usize = 200;

/// What a server said, fit to be shown: one line, short, without control characters.
pub(crate) fn said(text: &str) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut short: String = line.chars().take(SAID_MAX).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    if short.is_empty() { "it said nothing".to_owned() } else { short }
}
