//! What a watch makes of the events of a stream.

use serde_json::json;

use super::*;
use crate::fixture::{ready, rolling_out, uid};

fn event(id: &str, event: &WatchEvent) -> Event {
    let data = serde_json::to_string(event).unwrap();
    Event { name: event.name().to_owned(), data, id: Some(id.to_owned()) }
}

fn added(id: &str) -> Event {
    event(id, &WatchEvent::Added { resource: Box::new(ready(1)) })
}

fn bookmark(id: &str) -> Event {
    event(id, &WatchEvent::Bookmark {})
}

fn at(position: &str) -> Progress {
    Progress::At(position.to_owned())
}

#[test]
fn a_snapshot_is_given_when_it_is_complete_and_the_watch_goes_on_from_there() {
    let mut progress = Progress::Snapshot(Vec::new());
    assert_eq!(progress.take(added("5")).unwrap(), None);
    let Some(Update::Snapshot(all)) = progress.take(bookmark("9")).unwrap() else { panic!("no snapshot") };
    assert_eq!((all.len(), &progress), (1, &at("9")));
    let change = WatchEvent::Modified { resource: Box::new(rolling_out(2, 1)) };
    assert!(matches!(progress.take(event("10", &change)).unwrap(), Some(Update::Changed(_))));
    assert_eq!(progress.take(bookmark("12")).unwrap(), None);
    assert_eq!(progress, at("12"));
}

#[test]
fn what_is_deleted_while_the_snapshot_comes_is_not_in_it() {
    let mut progress = Progress::Snapshot(Vec::new());
    progress.take(added("5")).unwrap();
    let gone: WatchEvent = serde_json::from_value(json!({
        "type": "deleted", "uid": uid(1),
        "resource": {"org": "acme", "kind": "Environment", "name": "shop"},
    }))
    .unwrap();
    progress.take(event("6", &gone)).unwrap();
    assert_eq!(progress.take(bookmark("6")).unwrap(), Some(Update::Snapshot(Vec::new())));
}

#[test]
fn an_expired_position_asks_for_a_new_snapshot_and_a_lost_permission_ends_the_watch() {
    let problem = |code: &str, status: u16| Event {
        name: "problem".into(),
        data: json!({"type": "x", "title": "t", "status": status, "detail": "d", "code": code}).to_string(),
        id: None,
    };
    let mut progress = at("3");
    assert!(matches!(progress.take(problem("SK0603", 410)), Err(Fault::Expired)));
    assert!(matches!(progress.take(problem("SK0403", 403)), Err(Fault::Final(_))));
    assert!(matches!(progress.take(problem("SK0702", 503)), Err(Fault::Passing(_))));
}
