//! Owners: nobody writes or deletes what another one owns, whoever is first, and a word of those who may is the way to another owner.

use serde_json::json;
use skep_schemas::kind::SecretValue;
use skep_schemas::{Kind, Manifest, Owner, Provenance, ResourceKey, Scope, SourceRef};
use skep_store::{
    Applied, ApplyItem, Confirmation, DeleteItem, Deletion, Intervention, Outcome, Ownership, OwnershipError,
    Precondition, StoreError, Writer,
};
use tokio::task::JoinSet;

use crate::support::{Bed, actor, app, environment, item, key, labelled, manifest, org, org_name, secret};

fn source(name: &str) -> SourceRef {
    match name.split_once('/') {
        Some((org, name)) => SourceRef { org: Some(org.parse().unwrap()), name: name.parse().unwrap() },
        None => SourceRef { org: None, name: name.parse().unwrap() },
    }
}

fn git(name: &str) -> Owner {
    Owner::Git { source: source(name) }
}

/// A place, by one digit that all of its commit's digits are.
fn place(digit: char, path: &str, line: u32) -> Provenance {
    let commit = digit.to_string().repeat(40);
    serde_json::from_value(json!({ "commit": commit, "path": path, "line": line })).unwrap()
}

fn by(writer: Writer, manifest: Manifest) -> ApplyItem {
    ApplyItem { writer, ..item(manifest) }
}

/// Written by a source, in line 1 of `shop.yaml` at commit aaa….
fn synced(name: &str, manifest: Manifest) -> ApplyItem {
    at(name, place('a', "shop.yaml", 1), manifest)
}

fn at(name: &str, provenance: Provenance, manifest: Manifest) -> ApplyItem {
    by(Writer::Git { source: source(name), provenance }, manifest)
}

fn deletion(key: ResourceKey, deleter: Owner) -> DeleteItem {
    DeleteItem { key, precondition: Precondition::None, confirmation: Confirmation::Pending, deleter }
}

fn shop() -> ResourceKey {
    key("acme", Kind::App, "shop")
}

impl Bed {
    async fn write(&self, items: &[ApplyItem]) -> Result<Vec<Applied>, StoreError> {
        self.store.apply(items, &actor()).await
    }

    async fn outcome(&self, one: ApplyItem) -> Outcome {
        self.write(&[one]).await.unwrap().remove(0).outcome
    }

    /// Every row. Where sequences stand is left out: no rollback takes that back.
    fn rows(&self) -> String {
        let dump = self.dump();
        dump.lines().filter(|line| !line.contains("setval(")).collect::<Vec<_>>().join("\n")
    }

    async fn ownership(&self, key: &ResourceKey) -> Ownership {
        self.store.ownership(key).await.unwrap()
    }
}

/// What an attempt was refused with, and what can be done.
fn refusal<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (String, String) {
    match result.unwrap_err() {
        StoreError::Ownership(why) => (why.to_string(), why.help()),
        other => panic!("{other:?}"),
    }
}

/// A bed with organisation acme, whose App shop GitSource acme/web owns.
async fn bed(name: &str) -> Bed {
    let bed = Bed::new(name).await;
    bed.applied(org("acme")).await;
    let written = place('a', "deploy/shop.yaml", 12);
    bed.write(&[at("acme/web", written, app("acme", "shop", "shop:1"))]).await.unwrap();
    bed
}

#[tokio::test]
async fn what_a_source_owns_the_api_neither_writes_nor_deletes_and_is_told_where_it_is_written() {
    let bed = bed("ownapi").await;
    let owned = bed.ownership(&shop()).await;
    assert_eq!(owned.owner, git("acme/web"));
    assert_eq!(owned.provenance, Some(place('a', "deploy/shop.yaml", 12)));
    let before = bed.rows();
    let whose = "GitSource acme/web maintains acme/App/shop, in deploy/shop.yaml:12 at commit aaaaaaaaaaaa";
    let other = item(app("acme", "shop", "shop:2"));
    let ways = "change it in the repository; or let the API own it, with `skep owner acme/App/shop --set api`; or do that and your change in one, with `skep apply --take-over`";
    let said = (whose.to_owned(), ways.to_owned());
    assert_eq!(refusal(bed.write(std::slice::from_ref(&other)).await), said);
    assert_eq!(refusal(bed.store.dry_run(std::slice::from_ref(&other), &actor()).await), said);
    assert_eq!(refusal(bed.store.rehearse(&[other], &[], &actor()).await.map(|(applied, _)| applied)), said);
    refusal(bed.write(&[item(labelled(app("acme", "shop", "shop:1"), "tier", "7"))]).await);
    // Nothing else of the batch is written either.
    let batch = [item(app("acme", "other", "other:1")), item(app("acme", "shop", "shop:2"))];
    refusal(bed.write(&batch).await);
    let (told, ways) = refusal(bed.store.delete(&shop(), Precondition::None, &actor()).await);
    assert_eq!(told, whose);
    assert!(ways.starts_with("remove it from the repository") && ways.contains("--set api"), "{ways}");
    let rehearsed = bed.store.rehearse(&[], &[shop()], &actor()).await.map(|(applied, _)| applied);
    assert_eq!(refusal(rehearsed).0, whose);
    assert!(before == bed.rows(), "nothing was written");
}

