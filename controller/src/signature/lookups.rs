//! Signatures: what is known, what has to be looked for, and the looking.
//!
//! As with images (`crate::lookup`), a look goes to a machine that somebody else runs, so it is a task of its own. Passes wait a moment for it and
//! then go on with what is known; whoever left is woken when there is something new. While a registry leaves an older question of the organisation
//! open, nobody waits for it. What was found is written down before anybody hears of it; that nothing could be found out is remembered for a
//! moment, so that a registry that is away is not asked by every pass.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use skep_executor::registry_auth;
use skep_outbound::Outbound;
use skep_outbound::registry::{Login, Repository};
use skep_planner::policy::signature::{SignatureFact, SignatureFacts, Signed};
use skep_planner::reconcile::environment::SignaturesToCheck;
use skep_planner::{PullAs, PullCredential};
use skep_runtime::Clock;
use skep_schemas::{ImageRef, OrgName, PublicKey, ResourceKey};
use skep_store::Store;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

use super::search::search;
use crate::clock;
use crate::error::chain;

/// How long the pass that starts a look waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it is remembered that a registry did not tell.
const FAILURE_KEPT: Duration = Duration::from_secs(15);
/// Looks of one organisation at once.
const PER_ORGANIZATION: usize = 4;
/// Looks that are under way, in line or remembered. Each is a kilobyte or two; more means that something is very wrong.
const LOOKS_MAX: usize = 10_000;

/// What a look comes to: what was found is in the store.
type Answer = Result<(), String>;

/// Tells one that left without an answer that it is there now.
type Wake = Box<dyn Fn(&ResourceKey) + Send + Sync>;

/// What is asked, for whom and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    org: OrgName,
    signed: Signed,
    keys: Vec<PublicKey>,
    credential: Option<PullCredential>,
}

/// Knows signatures, and looks for those that it does not know.
#[derive(Clone)]
pub(crate) struct Signatures {
    shared: Arc<Shared>,
}

struct Shared {
    outbound: Outbound,
    store: Store,
    clock: Arc<dyn Clock>,
    wake: Wake,
    looks: Mutex<Looks>,
}

#[derive(Default)]
struct Looks {
    under_way: HashMap<Question, Look>,
    /// Gone when no look uses them.
    turns: BTreeMap<OrgName, Weak<Semaphore>>,
}

struct Look {
    answer: watch::Receiver<Option<Answer>>,
    began: Instant,
    /// Those who left without the answer.
    left: BTreeSet<ResourceKey>,
}

impl Look {
    /// How long to wait for it from now on.
    fn patience(&self) -> Duration {
        if self.answer.borrow().is_some() {
            Duration::ZERO
        } else {
            PATIENCE.saturating_sub(self.began.elapsed())
        }
    }
}

/// Who wants to know, and since when anew.
pub(crate) struct Asker<'a> {
    /// Its organisation.
    pub(crate) org: &'a OrgName,
    /// Who is woken.
    pub(crate) key: &'a ResourceKey,
    /// What was found absent before that time is looked for at once: somebody said so.
    pub(crate) retried_at: Option<Timestamp>,
}

