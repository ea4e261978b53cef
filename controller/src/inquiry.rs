//! Inquiries: asking machines that somebody else runs, without waiting for those that do not answer.
//!
//! What a registry or a scanner is asked may take a minute to fail. If passes waited for it, a thousand environments whose registry hangs would
//! occupy the workers, and everyone's deploys would wait with them. So an inquiry is a task of its own:
//!
//! - Who asks what is being asked already joins: one question is under way once.
//! - Passes wait a moment for the answer, which is enough for a healthy host. After that they go on without. While a host leaves an
//!   older question of the organisation open, nobody waits for it at all.
//! - When the answer comes after somebody left without it, those are woken.
//! - Few inquiries of one organisation run at once, and fewer at one host if so said; the others wait in line. One organisation's dead
//!   host delays neither its other questions much nor anybody else's.
//! - There is an end to how many are known at once.
//!
//! How long an answer is kept, and whether it is worth a wake, the question itself says ([`Question::afterwards`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use skep_schemas::{OrgName, ResourceKey};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

/// How long the pass that starts an inquiry waits. Hosts in reach answer in well under a second.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked. Equal questions have one answer, so for whom and as whom is a part of it.
pub(crate) trait Question: Clone + Eq + Hash + Send + Sync + 'static {
    /// What comes of it.
    type Answer: Clone + Send + Sync + 'static;

    /// The organisation that asks.
    fn org(&self) -> &OrgName;

    /// Who is asked.
    fn host(&self) -> &str;

    /// What becomes of that answer once it is there.
    fn afterwards(&self, answer: &Self::Answer) -> Afterwards;
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Afterwards {
    /// Are those woken who left without it? One that says nothing is not worth a wake: whoever asked asks again in time.
    pub(crate) wakes: bool,
    /// How long it is kept for those who are woken.
    pub(crate) for_the_woken: Duration,
    /// How long it is kept for everybody, after that.
    pub(crate) for_all: Duration,
}

/// How much is asked at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Of one organisation at one host; as for the organisation when absent.
    pub(crate) per_host: Option<usize>,
    /// Of one organisation, whatever the hosts.
    pub(crate) per_organization: usize,
    /// That are under way, in line or kept. More means that something is very wrong.
    pub(crate) all: usize,
}

/// What there is to say to who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply<A> {
    /// This.
    Answer(A),
    /// The host has not answered yet. Who asked is woken if it does.
    NotYet,
    /// So much is being asked that this is not.
    TooMany,
}

/// Asks one question.
type Ask<Q> = Box<dyn Fn(Q) -> BoxFuture<'static, <Q as Question>::Answer> + Send + Sync>;

/// Tells one that left without an answer that it is there now.
type Wake = Box<dyn Fn(&ResourceKey) + Send + Sync>;

/// Asks questions of one sort.
pub(crate) struct Inquiries<Q: Question> {
    shared: Arc<Shared<Q>>,
}

impl<Q: Question> Clone for Inquiries<Q> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

struct Shared<Q: Question> {
    ask: Ask<Q>,
    wake: Wake,
    bounds: Bounds,
    known: Mutex<Known<Q>>,
}

struct Known<Q: Question> {
    inquiries: HashMap<Q, Inquiry<Q::Answer>>,
    /// Gone when no inquiry uses them.
    turns: BTreeMap<(OrgName, Option<String>), Weak<Semaphore>>,
}

/// One that is under way, in line or kept.
struct Inquiry<A> {
    answer: watch::Receiver<Option<A>>,
    began: Instant,
    /// Those who left without the answer.
    left: BTreeSet<ResourceKey>,
}

impl<A> Inquiry<A> {
    /// How long to wait for it from now on.
    fn patience(&self) -> Duration {
        if self.answer.borrow().is_some() {
            Duration::ZERO
        } else {
            PATIENCE.saturating_sub(self.began.elapsed())
        }
    }
}

