//! Membership: keeps this process' leases, takes its share of the shards, and passes on what is not its to keep.
//!
//! About once a second one statement says that this member is alive, renews its leases and tells who else is alive and
//! what is free; [`assignment`](super::assignment) says what follows from that. Taking and giving are statements of their own, and
//! rare. What can go wrong, and what then happens:
//!
//! - *This process dies.* Its leases run out within [`TTL`]; the others see them at their next look.
//! - *The database does not answer.* The terms are not extended and end by this process' own clock, [`MARGIN`] before
//!   the leases can pass on. When it answers again, the leases are given up and taken anew.
//! - *This process was stopped for a while.* Its terms are over before anything else of it runs. The next look finds
//!   other holders.
//! - *A shard is to be given back.* No pass begins in it, those that run may end, and then the lease is released,
//!   which the other members are told at once. Passes that take too long are dropped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use skep_runtime::{Activator, Clock, Instant, Shutdown};
use skep_store::{Beat, Fence, Member, StoreError};
use tokio::time::timeout;

use super::Gained;
use super::assignment::View;
use super::held::{Held, Holding};
use super::shard::{Part, Shard};
use super::term::Term;
use crate::error::chain;
use crate::metrics::Metrics;

/// How long a lease outlives its holder's last sign of life.
pub(crate) const TTL: Duration = Duration::from_secs(7);
/// How much earlier its holder stops: time for dropped work to be gone, and for clocks that differ in rate.
const MARGIN: Duration = Duration::from_millis(1500);
/// How often a member says that it is alive. Several may be lost before a term ends.
const BEAT: Duration = Duration::from_secs(1);
/// How soon it says so again when that failed.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
/// How long one statement may take: the next one uses another connection.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long the passes of a shard that is given back to balance the work may go on. A roll-out is not waited for: a pass ends when
/// there is nothing to do for the moment.
const GIVE_WITHIN: Duration = Duration::from_secs(10);
/// How long they may go on when this process is asked to stop.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(1);
/// How long dropped work may take to be gone. That is a matter of scheduling.
const DROP_WITHIN: Duration = Duration::from_millis(300);

/// This process among the members.
pub(crate) struct Membership {
    member: Member,
    held: Arc<Held>,
    /// The bells of the duties of the cluster.
    duties: Vec<Activator>,
    gained: Gained,
    /// One future for each shard that is being given back; it completes when nothing runs there any more.
    giving: FuturesUnordered<BoxFuture<'static, ()>>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    said: String,
    shutdown: Shutdown,
}

