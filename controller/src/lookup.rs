//! Looking images up: what a reference stands for, without waiting for registries that do not answer ([`crate::inquiry`]).
//!
//! An answer that somebody waited for is not kept: a tag is looked up afresh each time it is needed. One that came after somebody left is kept
//! until they have had their turn. Only what a digest stands for cannot change, and is kept for a minute: a crowd that runs one image asks once
//! for each organisation.
//!
//! With it comes what the image starts by itself: from the engine if it has the image, and from its registry otherwise ([`start`]). Nobody is kept
//! waiting for that: an image of which it cannot be read is released without it, and its processes are not drained.

use std::sync::Arc;
use std::time::Duration;

use skep_executor::registry_auth;
use skep_outbound::Outbound;
use skep_outbound::registry::{Login, Repository};
use skep_planner::reconcile::environment::ImageFailure;
use skep_planner::{ImageStart, PullAs, PullCredential, ResolvedImage};
use skep_schemas::{ImageRef, OrgName, ResourceKey};
use skep_store::{Store, StoreError};
use skep_swarm::{ImageIdentity, RegistryAuth, SwarmApi, SwarmError};

use crate::error::chain;
use crate::inquiry::{self, Afterwards, Bounds, Inquiries, Reply};

/// How long an answer that nobody waited for is kept: until those who are woken have had their turn.
const KEPT: Duration = Duration::from_secs(15);
/// How long it is kept that an image given by its digest is there, for this organisation.
const DIGEST_KEPT: Duration = Duration::from_secs(60);
/// Each is some hundred bytes. At one registry two at once: one slow answer does not hold up the next image.
const BOUNDS: Bounds = Bounds { per_host: Some(2), per_organization: 6, all: 20_000 };

/// What a lookup comes to.
pub(crate) type Answer = Result<Found, ImageFailure>;

/// What an image stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The very content.
    pub(crate) resolved: ResolvedImage,
    /// What it starts, if that can be read.
    pub(crate) start: Option<ImageStart>,
}

/// What is asked: an answer is for the organisation that asked, and for whom it asked as. With another password it is another question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org: OrgName,
    image: String,
    credential: Option<PullCredential>,
}

impl inquiry::Question for Question {
    type Answer = Answer;

    fn org(&self) -> &OrgName {
        &self.org
    }

    fn host(&self) -> &str {
        registry(&self.image)
    }

    fn afterwards(&self, answer: &Answer) -> Afterwards {
        let by_digest = self.image.contains('@') && answer.is_ok();
        Afterwards {
            wakes: !matches!(answer, Err(ImageFailure::NoAnswer { .. })),
            for_the_woken: KEPT,
            for_all: if by_digest { DIGEST_KEPT } else { Duration::ZERO },
        }
    }
}

/// Looks images up.
#[derive(Clone)]
pub(crate) struct Lookups {
    inquiries: Inquiries<Question>,
}

impl Lookups {
    /// Lookups by this engine, and by this client where the engine cannot tell. Those who left without an answer are woken.
    pub(crate) fn new(
        swarm: Arc<dyn SwarmApi>,
        outbound: Outbound,
        store: Store,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self {
        let resolve = move |question: Question| {
            let (swarm, outbound, store) = (Arc::clone(&swarm), outbound.clone(), store.clone());
            async move { ask(&*swarm, &outbound, &store, &question).await }
        };
        Self::by(resolve, wake)
    }

    fn by<F>(
        resolve: impl Fn(Question) -> F + Send + Sync + 'static,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self { inquiries: Inquiries::new(BOUNDS, resolve, wake) }
    }

    /// What the image stands for now, if that can be told soon.
    pub(crate) async fn look_up(
        &self,
        org: &OrgName,
        by: &ResourceKey,
        image: &ImageRef,
        pull: PullAs,
    ) -> Answer {
        let credential = match pull {
            PullAs::Nobody => None,
            PullAs::Credential(credential) => Some(*credential),
        };
        let question = Question { org: org.clone(), image: image.to_string(), credential };
        match self.inquiries.ask(question, by).await {
            Reply::Answer(answer) => answer,
            Reply::NotYet => Err(no_answer("its registry has not answered yet")),
            Reply::TooMany => Err(no_answer("too many images are being looked up")),
        }
    }
}

/// The registry of a reference: its first part if that can be a host's name, as engines read it.
fn registry(reference: &str) -> &str {
    let is_host = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    let first = reference.split_once('/').map(|(first, _)| first).filter(is_host);
    first.unwrap_or_default()
}

/// Asks, with the password opened for this one call.
async fn ask(swarm: &dyn SwarmApi, outbound: &Outbound, store: &Store, question: &Question) -> Answer {
    let Question { image, credential, .. } = question;
    let auth = match credential {
        None => None,
        Some(credential) => match registry_auth(store, credential).await {
            Ok(auth) => Some(auth),
            Err(error) => return Err(no_answer(&unopened(credential, &error))),
        },
    };
    let mut found = answer(swarm.resolve_image(image, auth.as_ref()).await)?;
    if found.start.is_none() {
        found.start = started(outbound, image, &found.resolved, auth).await;
    }
    Ok(found)
}

/// What the image starts, by its registry's word.
async fn started(
    outbound: &Outbound,
    image: &str,
    resolved: &ResolvedImage,
    auth: Option<RegistryAuth>,
) -> Option<ImageStart> {
    let ResolvedImage::Registry { digest } = resolved else { return None };
    let name = image.parse::<ImageRef>().ok()?.full_name();
    let login = auth.map(|auth| Login { username: auth.username, password: auth.password });
    let read = start::read(&mut Repository::new(outbound, &name, login), digest).await;
    read.inspect_err(|why| {
        tracing::warn!(image, why, "what it starts is not known: its processes are not drained")
    })
    .ok()
}

fn unopened(credential: &PullCredential, error: &StoreError) -> String {
    format!("the password of RegistryCredential/{} cannot be opened: {}", credential.name, chain(error))
}

fn answer(resolved: Result<skep_swarm::ResolvedImage, SwarmError>) -> Answer {
    match resolved {
        Ok(found) => {
            let resolved = identity(&found.identity).map_err(|why| ImageFailure::Refused { why })?;
            Ok(Found { resolved, start: found.start })
        }
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &SwarmError) -> ImageFailure {
    let why = chain(error);
    match error {
        SwarmError::Unavailable { .. } | SwarmError::Timeout { .. } | SwarmError::NoManager { .. } => {
            ImageFailure::NoAnswer { why }
        }
        SwarmError::Unauthorized { message, .. } => ImageFailure::Denied { why: message.clone() },
        _ => ImageFailure::Refused { why },
    }
}

fn no_answer(why: &str) -> ImageFailure {
    ImageFailure::NoAnswer { why: why.to_owned() }
}

fn identity(identity: &ImageIdentity) -> Result<ResolvedImage, String> {
    let parse = |digest: &str| digest.parse().map_err(|error| format!("the engine says {digest}: {error}"));
    match identity {
        ImageIdentity::Registry { digest } | ImageIdentity::EngineDigest { digest } => {
            Ok(ResolvedImage::Registry { digest: parse(digest)? })
        }
        ImageIdentity::EngineOnly { image_id } => Ok(ResolvedImage::Engine { id: parse(image_id)? }),
    }
}

mod start;
#[cfg(test)]
mod tests;
