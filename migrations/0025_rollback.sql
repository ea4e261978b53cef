-- Returns to former releases.
--
-- A rollback belongs to the environment's row, as a pause does: it is asked of the loop, and is no part of what is wanted. It stands until the
-- manifests ask for something else; the transaction that records that also ends it. What kind of release a return made is told beside it.

ALTER TABLE resource ADD COLUMN rollback jsonb
    CONSTRAINT resource_rollback_of_environment CHECK (rollback IS NULL OR kind = 'Environment' AND jsonb_typeof(rollback) = 'object');
ALTER TABLE release ADD COLUMN rollback_to integer CHECK (rollback_to < version);

CREATE OR REPLACE FUNCTION release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.env_uid, NEW.version, NEW.content, NEW.rollback_to)
            IS DISTINCT FROM (OLD.env_uid, OLD.version, OLD.content, OLD.rollback_to)
        OR OLD.verdict <> 'pending' AND NEW.verdict <> OLD.verdict THEN
        RAISE EXCEPTION 'release % of % is a fact and does not change', OLD.version, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'release_is_fact';
    END IF;
    RETURN NEW;
END
$$;

-- As in 0006, with the new column.
DROP TRIGGER resource_guard_update ON resource;
CREATE TRIGGER resource_guard_update
    BEFORE UPDATE OF uid, org, kind, name, api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by, pause, retried_at, rollback ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_guard_update();

CREATE OR REPLACE FUNCTION resource_log() RETURNS trigger LANGUAGE plpgsql AS $$
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
    ELSIF (NEW.labels, NEW.annotations, NEW.refs, NEW.finalizers, NEW.managed_by, NEW.api_version, NEW.pause, NEW.retried_at, NEW.rollback)
        IS DISTINCT FROM
        (OLD.labels, OLD.annotations, OLD.refs, OLD.finalizers, OLD.managed_by, OLD.api_version, OLD.pause, OLD.retried_at, OLD.rollback) THEN
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

-- As in 0013; a function that is replaced runs as its caller again.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
BEGIN
    EXECUTE format('ALTER FUNCTION resource_log() SECURITY DEFINER SET search_path = %s, pg_temp', path);
END
$$;

DROP TRIGGER resource_log ON resource;
CREATE TRIGGER resource_log
    AFTER INSERT OR DELETE OR UPDATE OF api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by, pause, retried_at, rollback ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_log();

UPDATE tenant_right SET columns = columns || '{rollback}'::text[] WHERE object = 'resource' AND privilege = 'UPDATE';
