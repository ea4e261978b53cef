-- Rows of tenants: the database refuses as well.
--
-- Whether a request may see or change something is decided once, in the program. Should that ever be forgotten or wrong, this is what is
-- left: requests of an organisation's token come over connections that run as a role of their own, and say in each transaction, in the
-- setting skep.reach, which organisation they are of. For that role every table lets through the organisation's rows alone, and with
-- the setting unset, none.
--
-- The policies name no role, so that a dump can be restored where the role does not exist yet: they hold for everybody but the owner of the
-- tables, who is Skep itself and whom they cost nothing. What the role may do at all is a table, tenant_right: roles belong to the server
-- and not to the database, so each start makes sure that the role is there and has these rights (establish_tenants). Whoever adds a
-- table that tenants' requests use adds its policies and its rights in the same migration; a test looks for tables that have the one
-- without the other.

-- The organisation that this transaction is for; null for none. An empty text must never do: that is the platform's `org`.
CREATE FUNCTION tenant_reach() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
    RETURN nullif(current_setting('skep.reach', true), '');

-- The name is this installation's own: its login may become it, and on a server with several installations none may become another's.
CREATE FUNCTION tenant_role() RETURNS text LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT 'skep_tenant_' || id FROM instance;
    END;

CREATE TABLE tenant_right (
    -- A table, or a function with the types of its arguments.
    object text NOT NULL,
    privilege text NOT NULL CHECK (privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE')),
    -- Null for all.
    columns text[],
    PRIMARY KEY (object, privilege)
);

-- Resources: all of the organisation's, its own Organization, and the catalogue. Under the last two a tenant writes nothing, except that
-- it may pause its organisation.
ALTER TABLE resource ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON resource FOR SELECT USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind = 'Plan' AND (SELECT tenant_reach()) IS NOT NULL);
CREATE POLICY tenant_creates ON resource FOR INSERT WITH CHECK (org = (SELECT tenant_reach()));
CREATE POLICY tenant_changes ON resource FOR UPDATE USING (
    org = (SELECT tenant_reach()) OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach()));
CREATE POLICY tenant_removes ON resource FOR DELETE USING (org = (SELECT tenant_reach()));
INSERT INTO tenant_right VALUES
    ('resource', 'SELECT', NULL),
    ('resource', 'INSERT', '{uid,org,kind,name,api_version,spec,labels,annotations,refs,finalizers,managed_by}'),
    ('resource', 'UPDATE',
     '{api_version,spec,labels,annotations,refs,managed_by,generation,deletion_requested_at,pause,retried_at}'),
    ('resource', 'DELETE', NULL);

-- A policy cannot compare a row with what it was.
CREATE FUNCTION resource_guard_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF to_jsonb(NEW) - '{pause,retried_at,revision,updated_at}'::text[]
        IS DISTINCT FROM to_jsonb(OLD) - '{pause,retried_at,revision,updated_at}'::text[] THEN
        RAISE EXCEPTION 'an organisation does not change what the platform says of it' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER resource_guard_tenant BEFORE UPDATE ON resource
    FOR EACH ROW WHEN (OLD.org = '' AND tenant_reach() IS NOT NULL) EXECUTE FUNCTION resource_guard_tenant();

-- What is told of a resource is seen by whoever sees the resource: the policy of `resource` holds inside these conditions.
ALTER TABLE resource_status ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON resource_status FOR SELECT
    USING (EXISTS (SELECT FROM resource r WHERE r.uid = resource_status.uid));
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON event FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = event.uid));
ALTER TABLE inventory ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON inventory FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = inventory.owner));
ALTER TABLE release ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON release FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = release.env_uid));
ALTER TABLE plan ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON plan FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = plan.uid));
ALTER TABLE plan_step ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON plan_step FOR SELECT USING (EXISTS (SELECT FROM plan p WHERE p.id = plan_step.plan));
ALTER TABLE subnet_allocation ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON subnet_allocation FOR SELECT
    USING (EXISTS (SELECT FROM resource r WHERE r.uid = subnet_allocation.org_uid));
INSERT INTO tenant_right VALUES
    ('resource_status', 'SELECT', NULL),
    ('event', 'SELECT', NULL),
    ('inventory', 'SELECT', NULL),
    ('release', 'SELECT', NULL),
    ('plan', 'SELECT', NULL),
    ('plan_step', 'SELECT', NULL),
    ('subnet_allocation', 'SELECT', NULL);

-- Where history stands is no secret; what is in it is.
ALTER TABLE cluster_rev ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON cluster_rev FOR SELECT USING ((SELECT tenant_reach()) IS NOT NULL);
ALTER TABLE change_log ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON change_log FOR SELECT USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind = 'Plan' AND (SELECT tenant_reach()) IS NOT NULL);
INSERT INTO tenant_right VALUES
    ('cluster_rev', 'SELECT', '{epoch,revision,floor}'),
    ('change_log', 'SELECT', NULL);

