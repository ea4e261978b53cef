//! The role that tenants' requests run as, and its rights: made where they are missing, whatever the server and the login.

use skep_schemas::Scope;
use skep_store::{MasterKey, StoreError};
use skep_testbed::Postgres;

use crate::support::{Bed, actor, app, connect, item, org, org_name, secret};
use crate::tenants::{shown, two_tenants};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_make_no_roles_is_told_what_to_run_and_then_serves_tenants() {
    let server = Postgres::shared().unwrap();
    let url = server.create_database("weak").unwrap();
    let name = url.rsplit('/').next().unwrap().to_owned();
    server
        .psql(
            &url,
            &format!("CREATE ROLE \"login-{name}\" LOGIN; ALTER DATABASE {name} OWNER TO \"login-{name}\""),
        )
        .unwrap();
    let url_of_login = url.replacen("skep@", &format!("login-{name}@"), 1);
    assert_ne!(url, url_of_login);
    let key = MasterKey::generate().unwrap();
    let store = connect(&url_of_login, &key).await;
    let StoreError::TenantRoleMissing { statement } = store.migrate().await.unwrap_err() else {
        panic!("the role cannot be made")
    };
    assert!(statement.starts_with("CREATE ROLE skep_tenant_"), "{statement}");
    server.psql(&url, &statement).unwrap();
    store.migrate().await.unwrap();
    store.apply(&[item(org("acme")), item(org("globex"))], &actor()).await.unwrap();
    let acme = store.within(Some(&Scope::Org(org_name("acme"))));
    acme.apply(&[item(app("acme", "shop", "shop:1")), item(secret("acme", "db", Some("v")))], &actor())
        .await
        .unwrap();
    assert_eq!(shown(&acme).await, ["Organization/acme", "acme"]);

    // One that does not own the tables would see no row of them, and say that there is nothing.
    let role = server.psql(&url, "SELECT tenant_role()").unwrap();
    server
        .psql(&url, &format!("CREATE ROLE \"other-{name}\" LOGIN; GRANT ALL ON SCHEMA public TO \"other-{name}\"; GRANT ALL ON ALL TABLES IN SCHEMA public TO \"other-{name}\"; GRANT {role} TO \"other-{name}\""))
        .unwrap();
    let other = connect(&url.replacen("skep@", &format!("other-{name}@"), 1), &key).await;
    let refused = other.migrate().await.unwrap_err();
    assert!(format!("{refused:?}").contains("does not own the tables"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_serves_tenants_on_the_same_server_and_on_one_that_lacks_the_role() {
    let bed = two_tenants("copied").await;
    // As `pg_dump --no-privileges` writes it: rights belong to a role that the other server lacks.
    let dump = bed.server.dump(&bed.url).unwrap();
    let plain: Vec<_> =
        dump.lines().filter(|line| !line.starts_with("GRANT ") && !line.starts_with("REVOKE ")).collect();
    let file = std::env::temp_dir().join(format!("skep-copied-{}.sql", std::process::id()));
    let elsewhere = Postgres::start().unwrap();
    for (server, sql) in [(&bed.server, dump.clone()), (&elsewhere, plain.join("\n"))] {
        std::fs::write(&file, sql).unwrap();
        let url = server.create_database("copy").unwrap();
        server.run_file(&url, &file).unwrap();
        let store = connect(&url, &bed.master_key).await;
        store.migrate().await.unwrap();
        let acme = store.within(Some(&Scope::Org(org_name("acme"))));
        assert_eq!(shown(&acme).await, ["Organization/acme", "Plan/small", "acme"]);
        acme.apply(&[item(app("acme", "more", "more:1"))], &actor()).await.unwrap();
        let public = "SELECT has_function_privilege('public', 'removals(double precision, double precision, integer)', 'EXECUTE')";
        assert_eq!(server.psql(&url, public).unwrap(), "f");
        let rights =
            "SELECT relname, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1";
        let before = server.psql(&url, rights).unwrap();
        store.migrate().await.unwrap();
        assert_eq!(before, server.psql(&url, rights).unwrap());
        store.close().await;
    }
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_do_more_than_a_tenant_is_refused() {
    let bed = Bed::new("mighty").await;
    let role = bed.sql("SELECT tenant_role()");
    bed.sql(&format!("ALTER ROLE {role} BYPASSRLS"));
    let refused = bed.store.migrate().await.unwrap_err();
    assert!(format!("{refused:?}").contains("may do more than a tenant"), "{refused:?}");
}
