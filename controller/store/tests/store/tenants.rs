//! Row-level security: what the database itself lets a tenant's connection see and do, with no check of the program before it.

use std::time::Duration;

use serde_json::json;
use skep_schemas::selector::Selector;
use skep_schemas::{Kind, Role, Scope};
use skep_store::{ListQuery, NewToken, ScopeFilter, ScopedStore, Store, StoreError, StoreOptions};

use crate::people;
use crate::support::{Bed, actor, app, domain, environment, item, key, manifest, org, org_name, secret};

/// Tables that no tenant's request uses. A new table is either here or has policies.
const PLATFORM: [&str; 14] = [
    "_sqlx_migrations",
    "audit_head",
    "audit_seal",
    "controller_member",
    "hold",
    "instance",
    "keyed_request",
    "lease",
    "left_image",
    "master_key",
    "orphan",
    "person_session",
    "person_subject",
    "tenant_right",
];

/// Two organisations of which every table has something.
pub(crate) async fn two_tenants(name: &str) -> Bed {
    let bed = Bed::new(name).await;
    bed.applied(manifest(
        key("", Kind::Plan, "small"),
        json!({"instance": {"cpu": "500m", "memory": "256Mi"}}),
    ))
    .await;
    for name in ["acme", "globex"] {
        bed.apply(&[
            org(name),
            app(name, "shop", &format!("{name}:1")),
            environment(name, "production", &[]),
            domain(name, "www", &format!("www.{name}.test")),
            secret(name, "db", Some("a value")),
            manifest(key(name, Kind::DriftPolicy, "calm"), json!({ "mode": "report" })),
            manifest(
                key(name, Kind::Notification, "ops"),
                json!({ "webhook": { "url": format!("https://hooks.{name}.test/"), "secret": "db" } }),
            ),
        ])
        .await
        .unwrap();
        let token = NewToken {
            name: "ci".parse().unwrap(),
            reach: Scope::Org(org_name(name)),
            role: Role::Viewer,
            expires_at: None,
        };
        bed.store.create_token(&token, &actor()).await.unwrap();
        people::owner(&bed, name, &format!("owner@{name}.test")).await;
        people::member(&bed, name, &format!("viewer@{name}.test"), Role::Viewer).await;
        people::invited(&bed, name, &format!("guest@{name}.test"), Role::Viewer).await;
        bed.sql(&format!(
            "INSERT INTO resource_status (uid, observed_generation, status)
                 SELECT uid, 1, jsonb_build_object('of', '{name}') FROM resource WHERE org = '{name}';
             INSERT INTO event (uid, severity, reason, message)
                 SELECT uid, 'normal', 'Told', '{name}' FROM resource WHERE org = '{name}';
             INSERT INTO provenance (uid, commit, path, line) SELECT uid, repeat('0a', 20), '{name}/shop.yaml', 1 FROM resource
                 WHERE org = '{name}' AND kind = 'App';
             INSERT INTO inventory (owner, kind, name) SELECT uid, 'service', '{name}' FROM resource
                 WHERE org = '{name}' AND kind = 'Environment';
             INSERT INTO release (env_uid, version, content, why) SELECT uid, 1, '{{}}', '{name}' FROM resource
                 WHERE org = '{name}' AND kind = 'Environment';
             INSERT INTO release_output (env_uid, version, process, output) SELECT uid, 1, 'web', '{name}' FROM resource
                 WHERE org = '{name}' AND kind = 'Environment';
             INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds) SELECT uid, 1, 'one-off', 1, '{name}', '{{}}', 1
                 FROM resource WHERE org = '{name}' AND kind = 'Environment';
             INSERT INTO schedule (env_uid, process, recurrence, since, until) SELECT uid, '{name}', '* * * * * UTC', now(), now()
                 FROM resource WHERE org = '{name}' AND kind = 'Environment';
             WITH made AS (
                 INSERT INTO plan (uid, key, generation, lease, epoch)
                 SELECT uid, '{name}', 1, 'l', 1 FROM resource WHERE org = '{name}' AND kind = 'Environment' RETURNING id)
             INSERT INTO plan_step (plan, index, object_kind, object_name, step)
                 SELECT id, 0, 'service', '{name}', '{{}}' FROM made;
             INSERT INTO drift (owner, org, kind, name, object_kind, object_name, pointer, class, response, noticed)
                 SELECT uid, org, kind, name, 'service', '{name}', '', 'modified', 'give-up', 'event' FROM resource
                 WHERE org = '{name}' AND kind = 'Environment';
             INSERT INTO subnet_allocation (org_uid, subnet)
                 SELECT uid, ('10.' || length(name) || '.0.0/24')::cidr FROM resource
                 WHERE kind = 'Organization' AND name = '{name}';
             INSERT INTO image_signature (org, repository, digest, public_key, since, checked_at)
                 VALUES ('{name}', 'registry.test/shop', 'sha256:' || repeat('a', 64), 'a key', now(), now());
             INSERT INTO image_scan (org, url, repository, digest, verdict, since, checked_at)
                 VALUES ('{name}', 'https://scanner.test', 'registry.test/shop', 'sha256:' || repeat('a', 64), 'pass', now(), now());
             INSERT INTO notification_delivery (notification, type, body, sameness)
                 SELECT uid, 'run.failed', '{name}', '{name}' FROM notification_target WHERE org = '{name}';
             INSERT INTO confirmed_removal (owner, confirmed_by) SELECT uid, '{name}' FROM resource WHERE org = '{name}';"
        ));
    }
    bed
}

