//! Looking images up: what a reference stands for, without waiting for registries that do not answer.
//!
//! A lookup goes to a machine that somebody else runs, and may take a minute to fail. If passes waited for it, a thousand environments
//! whose registry hangs would occupy the workers, and everyone's deploys would wait with them. So a lookup is a task of its own:
//!
//! - Passes wait a moment for the answer, which is enough for a healthy registry. After that they report that there is no
//!   answer yet. While a registry leaves an older question of the organisation open, nobody waits for it at all.
//! - When the answer comes after somebody left without it, it is kept a while and those are woken.
//! - Few lookups of one organisation at one registry run at once, and few of one organisation at all; the others wait in line.
//!   One organisation's dead registry delays neither its other images much nor anybody else's.
//!
//! An answer that somebody waited for is not kept: a tag is looked up afresh each time it is needed. Only what a digest stands for
//! cannot change, and is kept for a minute: a crowd that runs one image asks once for each organisation.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use skep_executor::registry_auth;
use skep_planner::reconcile::environment::ImageFailure;
use skep_planner::{PullAs, PullCredential, ResolvedImage};
use skep_schemas::{ImageRef, OrgName, ResourceKey};
use skep_store::{Store, StoreError};
use skep_swarm::{ImageIdentity, SwarmApi, SwarmError};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use crate::error::chain;

/// How long the pass that starts a lookup waits. Registries in reach answer in well under a second.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer that nobody waited for is kept: until those who are woken have had their turn.
const KEPT: Duration = Duration::from_secs(15);
/// How long it is kept that an image given by its digest is there, for this organisation.
const DIGEST_KEPT: Duration = Duration::from_secs(60);
/// Lookups of one organisation at one registry at once: one slow answer does not hold up the next image.
const PER_REGISTRY: usize = 2;
/// Lookups of one organisation at once, whatever the registries.
const PER_ORGANIZATION: usize = 6;
/// Lookups that are under way, in line or kept. Each is some hundred bytes; more means that something is very wrong.
const LOOKUPS_MAX: usize = 20_000;

/// What a lookup comes to.
pub(crate) type Answer = Result<ResolvedImage, ImageFailure>;

/// What is asked: an answer is for the organisation that asked, and for whom it asked as. With another password it is another question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org: OrgName,
    image: String,
    credential: Option<PullCredential>,
}

/// Asks for one image.
type Resolve = Box<dyn Fn(Question) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Tells one that left without an answer that it is there now.
type Wake = Box<dyn Fn(&ResourceKey) + Send + Sync>;

/// Looks images up.
#[derive(Clone)]
pub(crate) struct Lookups {
    shared: Arc<Shared>,
}

struct Shared {
    resolve: Resolve,
    wake: Wake,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    lookups: HashMap<Question, Lookup>,
    /// Gone when no lookup uses them.
    turns: BTreeMap<(OrgName, Option<String>), Weak<Semaphore>>,
}

struct Lookup {
    answer: watch::Receiver<Option<Answer>>,
    registry: String,
    began: Instant,
    /// Those who left without the answer.
    left: BTreeSet<ResourceKey>,
}

impl Lookup {
    /// How long to wait for it from now on.
    fn patience(&self) -> Duration {
        if self.answer.borrow().is_some() {
            Duration::ZERO
        } else {
            PATIENCE.saturating_sub(self.began.elapsed())
        }
    }
}