impl Signatures {
    /// Signatures that are found by this client and kept in this store. Those who left without an answer are woken.
    pub(crate) fn new(
        outbound: Outbound,
        store: Store,
        clock: Arc<dyn Clock>,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self {
        let wake: Wake = Box::new(wake);
        Self { shared: Arc::new(Shared { outbound, store, clock, wake, looks: Mutex::default() }) }
    }

    /// What is known now, after a moment of looking for what is not. `pull` says as whom a registry is asked, or why it is not.
    pub(crate) async fn look(
        &self,
        asker: &Asker<'_>,
        wanted: &SignaturesToCheck,
        pull: impl Fn(&ImageRef) -> Result<PullAs, String>,
    ) -> SignatureFacts {
        let mut facts = SignatureFacts::default();
        for (signed, reference) in &wanted.signed {
            let (known, unanswered) = self.one(asker, signed, &wanted.keys, pull(reference)).await;
            for (key, fact) in known.into_iter().filter(|(key, _)| wanted.keys.contains(key)) {
                facts.note(signed.clone(), key, fact);
            }
            if let Some(why) = unanswered {
                facts.note_unanswered(signed.clone(), why);
            }
        }
        facts
    }

    /// What is known of one digest, and why not all of it is.
    async fn one(
        &self,
        asker: &Asker<'_>,
        signed: &Signed,
        keys: &[PublicKey],
        pull: Result<PullAs, String>,
    ) -> (BTreeMap<PublicKey, SignatureFact>, Option<String>) {
        let known = match self.known(asker.org, signed).await {
            Ok(known) => known,
            Err(why) => return (BTreeMap::new(), Some(why)),
        };
        let now = clock::wall(&*self.shared.clock);
        let due: Vec<PublicKey> =
            keys.iter().filter(|key| is_due(known.get(key), asker.retried_at, now)).cloned().collect();
        if due.is_empty() {
            return (known, None);
        }
        let credential = match pull {
            Ok(PullAs::Nobody) => None,
            Ok(PullAs::Credential(credential)) => Some(*credential),
            Err(why) => return (known, Some(why)),
        };
        let question = Question { org: asker.org.clone(), signed: signed.clone(), keys: due, credential };
        match self.ask(question, asker.key).await {
            Err(why) => (known, Some(why)),
            Ok(()) => match self.known(asker.org, signed).await {
                Ok(known) => (known, None),
                Err(why) => (known, Some(why)),
            },
        }
    }

    async fn known(
        &self,
        org: &OrgName,
        signed: &Signed,
    ) -> Result<BTreeMap<PublicKey, SignatureFact>, String> {
        let known = self.shared.store.signatures(org, signed).await;
        known.map(|known| known.into_iter().collect()).map_err(|error| chain(&error))
    }

    /// Looks, or joins whoever looks already, and waits a moment.
    async fn ask(&self, question: Question, by: &ResourceKey) -> Answer {
        let (mut answer, patience) = self.begin_or_join(&question)?;
        // What comes of the wait is in the answer itself.
        let _waited = timeout(patience, answer.wait_for(Option::is_some)).await.is_ok();
        let mut looks = self.shared.looks();
        if let Some(found) = &*answer.borrow() {
            return found.clone();
        }
        if let Some(look) = looks.under_way.get_mut(&question) {
            look.left.insert(by.clone());
        }
        Err("its registry has not answered yet".to_owned())
    }

    fn begin_or_join(
        &self,
        question: &Question,
    ) -> Result<(watch::Receiver<Option<Answer>>, Duration), String> {
        let mut looks = self.shared.looks();
        if let Some(look) = looks.under_way.get(question) {
            return Ok((look.answer.clone(), look.patience()));
        }
        if looks.under_way.len() >= LOOKS_MAX {
            return Err("too many signatures are being looked for".to_owned());
        }
        let patience = if looks.is_slow(question) { Duration::ZERO } else { PATIENCE };
        let turns = looks.turns(&question.org);
        let (sender, answer) = watch::channel(None);
        let look = Look { answer: answer.clone(), began: Instant::now(), left: BTreeSet::new() };
        looks.under_way.insert(question.clone(), look);
        tokio::spawn(Arc::clone(&self.shared).run(question.clone(), turns, sender));
        Ok((answer, patience))
    }
}

/// Is it to be looked for? What was found never.
fn is_due(known: Option<&SignatureFact>, retried_at: Option<Timestamp>, now: Timestamp) -> bool {
    match known {
        None => true,
        Some(SignatureFact::Signed) => false,
        Some(fact @ SignatureFact::Unsigned { checked_at, .. }) => {
            fact.again_at().is_none_or(|again| again <= now)
                || retried_at.is_some_and(|retried| retried > *checked_at)
        }
    }
}

impl Shared {
    /// One look, from its place in the line to the end of its answer's time.
    async fn run(
        self: Arc<Self>,
        question: Question,
        turns: Arc<Semaphore>,
        sender: watch::Sender<Option<Answer>>,
    ) {
        let answer = {
            let _turn = turns.acquire().await;
            self.find(&question).await
        };
        let failed = answer.is_err();
        let left = {
            // Under the lock, so that whoever leaves is either seen here or sees the answer.
            let mut looks = self.looks();
            sender.send_replace(Some(answer));
            let look = looks.under_way.get_mut(&question);
            let left = look.map(|look| std::mem::take(&mut look.left)).unwrap_or_default();
            if !failed {
                looks.under_way.remove(&question);
            }
            left
        };
        if failed {
            // No answer is not worth a wake: whoever asked asks again in time.
            tokio::time::sleep(FAILURE_KEPT).await;
            self.looks().under_way.remove(&question);
        } else {
            left.iter().for_each(|key| (self.wake)(key));
        }
    }

    /// Asks the registry, with the password opened for this one look, and notes what was found.
    async fn find(&self, question: &Question) -> Answer {
        let Question { org, signed, keys, credential } = question;
        let login = match credential {
            None => None,
            Some(credential) => {
                let auth = registry_auth(&self.store, credential).await.map_err(|error| {
                    let name = &credential.name;
                    format!("the password of RegistryCredential/{name} cannot be opened: {}", chain(&error))
                })?;
                Some(Login { username: auth.username, password: auth.password })
            }
        };
        let mut repository = Repository::new(&self.outbound, &signed.repository, login);
        let found = search(&mut repository, &signed.digest, keys).await.map_err(|error| chain(&error))?;
        let now = clock::wall(&*self.clock);
        let noted = self.store.note_signatures(org, signed, &found, now).await;
        noted.map_err(|error| chain(&error))
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looks {
    /// Does the registry of a question leave an older question of the organisation open?
    fn is_slow(&self, question: &Question) -> bool {
        let registry = |signed: &Signed| signed.repository.split('/').next().map(str::to_owned);
        let of_it = |other: &Question| {
            other.org == question.org && registry(&other.signed) == registry(&question.signed)
        };
        self.under_way
            .iter()
            .any(|(other, look)| of_it(other) && look.answer.borrow().is_none() && look.patience().is_zero())
    }

    fn turns(&mut self, org: &OrgName) -> Arc<Semaphore> {
        self.turns.retain(|_, turns| turns.strong_count() > 0);
        if let Some(turns) = self.turns.get(org).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Semaphore::new(PER_ORGANIZATION));
        self.turns.insert(org.clone(), Arc::downgrade(&turns));
        turns
    }
}
