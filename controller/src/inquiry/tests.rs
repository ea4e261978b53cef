use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const KEPT: Duration = Duration::from_secs(15);
const FAILURE_KEPT: Duration = Duration::from_secs(20);
const BOUNDS: Bounds = Bounds { per_host: Some(2), per_organization: 6, all: 2000 };

/// A question to a host; it takes as long as said, and is answered or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    org: OrgName,
    host: &'static str,
    number: usize,
    takes: Duration,
    fails: bool,
}

impl Question for Asked {
    type Answer = Result<usize, ()>;

    fn org(&self) -> &OrgName {
        &self.org
    }

    fn host(&self) -> &str {
        self.host
    }

    fn afterwards(&self, answer: &Self::Answer) -> Afterwards {
        match answer {
            Ok(_) => Afterwards { wakes: true, for_the_woken: KEPT, for_all: Duration::ZERO },
            Err(()) => Afterwards { wakes: false, for_the_woken: Duration::ZERO, for_all: FAILURE_KEPT },
        }
    }
}

fn question(org: &str, host: &'static str, number: usize, takes: u64) -> Asked {
    Asked { org: org.parse().unwrap(), host, number, takes: Duration::from_secs(takes), fails: false }
}

/// Hosts, how many questions they had at once at most and in all, and how often somebody was woken.
struct Hosts {
    inquiries: Inquiries<Asked>,
    most: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    woken: Arc<AtomicUsize>,
}

impl Hosts {
    fn bounded(bounds: Bounds) -> Self {
        let counter = || Arc::new(AtomicUsize::new(0));
        let (now, most, asked, woken) = (counter(), counter(), counter(), counter());
        let (peak, all, wakes) = (Arc::clone(&most), Arc::clone(&asked), Arc::clone(&woken));
        let ask = move |question: Asked| {
            let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
            all.fetch_add(1, Ordering::Relaxed);
            async move {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(question.takes).await;
                now.fetch_sub(1, Ordering::Relaxed);
                if question.fails { Err(()) } else { Ok(question.number) }
            }
        };
        let wake = move |_: &ResourceKey| {
            wakes.fetch_add(1, Ordering::Relaxed);
        };
        Self { inquiries: Inquiries::new(bounds, ask, wake), most, asked, woken }
    }

    async fn ask(&self, question: Asked) -> Reply<Result<usize, ()>> {
        let by = ResourceKey::organization(&question.org);
        self.inquiries.ask(question, &by).await
    }

    fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::Relaxed), self.woken.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_healthy_host_is_waited_for_and_asked_afresh_each_time() {
    let hosts = Hosts::bounded(BOUNDS);
    for _ in 0..2 {
        let began = Instant::now();
        assert_eq!(hosts.ask(question("acme", "a", 7, 1)).await, Reply::Answer(Ok(7)));
        assert_eq!(began.elapsed().as_secs(), 1);
    }
    assert_eq!(hosts.counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn who_asks_what_is_being_asked_joins() {
    let hosts = Hosts::bounded(BOUNDS);
    let one = || hosts.ask(question("acme", "a", 7, 1));
    let all = futures::join!(one(), one(), one());
    assert_eq!(all, (Reply::Answer(Ok(7)), Reply::Answer(Ok(7)), Reply::Answer(Ok(7))));
    assert_eq!(hosts.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_wakes_those_who_left_and_is_there_for_them() {
    let hosts = Hosts::bounded(BOUNDS);
    let asked = || hosts.ask(question("acme", "a", 7, 10));
    assert_eq!(asked().await, Reply::NotYet);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(hosts.counts(), (1, 1));
    let began = Instant::now();
    assert_eq!(asked().await, Reply::Answer(Ok(7)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    tokio::time::sleep(KEPT).await;
    assert_eq!(asked().await, Reply::NotYet, "it is not kept for ever");
    assert_eq!(hosts.counts(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_wakes_nobody_and_is_remembered_for_all() {
    let hosts = Hosts::bounded(BOUNDS);
    let asked = || hosts.ask(Asked { fails: true, ..question("acme", "a", 7, 10) });
    assert_eq!(asked().await, Reply::NotYet);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(asked().await, Reply::Answer(Err(())));
    assert_eq!(hosts.counts(), (1, 0));
    tokio::time::sleep(FAILURE_KEPT).await;
    assert_eq!(asked().await, Reply::NotYet);
    assert_eq!(hosts.counts(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_questions_to_a_host_that_hangs_cost_one_moment_and_nobody_else_any() {
    let hosts = Hosts::bounded(BOUNDS);
    let began = Instant::now();
    for number in 0..1000 {
        assert_eq!(hosts.ask(question("acme", "slow", number, 60)).await, Reply::NotYet);
    }
    assert_eq!(began.elapsed(), PATIENCE);
    assert_eq!(hosts.most.load(Ordering::Relaxed), 2);
    assert_eq!(hosts.ask(question("acme", "fast", 1, 0)).await, Reply::Answer(Ok(1)));
    assert_eq!(hosts.ask(question("globex", "slow", 1, 0)).await, Reply::Answer(Ok(1)));
    assert!(began.elapsed() < PATIENCE + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn an_organisation_has_its_turns_whatever_the_hosts() {
    let hosts = Hosts::bounded(Bounds { per_host: None, ..BOUNDS });
    for (number, host) in ["a", "b", "c", "d", "e", "f", "g", "h"].into_iter().enumerate() {
        let _not_yet = hosts.ask(question("acme", host, number, 60)).await;
    }
    assert_eq!(hosts.most.load(Ordering::Relaxed), 6);
    assert_eq!(hosts.ask(question("globex", "a", 1, 1)).await, Reply::Answer(Ok(1)));
}

#[tokio::test(start_paused = true)]
async fn there_is_an_end_to_how_many_are_known_at_once() {
    let hosts = Hosts::bounded(Bounds { all: 2, ..BOUNDS });
    let asked = |number| hosts.ask(question("acme", "slow", number, 60));
    assert_eq!(asked(1).await, Reply::NotYet);
    assert_eq!(asked(2).await, Reply::NotYet);
    assert_eq!(asked(3).await, Reply::TooMany);
    assert_eq!(asked(1).await, Reply::NotYet, "it is joined");
    tokio::time::sleep(Duration::from_secs(60) + KEPT).await;
    assert_eq!(asked(3).await, Reply::NotYet);
}

#[test]
fn turns_are_shared_while_they_are_used_and_forgotten_afterwards() {
    let acme: OrgName = "acme".parse().unwrap();
    let mut known: Known<Asked> = Known { inquiries: HashMap::new(), turns: BTreeMap::new() };
    let first = known.turns(&acme, None, 2);
    assert!(Arc::ptr_eq(&first, &known.turns(&acme, None, 2)));
    assert!(!Arc::ptr_eq(&first, &known.turns(&acme, Some(""), 2)));
    drop(first);
    known.turns(&"globex".parse().unwrap(), None, 2);
    assert_eq!(known.turns.len(), 1);
}
