//! Answering together what is asked at the same time.
//!
//! A request never joins an answer that has begun: what such an answer rests on may be older than the request. It waits for the next
//! one, which begins when an answer ends, with everything that was asked meanwhile, in that order. So nobody waits for company, and
//! the busier it gets, the more requests share a round trip, a commit or a list.
//!
//! Several are answered by a task of their own: one asker that goes away takes nobody else's answer with it. But nothing is done for
//! those who have gone. A request whose asker is not there any more when its turn comes is dropped, and so is an answer that nobody
//! waits for: what an asker has given up does not happen afterwards, unless it was under way with somebody else's.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Either, join_all, select};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The most requests that wait; more mean that nothing is answered any more, and each holds what it asks with.
const WAITING_MAX: usize = 10_000;

/// Where a request is answered that comes when there is a turn to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// In its asker's own future: at once, alone, and for as long as the asker goes on.
    InItsFuture,
    /// By a task, with whatever else is asked before that runs: for askers that ask several things at once.
    InATask,
}

/// The bounds of a place where requests meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatherBounds {
    /// The most requests that are answered together.
    pub together: usize,
    /// The most answers that are under way at once. With one only, a slow one holds up everybody; with many, each carries little.
    pub at_once: usize,
    /// The longest that one may take. What hangs longer is dropped, and those who wait go on.
    pub within: Duration,
}

/// Answers a batch: one answer for each request, in their order.
type Answer<Q, A> = Box<dyn Fn(Vec<Q>) -> BoxFuture<'static, Vec<A>> + Send + Sync>;

/// Where requests meet. Clones are one place.
pub struct Gather<Q, A>(Arc<Place<Q, A>>);

impl<Q, A> Clone for Gather<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Place<Q, A> {
    answer: Answer<Q, A>,
    first: First,
    bounds: GatherBounds,
    line: Mutex<Line<Q, A>>,
}

struct Line<Q, A> {
    under_way: usize,
    /// In the order in which they came, so that nobody is passed over.
    waiting: Vec<Waiting<Q, A>>,
}

/// A request, and whom to tell.
type Waiting<Q, A> = (Q, oneshot::Sender<A>);

/// There is no answer: too many were waiting, or answering panicked or took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("what was asked together with others got no answer")
    }
}

impl std::error::Error for Unanswered {}

/// What a request becomes when it comes.
enum Admitted<Q, A> {
    Now(Q),
    Later(oneshot::Receiver<A>),
}

impl<Q: Send + 'static, A: Send + 'static> Gather<Q, A> {
    /// A place whose requests are answered by this.
    pub fn new<F>(
        bounds: GatherBounds,
        first: First,
        answer: impl Fn(Vec<Q>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let answer = move |requests| answer(requests).boxed();
        let line = Line { under_way: 0, waiting: Vec::new() };
        Self(Arc::new(Place { answer: Box::new(answer), first, bounds, line: Mutex::new(line) }))
    }

    /// The answer to this request, by nothing that began before it.
    pub async fn ask(&self, request: Q) -> Result<A, Unanswered> {
        match self.admit(request)? {
            Admitted::Now(request) => {
                // Passes the turn on also when this future is dropped.
                let _turn = Turn(Arc::clone(&self.0));
                let answered = timeout(self.0.bounds.within, (self.0.answer)(vec![request])).await;
                answered.ok().and_then(|mut answers| answers.pop()).ok_or(Unanswered)
            }
            Admitted::Later(answer) => answer.await.map_err(|_| Unanswered),
        }
    }

    fn admit(&self, request: Q) -> Result<Admitted<Q, A>, Unanswered> {
        let mut line = self.0.line();
        let turn = line.under_way < self.0.bounds.at_once;
        if turn && self.0.first == First::InItsFuture {
            line.under_way += 1;
            return Ok(Admitted::Now(request));
        }
        if line.waiting.len() >= WAITING_MAX {
            line.waiting.retain(|(_, asker)| !asker.is_closed());
            if line.waiting.len() >= WAITING_MAX {
                return Err(Unanswered);
            }
        }
        let (sender, answer) = oneshot::channel();
        line.waiting.push((request, sender));
        if turn {
            line.under_way += 1;
            tokio::spawn(answer_all(Arc::clone(&self.0), Vec::new()));
        }
        Ok(Admitted::Later(answer))
    }
}

impl<Q, A> Place<Q, A> {
    fn line(&self) -> MutexGuard<'_, Line<Q, A>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next requests that somebody still waits for, or none: then this turn has ended.
    fn next(&self) -> Vec<Waiting<Q, A>> {
        let mut line = self.line();
        line.waiting.retain(|(_, asker)| !asker.is_closed());
        let count = line.waiting.len().min(self.bounds.together);
        if count == 0 {
            line.under_way -= 1;
        }
        line.waiting.drain(..count).collect()
    }
}

/// Somebody's turn in his own future. When it ends those who came meanwhile are answered.
struct Turn<Q: Send + 'static, A: Send + 'static>(Arc<Place<Q, A>>);

impl<Q: Send + 'static, A: Send + 'static> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        let next = self.0.next();
        // Without a runtime the process ends, and nobody waits any more.
        if !next.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(answer_all(Arc::clone(&self.0), next));
        }
    }
}

