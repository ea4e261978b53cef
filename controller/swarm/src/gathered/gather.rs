//! Questions that are asked at the same time, put as one.
//!
//! A question never joins a call that has begun: what such a call reads may be older than the question. It waits for the next one,
//! which begins when a call ends, with everything that was asked meanwhile. So nobody who asks alone ever waits, and the busier it
//! gets, the more questions go into each call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::error::{Call, SwarmError};

/// How many questions go into one call: their names have to fit into a URL, at up to 64 bytes each.
pub(super) const QUESTIONS_MAX: usize = 48;
/// How many calls are under way at once. With one only, a slow answer would hold up everybody; with many, each would carry little.
const CALLS_MAX: usize = 2;

/// What a call says to each question that was in it.
pub(super) type Answers<K, V> = BTreeMap<K, Result<V, SwarmError>>;
/// One call: all these questions at once.
pub(super) type Ask<K, V> = dyn Fn(Vec<K>) -> BoxFuture<'static, Answers<K, V>> + Send + Sync;

/// Whom to tell.
type Tell<V> = oneshot::Sender<Result<V, SwarmError>>;

/// Where questions of one sort are gathered.
pub(super) struct Gather<K, V> {
    shared: Arc<Shared<K, V>>,
}

struct Shared<K, V> {
    ask: Box<Ask<K, V>>,
    state: Mutex<State<K, V>>,
}

struct State<K, V> {
    /// Who waits for what, in the order of the questions, so that nobody is passed over.
    waiting: Vec<(K, Tell<V>)>,
    calls: usize,
}

impl<K, V> Gather<K, V>
where
    K: Ord + Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A place for questions that are put by this call.
    pub(super) fn new(
        ask: impl Fn(Vec<K>) -> BoxFuture<'static, Answers<K, V>> + Send + Sync + 'static,
    ) -> Self {
        let state = Mutex::new(State { waiting: Vec::new(), calls: 0 });
        Self { shared: Arc::new(Shared { ask: Box::new(ask), state }) }
    }

    /// The answer of a call that begins after this question. `call` is what the question is called if it stays unanswered.
    pub(super) async fn answer(&self, question: K, call: Call) -> Result<V, SwarmError> {
        let (tell, told) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            state.waiting.push((question, tell));
            if state.calls < CALLS_MAX {
                state.calls += 1;
                // On its own, because whoever asks may go away while others wait for the same call.
                tokio::spawn(Arc::clone(&self.shared).carry());
            }
        }
        told.await.unwrap_or_else(|ended| {
            Err(SwarmError::Unavailable { call, sent: false, source: Arc::new(ended) })
        })
    }
}

impl<K, V> Shared<K, V>
where
    K: Ord + Clone,
    V: Clone,
{
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls until nobody waits.
    async fn carry(self: Arc<Self>) {
        while let Some(mut waiting) = self.next() {
            let questions = waiting.keys().cloned().collect();
            for (question, answer) in (self.ask)(questions).await {
                // Nobody to tell has gone away and does not want it any more.
                for tell in waiting.remove(&question).unwrap_or_default() {
                    drop(tell.send(answer.clone()));
                }
            }
        }
    }

    /// The questions of the next call, or none, and then this was the last.
    fn next(&self) -> Option<BTreeMap<K, Vec<Tell<V>>>> {
        let mut state = self.lock();
        let mut questions: BTreeMap<K, Vec<_>> = BTreeMap::new();
        let mut later = Vec::new();
        for (question, tell) in std::mem::take(&mut state.waiting) {
            if tell.is_closed() {
                continue;
            }
            if questions.len() < QUESTIONS_MAX || questions.contains_key(&question) {
                questions.entry(question).or_default().push(tell);
            } else {
                later.push((question, tell));
            }
        }
        state.waiting = later;
        if questions.is_empty() {
            state.calls -= 1;
            return None;
        }
        Some(questions)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::verb::Verb;

    /// Answers with the number of the call, when it is let.
    fn numbered(let_through: &Arc<Semaphore>, calls: &Arc<AtomicUsize>) -> Gather<String, usize> {
        let (let_through, calls) = (Arc::clone(let_through), Arc::clone(calls));
        Gather::new(move |questions: Vec<String>| {
            let number = calls.fetch_add(1, Ordering::SeqCst);
            let let_through = Arc::clone(&let_through);
            async move {
                let_through.acquire().await.unwrap().forget();
                questions.into_iter().map(|question| (question, Ok(number))).collect()
            }
            .boxed()
        })
    }

    fn call() -> Call {
        Call::plain(Verb::ListServices)
    }

    #[tokio::test]
    async fn what_is_asked_during_a_call_is_answered_by_a_later_one() {
        let (let_through, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let gather = Arc::new(numbered(&let_through, &calls));
        let ask = |name: &str| {
            let (gather, name) = (Arc::clone(&gather), name.to_owned());
            tokio::spawn(async move { gather.answer(name, call()).await })
        };
        let mut early = Vec::new();
        for number in 0..CALLS_MAX {
            early.push(ask(&format!("early-{number}")));
            while calls.load(Ordering::SeqCst) <= number {
                tokio::task::yield_now().await;
            }
        }
        let late: Vec<_> = (0..30).map(|number| ask(&format!("late-{}", number % 3))).collect();
        tokio::task::yield_now().await;
        assert_eq!(calls.load(Ordering::SeqCst), CALLS_MAX, "those that are late wait");
        let_through.add_permits(10);
        for answer in join_all(early).await {
            assert!(answer.unwrap().unwrap() < CALLS_MAX);
        }
        for answer in join_all(late).await {
            assert!(answer.unwrap().unwrap() >= CALLS_MAX, "an answer may not be older than its question");
        }
        assert!(calls.load(Ordering::SeqCst) <= 2 * CALLS_MAX, "thirty questions go into few calls");
    }

    #[tokio::test]
    async fn whoever_goes_away_does_not_take_the_answer_of_others_along() {
        let (let_through, calls) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let gather = Arc::new(numbered(&let_through, &calls));
        let asking = |name: &str| {
            let (gather, name) = (Arc::clone(&gather), name.to_owned());
            tokio::spawn(async move { gather.answer(name, call()).await })
        };
        let first = asking("same");
        let second = asking("same");
        tokio::task::yield_now().await;
        first.abort();
        let_through.add_permits(10);
        assert!(second.await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn no_call_carries_more_questions_than_fit() {
        let largest = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&largest);
        let gather = Gather::new(move |questions: Vec<usize>| {
            seen.fetch_max(questions.len(), Ordering::SeqCst);
            async move { questions.into_iter().map(|question| (question, Ok(question))).collect() }.boxed()
        });
        let answers = join_all((0..500).map(|number| gather.answer(number, call()))).await;
        assert!(answers.into_iter().enumerate().all(|(number, answer)| answer.unwrap() == number));
        assert_eq!(largest.load(Ordering::SeqCst), QUESTIONS_MAX);
    }

    #[tokio::test]
    async fn a_question_that_the_call_does_not_answer_is_told_so() {
        let gather: Gather<usize, usize> = Gather::new(|_| async { BTreeMap::new() }.boxed());
        let answer = gather.answer(1, call()).await;
        assert!(matches!(answer, Err(SwarmError::Unavailable { sent: false, .. })), "{answer:?}");
    }
}