impl Bed {
    /// Runs SQL as the tenants' role with that reach, and undoes it.
    fn as_tenant(&self, reach: &str, sql: &str) -> Result<String, String> {
        let role = self.sql("SELECT tenant_role()");
        let sql = format!("BEGIN; SET LOCAL ROLE {role}; SET LOCAL skep.reach = '{reach}'; {sql}; ROLLBACK");
        self.server.psql(&self.url, &sql).map_err(|error| format!("{error:#}"))
    }

    /// The tables that tenants may read, each with the columns that they may.
    fn readable(&self) -> Vec<(String, String)> {
        let rows = self.sql(
            "SELECT c.relname, string_agg(quote_ident(a.attname), ',' ORDER BY a.attnum)
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
               AND has_column_privilege(tenant_role(), c.oid, a.attnum, 'SELECT')
             GROUP BY c.relname ORDER BY c.relname",
        );
        rows.lines()
            .map(|row| row.split_once('|').map(|(table, of)| (table.into(), of.into())).unwrap())
            .collect()
    }

    /// What tells that a row is an organisation's.
    fn marks(&self, org: &str) -> Vec<String> {
        let uids = self.sql(&format!(
            "SELECT uid FROM resource WHERE org = '{org}' OR kind = 'Organization' AND name = '{org}'"
        ));
        uids.lines().map(str::to_owned).chain([org.to_owned()]).collect()
    }
}