impl Membership {
    /// A member that has nothing yet. The shards that it takes are put into `gained`.
    pub(crate) fn new(
        member: Member,
        held: Arc<Held>,
        duties: Vec<Activator>,
        gained: Gained,
        metrics: Metrics,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Self {
        for part in Part::all() {
            metrics.leases.known(&part.lease());
        }
        let giving = FuturesUnordered::new();
        Self { member, held, duties, gained, giving, metrics, clock, said: String::new(), shutdown }
    }

    /// Takes part until shutdown, and then hands everything over.
    pub(super) async fn run(mut self) {
        let mut next = self.clock.now();
        loop {
            tokio::select! {
                () = self.shutdown.requested() => break,
                () = self.clock.sleep_until(next) => {}
                () = self.member.told() => {}
                Some(()) = self.giving.next() => {}
            }
            next = self.clock.now();
            match self.look().await {
                Ok(()) => next += BEAT,
                Err(error) => {
                    next += BEAT_AGAIN;
                    tracing::warn!(error = chain(&error), "cannot renew the leases");
                }
            }
            self.say();
        }
        self.hand_over().await;
    }

    /// Lets shards go that are being given back and where nothing runs any more, as [`run`](Self::run) does while it waits.
    pub(crate) fn let_idle_go(&mut self) {
        while let Some(Some(())) = self.giving.next().now_or_never() {}
    }

    /// One look: gives up what is over, renews the rest, and moves towards the share.
    pub(crate) async fn look(&mut self) -> Result<(), LookError> {
        self.give_up().await?;
        let fences: Vec<Fence> = self.held.all().into_iter().map(|(_, holding)| holding.fence).collect();
        let leases: Vec<String> = Part::all().map(Part::lease).collect();
        let sent = self.clock.now();
        let beat = answered(self.member.beat(&fences, &leases)).await?;
        self.held.saw_members(beat.others.len() + 1);
        self.renewed(&beat, sent + TTL - MARGIN);
        self.rebalance(&beat).await
    }

    /// Releases the leases whose terms are over: given back, or not renewed in time.
    async fn give_up(&mut self) -> Result<(), LookError> {
        let mut fences = Vec::new();
        for (part, holding) in self.held.all() {
            if holding.term.is_over() {
                holding.term.end();
                holding.term.idle(DROP_WITHIN).await;
                self.let_go(part);
                fences.push(holding.fence);
            }
        }
        // Not tried again: what is not released runs out.
        if fences.is_empty() { Ok(()) } else { answered(self.member.release(&fences)).await }
    }

    /// Extends the terms of what was renewed, and ends those of what has moved on.
    fn renewed(&self, beat: &Beat, until: Instant) {
        for (part, holding) in self.held.all() {
            if beat.renewed.iter().any(|name| name == holding.fence.name()) {
                holding.term.extend(until);
            } else {
                tracing::warn!(
                    lease = holding.fence.name(),
                    epoch = holding.fence.epoch(),
                    "the lease was lost"
                );
                holding.term.end();
                self.let_go(part);
            }
        }
    }

    /// Gives back what is above the share, or takes what is missing.
    async fn rebalance(&mut self, beat: &Beat) -> Result<(), LookError> {
        let is_free = |part: Part| beat.free.contains(&part.lease());
        let mine = Shard::all().filter(|shard| self.held.is_open(Part::Shard(*shard))).collect();
        let free = Shard::all().filter(|shard| is_free(Part::Shard(*shard))).collect();
        let view = View { me: self.member.id(), others: &beat.others, mine: &mine, free: &free };
        let moves = view.moves();
        let give: Vec<Part> = moves.give.into_iter().map(Part::Shard).collect();
        for (_, holding) in self.held.all().into_iter().filter(|(part, _)| give.contains(part)) {
            holding.term.close();
            self.giving.push(end_gently(holding.term, GIVE_WITHIN).boxed());
        }
        let mut wanted: Vec<Part> = moves.take.into_iter().map(Part::Shard).collect();
        wanted.extend((!self.held.has_any(Part::Cluster) && is_free(Part::Cluster)).then_some(Part::Cluster));
        if wanted.is_empty() {
            return Ok(());
        }
        let leases: Vec<String> = wanted.iter().copied().map(Part::lease).collect();
        let sent = self.clock.now();
        let taken = answered(self.member.take(&leases)).await?;
        self.begin(taken, sent + TTL - MARGIN);
        Ok(())
    }

    fn begin(&self, taken: Vec<Fence>, until: Instant) {
        let mut gained = BTreeSet::new();
        for fence in taken {
            let Some(part) = Part::all().find(|part| part.lease() == fence.name()) else { continue };
            tracing::info!(lease = fence.name(), epoch = fence.epoch(), "took a lease");
            self.metrics.leases.taken(fence.name(), fence.epoch());
            self.held.put(part, Holding { fence, term: Term::begin(until, Arc::clone(&self.clock)) });
            match part {
                Part::Shard(shard) => drop(gained.insert(shard)),
                Part::Cluster => self.duties.iter().for_each(Activator::activate),
            }
        }
        if !gained.is_empty() {
            self.gained.send_modify(|unseen| unseen.extend(gained));
        }
    }

    /// This process no longer has it.
    fn let_go(&self, part: Part) {
        self.held.remove(part);
        self.metrics.leases.lost(&part.lease());
        if let Part::Shard(shard) = part {
            self.metrics.board.retain(|key| Shard::of(key) != shard);
        }
    }

    /// Says what is held, when that has changed.
    fn say(&mut self) {
        let now = self.held.describe();
        if now != self.said {
            tracing::info!(member = self.member.id(), "{now}");
            self.said = now;
        }
    }

    /// Passes everything on: at once where nothing runs, and soon where something does.
    pub(crate) async fn hand_over(&mut self) {
        let mut ending = FuturesUnordered::new();
        for (part, holding) in self.held.all() {
            holding.term.close();
            let within = match part {
                Part::Shard(_) => HAND_OVER_WITHIN,
                // A duty begins anew elsewhere; nobody waits for it.
                Part::Cluster => Duration::ZERO,
            };
            ending.push(end_gently(Arc::clone(&holding.term), within).map(move |()| (part, holding.fence)));
        }
        // From now on the others take what is released instead of leaving this member its share.
        warn_of(answered(self.member.leave()).await);
        while let Some(first) = ending.next().await {
            let mut ended = vec![first];
            while let Some(Some(another)) = ending.next().now_or_never() {
                ended.push(another);
            }
            let (parts, fences): (Vec<Part>, Vec<Fence>) = ended.into_iter().unzip();
            parts.into_iter().for_each(|part| self.let_go(part));
            warn_of(answered(self.member.release(&fences)).await);
        }
        tracing::info!(member = self.member.id(), "handed everything over");
    }
}

/// Lets the work of a closed term end, drops what takes too long, and waits until it is gone.
async fn end_gently(term: Arc<Term>, within: Duration) {
    term.idle(within).await;
    term.end();
    term.idle(DROP_WITHIN).await;
}

/// A look did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookError {
    #[error("the database does not answer within {ANSWER_WITHIN:?}")]
    Late,
    #[error("the database refuses")]
    Store(#[source] StoreError),
}

async fn answered<T>(statement: impl Future<Output = Result<T, StoreError>>) -> Result<T, LookError> {
    timeout(ANSWER_WITHIN, statement).await.map_err(|_| LookError::Late)?.map_err(LookError::Store)
}

fn warn_of(outcome: Result<(), LookError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = chain(&error), "cannot hand over; the leases run out by themselves");
    }
}