#[tokio::test]
async fn the_same_document_is_nobodys_conflict_and_changes_no_owner() {
    let bed = bed("ownsame").await;
    bed.applied(app("acme", "mine", "mine:1")).await;
    let before = bed.rows();
    assert_eq!(bed.outcome(item(app("acme", "shop", "shop:1"))).await, Outcome::Unchanged);
    assert_eq!(bed.outcome(synced("acme/web", app("acme", "mine", "mine:1"))).await, Outcome::Unchanged);
    assert_eq!(bed.outcome(synced("acme/db", app("acme", "shop", "shop:1"))).await, Outcome::Unchanged);
    assert!(before == bed.rows(), "nothing was written, and nothing is written anywhere else now");
}

#[tokio::test]
async fn a_sync_notes_where_things_are_written_and_the_same_sync_writes_nothing() {
    let bed = bed("ownplace").await;
    let (head, before) = (bed.head(), bed.rows());
    let later = place('b', "deploy/shop.yaml", 12);
    bed.outcome(at("acme/web", later.clone(), app("acme", "shop", "shop:1"))).await;
    assert!(before == bed.rows(), "another commit that left it as it was and where it was");
    // A line was added above it: the place is another, and nobody is woken.
    let moved = place('b', "deploy/shop.yaml", 13);
    let unchanged = bed.outcome(at("acme/web", moved.clone(), app("acme", "shop", "shop:1"))).await;
    assert_eq!((unchanged, bed.head()), (Outcome::Unchanged, head));
    assert_eq!(bed.ownership(&shop()).await.provenance, Some(moved));
    // It is another document in the same place.
    let changed = place('c', "deploy/shop.yaml", 13);
    bed.outcome(at("acme/web", changed.clone(), app("acme", "shop", "shop:2"))).await;
    assert_eq!(bed.ownership(&shop()).await.provenance, Some(changed));
    // A rehearsal notes nothing, and whoever deletes it in its name takes the place along.
    let elsewhere = at("acme/web", later, app("acme", "shop", "shop:3"));
    let before = bed.rows();
    bed.store.dry_run(&[elsewhere], &actor()).await.unwrap();
    assert!(before == bed.rows());
    let gone = bed.store.delete_all(&[deletion(shop(), git("acme/web"))], &actor()).await.unwrap();
    assert_eq!(gone, [Deletion::Removed]);
    assert_eq!(bed.sql("SELECT count(*) FROM provenance"), "0");
}

#[tokio::test]
async fn a_source_does_not_write_what_the_api_or_another_source_owns() {
    let bed = bed("owngit").await;
    bed.applied(app("acme", "mine", "mine:1")).await;
    let (told, ways) = refusal(bed.write(&[synced("acme/web", app("acme", "mine", "mine:2"))]).await);
    assert_eq!(
        told,
        "GitSource acme/web does not write it from shop.yaml:1 at commit aaaaaaaaaaaa: the API maintains acme/App/mine"
    );
    assert_eq!(
        ways,
        "let the source own it, with `skep owner acme/App/mine --set web`; or take it out of the repository"
    );
    // Two sources that name one resource: the second is told both places.
    let (told, ways) = refusal(bed.write(&[synced("infra", app("acme", "shop", "shop:2"))]).await);
    assert_eq!(
        told,
        "PlatformSource infra does not write it from shop.yaml:1 at commit aaaaaaaaaaaa: GitSource acme/web maintains acme/App/shop, in deploy/shop.yaml:12 at commit aaaaaaaaaaaa"
    );
    assert_eq!(
        ways,
        "take it out of one of the two repositories; or let this source own it, with `skep owner acme/App/shop --set infra --of-platform`"
    );
    let mine = key("acme", Kind::App, "mine");
    for (wanted, deleter) in [(shop(), "infra"), (mine.clone(), "acme/web")] {
        let (told, _) = refusal(bed.store.delete_all(&[deletion(wanted, git(deleter))], &actor()).await);
        assert!(told.starts_with(&format!("{} does not delete it: ", git(deleter))), "{told}");
    }
    // The word that was asked for.
    bed.store.set_owner(&mine, &git("acme/web"), &actor()).await.unwrap();
    let outcome = bed.outcome(synced("acme/web", app("acme", "mine", "mine:2"))).await;
    assert_eq!((outcome, bed.ownership(&mine).await.owner), (Outcome::Configured, git("acme/web")));
}

