use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use skep_schemas::Uid;

use super::*;

fn found() -> Found {
    Found { resolved: ResolvedImage::Registry { digest: DIGEST.parse().unwrap() }, start: None }
}

#[test]
fn the_registry_of_a_reference_is_read_as_engines_read_it() {
    assert_eq!(registry("127.0.0.1:5000/a/b:v1"), "127.0.0.1:5000");
    assert_eq!(registry("registry.example/a:v1"), "registry.example");
    assert_eq!(registry("localhost/a"), "localhost");
    assert_eq!(registry("library/a:v1"), "");
    assert_eq!(registry("a:v1"), "");
}

#[tokio::test(start_paused = true)]
async fn what_a_digest_stands_for_is_asked_once_in_a_while_and_a_tag_each_time() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let resolve = move |_: Question| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok(found()) }
    };
    let lookups = Lookups::by(resolve, |_| ());
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
        async { Ok(found()) }
    };
    let lookups = Lookups::by(resolve, |_| ());
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
