//! Prints: whatever is written of a resource is in its print, and nothing else is.

use std::collections::BTreeMap;

use skep_schemas::Kind;
use skep_store::Print;

use crate::convergence::{create_service, plan_of, releasing};
use crate::support::{Bed, app, environment, key, org, secret};

async fn prints(bed: &Bed) -> Vec<Print> {
    bed.store.snapshot().await.unwrap().prints().await.unwrap()
}

/// A company with something in each table that is printed.
async fn bed(name: &str) -> Bed {
    let bed = Bed::new(name).await;
    let fence = bed.fence().await;
    let company = [
        org("acme"),
        org("other"),
        app("acme", "shop", "shop:1"),
        app("other", "shop", "shop:1"),
        secret("acme", "db", Some("one")),
        environment("acme", "production", &["db"]),
        environment("acme", "staging", &[]),
        environment("other", "production", &[]),
    ];
    let made = bed.apply(&company).await.unwrap();
    let production = &made[5].resource;
    bed.store.begin_plan(&fence, &releasing(production, 1, &[("db", 1)])).await.unwrap();
    let plan = plan_of(production, vec![create_service("acme_production_web", 1)]);
    bed.store.begin_plan(&fence, &plan).await.unwrap();
    let (uid, generation) = (production.meta.uid, production.meta.generation);
    bed.store.write_status(&fence, uid, generation, &serde_json::json!({"conditions": []})).await.unwrap();
    bed.sql(&format!(
        "INSERT INTO drift (owner, org, kind, name, object_kind, object_name, pointer, class, response, noticed)
         VALUES ('{uid}', 'acme', 'Environment', 'production', 'service', 'web', '/Labels', 'modified', 'report', 'event')"
    ));
    bed
}

#[tokio::test]
async fn a_print_moves_with_each_row_of_its_resource_and_with_no_other() {
    let bed = bed("prints").await;
    let production = key("acme", Kind::Environment, "production");
    let mut before = prints(&bed).await;
    assert_eq!(before.len(), 8);
    assert_eq!(prints(&bed).await, before, "who only looks changes nothing");
    bed.sql("BEGIN; SELECT FROM resource FOR UPDATE; SELECT FROM inventory FOR KEY SHARE; COMMIT");
    assert_eq!(prints(&bed).await, before, "nor does who locks");
    let mut moves = async |sql: &str| {
        bed.sql(sql);
        let now = prints(&bed).await;
        let known: BTreeMap<_, _> = before.iter().map(|one| (one.key.clone(), one.print)).collect();
        let moved: Vec<_> = now
            .iter()
            .filter(|one| known.get(&one.key) != Some(&one.print))
            .map(|one| one.key.clone())
            .collect();
        before = now;
        moved
    };
    let of_production = [
        "UPDATE resource SET updated_at = updated_at WHERE (org, name) = ('acme', 'production')",
        "UPDATE resource_status SET updated_at = updated_at",
        "UPDATE inventory SET sent_release = sent_release",
        "DELETE FROM inventory",
        "UPDATE release SET why = why",
        "UPDATE drift SET last_seen = last_seen",
        "UPDATE drift SET ended_at = now(), outcome = 'ended'",
        "UPDATE plan SET epoch = epoch WHERE finished_at IS NULL",
        "UPDATE plan SET finished_at = now(), outcome = 'interrupted' WHERE finished_at IS NULL",
        "DELETE FROM release",
        "DELETE FROM resource_status",
    ];
    for sql in of_production {
        assert_eq!(moves(sql).await, std::slice::from_ref(&production), "{sql}");
    }
    assert_eq!(moves("UPDATE drift SET first_seen = first_seen").await, [], "what has ended is history");
    assert_eq!(
        moves("UPDATE secret_version SET digest = digest").await,
        [key("acme", Kind::Secret, "db")],
        "a secret's value"
    );
}

#[tokio::test]
async fn prints_around_an_environment_are_those_of_all_without_what_it_cannot_refer_to() {
    let bed = bed("printsaround").await;
    let all = prints(&bed).await;
    let production = key("acme", Kind::Environment, "production");
    let around = bed.store.snapshot().await.unwrap().prints_around(&[production]).await.unwrap();
    let staging = key("acme", Kind::Environment, "staging");
    let could_refer = |one: &&Print| {
        let of_other = one.key.org().map_or(one.key.name().as_str(), |org| org.as_str()) == "other";
        one.key != staging && !of_other
    };
    let expected: Vec<Print> = all.iter().filter(could_refer).cloned().collect();
    assert_eq!(around, expected);
    assert_eq!(around.len(), 4);
}