#[tokio::test]
async fn every_table_is_the_platforms_alone_or_has_row_level_security() {
    let bed = Bed::new("tables").await;
    let open = bed.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
         AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relrowsecurity AND relkind <> 'v' ORDER BY relname",
    );
    assert_eq!(open.lines().collect::<Vec<_>>(), PLATFORM);
    let touchable = |condition: &str| {
        bed.sql(&format!(
            "SELECT count(*) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
             AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND {condition} AND CASE WHEN c.relkind = 'S'
                 THEN has_sequence_privilege(tenant_role(), c.oid, 'USAGE, SELECT, UPDATE')
                 ELSE has_table_privilege(tenant_role(), c.oid, 'DELETE, TRUNCATE, REFERENCES, TRIGGER')
                     OR has_any_column_privilege(tenant_role(), c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') END"
        ))
    };
    assert_eq!(
        touchable("NOT c.relrowsecurity"),
        "0",
        "a tenant may use a table, view or sequence without policies"
    );
    let scoped = bed.sql("SELECT count(DISTINCT object) FROM tenant_right WHERE privilege <> 'EXECUTE'");
    assert_eq!(touchable("c.relrowsecurity"), scoped, "rights are given in tenant_right and nowhere else");
    let without_policy = bed.sql(
        "SELECT t.object, t.privilege FROM tenant_right t WHERE t.privilege <> 'EXECUTE' AND NOT EXISTS (
             SELECT FROM pg_policy p WHERE p.polrelid = t.object::regclass
             AND p.polcmd IN ('*', CASE t.privilege WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a'
                                   WHEN 'UPDATE' THEN 'w' WHEN 'DELETE' THEN 'd' END::\"char\"))",
    );
    assert_eq!(without_policy, "");
    let escapes = bed.sql(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef
         AND (proconfig IS NULL OR array_to_string(proconfig, ' ') !~ '^search_path=.*, pg_temp$'
              OR prorettype <> 'trigger'::regtype AND has_function_privilege('public', oid, 'EXECUTE'))",
    );
    assert_eq!(escapes, "", "what runs as the owner names what it means, and is not everybody's to call");
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_of_every_table_and_nothing_without_a_reach() {
    let bed = two_tenants("rows").await;
    let (ours, theirs) = (bed.marks("acme"), bed.marks("globex"));
    let readable = bed.readable();
    assert!(readable.len() > 15, "{readable:?}");
    for (table, columns) in readable {
        let select = format!("SELECT to_json(t) FROM (SELECT {columns} FROM {table}) t");
        let has = |rows: &str, marks: &[String]| marks.iter().any(|mark| rows.contains(mark));
        let seen = bed.as_tenant("acme", &select).unwrap();
        assert!(!has(&seen, &theirs), "{table}: {seen}");
        if table != "cluster_rev" {
            assert!(has(&seen, &ours), "{table}: {seen}");
            assert!(has(&bed.sql(&select), &theirs), "{table} holds nothing that could be seen");
        }
        for reach in ["", "nowhere"] {
            let seen = bed.as_tenant(reach, &select).unwrap();
            let plans_only = seen.lines().all(|row| row.contains("\"Plan\"") || table == "cluster_rev");
            assert!(seen.is_empty() || reach == "nowhere" && plans_only, "{table} as {reach:?}: {seen}");
        }
    }
    let hidden = [
        "SELECT ciphertext FROM secret_version",
        "SELECT hash FROM api_token",
        "SELECT hash FROM invitation",
        "SELECT * FROM person_session",
        "SELECT * FROM lease",
        "SELECT * FROM audit_seal",
        "SELECT * FROM instance",
        "SELECT * FROM due_removal",
        "SELECT * FROM hold",
        "CREATE TABLE mine ()",
        "UPDATE cluster_rev SET revision = 0",
        "ALTER TABLE resource DISABLE ROW LEVEL SECURITY",
    ];
    for sql in hidden {
        let refused = bed.as_tenant("acme", sql).unwrap_err();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{sql}: {refused}"
        );
    }
}

/// What each right to write could do to globex: undone, and a number of rows.
fn attempts() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        (
            "run",
            "INSERT",
            "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds)
                 SELECT '{Environment}', 2, 'one-off', 1, 'web', '{}', 1",
        ),
        (
            "notification_target",
            "UPDATE",
            "UPDATE notification_target SET dropped = 7 WHERE uid = '{Notification}'",
        ),
        (
            "notification_delivery",
            "INSERT",
            "INSERT INTO notification_delivery (notification, type, body, sameness) VALUES ('{Notification}', 'evil', '{}', '')",
        ),
        (
            "notification_delivery",
            "UPDATE",
            "UPDATE notification_delivery SET state = 'waiting' WHERE notification = '{Notification}'",
        ),
        ("run", "UPDATE", "UPDATE run SET stopped_by = 'evil' WHERE process = 'globex'"),
        (
            "release",
            "UPDATE",
            "UPDATE release SET cancelled_by = 'evil', cancelled_at = now() WHERE why = 'globex'",
        ),
        (
            "resource",
            "INSERT",
            "INSERT INTO resource (uid, org, kind, name, api_version, spec)
                 VALUES ('{new}', 'globex', 'App', 'evil', 'skep.dev/v1', '{}')",
        ),
        ("resource", "UPDATE", "UPDATE resource SET labels = '{\"a\": \"b\"}' WHERE org = 'globex'"),
        (
            "resource",
            "UPDATE",
            "UPDATE resource SET pause = '{}' WHERE kind = 'Organization' AND name = 'globex'",
        ),
        ("resource", "DELETE", "DELETE FROM resource WHERE org = 'globex' AND kind = 'App'"),
        (
            "provenance",
            "INSERT",
            "INSERT INTO provenance (uid, commit, path, line) VALUES ('{Domain}', repeat('0b', 20), 'evil.yaml', 1)",
        ),
        ("provenance", "UPDATE", "UPDATE provenance SET path = 'evil.yaml' WHERE uid = '{App}'"),
        ("provenance", "DELETE", "DELETE FROM provenance WHERE uid = '{App}'"),
        (
            "event",
            "INSERT",
            "INSERT INTO event (uid, severity, reason, message) VALUES ('{App}', 'warning', 'Evil', 'evil')",
        ),
        ("event", "UPDATE", "UPDATE event SET count = 7 WHERE message = 'globex'"),
        ("event", "DELETE", "DELETE FROM event WHERE message = 'globex'"),
        ("drift", "UPDATE", "UPDATE drift SET ended_at = now(), outcome = 'ended' WHERE org = 'globex'"),
        ("domain_claim", "INSERT", "INSERT INTO domain_claim (host, uid) VALUES ('more.test', '{App}')"),
        ("domain_claim", "DELETE", "DELETE FROM domain_claim WHERE uid = '{Domain}'"),
        (
            "organization_key",
            "INSERT",
            "INSERT INTO organization_key (org_uid, nonce, wrapped_key, master_key_id)
                 VALUES ('{Organization}', '', '', '') ON CONFLICT DO NOTHING",
        ),
        (
            "secret_version",
            "INSERT",
            "INSERT INTO secret_version (uid, version, nonce, ciphertext, digest) VALUES ('{Secret}', 9, '', '', '')",
        ),
        (
            "api_token",
            "INSERT",
            "INSERT INTO api_token (id, name, hash, org_uid, role)
                 VALUES ('{new}', 'evil', '', '{Organization}', 'owner')",
        ),
        ("api_token", "UPDATE", "UPDATE api_token SET revoked_at = now() WHERE org_uid = '{Organization}'"),
        ("membership", "UPDATE", "UPDATE membership SET given_by = 'evil' WHERE org_uid = '{Organization}'"),
        (
            "membership",
            "DELETE",
            "DELETE FROM membership WHERE org_uid = '{Organization}' AND role = 'viewer'",
        ),
        (
            "invitation",
            "INSERT",
            "INSERT INTO invitation (org_uid, email, role, hash, made_by, expires_at)
                 VALUES ('{Organization}', 'evil@evil.test', 'owner', '', 'x', now() + interval '1 day')",
        ),
        ("invitation", "DELETE", "DELETE FROM invitation WHERE org_uid = '{Organization}'"),
        (
            "audit",
            "INSERT",
            "INSERT INTO audit (actor, verb, uid, org, kind, name, generation)
                 VALUES ('x', 'delete', '{App}', 'globex', 'App', 'shop', 1)",
        ),
        (
            "confirmed_removal",
            "INSERT",
            "INSERT INTO confirmed_removal (owner, confirmed_by) VALUES ('{Domain}', 'x') ON CONFLICT DO NOTHING",
        ),
    ]
}

