-- Resources: what is wanted, and what is so.
--
-- One table for all kinds. The kinds are Rust types, and their specs are read strictly, so a new kind needs no migration; and
-- watching, optimistic writes, finalizers, audit and garbage collection are written once. What protects one tenant from
-- another is a constraint of its own all the same (domain_claim).
--
-- Changes are logged by triggers, not by the program: a row that someone writes by hand wakes the controller as well. For
-- the same reason the rules that must never be broken are here: identity does not change, a changed spec raises the
-- generation, a deletion mark is not taken back, and a row with finalizers cannot be removed.
--
-- Status is a table apart. It changes far more often than specs, and its writers shall not wait for those of specs.

CREATE TABLE resource (
    uid uuid PRIMARY KEY,
    -- The organisation; empty for the platform, which no organisation's name can be. Not null, so that uniqueness, order
    -- and keyset pages need no special case.
    org text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    api_version text NOT NULL,
    spec jsonb NOT NULL CHECK (jsonb_typeof(spec) = 'object'),
    labels jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(labels) = 'object'),
    annotations jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(annotations) = 'object'),
    -- The keys of the resources that the spec names, as `org/Kind/name` or `Kind/name`.
    refs text[] NOT NULL DEFAULT '{}',
    generation bigint NOT NULL DEFAULT 1,
    revision bigint NOT NULL DEFAULT 0,
    finalizers text[] NOT NULL DEFAULT '{}',
    deletion_requested_at timestamptz,
    managed_by jsonb NOT NULL DEFAULT '{"by": "api"}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT resource_key UNIQUE (org, kind, name)
);

-- Who refers to this? Asked for every change.
CREATE INDEX resource_refs ON resource USING gin (refs);
CREATE INDEX resource_labels ON resource USING gin (labels jsonb_path_ops);

CREATE TABLE resource_status (
    uid uuid PRIMARY KEY REFERENCES resource ON DELETE CASCADE,
    observed_generation bigint NOT NULL,
    status jsonb NOT NULL,
    revision bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE FUNCTION resource_guard_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.uid, NEW.org, NEW.kind, NEW.name) IS DISTINCT FROM (OLD.uid, OLD.org, OLD.kind, OLD.name) THEN
        RAISE EXCEPTION 'the identity of a resource does not change'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'resource_identity';
    END IF;
    IF OLD.deletion_requested_at IS NOT NULL AND NEW.deletion_requested_at IS DISTINCT FROM OLD.deletion_requested_at THEN
        RAISE EXCEPTION 'the deletion of % %/% cannot be taken back', OLD.kind, OLD.org, OLD.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'resource_deletion_stays';
    END IF;
    IF NEW.spec IS DISTINCT FROM OLD.spec AND NEW.generation = OLD.generation THEN
        NEW.generation := OLD.generation + 1;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END
$$;

-- The columns exclude revision: stamping it at commit is no change.
CREATE TRIGGER resource_guard_update
    BEFORE UPDATE OF uid, org, kind, name, api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_guard_update();

CREATE FUNCTION resource_guard_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(OLD.finalizers) > 0 THEN
        RAISE EXCEPTION '% %/% still has finalizers', OLD.kind, OLD.org, OLD.name
            USING ERRCODE = 'check_violation', CONSTRAINT = 'resource_finalizers_hold',
                  HINT = 'set deletion_requested_at, and the controller cleans up and removes the row';
    END IF;
    RETURN OLD;
END
$$;

CREATE TRIGGER resource_guard_delete BEFORE DELETE ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_guard_delete();

CREATE FUNCTION resource_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    what text;
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO change_log (uid, org, kind, name, op, refs)
            VALUES (NEW.uid, NEW.org, NEW.kind, NEW.name, 'created', NEW.refs);
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        INSERT INTO change_log (uid, org, kind, name, op, refs)
            VALUES (OLD.uid, OLD.org, OLD.kind, OLD.name, 'removed', OLD.refs);
        RETURN NULL;
    END IF;
    IF NEW.deletion_requested_at IS NOT NULL AND OLD.deletion_requested_at IS NULL THEN
        what := 'deleting';
    ELSIF NEW.generation <> OLD.generation THEN
        what := 'spec';
    ELSIF (NEW.labels, NEW.annotations, NEW.refs, NEW.finalizers, NEW.managed_by, NEW.api_version)
        IS DISTINCT FROM (OLD.labels, OLD.annotations, OLD.refs, OLD.finalizers, OLD.managed_by, OLD.api_version) THEN
        what := 'meta';
    ELSE
        RETURN NULL;
    END IF;
    INSERT INTO change_log (uid, org, kind, name, op, refs)
        VALUES (NEW.uid, NEW.org, NEW.kind, NEW.name, what,
                ARRAY(SELECT DISTINCT key FROM unnest(OLD.refs || NEW.refs) AS key ORDER BY key));
    RETURN NULL;
END
$$;

CREATE TRIGGER resource_log
    AFTER INSERT OR DELETE OR UPDATE OF api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_log();

CREATE FUNCTION resource_status_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_log (uid, org, kind, name, op, refs)
        SELECT uid, org, kind, name, 'status', refs FROM resource WHERE uid = NEW.uid;
    RETURN NULL;
END
$$;

CREATE TRIGGER resource_status_log
    AFTER INSERT OR UPDATE OF observed_generation, status ON resource_status
    FOR EACH ROW EXECUTE FUNCTION resource_status_log();

-- One host, one owner, whatever races: two tenants can never route the same name.
CREATE TABLE domain_claim (
    host text PRIMARY KEY,
    uid uuid NOT NULL UNIQUE REFERENCES resource ON DELETE CASCADE,
    claimed_at timestamptz NOT NULL DEFAULT now()
);