impl<Q: Question> Inquiries<Q> {
    /// Inquiries that are made by `ask`. Those who left without an answer are woken.
    pub(crate) fn new<F>(
        bounds: Bounds,
        ask: impl Fn(Q) -> F + Send + Sync + 'static,
        wake: impl Fn(&ResourceKey) + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Q::Answer> + Send + 'static,
    {
        let ask: Ask<Q> = Box::new(move |question| ask(question).boxed());
        let known = Mutex::new(Known { inquiries: HashMap::new(), turns: BTreeMap::new() });
        Self { shared: Arc::new(Shared { ask, wake: Box::new(wake), bounds, known }) }
    }

    /// Asks, or joins whoever asks already, and waits a moment. `by` is who is woken.
    pub(crate) async fn ask(&self, question: Q, by: &ResourceKey) -> Reply<Q::Answer> {
        let Some((mut answer, patience)) = self.begin_or_join(&question) else { return Reply::TooMany };
        // What comes of the wait is in the answer itself.
        let _waited = timeout(patience, answer.wait_for(Option::is_some)).await.is_ok();
        let mut known = self.shared.known();
        if let Some(found) = &*answer.borrow() {
            return Reply::Answer(found.clone());
        }
        if let Some(inquiry) = known.inquiries.get_mut(&question) {
            inquiry.left.insert(by.clone());
        }
        Reply::NotYet
    }

    /// The inquiry, begun now if there is none, and how long to wait for it; `None` if there are too many.
    fn begin_or_join(&self, question: &Q) -> Option<(watch::Receiver<Option<Q::Answer>>, Duration)> {
        let Bounds { per_host, per_organization, all } = self.shared.bounds;
        let mut known = self.shared.known();
        if let Some(inquiry) = known.inquiries.get(question) {
            return Some((inquiry.answer.clone(), inquiry.patience()));
        }
        if known.inquiries.len() >= all {
            return None;
        }
        let (org, host) = (question.org(), question.host());
        let patience = if known.is_slow(org, host) { Duration::ZERO } else { PATIENCE };
        let of_host = per_host.map(|count| known.turns(org, Some(host), count));
        let turns: Vec<_> = of_host.into_iter().chain([known.turns(org, None, per_organization)]).collect();
        let (sender, answer) = watch::channel(None);
        let inquiry = Inquiry { answer: answer.clone(), began: Instant::now(), left: BTreeSet::new() };
        known.inquiries.insert(question.clone(), inquiry);
        tokio::spawn(Arc::clone(&self.shared).run(question.clone(), turns, sender));
        Some((answer, patience))
    }
}

impl<Q: Question> Shared<Q> {
    /// One inquiry, from its place in the line to the end of its answer's time.
    async fn run(
        self: Arc<Self>,
        question: Q,
        turns: Vec<Arc<Semaphore>>,
        sender: watch::Sender<Option<Q::Answer>>,
    ) {
        let answer = {
            let mut taken = Vec::with_capacity(turns.len());
            for turns in &turns {
                taken.push(turns.acquire().await);
            }
            (self.ask)(question.clone()).await
        };
        let afterwards = question.afterwards(&answer);
        let (woken, kept) = {
            // Under the lock, so that whoever leaves is either seen here or sees the answer.
            let mut known = self.known();
            sender.send_replace(Some(answer));
            let inquiry = known.inquiries.get_mut(&question);
            let left = inquiry.map(|inquiry| std::mem::take(&mut inquiry.left)).unwrap_or_default();
            let woken = if afterwards.wakes { left } else { BTreeSet::new() };
            let for_the_woken = if woken.is_empty() { Duration::ZERO } else { afterwards.for_the_woken };
            let kept = for_the_woken + afterwards.for_all;
            if kept.is_zero() {
                known.inquiries.remove(&question);
            }
            (woken, kept)
        };
        woken.iter().for_each(|key| (self.wake)(key));
        if !kept.is_zero() {
            tokio::time::sleep(kept).await;
            self.known().inquiries.remove(&question);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known<Q>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Question> Known<Q> {
    /// Does this host leave an older question of the organisation open?
    fn is_slow(&self, org: &OrgName, host: &str) -> bool {
        let of_it = |question: &Q| question.org() == org && question.host() == host;
        self.inquiries.iter().any(|(question, inquiry)| {
            of_it(question) && inquiry.answer.borrow().is_none() && inquiry.patience().is_zero()
        })
    }

    fn turns(&mut self, org: &OrgName, host: Option<&str>, count: usize) -> Arc<Semaphore> {
        self.turns.retain(|_, turns| turns.strong_count() > 0);
        let name = (org.clone(), host.map(str::to_owned));
        if let Some(turns) = self.turns.get(&name).and_then(Weak::upgrade) {
            return turns;
        }
        let turns = Arc::new(Semaphore::new(count));
        self.turns.insert(name, Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests;
