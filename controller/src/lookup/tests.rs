use std::sync::atomic::{AtomicUsize, Ordering};

use skep_schemas::Uid;

use super::*;

#[test]
fn the_registry_of_a_reference_is_read_as_engines_read_it() {
    assert_eq!(registry("127.0.0.1:5000/a/b:v1"), "127.0.0.1:5000");
    assert_eq!(registry("registry.example/a:v1"), "registry.example");
    assert_eq!(registry("localhost/a"), "localhost");
    assert_eq!(registry("library/a:v1"), "");
    assert_eq!(registry("a:v1"), "");
}

/// A registry that answers after this time, and how many lookups it had at once at most.
struct Registry {
    lookups: Lookups,
    most: Arc<AtomicUsize>,
    woken: Arc<AtomicUsize>,
}

/// Images of `slow/` take as long as said, all others no time.
fn registry_that_takes(time: Duration) -> Registry {
    let counter = || Arc::new(AtomicUsize::new(0));
    let (now, most, woken) = (counter(), counter(), counter());
    let (peak, wakes) = (Arc::clone(&most), Arc::clone(&woken));
    let resolve = move |question: Question| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            if question.image.starts_with("slow.example/") {
                peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                tokio::time::sleep(time).await;
                now.fetch_sub(1, Ordering::Relaxed);
            }
            Err(ImageFailure::Refused { why: "no such image".to_owned() })
        }
        .boxed()
    };
    let wake = move |_: &ResourceKey| {
        wakes.fetch_add(1, Ordering::Relaxed);
    };
    Registry { lookups: Lookups::by(Box::new(resolve), Box::new(wake)), most, woken }
}

async fn ask(lookups: &Lookups, org: &str, image: &str) -> bool {
    let org: OrgName = org.parse().unwrap();
    let key = ResourceKey::organization(&org);
    let answer = lookups.look_up(&org, &key, &image.parse().unwrap(), PullAs::Nobody).await;
    matches!(answer, Err(ImageFailure::Refused { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_healthy_registry_is_waited_for_and_asked_afresh_each_time() {
    let registry = registry_that_takes(Duration::from_secs(1));
    for _ in 0..2 {
        let began = Instant::now();
        assert!(ask(&registry.lookups, "acme", "slow.example/a:v1").await);
        assert_eq!(began.elapsed().as_secs(), 1);
        tokio::task::yield_now().await;
    }
    assert_eq!(registry.woken.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_late_wakes_those_who_left_and_is_there_for_them() {
    let registry = registry_that_takes(Duration::from_secs(10));
    assert!(!ask(&registry.lookups, "acme", "slow.example/a:v1").await);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(registry.woken.load(Ordering::Relaxed), 1);
    let began = Instant::now();
    assert!(ask(&registry.lookups, "acme", "slow.example/a:v1").await);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_a_digest_stands_for_is_asked_once_in_a_while_and_a_tag_each_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let resolve = move |_: Question| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok(ResolvedImage::Registry { digest: DIGEST.parse().unwrap() }) }.boxed()
    };
    let lookups = Lookups::by(Box::new(resolve), Box::new(|_: &ResourceKey| ()));
    let org: OrgName = "acme".parse().unwrap();
    let times = async |image: &str| {
        let before = asked.load(Ordering::Relaxed);
        for _ in 0..3 {
            let key = ResourceKey::organization(&org);
            let found = lookups.look_up(&org, &key, &image.parse().unwrap(), PullAs::Nobody).await;
            assert!(found.is_ok());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        asked.load(Ordering::Relaxed) - before
    };
    let by_digest = format!("fast.example/a@{DIGEST}");
    assert_eq!(times(&by_digest).await, 1);
    assert_eq!(times("fast.example/a:v1").await, 3);
    tokio::time::sleep(DIGEST_KEPT).await;
    assert_eq!(times(&by_digest).await, 1, "it is not kept for ever");
}

fn with_password(secret: Uid, version: u32) -> PullAs {
    PullAs::Credential(Box::new(PullCredential {
        name: "hub".parse().unwrap(),
        registry: "fast.example".parse().unwrap(),
        username: "robot".to_owned(),
        secret,
        version,
        mark: format!("hub {version}"),
    }))
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_for_whom_it_was_asked_as_and_for_nobody_else() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&asked);
    let resolve = move |question: Question| {
        all.lock().unwrap().push((question.org, question.credential.map(|credential| credential.version)));
        async { Ok(ResolvedImage::Registry { digest: DIGEST.parse().unwrap() }) }.boxed()
    };
    let lookups = Lookups::by(Box::new(resolve), Box::new(|_: &ResourceKey| ()));
    // An image given by its digest, of which answers are kept.
    let image = format!("fast.example/a@{DIGEST}").parse().unwrap();
    let (acme, globex): (OrgName, OrgName) = ("acme".parse().unwrap(), "globex".parse().unwrap());
    let secret = Uid::generate();
    let each = [
        (&acme, with_password(secret, 1)),
        (&acme, with_password(secret, 2)),
        (&acme, PullAs::Nobody),
        (&globex, with_password(secret, 1)),
        (&globex, PullAs::Nobody),
    ];
    for (org, pull) in each.iter().chain(&each) {
        let found = lookups.look_up(org, &ResourceKey::organization(org), &image, pull.clone()).await;
        assert!(found.is_ok());
    }
    let asked = asked.lock().unwrap().clone();
    let expected = [(&acme, Some(1)), (&acme, Some(2)), (&acme, None), (&globex, Some(1)), (&globex, None)];
    assert_eq!(asked, expected.map(|(org, version)| (org.clone(), version)));
}

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[tokio::test(start_paused = true)]
async fn a_thousand_images_of_a_registry_that_hangs_cost_one_moment_and_nobody_else_any() {
    let registry = registry_that_takes(Duration::from_secs(60));
    let began = Instant::now();
    for number in 0..1000 {
        assert!(!ask(&registry.lookups, "acme", &format!("slow.example/a-{number}:v1")).await);
    }
    assert_eq!(began.elapsed(), PATIENCE);
    assert!(ask(&registry.lookups, "acme", "fast.example/a:v1").await);
    assert!(ask(&registry.lookups, "globex", "fast.example/a:v1").await);
    assert_eq!(began.elapsed(), PATIENCE);
    assert_eq!(registry.most.load(Ordering::Relaxed), PER_REGISTRY);
}

#[test]
fn turns_are_shared_while_they_are_used_and_forgotten_afterwards() {
    let acme: OrgName = "acme".parse().unwrap();
    let mut known = Known::default();
    let first = known.turns(&acme, None, 2);
    assert!(Arc::ptr_eq(&first, &known.turns(&acme, None, 2)));
    assert!(!Arc::ptr_eq(&first, &known.turns(&acme, Some(""), 2)));
    drop(first);
    known.turns(&"globex".parse().unwrap(), None, 2);
    assert_eq!(known.turns.len(), 1);
}
