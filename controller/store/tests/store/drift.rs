//! The drift report: what noting says became of every difference, which is what the metrics count.

use jiff::SignedDuration;
use serde_json::json;
use skep_planner::drift::{Drift, DriftClass, Response};
use skep_planner::{ObjectKind, ObjectRef};
use skep_schemas::Resource;
use skep_store::{DriftOutcome, Fence, Looked, Noted, Noticed};

use crate::support::{Bed, org};

fn web() -> ObjectRef {
    ObjectRef::new(ObjectKind::Service, "web")
}

fn differing(pointer: &str, class: DriftClass, response: Response) -> Drift {
    let (pointer, desired, live) = (pointer.to_owned(), Some(json!("a")), Some(json!("b")));
    Drift { object: web(), pointer, class, desired, live, response }
}

async fn note(bed: &Bed, fence: &Fence, of: &Resource, drift: &[Drift]) -> Noted {
    bed.store
        .note_drift(fence, &of.meta.key, of.meta.uid, Noticed::Event, Looked::AtEverything, drift)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_ends_is_told_once_with_its_class_its_outcome_and_how_long_it_stood() {
    let bed = Bed::new("driftends").await;
    let (fence, acme) = (bed.fence().await, bed.applied(org("acme")).await);
    let drift = [
        differing("/Labels/a", DriftClass::Modified, Response::Correct),
        differing("/Labels/b", DriftClass::RolledBack, Response::Correct),
        differing("/Labels/c", DriftClass::Modified, Response::Report),
    ];
    let first = note(&bed, &fence, &acme, &drift).await;
    assert_eq!(first, Noted { new: 3, ..Noted::default() });
    assert_eq!(note(&bed, &fence, &acme, &drift).await, Noted::default());

    bed.sql("UPDATE drift SET first_seen = first_seen - interval '1 hour' WHERE pointer <> '/Labels/b'");
    let noted = note(&bed, &fence, &acme, &drift[1..2]).await;
    let mut ended: Vec<_> = noted.ended.iter().map(|ended| (ended.outcome.as_str(), ended.class)).collect();
    ended.sort_unstable();
    let (corrected, otherwise) = (DriftOutcome::Corrected.as_str(), DriftOutcome::Ended.as_str());
    assert_eq!(ended, [(corrected, DriftClass::Modified), (otherwise, DriftClass::Modified)]);
    let hour = SignedDuration::from_hours(1);
    assert!(noted.ended.iter().all(|ended| ended.after >= hour), "{noted:?}");

    let corrected = bed.store.drift_corrected(&fence, acme.meta.uid, &[web()]).await.unwrap();
    let told: Vec<_> = corrected.iter().map(|one| (one.pointer.as_str(), one.class)).collect();
    assert_eq!(told, [("/Labels/b", DriftClass::RolledBack)]);
    assert!(corrected[0].after < hour, "{corrected:?}");
    assert_eq!(note(&bed, &fence, &acme, &[]).await, Noted::default());
}

#[tokio::test]
async fn giving_up_is_told_when_it_begins_and_not_again_while_it_stands() {
    let bed = Bed::new("driftgiveup").await;
    let (fence, acme) = (bed.fence().await, bed.applied(org("acme")).await);
    let of = |response| [differing("/Labels/a", DriftClass::Modified, response)];
    let given_up = [DriftClass::Modified];

    assert_eq!(note(&bed, &fence, &acme, &of(Response::GiveUp)).await.given_up, given_up);
    assert!(note(&bed, &fence, &acme, &of(Response::GiveUp)).await.given_up.is_empty());
    bed.sql("UPDATE drift SET last_seen = last_seen - interval '1 hour'");
    assert!(note(&bed, &fence, &acme, &of(Response::GiveUp)).await.given_up.is_empty(), "seen again");
    let mut other = of(Response::GiveUp);
    other[0].live = Some(json!("c"));
    assert!(note(&bed, &fence, &acme, &other).await.given_up.is_empty(), "another value");

    assert!(note(&bed, &fence, &acme, &of(Response::Correct)).await.given_up.is_empty());
    let again = note(&bed, &fence, &acme, &of(Response::GiveUp)).await;
    assert_eq!(again, Noted { given_up: given_up.to_vec(), ..Noted::default() }, "the same row");
}