/// How many rows a statement of psql's touched, or what it was refused for.
fn touched(bed: &Bed, reach: &str, sql: &str) -> Result<usize, String> {
    let counted = format!(
        "DO $do$ DECLARE n bigint; BEGIN {sql}; GET DIAGNOSTICS n = ROW_COUNT;
         PERFORM set_config('test.touched', n::text, true); END $do$; SELECT current_setting('test.touched')"
    );
    let told = bed.as_tenant(reach, &counted)?;
    Ok(told.parse().unwrap())
}

#[tokio::test]
async fn a_tenant_cannot_write_what_is_anothers_with_any_right_that_it_has() {
    let bed = two_tenants("writes").await;
    let uid = |kind: &str| {
        bed.sql(&format!(
            "SELECT uid FROM resource WHERE kind = '{kind}' AND (org = 'globex' OR org = '' AND name = 'globex')"
        ))
    };
    let kinds = ["App", "Domain", "Environment", "Secret", "Notification", "Organization"]
        .map(|kind| (format!("{{{kind}}}"), uid(kind)));
    let filled = |sql: &str| {
        let sql = sql.replace("{new}", "00000000-0000-7000-8000-000000000001");
        kinds.iter().fold(sql, |sql, (hole, uid)| sql.replace(hole, uid))
    };
    for (object, privilege, sql) in attempts() {
        let sql = filled(sql);
        for reach in ["acme", ""] {
            match touched(&bed, reach, &sql) {
                Ok(rows) => assert_eq!(rows, 0, "{reach:?} {object} {privilege}"),
                Err(why) => {
                    assert!(why.contains("row-level security"), "{reach:?} {object} {privilege}: {why}")
                }
            }
        }
        let own = touched(&bed, "globex", &sql);
        // Its key and its confirmations are there already.
        let least = usize::from(!sql.contains("DO NOTHING"));
        assert!(own.as_ref().is_ok_and(|rows| *rows >= least), "{object} {privilege}: {own:?}");
    }
    let rights =
        bed.sql("SELECT object, privilege FROM tenant_right WHERE privilege NOT IN ('SELECT', 'EXECUTE')");
    for right in rights.lines() {
        let tried = attempts().iter().any(|(object, privilege, _)| format!("{object}|{privilege}") == right);
        assert!(tried, "nobody tries to use the right {right} against another tenant");
    }
    let beyond = [
        "INSERT INTO resource (uid, org, kind, name, api_version, spec)
             VALUES ('{new}', '', 'Plan', 'free', 'skep.dev/v1', '{}')",
        "INSERT INTO api_token (id, name, hash, role) VALUES ('{new}', 'root', '', 'owner')",
        "UPDATE resource SET spec = '{\"plan\": \"huge\"}' WHERE kind = 'Organization'",
        "UPDATE resource SET org = 'globex' WHERE kind = 'App'",
        "UPDATE resource SET finalizers = '{}' WHERE kind = 'Environment'",
        "UPDATE secret_version SET digest = ''",
        "UPDATE run SET outcome = 'succeeded', output = ''",
        "UPDATE release SET verdict = 'succeeded'",
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds)
             SELECT env_uid, 2, 'release', 1, 'release', '{}', 1 FROM run",
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, slot)
             SELECT env_uid, 2, 'schedule', 1, 'web', '{}', 1, now() FROM run",
        "UPDATE schedule SET until = '-infinity'",
        "UPDATE event SET message = 'nothing happened'",
        "UPDATE resource SET managed_by = '{\"by\": \"git\", \"source\": {\"org\": \"globex\", \"name\": \"web\"}}' WHERE kind = 'App'",
        "DELETE FROM audit",
        "INSERT INTO membership (person, org_uid, role, given_by) SELECT person, org_uid, 'owner', '' FROM membership",
        "UPDATE person SET email = 'mine@evil.test'",
    ];
    for sql in beyond {
        assert!(touched(&bed, "acme", &filled(sql)).is_err(), "{sql}");
    }
    assert_eq!(touched(&bed, "acme", "UPDATE resource SET spec = '{\"a\": 1}' WHERE kind = 'Plan'"), Ok(0));
}

