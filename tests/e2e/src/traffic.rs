//! Requests to a host through the edge, so many a second without an end, and what became of each.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use skep_testbed::{edge, http};

use crate::installation::Installation;

/// Requests a second: these notice an instance that is gone, and leave the machine to the tests.
const USUAL: u32 = 20;
/// What one asker can ask, one after the other, although an answer takes its time now and then.
const OF_ONE: u32 = 25;
/// The most different answers that are kept.
const BODIES_MAX: usize = 20;
/// How long the edge may take to know a host whose instances are ready.
const KNOWN: Duration = Duration::from_secs(60);
/// The most failures that are kept in words.
const TOLD_MAX: usize = 20;

/// Requests under way.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Counted>>,
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct Counted {
    /// Those with the status 200.
    pub answered: u64,
    /// The others.
    pub failed: u64,
    /// The first of these in words, with the time since the beginning.
    pub failures: Vec<String>,
    /// The different bodies of answers.
    pub bodies: BTreeSet<String>,
    /// How long it lasted.
    pub took: Duration,
}

impl Installation {
    /// Begins to ask for `/` of a host, which the edge has to know: it looks for what is new once a second.
    pub fn traffic(&self, host: &str) -> Result<Traffic> {
        self.traffic_of(host, "/", USUAL)
    }

    /// Begins to ask for a path of a host, so many times a second.
    pub fn traffic_of(&self, host: &str, path: &str, per_second: u32) -> Result<Traffic> {
        self.wait_for_status(host, 200, KNOWN)?;
        let (address, host) = (self.engine.address(), host.to_owned());
        let askers = per_second.div_ceil(OF_ONE);
        let every = Duration::from_secs(1) * askers / per_second;
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let asker = |number: u32| {
            let (host, path, stop) = (host.clone(), path.to_owned(), Arc::clone(&stop));
            let first = began + every * number / askers;
            thread::spawn(move || ask(address, &host, &path, first, every, &stop))
        };
        let threads = (0..askers).map(asker).collect();
        Ok(Traffic { stop, threads })
    }
}

impl Traffic {
    /// Ends it. Not one request may have failed, and there must have been some.
    pub fn end(self) -> Result<Counted> {
        let counted = self.stop()?;
        ensure!(counted.failed == 0 && counted.answered > 0, "{counted:#?}");
        Ok(counted)
    }

    /// Ends it, whatever became of the requests.
    pub fn stop(mut self) -> Result<Counted> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Counted::default();
        for thread in std::mem::take(&mut self.threads) {
            all.add(thread.join().map_err(|_| anyhow!("the requests panicked"))?);
        }
        Ok(all)
    }
}

impl Counted {
    fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.failures.truncate(TOLD_MAX);
        self.bodies.extend(other.bodies);
        self.took = self.took.max(other.took);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn ask(
    address: IpAddr,
    host: &str,
    path: &str,
    first: Instant,
    every: Duration,
    stop: &AtomicBool,
) -> Counted {
    let began = Instant::now();
    let mut next = first;
    let mut counted = Counted::default();
    thread::sleep(next.saturating_duration_since(Instant::now()));
    while !stop.load(Ordering::SeqCst) {
        let failure = match http::get(address, edge::HTTP_PORT, host, path) {
            Ok(answer) if answer.status == 200 => {
                if counted.bodies.len() < BODIES_MAX {
                    counted.bodies.insert(answer.body);
                }
                None
            }
            Ok(answer) => Some(answer.head),
            Err(error) => Some(format!("{error:#}")),
        };
        match failure {
            None => counted.answered += 1,
            Some(failure) => {
                counted.failed += 1;
                if counted.failures.len() < TOLD_MAX {
                    counted.failures.push(format!("after {:?}: {failure}", began.elapsed()));
                }
            }
        }
        // By the clock, so that slow answers do not make fewer requests.
        next += every;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    counted.took = began.elapsed();
    counted
}