impl Lookups {
    /// Lookups by this engine. Those who left without an answer are woken.
    pub(crate) fn new(
        swarm: Arc<dyn SwarmApi>,
        store: Store,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self {
        let resolve = move |question: Question| {
            let (swarm, store) = (Arc::clone(&swarm), store.clone());
            async move { ask(&*swarm, &store, &question).await }.boxed()
        };
        Self::by(Box::new(resolve), Box::new(wake))
    }

    fn by(resolve: Resolve, wake: Wake) -> Self {
        Self { shared: Arc::new(Shared { resolve, wake, known: Mutex::default() }) }
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
        let (mut answer, patience) = self.begin_or_join(&question)?;
        // What comes of the wait is in the answer itself.
        let _waited = timeout(patience, answer.wait_for(Option::is_some)).await.is_ok();
        let mut known = self.shared.known();
        if let Some(found) = &*answer.borrow() {
            return found.clone();
        }
        if let Some(lookup) = known.lookups.get_mut(&question) {
            lookup.left.insert(by.clone());
        }
        Err(no_answer("its registry has not answered yet"))
    }

    /// The lookup of this image, begun now if there is none, and how long to wait for it.
    fn begin_or_join(
        &self,
        question: &Question,
    ) -> Result<(watch::Receiver<Option<Answer>>, Duration), ImageFailure> {
        let mut known = self.shared.known();
        if let Some(lookup) = known.lookups.get(question) {
            return Ok((lookup.answer.clone(), lookup.patience()));
        }
        if known.lookups.len() >= LOOKUPS_MAX {
            return Err(no_answer("too many images are being looked up"));
        }
        let (org, registry) = (&question.org, registry(&question.image));
        let patience = if known.is_slow(org, &registry) { Duration::ZERO } else { PATIENCE };
        let turns =
            [known.turns(org, Some(&registry), PER_REGISTRY), known.turns(org, None, PER_ORGANIZATION)];
        let (sender, answer) = watch::channel(None);
        let lookup =
            Lookup { answer: answer.clone(), registry, began: Instant::now(), left: BTreeSet::new() };
        known.lookups.insert(question.clone(), lookup);
        tokio::spawn(Arc::clone(&self.shared).run(question.clone(), turns, sender));
        Ok((answer, patience))
    }
}

impl Shared {
    /// One lookup, from its place in the line to the end of its answer's time.
    async fn run(
        self: Arc<Self>,
        question: Question,
        turns: [Arc<Semaphore>; 2],
        sender: watch::Sender<Option<Answer>>,
    ) {
        let answer = {
            let [registry, organization] = &turns;
            let _turns = (registry.acquire().await, organization.acquire().await);
            (self.resolve)(question.clone()).await
        };
        // No answer is not worth a wake: whoever asked asks again in time.
        let by_digest = question.image.contains('@') && answer.is_ok();
        let is_answer = !matches!(answer, Err(ImageFailure::NoAnswer { .. }));
        let left = {
            // Under the lock, so that whoever leaves is either seen here or sees the answer.
            let mut known = self.known();
            sender.send_replace(Some(answer));
            known
                .lookups
                .get_mut(&question)
                .map(|lookup| std::mem::take(&mut lookup.left))
                .unwrap_or_default()
        };
        if is_answer && !left.is_empty() {
            left.iter().for_each(|key| (self.wake)(key));
            tokio::time::sleep(KEPT).await;
        }
        if by_digest {
            tokio::time::sleep(DIGEST_KEPT).await;
        }
        self.known().lookups.remove(&question);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Does this registry leave an older question of the organisation open?
    fn is_slow(&self, org: &OrgName, registry: &str) -> bool {
        let of_it = self
            .lookups
            .iter()
            .filter(|(question, lookup)| question.org == *org && lookup.registry == registry);
        of_it.into_iter().any(|(_, lookup)| lookup.answer.borrow().is_none() && lookup.patience().is_zero())
    }

    fn turns(&mut self, org: &OrgName, registry: Option<&str>, count: usize) -> Arc<Semaphore> {
        self.turns.retain(|_, turns| turns.strong_count() > 0);
        let name = (org.clone(), registry.map(str::to_owned));
        if let Some(turns) = self.turns.get(&name).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Semaphore::new(count));
        self.turns.insert(name, Arc::downgrade(&turns));
        turns
    }
}

/// The registry of a reference: its first part if that can be a host's name, as engines read it.
fn registry(reference: &str) -> String {
    let is_host = |part: &&str| part.contains(['.', ':']) || *part == "localhost";
    let first = reference.split_once('/').map(|(first, _)| first).filter(is_host);
    first.unwrap_or_default().to_owned()
}

/// Asks, with the password opened for this one call.
async fn ask(swarm: &dyn SwarmApi, store: &Store, question: &Question) -> Answer {
    let Question { image, credential, .. } = question;
    let Some(credential) = credential else { return answer(swarm.resolve_image(image, None).await) };
    match registry_auth(store, credential).await {
        Ok(auth) => answer(swarm.resolve_image(image, Some(&auth)).await),
        Err(error) => Err(no_answer(&unopened(credential, &error))),
    }
}

fn unopened(credential: &PullCredential, error: &StoreError) -> String {
    format!("the password of RegistryCredential/{} cannot be opened: {}", credential.name, chain(error))
}

fn answer(resolved: Result<skep_swarm::ResolvedImage, SwarmError>) -> Answer {
    match resolved {
        Ok(resolved) => identity(&resolved.identity).map_err(|why| ImageFailure::Refused { why }),
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

#[cfg(test)]
mod tests;