fn list(scope: ScopeFilter) -> ListQuery {
    ListQuery { kind: None, scope, selector: Selector::default(), limit: 100, after: None }
}

/// Whose resources a store shows to whoever asks for all of them.
pub(crate) async fn shown(store: &ScopedStore) -> Vec<String> {
    let page = store.list(&list(ScopeFilter::All)).await.unwrap();
    let mut orgs: Vec<_> = page
        .items
        .iter()
        .map(|found| found.meta.key.org().map_or_else(|| found.meta.key.to_string(), ToString::to_string))
        .collect();
    orgs.dedup();
    orgs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_carries_nothing_from_one_tenant_to_the_next_however_its_use_ended() {
    let bed = two_tenants("carry").await;
    // One connection for all, which on a busy machine may take a while to come back.
    let patience = Duration::from_secs(60);
    let options = StoreOptions {
        tenant_pool_size: 1,
        acquire_timeout: patience,
        ..StoreOptions::new(bed.master_key.clone())
    };
    let store = Store::connect(&bed.url, options).await.unwrap();
    let of = |org: &str| store.within(Some(&Scope::Org(org_name(org))));
    let (acme, globex, nobody) = (of("acme"), of("globex"), store.within(None));
    let only_their_own = async |after: &str| {
        assert_eq!(shown(&globex).await, ["Organization/globex", "Plan/small", "globex"], "{after}");
        assert_eq!(nobody.get(&key("acme", Kind::App, "shop")).await.unwrap(), None, "{after}");
        assert!(nobody.list(&list(ScopeFilter::All)).await.is_err(), "{after}");
        assert_eq!(shown(&acme).await, ["Organization/acme", "Plan/small", "acme"], "{after}");
        assert_eq!(shown(&store).await.len(), 5, "{after}");
    };
    only_their_own("a use that ended well").await;
    let taken = acme.apply(&[item(domain("acme", "more", "www.globex.test"))], &actor()).await;
    assert!(matches!(taken, Err(StoreError::HostTaken { .. })), "{taken:?}");
    only_their_own("an error of ours").await;
    let foreign = acme.apply(&[item(app("globex", "evil", "evil:1"))], &actor()).await;
    assert!(foreign.is_err(), "{foreign:?}");
    only_their_own("an error of the database").await;
    for micros in [0, 50, 100, 200, 400, 800, 1600, 3200] {
        let cut = Duration::from_micros(micros);
        let _ = tokio::time::timeout(cut, acme.list(&list(ScopeFilter::All))).await;
        only_their_own("a read that was cancelled").await;
        let _ = tokio::time::timeout(cut, acme.dry_run(&[item(app("acme", "new", "new:1"))], &actor())).await;
        only_their_own("a write that was cancelled").await;
    }
    let snapshot = acme.snapshot().await.unwrap();
    drop(snapshot);
    only_their_own("a snapshot that was dropped").await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_asks_of_anothers_below_every_check_of_the_program_is_not_there() {
    let bed = two_tenants("below").await;
    let acme = bed.store.within(Some(&Scope::Org(org_name("acme"))));
    let theirs = key("globex", Kind::App, "shop");
    let there = bed.store.get(&theirs).await.unwrap().unwrap();
    let uid = there.meta.uid;
    assert_eq!(acme.get(&theirs).await.unwrap(), None);
    assert_eq!(acme.events(uid).await.unwrap(), []);
    assert_eq!(acme.org_events(&org_name("globex"), 10).await.unwrap(), []);
    assert_eq!(acme.plans(uid, 10).await.unwrap(), []);
    assert_eq!(acme.tokens(&Scope::Org(org_name("globex"))).await.unwrap(), []);
    let before = bed.dump();
    let owner = Scope::Org(org_name("globex"));
    let token =
        NewToken { name: "evil".parse().unwrap(), reach: owner.clone(), role: Role::Owner, expires_at: None };
    let refused = acme.create_token(&token, &actor()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }), "{refused:?}");
    assert!(!acme.revoke_token(&owner, "ci", &actor()).await.unwrap());
    assert_eq!(acme.members(&owner).await.unwrap(), []);
    assert_eq!(acme.invitations(&owner).await.unwrap(), []);
    let member = people::address("viewer@globex.test");
    assert!(acme.remove_member(&owner, &member, Role::Owner, &actor()).await.is_err());
    assert!(acme.set_role(&owner, &member, Role::Owner, Role::Owner, &actor()).await.is_err());
    let refused = acme.apply(&[item(app("globex", "shop", "evil:1"))], &actor()).await.unwrap_err();
    assert!(matches!(refused, StoreError::OrgMissing { .. }), "{refused:?}");
    let deleted = acme.delete(&theirs, skep_store::Precondition::None, &actor()).await.unwrap();
    assert_eq!(deleted, skep_store::Deletion::Absent);
    let refused = acme.intervene(&theirs, &skep_store::Intervention::Retry, &actor()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }), "{refused:?}");
    assert_eq!(before, bed.dump(), "nothing was written");
}
