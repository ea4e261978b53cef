//! Lists: pages, selectors, scopes.

use skep_schemas::Kind;
use skep_schemas::selector::Selector;
use skep_store::{ListQuery, ScopeFilter};

use crate::support::{Bed, app, environment, key, labelled, org, org_name};

fn query(selector: &str, limit: u32) -> ListQuery {
    let selector: Selector = selector.parse().unwrap();
    ListQuery {
        kind: Some(Kind::App),
        scope: ScopeFilter::Org(org_name("acme")),
        selector,
        limit,
        after: None,
    }
}

async fn names(bed: &Bed, mut query: ListQuery) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = bed.store.list(&query).await.unwrap();
        pages.push(page.items.iter().map(|resource| resource.meta.key.name().to_string()).collect());
        match page.next {
            Some(next) => query.after = Some(next),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn pages_are_complete_ordered_and_keep_to_their_scope() {
    let bed = Bed::new("pages").await;
    let apps = ["e", "a", "d", "b", "c"].map(|name| app("acme", name, "x:1"));
    bed.apply(&[org("acme"), org("other"), app("other", "z", "x:1"), environment("acme", "prod", &[])])
        .await
        .unwrap();
    bed.apply(&apps).await.unwrap();
    assert_eq!(names(&bed, query("", 2)).await, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(names(&bed, query("", 5)).await.len(), 1, "a full last page is the last");
    let page = bed.store.list(&query("", 2)).await.unwrap();
    assert_eq!(page.cursor.revision().get(), bed.head());
    let platform = ListQuery { kind: None, scope: ScopeFilter::Platform, ..query("", 10) };
    assert_eq!(names(&bed, platform).await, [vec!["acme", "other"]]);
    let all = ListQuery { scope: ScopeFilter::All, ..query("", 10) };
    assert_eq!(names(&bed, all).await, [vec!["a", "b", "c", "d", "e", "z"]]);
}

#[tokio::test]
async fn a_list_selects_exactly_what_its_selector_matches() {
    let bed = Bed::new("selectors").await;
    let apps = [
        app("acme", "plain", "x:1"),
        labelled(app("acme", "web", "x:1"), "tier", "web"),
        labelled(labelled(app("acme", "both", "x:1"), "tier", "web"), "canary", ""),
        labelled(app("acme", "cache", "x:1"), "tier", "cache"),
    ];
    bed.apply(&[org("acme")]).await.unwrap();
    bed.apply(&apps).await.unwrap();
    let selectors = [
        "",
        "tier",
        "!tier",
        "tier=web",
        "tier!=web",
        "tier=web,canary",
        "tier=web,!canary",
        "tier=web,tier=cache",
        "canary=",
    ];
    for text in selectors {
        let selector: Selector = text.parse().unwrap();
        let mut expected: Vec<_> = apps
            .iter()
            .filter(|app| selector.matches(&app.labels))
            .map(|app| app.key.name().to_string())
            .collect();
        expected.sort();
        assert_eq!(names(&bed, query(text, 10)).await.concat(), expected, "{text}");
    }
}

#[tokio::test]
async fn a_snapshot_knows_who_refers_to_what_and_stays_as_it_was() {
    let bed = Bed::new("referrers").await;
    bed.apply(&[org("acme"), environment("acme", "one", &["db"]), environment("acme", "two", &[])])
        .await
        .unwrap();
    let mut snapshot = bed.store.snapshot().await.unwrap();
    bed.applied(environment("acme", "two", &["db"])).await;
    let db = key("acme", Kind::Secret, "db");
    let who = |resources: Vec<skep_schemas::Resource>| {
        resources.iter().map(|resource| resource.meta.key.name().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(who(snapshot.referrers(&db).await.unwrap()), ["one"]);
    assert_eq!(who(bed.store.snapshot().await.unwrap().referrers(&db).await.unwrap()), ["one", "two"]);
    assert_eq!(who(snapshot.referrers(&key("acme", Kind::App, "shop")).await.unwrap()), ["one", "two"]);
    assert_eq!(who(snapshot.list_org(&org_name("acme"), Kind::Environment).await.unwrap()), ["one", "two"]);
    assert_eq!(snapshot.revision().get(), 1);
    let keys = snapshot.keys(Kind::Environment, None).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert!(snapshot.keys(Kind::Environment, Some(&keys[1].key)).await.unwrap().is_empty());
}