#[tokio::test]
async fn a_source_owns_nothing_outside_of_its_organisation() {
    let bed = bed("ownreach").await;
    bed.applied(org("globex")).await;
    for (wanted, owner) in
        [(app("globex", "shop", "x:1"), "acme/web"), (org("acme"), "acme/web"), (org("new"), "acme/web")]
    {
        let key = wanted.key.clone();
        let (told, _) = refusal(bed.write(&[synced(owner, wanted)]).await);
        assert!(told.starts_with(&format!("GitSource acme/web cannot own {key}: ")), "{told}");
    }
    let (told, _) = refusal(bed.store.set_owner(&shop(), &git("globex/web"), &actor()).await);
    assert!(told.starts_with("GitSource globex/web cannot own acme/App/shop"), "{told}");
    // Below the program, too.
    let by_hand = "UPDATE resource SET managed_by = '{\"by\": \"git\", \"source\": {\"org\": \"globex\", \"name\": \"web\"}}' WHERE kind = 'App'";
    assert!(bed.server.psql(&bed.url, by_hand).is_err());
    // A source of the platform may.
    bed.write(&[synced("infra", org("new")), synced("infra", app("new", "shop", "x:1"))]).await.unwrap();
    assert_eq!(bed.ownership(&key("new", Kind::App, "shop")).await.owner, git("infra"));
}