-- The drift report outlives its resources, so it is scoped by name as they are. Trying again ends what was given up.
ALTER TABLE drift ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON drift FOR SELECT USING (
    org = (SELECT tenant_reach()) OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach()));
CREATE POLICY tenant_ends ON drift FOR UPDATE USING (
    org = (SELECT tenant_reach()) OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach()));
INSERT INTO tenant_right VALUES
    ('drift', 'SELECT', NULL),
    ('drift', 'UPDATE', '{ended_at,outcome}');

-- A host that another has can be neither seen nor taken; that it is taken says the primary key.
ALTER TABLE domain_claim ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_claims ON domain_claim FOR ALL USING (
    EXISTS (SELECT FROM resource r WHERE r.uid = domain_claim.uid AND r.org = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES
    ('domain_claim', 'SELECT', NULL),
    ('domain_claim', 'INSERT', '{host,uid}'),
    ('domain_claim', 'DELETE', NULL);

-- Values of secrets come in and never out: the columns that hold them cannot be selected. The data key, wrapped, is what they are sealed
-- with.
ALTER TABLE organization_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_seals ON organization_key FOR ALL USING (EXISTS (
    SELECT FROM resource r WHERE r.uid = organization_key.org_uid
        AND r.org = '' AND r.kind = 'Organization' AND r.name = (SELECT tenant_reach())));
ALTER TABLE secret_version ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_seals ON secret_version FOR ALL USING (
    EXISTS (SELECT FROM resource r WHERE r.uid = secret_version.uid AND r.org = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES
    ('organization_key', 'SELECT', NULL),
    ('organization_key', 'INSERT', '{org_uid,nonce,wrapped_key,master_key_id}'),
    ('secret_version', 'SELECT', '{uid,version,digest,created_at}'),
    ('secret_version', 'INSERT', '{uid,version,nonce,ciphertext,digest}');

-- Tokens: made, listed and revoked by their organisation; nobody looks one up by its hash over these connections.
ALTER TABLE api_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_manages ON api_token FOR ALL USING (EXISTS (
    SELECT FROM resource r WHERE r.uid = api_token.org_uid
        AND r.org = '' AND r.kind = 'Organization' AND r.name = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES
    ('api_token', 'SELECT', '{name,org_uid,role,made_by,created_at,expires_at,last_used_at,revoked_at}'),
    ('api_token', 'INSERT', '{id,name,hash,org_uid,role,made_by,expires_at}'),
    ('api_token', 'UPDATE', '{revoked_at}');

-- The audit is added to, in what the organisation does, and read. Numbers and links are not a tenant's to write.
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON audit FOR SELECT USING (org = (SELECT tenant_reach()));
CREATE POLICY tenant_adds ON audit FOR INSERT WITH CHECK (
    org = (SELECT tenant_reach()) OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach()));
INSERT INTO tenant_right VALUES
    ('audit', 'SELECT', NULL),
    ('audit', 'INSERT', '{actor,acting_as,peer,request_id,verb,uid,org,kind,name,generation,before,after,outcome}');

ALTER TABLE confirmed_removal ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_confirms ON confirmed_removal FOR INSERT WITH CHECK (
    EXISTS (SELECT FROM resource r WHERE r.uid = confirmed_removal.owner AND r.org = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES ('confirmed_removal', 'INSERT', '{owner,confirmed_by}');

-- How much is to be removed is weighed over everybody. A tenant's preview learns the numbers and nobody's names.
CREATE FUNCTION removals(recently double precision, grace double precision, most integer)
    RETURNS TABLE (managed bigint, due bigint, recent bigint, examples text[]) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH due_now AS (
        SELECT d.* FROM due_removal d WHERE NOT EXISTS (
            SELECT FROM confirmed_removal c
            WHERE c.owner = d.owner AND (c.kind, c.name) IN (('', ''), (d.kind, d.name)))
    ), done AS (
        -- An engine lets go of a network some seconds after it was told to, and may be told several times.
        SELECT DISTINCT p.uid, s.object_kind, s.object_name FROM plan_step s JOIN plan p ON p.id = s.plan
        WHERE s.state = 'done' AND s.step->'op'->>'op' IN ('removeNetwork', 'removeSecret', 'removeService')
          AND s.finished_at > now() - make_interval(secs => recently)
          -- A former value of a secret that lives on has been replaced, not lost.
          AND NOT (s.object_kind = 'secret' AND EXISTS (
              SELECT FROM resource r WHERE r.uid = p.uid AND r.deletion_requested_at IS NULL))
          AND NOT EXISTS (
              SELECT FROM confirmed_removal c
              WHERE c.owner = p.uid AND (c.kind, c.name) IN (('', ''), (s.object_kind, s.object_name)))
    )
    SELECT (SELECT count(*) FROM inventory WHERE kind <> 'edge-attachment') + (SELECT count(*) FROM orphan),
           (SELECT count(*) FROM due_now)
               + (SELECT count(*) FROM orphan
                  WHERE NOT confirmed AND first_seen_at < now() - make_interval(secs => grace)),
           (SELECT count(*) FROM done),
           ARRAY(SELECT DISTINCT concat_ws('/', nullif(org, ''), owner_kind, owner_name) FROM due_now
                 WHERE tenant_reach() IS NULL ORDER BY 1 LIMIT most);
END
$$;
REVOKE EXECUTE ON FUNCTION removals(double precision, double precision, integer) FROM PUBLIC;
INSERT INTO tenant_right VALUES ('removals(double precision, double precision, integer)', 'EXECUTE', NULL);

-- These run inside tenants' writes and touch what is not the tenant's: the counters, the log, the chain. They do it as the owner, and find
-- what they name where this migration finds it, not where the caller says; temporary objects come last.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
    trusted text;
BEGIN
    FOREACH trusted IN ARRAY '{assign_revision(),resource_log(),resource_status_log(),audit_chain(),drift_stamp(),drift_end_with_owner(),"removals(double precision, double precision, integer)"}'::text[] LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s, pg_temp', trusted, path);
    END LOOP;
END
$$;

-- Makes sure that the role is there, that this login may become it, and that it has its rights in this database. Changes nothing where
-- nothing is missing. Null, or what an administrator has to run because this login may not.
CREATE FUNCTION establish_tenants() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    tenants text := tenant_role();
    become text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    wanted tenant_right;
    granted boolean;
BEGIN
    IF row_security_active('resource') THEN
        RAISE EXCEPTION '% does not own the tables of this database, so that it would see no row of them', session_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'migrate and serve with the login that owns them';
    END IF;
    -- One at a time in this database; another with the same name, such as a restored copy, may still come between.
    PERFORM pg_advisory_xact_lock(hashtextextended('skep tenants', 0));
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = tenants) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', tenants);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
        IF NOT pg_has_role(session_user, tenants, become) THEN
            BEGIN
                EXECUTE format('GRANT %I TO %I', tenants, session_user);
            EXCEPTION WHEN unique_violation THEN
                NULL;
            END;
        END IF;
    EXCEPTION WHEN insufficient_privilege THEN
        RETURN format(
            CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = tenants) THEN '' ELSE 'CREATE ROLE %1$I NOLOGIN; ' END
                || 'GRANT %1$I TO %2$I;', tenants, session_user);
    END;
    -- Whoever passes by row-level security is no tenant.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = tenants AND (rolsuper OR rolbypassrls OR rolcanlogin)
               UNION ALL
               SELECT FROM pg_class WHERE oid = 'resource'::regclass AND pg_has_role(tenants, relowner, 'MEMBER')) THEN
        RAISE EXCEPTION 'the role % may do more than a tenant', tenants
            USING ERRCODE = 'invalid_role_specification',
                  HINT = 'it must not log in, be a superuser, bypass row-level security, or be a member of the owner of the tables';
    END IF;
    IF NOT has_schema_privilege(tenants, current_schema(), 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), tenants);
    END IF;
    FOR wanted IN SELECT * FROM tenant_right ORDER BY object, privilege LOOP
        granted := CASE
            WHEN wanted.privilege = 'EXECUTE' THEN has_function_privilege(tenants, wanted.object, 'EXECUTE')
            WHEN wanted.columns IS NULL THEN has_table_privilege(tenants, quote_ident(wanted.object), wanted.privilege)
            ELSE (SELECT bool_and(has_column_privilege(tenants, quote_ident(wanted.object), col, wanted.privilege))
                  FROM unnest(wanted.columns) AS col)
        END;
        -- A dump without privileges gives what is new back to everybody.
        IF wanted.privilege = 'EXECUTE' AND has_function_privilege('public', wanted.object, 'EXECUTE') THEN
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', wanted.object);
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', wanted.object, tenants);
        ELSIF wanted.privilege = 'EXECUTE' AND NOT granted THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', wanted.object, tenants);
        ELSIF NOT granted THEN
            EXECUTE format('GRANT %s%s ON %I TO %I', wanted.privilege,
                ' (' || (SELECT string_agg(quote_ident(col), ', ') FROM unnest(wanted.columns) AS col) || ')',
                wanted.object, tenants);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