/// Answers these, and then whoever waits, until nobody does.
async fn answer_all<Q: Send, A: Send>(place: Arc<Place<Q, A>>, mut next: Vec<Waiting<Q, A>>) {
    loop {
        if next.is_empty() {
            next = place.next();
        }
        if next.is_empty() {
            return;
        }
        let (requests, mut askers): (Vec<Q>, Vec<oneshot::Sender<A>>) =
            std::mem::take(&mut next).into_iter().unzip();
        let answers = answer_for(&place, requests, &mut askers).await;
        for (asker, answer) in askers.into_iter().zip(answers) {
            // Whoever has gone needs no answer; whoever gets none learns of it by the sender's end.
            let _ = asker.send(answer);
        }
    }
}

/// The answers to these requests; none when it panicked, took too long, or all who asked have gone.
async fn answer_for<Q: Send, A: Send>(
    place: &Place<Q, A>,
    requests: Vec<Q>,
    askers: &mut [oneshot::Sender<A>],
) -> Vec<A> {
    let answered = timeout(place.bounds.within, async { (place.answer)(requests).await });
    // Nothing of what panicked is used afterwards.
    let answered = AssertUnwindSafe(answered).catch_unwind();
    let deserted = join_all(askers.iter_mut().map(oneshot::Sender::closed));
    match select(std::pin::pin!(answered), std::pin::pin!(deserted)).await {
        Either::Left((Ok(Ok(answers)), _)) => answers,
        Either::Left((Ok(Err(_)) | Err(_), _)) | Either::Right(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    const fn bounds(together: usize, at_once: usize) -> GatherBounds {
        GatherBounds { together, at_once, within: Duration::from_secs(10) }
    }

    /// Answers each request with the batch that it was in, after a second.
    fn batches(bounds: GatherBounds, first: First) -> Gather<u32, Vec<u32>> {
        Gather::new(bounds, first, |requests: Vec<u32>| async move {
            sleep(SECOND).await;
            assert!(!requests.contains(&13), "as the test wants");
            requests.iter().map(|_| requests.clone()).collect()
        })
    }

    /// The batches in which these were answered that were asked at the same time.
    async fn asked(place: &Gather<u32, Vec<u32>>, numbers: impl Iterator<Item = u32>) -> Vec<Vec<u32>> {
        let answers = join_all(numbers.map(|number| place.ask(number))).await;
        let mut batches: Vec<Vec<u32>> = answers.into_iter().map(Result::unwrap).collect();
        batches.dedup();
        batches
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_answered_alone_and_those_that_come_meanwhile_together() {
        let place = batches(bounds(3, 1), First::InItsFuture);
        assert_eq!(asked(&place, 1..=6).await, [vec![1], vec![2, 3, 4], vec![5, 6]]);
        assert_eq!(place.ask(7).await, Ok(vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_answers_together_what_one_asks_at_once_in_batches_that_fit() {
        let place = batches(bounds(4, 1), First::InATask);
        assert_eq!(asked(&place, 1..=6).await, [vec![1, 2, 3, 4], vec![5, 6]]);
        assert_eq!(place.ask(7).await, Ok(vec![7]));
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_older_than_its_request_however_many_are_under_way() {
        for first in [First::InItsFuture, First::InATask] {
            let begun: Gather<(), Instant> =
                Gather::new(bounds(8, 2), first, |requests: Vec<()>| async move {
                    let began = Instant::now();
                    sleep(SECOND).await;
                    requests.iter().map(|()| began).collect()
                });
            let ask = async |after: u64| {
                sleep(Duration::from_millis(after)).await;
                let came = Instant::now();
                (came, begun.ask(()).await.unwrap())
            };
            let answers = join_all((0..30).map(|number| ask(number * 70))).await;
            assert!(answers.iter().all(|(came, began)| began >= came), "{answers:?}");
            assert!(answers.iter().all(|(came, began)| *began - *came <= SECOND), "{answers:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_dropped_takes_nobody_elses_answer_with_it_and_is_not_answered() {
        let place = batches(bounds(3, 1), First::InItsFuture);
        let mut first = Box::pin(place.ask(1));
        assert!(futures::poll!(&mut first).is_pending());
        let mut second = Box::pin(place.ask(2));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        assert_eq!(second.await, Ok(vec![2]));
        let mut others: Vec<_> = (3..=5).map(|number| Box::pin(place.ask(number))).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        drop(others.remove(1));
        assert_eq!(join_all(others).await, [Ok(vec![3]), Ok(vec![5])]);
        assert_eq!(place.ask(6).await, Ok(vec![6]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_waits_for_any_more_is_dropped() {
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (begins, ends) = (Arc::clone(&begun), Arc::clone(&ended));
        let place: Gather<u32, ()> = Gather::new(bounds(3, 1), First::InATask, move |requests: Vec<u32>| {
            begins.fetch_add(1, Ordering::Relaxed);
            let ends = Arc::clone(&ends);
            async move {
                sleep(SECOND).await;
                ends.fetch_add(1, Ordering::Relaxed);
                requests.iter().map(|_| ()).collect()
            }
        });
        let both = join_all([place.ask(1), place.ask(2)]);
        assert!(timeout(SECOND / 2, both).await.is_err());
        sleep(2 * SECOND).await;
        let counts = || (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed));
        assert_eq!(counts(), (1, 0));
        assert_eq!(place.ask(3).await, Ok(()));
        assert_eq!(counts(), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_those_who_wait_go_on() {
        let place: Gather<bool, ()> =
            Gather::new(bounds(2, 1), First::InItsFuture, |requests: Vec<bool>| async move {
                if requests.contains(&true) {
                    std::future::pending::<()>().await;
                }
                requests.iter().map(|_| ()).collect()
            });
        let asked = join_all([true, true, true, false, false].map(|hangs| place.ask(hangs))).await;
        assert_eq!(asked[..3], [Err(Unanswered); 3]);
        assert_eq!(asked[3..], [Ok(()), Ok(())]);
        assert_eq!(place.ask(false).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_leaves_its_askers_without_an_answer_and_nobody_else() {
        let place = batches(bounds(2, 1), First::InItsFuture);
        let asked = join_all([1, 13, 3, 4].map(|number| place.ask(number))).await;
        assert_eq!(asked, [Ok(vec![1]), Err(Unanswered), Err(Unanswered), Ok(vec![4])]);
    }
}
