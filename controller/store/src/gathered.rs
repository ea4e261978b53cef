//! Writes of several passes in one transaction.
//!
//! Under load most of what a pass costs the database is its commits and round trips. What passes write while another such write is under
//! way goes together into the next transaction ([`Gather`]). Every write is fenced as if it were alone, and each gets its own answer:
//!
//! - What is wrong with one of them only (its plan is stale, its step was not begun) is told to that one; the others are committed.
//! - A transaction that fails before its commit, or whose commit the server refuses, came to nothing for all of them: because of one of
//!   them, to resolve a deadlock, because a lock is not free, because the connection broke. Each asker then writes its own part by
//!   itself, as if there had been nobody else: one pass's failure, or its wait for a row that somebody holds, is never another's.
//! - When the connection breaks during the commit nobody knows what came of it. That is what all are told ([`StoreError::Lost`]), and
//!   nothing is written again unseen.
//!
//! An answer is given after the commit. So whoever has been told that an intent is recorded may bring about its effect (I3).

use std::pin::Pin;
use std::time::Duration;

use skep_runtime::{First, Gather, GatherBounds, Unanswered};
use sqlx::{PgConnection, PgPool};

use crate::error::{Fault, Operation, StoreError};
use crate::journal::{self, Begin, Finish, PlanRecord};
use crate::lease::Fence;
use crate::report::{self, Report};

/// One transaction at a time of each sort, as longer and fewer ones are what is wanted. A commit shared by so many costs each little, and a
/// longer transaction makes others wait. One that hangs, as on a connection whose packets vanish, holds up the others no longer than so.
const BOUNDS: GatherBounds = GatherBounds { together: 64, at_once: 1, within: Duration::from_secs(10) };

/// How long a shared transaction waits for a lock. Rows are held for milliseconds; whoever needs one that is held for longer waits for it by
/// himself, and nobody with him.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// Where passes' writes meet.
pub(crate) struct Gathered {
    pub(crate) begins: Writes<Begin, Option<PlanRecord>>,
    pub(crate) finishes: Writes<Finish, ()>,
    pub(crate) reports: Writes<Report, bool>,
}

impl Gathered {
    /// Writes over these connections.
    pub(crate) fn new(pool: &PgPool) -> Self {
        Self {
            begins: Writes::new(pool, Operation::BeginPlan, journal::begin_all),
            finishes: Writes::new(pool, Operation::Step, journal::finish_all),
            reports: Writes::new(pool, Operation::Report, report::write_all),
        }
    }
}

/// What is written in the name of a pass.
pub(crate) trait Fenced {
    /// Under which right.
    fn fence(&self) -> &Fence;
}

/// What all answers of a transaction are; an error when it came to nothing.
pub(crate) type Answers<A> = Result<Vec<Result<A, StoreError>>, Fault>;

/// Such a write under way.
pub(crate) type Writing<'a, A> = Pin<Box<dyn Future<Output = Answers<A>> + Send + 'a>>;

/// Writes several requests inside a transaction in which their leases were checked. An error is nobody's alone.
type Write<Q, A> = for<'a> fn(&'a mut PgConnection, &'a [Q]) -> Writing<'a, A>;

/// What comes of a request that was written together with others.
enum Told<Q, A> {
    Answer(Result<A, StoreError>),
    /// Nothing; it has to be written by itself.
    Refused(Q),
}

/// Writes of one sort.
pub(crate) struct Writes<Q, A> {
    pool: PgPool,
    operation: Operation,
    write: Write<Q, A>,
    place: Gather<Q, Told<Q, A>>,
}

impl<Q, A> Writes<Q, A>
where
    Q: Fenced + Send + Sync + 'static,
    A: Send + 'static,
{
    fn new(pool: &PgPool, operation: Operation, write: Write<Q, A>) -> Self {
        let connections = pool.clone();
        // A sole write ends with the pass that asks for it.
        let place = Gather::new(BOUNDS, First::InItsFuture, move |requests: Vec<Q>| {
            let pool = connections.clone();
            async move {
                match transact(&pool, &requests, write, Some(LOCK_TIMEOUT)).await {
                    Ok(answers) => answers.into_iter().map(Told::Answer).collect(),
                    Err(Failed::Nothing(fault)) if requests.len() > 1 || fault.is_lock_held() => {
                        requests.into_iter().map(Told::Refused).collect()
                    }
                    Err(failed) => {
                        let others = requests.iter().skip(1).map(|_| Told::Answer(Err(lost(operation))));
                        std::iter::once(Told::Answer(Err(failed.during(operation)))).chain(others).collect()
                    }
                }
            }
        });
        Self { pool: pool.clone(), operation, write, place }
    }

    /// Writes this, with whatever else is to be written.
    pub(crate) async fn ask(&self, request: Q) -> Result<A, StoreError> {
        match self.place.ask(request).await {
            Ok(Told::Answer(answer)) => answer,
            Ok(Told::Refused(request)) => self.alone(request).await,
            Err(Unanswered) => Err(lost(self.operation)),
        }
    }

    async fn alone(&self, request: Q) -> Result<A, StoreError> {
        let written = transact(&self.pool, std::slice::from_ref(&request), self.write, None).await;
        let mut answers = written.map_err(|failed| failed.during(self.operation))?;
        answers.pop().unwrap_or_else(|| Err(lost(self.operation)))
    }
}

/// A transaction that failed.
enum Failed {
    /// It certainly came to nothing.
    Nothing(Fault),
    /// Nobody knows whether it was committed.
    Unknown(Fault),
}

impl Failed {
    fn during(self, operation: Operation) -> StoreError {
        match self {
            Self::Nothing(fault) | Self::Unknown(fault) => fault.during(operation),
        }
    }
}

/// Writes these in one transaction, if all their leases are held.
async fn transact<Q: Fenced + Sync, A>(
    pool: &PgPool,
    requests: &[Q],
    write: Write<Q, A>,
    lock_timeout: Option<Duration>,
) -> Result<Vec<Result<A, StoreError>>, Failed> {
    let written = async {
        let mut tx = pool.begin().await?;
        Fence::check_all(&mut tx, requests.iter().map(Fenced::fence), lock_timeout).await?;
        let answers = write(&mut tx, requests).await?;
        Ok((tx, answers))
    };
    let (tx, answers) = written.await.map_err(Failed::Nothing)?;
    match tx.commit().await.map_err(Fault::from) {
        Ok(()) => Ok(answers),
        Err(fault) if fault.is_refused() => Err(Failed::Nothing(fault)),
        Err(fault) => Err(Failed::Unknown(fault)),
    }
}

const fn lost(operation: Operation) -> StoreError {
    StoreError::Lost { operation }
}
