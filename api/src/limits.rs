//! Every bound of the API, with its reason (invariant I14).

use std::num::NonZeroU32;
use std::time::Duration;

/// The largest request body: a repository of eight hundred ten-kilobyte manifests in one batch. The reader's own limit per
/// manifest is lower.
pub const BODY_MAX: usize = 8 * 1024 * 1024;

/// The largest body of whoever is nobody yet: the end of a login has a code and three short texts.
pub const STRANGERS_BODY_MAX: usize = 16 * 1024;

/// Logins on pages that are redeemed at once: more than people log in at a moment, and so few that a provider which answers late costs
/// nobody else anything.
pub const LOGINS_MAX: usize = 32;

/// What somebody is told to wait who finds all of them taken.
pub const LOGIN_PAUSE: Duration = Duration::from_secs(2);

/// Requests with a body that are worked on at once. Each may hold [`BODY_MAX`] and its parsed form, so this bounds memory to a
/// few hundred megabytes in the worst case. Others wait, within [`REQUEST_TIMEOUT`].
pub const WRITES_MAX: usize = 8;

/// Requests that are worked on at once. More than the database pool has connections, so that the pool is the bottleneck and not
/// this, and few enough that those waiting for it time out before their clients give up.
pub const REQUESTS_MAX: usize = 256;

/// How long a request may take as a whole, streams excepted. Longer than the largest batch takes; shorter than the patience of
/// proxies, which commonly give up after 60 s.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Open streams. Each holds a connection and up to [`SNAPSHOT_MAX`] names; 500 watchers are what the latency goal speaks of.
pub const STREAMS_MAX: usize = 512;

/// How long a stream may live. Then the client resumes with the last event id; so a token that was revoked stops working within
/// this time, and streams spread over servers again after one was restarted.
pub const STREAM_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How often a silent stream says that it is there. Proxies commonly cut connections that are silent for 30 to 60 s.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// What a client is told to wait before it resumes a stream that broke.
pub const RESUME_AFTER: Duration = Duration::from_secs(1);

/// The largest page of a list, and its size when none is asked for. At 10 kB a resource a page is 5 MB.
pub const PAGE_MAX: u32 = 500;

/// Resources that a watch may begin with. Their identities are kept while it lasts, to tell what left a selection.
pub const SNAPSHOT_MAX: usize = 50_000;

/// Differences in one answer of the drift report. Values are cut at 2,048 characters, so such an answer is below 5 MB.
pub const DRIFT_MAX: u32 = 500;

/// How often one stream of the drift report reads, at most: a storm of changes is told in a few pages instead of one by one.
pub const DRIFT_PACE: Duration = Duration::from_millis(200);

/// The longest reason of a pause: a sentence or two, shown wherever the resource is.
pub const PAUSE_REASON_MAX: usize = 500;

/// The longest pause that has an end. What is meant to last longer has none, and says so by that.
pub const PAUSE_MAX: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Events of resources in one answer, when no number is asked for.
pub const EVENTS_DEFAULT: u32 = 100;

/// Entries of the audit in one answer, when no number is asked for.
pub const AUDIT_DEFAULT: u32 = 100;

/// Plans of a resource in one answer, when no number is asked for: what happened lately, on one screen.
pub const PLANS_DEFAULT: u32 = 10;

/// Log lines of each process that are sent before new ones, when no number is asked for.
pub const TAIL_DEFAULT: u32 = 100;

/// Log lines of each process that may be asked for: the engine reads them all before it sends the first.
pub const TAIL_MAX: u32 = 10_000;

/// Streams of output that are open at once for one organisation: a team with a console each, and not a server's [`STREAMS_MAX`].
pub const LOG_FOLLOWERS_MAX: usize = 32;

/// Lines of output a second that are told for one organisation, all its readers together. More than anyone reads; what is printed
/// beyond is told as a gap, and is where the lines are kept.
pub const LOG_LINES_PER_SECOND: NonZeroU32 = at_least_one(5_000);

/// Lines that may be told at once: two full answers.
pub const LOG_LINES_BURST: NonZeroU32 = at_least_one(20_000);

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// Releases in one answer, when no number is asked for.
pub const RELEASES_DEFAULT: u32 = 50;

/// The most releases in one answer: their contents, a few kilobytes each, are read for it.
pub const RELEASES_MAX: u32 = 500;

/// Deletions in one plan request, as many as a batch may have documents.
pub const DELETIONS_MAX: usize = 1_000;

/// The most resources and objects that one apply may be bound to: each object is looked at. A batch is planned for at most 1,000
/// resources, which have a few objects each.
pub const BOUND_MAX: usize = 10_000;

/// The longest URL. The longest that makes sense is a list with a selector of 16 labels, about 2.5 kB.
pub const URI_MAX: usize = 8 * 1024;

/// The longest token that is looked at: ours are 50 characters, those of identity providers with the names of groups some thousand.
pub const TOKEN_MAX: usize = 8 * 1024;

/// The longest life of a token that somebody else signed: it cannot be taken back before its end.
pub(crate) const VOUCHED_LIFE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Bytes of a request's head. A token, a cursor and what proxies add is under 4 kB.
pub const HEAD_MAX: usize = 32 * 1024;

/// Header fields of a request; browsers and proxies send about 20.
pub const HEADERS_MAX: usize = 64;

/// How long a client may take to send a request's head, so that silent connections do not pile up.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that are open at once: all streams, all requests, and as many idle ones.
pub const CONNECTIONS_MAX: usize = 1_536;

/// How long open requests may take to end after the server was told to stop.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// How often the certificate's files are looked at. Certificates are renewed days before they end.
pub const CERTIFICATE_CHECK: Duration = Duration::from_secs(30);

/// The longest life of a token that ends by itself: one that is meant to outlive this ends when it is revoked.
pub(crate) const TOKEN_LIFE_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// The longest life of a person's session; after that the person is asked again who he is. What runs unattended takes a token.
pub(crate) const SESSION_LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);

/// The life of a session when none is asked for: a day of work.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);

/// The longest time in which an invitation may be accepted, and the time when none is asked for.
pub(crate) const INVITATION_LIFE_MAX: Duration = Duration::from_secs(30 * 86_400);
/// See [`INVITATION_LIFE_MAX`].
pub(crate) const INVITATION_LIFE: Duration = Duration::from_secs(7 * 86_400);

/// The longest name of a person.
pub(crate) const DISPLAY_NAME_MAX: usize = 100;