#[tokio::test]
async fn another_owner_is_a_word_that_changes_nothing_else() {
    let bed = bed("ownset").await;
    let before = bed.store.get(&shop()).await.unwrap().unwrap();
    let given = bed.store.set_owner(&shop(), &Owner::Api, &actor()).await.unwrap();
    assert_eq!(given, Ownership { owner: Owner::Api, provenance: None });
    let after = bed.store.get(&shop()).await.unwrap().unwrap();
    assert_eq!((&after.spec, after.meta.generation), (&before.spec, before.meta.generation));
    assert_eq!((&after.meta.changed, &after.meta.managed_by), (&before.meta.changed, &Owner::Api));
    assert!(after.meta.revision > before.meta.revision, "whoever watches is told");
    assert_eq!(bed.sql("SELECT count(*) FROM provenance"), "0");
    let told = "SELECT reason, message FROM event";
    assert_eq!(bed.sql(told), "OwnerChanged|tester gave it from GitSource acme/web to the API");
    assert_eq!(bed.sql("SELECT actor, kind, name FROM audit WHERE verb = 'set-owner'"), "tester|App|shop");
    // The same again is no change.
    let before = bed.rows();
    bed.store.set_owner(&shop(), &Owner::Api, &actor()).await.unwrap();
    assert!(before == bed.rows());
    assert_eq!(bed.outcome(item(app("acme", "shop", "shop:2"))).await, Outcome::Configured);

    // Back to the source, which has not written it yet; its next sync says where.
    let given = bed.store.set_owner(&shop(), &git("acme/web"), &actor()).await.unwrap();
    assert_eq!(given, Ownership { owner: git("acme/web"), provenance: None });
    let (told, _) = refusal(bed.write(&[item(app("acme", "shop", "shop:3"))]).await);
    assert_eq!(told, "GitSource acme/web maintains acme/App/shop");
    assert_eq!(bed.outcome(synced("acme/web", app("acme", "shop", "shop:2"))).await, Outcome::Unchanged);
    assert_eq!(bed.ownership(&shop()).await.provenance, Some(place('a', "shop.yaml", 1)));

    let none = key("acme", Kind::App, "none");
    let missing = bed.store.set_owner(&none, &Owner::Api, &actor()).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{missing:?}");
    assert!(matches!(bed.store.ownership(&none).await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn what_is_taken_over_is_written_and_owned_in_one_transaction() {
    let bed = bed("owntake").await;
    let batch = [by(Writer::TakeOver, app("acme", "shop", "shop:2")), item(environment("none", "prod", &[]))];
    bed.write(&batch).await.unwrap_err();
    assert_eq!(bed.ownership(&shop()).await.owner, git("acme/web"), "all of it or none");
    let before = bed.rows();
    bed.store.dry_run(&batch[..1], &actor()).await.unwrap();
    assert!(before == bed.rows());
    let head = bed.head();
    assert_eq!(bed.outcome(batch[0].clone()).await, Outcome::Configured);
    let taken = bed.store.get(&shop()).await.unwrap().unwrap();
    assert_eq!((taken.meta.generation.get(), &taken.meta.managed_by), (2, &Owner::Api));
    assert_eq!(bed.head(), head + 1);
    assert_eq!(
        bed.sql("SELECT string_agg(verb, ' ' ORDER BY position) FROM audit WHERE kind = 'App'"),
        "create set-owner configure"
    );
    assert_eq!(bed.sql("SELECT count(*) FROM provenance"), "0");

    // Also where only the owner is another; and then there is nothing left to take.
    bed.store.set_owner(&shop(), &git("acme/web"), &actor()).await.unwrap();
    let again = bed.write(&[by(Writer::TakeOver, app("acme", "shop", "shop:2"))]).await.unwrap().remove(0);
    assert_eq!(again.outcome, Outcome::Configured);
    assert_eq!((again.resource.meta.generation.get(), &again.resource.meta.managed_by), (2, &Owner::Api));
    let before = bed.rows();
    assert_eq!(bed.outcome(by(Writer::TakeOver, app("acme", "shop", "shop:2"))).await, Outcome::Unchanged);
    assert!(before == bed.rows());
    // The source is told, and takes nothing back by itself.
    refusal(bed.write(&[synced("acme/web", app("acme", "shop", "shop:1"))]).await);
}

#[tokio::test]
async fn interventions_are_everybodys() {
    let bed = bed("ownmay").await;
    bed.write(&[synced("acme/web", environment("acme", "prod", &[]))]).await.unwrap();
    let prod = key("acme", Kind::Environment, "prod");
    let pause = Intervention::Pause { reason: "a look".to_owned(), until: None };
    for wanted in [pause, Intervention::Resume, Intervention::Retry] {
        bed.store.intervene(&prod, &wanted, &actor()).await.unwrap();
    }
    let owned = bed.ownership(&prod).await;
    assert_eq!((owned.owner, owned.provenance), (git("acme/web"), Some(place('a', "shop.yaml", 1))));
}

#[tokio::test]
async fn a_value_that_a_sources_manifest_holds_is_changed_there_and_a_random_one_anywhere() {
    let bed = bed("ownsecret").await;
    let random = manifest(key("acme", Kind::Secret, "random"), json!({ "generate": {} }));
    let written = secret("acme", "written", Some("one"));
    bed.write(&[synced("acme/web", random), synced("acme/web", written)]).await.unwrap();
    let rotate = async |name: &str, value: Option<&str>| {
        let value = value.map(|value| SecretValue::new(value.to_owned()));
        bed.store.rotate_secret(&key("acme", Kind::Secret, name), value.as_ref(), &actor()).await
    };
    let (told, _) = refusal(rotate("written", Some("two")).await);
    assert!(told.starts_with("GitSource acme/web maintains acme/Secret/written, in "), "{told}");
    rotate("random", None).await.unwrap();
    assert_eq!(
        bed.outcome(synced("acme/web", secret("acme", "written", Some("one")))).await,
        Outcome::Unchanged
    );
    assert_eq!(bed.outcome(item(secret("acme", "written", Some("one")))).await, Outcome::Unchanged);
    refusal(bed.write(&[item(secret("acme", "written", Some("two")))]).await);
}

#[tokio::test]
async fn an_organisation_is_not_deleted_over_the_head_of_a_source_that_stays() {
    let bed = bed("ownorg").await;
    let acme = key("", Kind::Organization, "acme");
    let apps: Vec<ApplyItem> =
        (0..7).map(|n| synced("infra", app("acme", &format!("app-{n}"), "x:1"))).collect();
    bed.write(&apps).await.unwrap();
    let (told, ways) = refusal(bed.store.delete(&acme, Precondition::None, &actor()).await);
    let begins = "Organization/acme is not deleted, because others maintain what is in it: PlatformSource infra maintains acme/App/app-0, in shop.yaml:1 at commit aaaaaaaaaaaa; ";
    assert!(told.starts_with(begins) && told.ends_with("; and 2 more"), "{told}");
    assert!(!told.contains("App/shop"), "its own source goes with it: {told}");
    assert!(ways.contains("remove what is in it from the repositories first"), "{ways}");
    // The source of the platform takes along what is its own alone, should it own the organisation.
    bed.store.set_owner(&acme, &git("infra"), &actor()).await.unwrap();
    let by_infra = async || bed.store.delete_all(&[deletion(acme.clone(), git("infra"))], &actor()).await;
    let (told, _) = refusal(by_infra().await);
    assert!(told.contains("GitSource acme/web maintains acme/App/shop") && !told.contains("app-"), "{told}");
    bed.store.set_owner(&acme, &Owner::Api, &actor()).await.unwrap();
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE deletion_requested_at IS NOT NULL"), "0");
    let own: Vec<_> = apps.iter().map(|app| deletion(app.manifest.key.clone(), git("infra"))).collect();
    bed.store.delete_all(&own, &actor()).await.unwrap();
    let gone = bed.store.delete(&acme, Precondition::None, &actor()).await.unwrap();
    assert!(matches!(gone, Deletion::Marked(_)), "{gone:?}");
    assert_eq!(bed.sql("SELECT count(*) FROM resource WHERE kind = 'App'"), "0");
    // Asking again changes nothing, whoever asks; and what is being deleted is given to nobody.
    let again = bed.store.delete_all(&[deletion(acme.clone(), git("infra"))], &actor()).await.unwrap();
    assert!(matches!(again.as_slice(), [Deletion::Marked(_)]), "{again:?}");
    let given = bed.store.set_owner(&acme, &git("infra"), &actor()).await;
    assert!(matches!(given, Err(StoreError::Deleting { .. })), "{given:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_write_one_resource_at_once_one_owns_it_and_the_others_meet_its_owner() {
    let bed = Bed::new("ownrace").await;
    bed.applied(org("acme")).await;
    for round in 0..10 {
        let name = format!("app-{round}");
        let mut writers = JoinSet::new();
        for number in 0..6 {
            let store = bed.store.clone();
            let wanted = app("acme", &name, &format!("shop:{number}"));
            let one = match number {
                0 => item(wanted),
                _ => synced(&format!("acme/source-{number}"), wanted),
            };
            writers.spawn(async move {
                let owner = one.writer.owner();
                (owner, store.apply(&[one], &actor()).await)
            });
        }
        let mut owners = Vec::new();
        while let Some(done) = writers.join_next().await {
            match done.unwrap() {
                (owner, Ok(_)) => owners.push(owner),
                (_, Err(StoreError::Ownership(why))) => {
                    assert!(matches!(*why, OwnershipError::Elsewhere { .. }), "{why}");
                }
                (_, Err(other)) => panic!("{other:?}"),
            }
        }
        let owned = bed.ownership(&key("acme", Kind::App, &name)).await;
        assert_eq!(owners, std::slice::from_ref(&owned.owner), "round {round}");
        assert_eq!(owned.provenance.is_some(), owned.owner != Owner::Api);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_gives_its_own_resources_to_others_and_sees_where_they_are_written() {
    let bed = bed("owntenant").await;
    bed.applied(org("globex")).await;
    bed.applied(app("globex", "shop", "shop:1")).await;
    let acme = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    let seen = acme.ownership(&shop()).await.unwrap();
    assert_eq!(seen.provenance, Some(place('a', "deploy/shop.yaml", 12)));
    acme.set_owner(&shop(), &Owner::Api, &actor()).await.unwrap();
    acme.set_owner(&shop(), &git("acme/web"), &actor()).await.unwrap();
    acme.apply(&[synced("acme/web", app("acme", "shop", "shop:2"))], &actor()).await.unwrap();
    acme.apply(&[by(Writer::TakeOver, app("acme", "shop", "shop:3"))], &actor()).await.unwrap();
    assert_eq!(acme.events(bed.store.get(&shop()).await.unwrap().unwrap().meta.uid).await.unwrap().len(), 2);
    let theirs = key("globex", Kind::App, "shop");
    for refused in [acme.set_owner(&theirs, &git("infra"), &actor()).await, acme.ownership(&theirs).await] {
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
    // It reads its own Organization, and says nothing of whose that is.
    let itself = key("", Kind::Organization, "acme");
    assert_eq!(acme.ownership(&itself).await.unwrap().owner, Owner::Api);
    acme.set_owner(&itself, &git("infra"), &actor()).await.unwrap_err();
}
