-- What people say of how much of an environment runs: numbers of instances that no manifest says, restarts, stops; and organisations that
-- the platform suspends.
--
-- Both belong to the row, as a pause does: they are asked of the loop, make no release, and applying the same manifests again neither undoes nor
-- repeats them. A suspension has a column of its own, which no tenant may write: the database refuses it as well.

ALTER TABLE resource
    ADD COLUMN formation jsonb
        CONSTRAINT resource_formation_of_environment CHECK (formation IS NULL OR kind = 'Environment' AND jsonb_typeof(formation) = 'object'),
    ADD COLUMN suspension jsonb
        CONSTRAINT resource_suspension_of_organization CHECK (suspension IS NULL OR kind = 'Organization' AND jsonb_typeof(suspension) = 'object');

-- As in 0025, with the new columns.
DROP TRIGGER resource_guard_update ON resource;
CREATE TRIGGER resource_guard_update
    BEFORE UPDATE OF uid, org, kind, name, api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by, pause, retried_at, rollback, formation, suspension ON resource
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
    ELSIF (NEW.labels, NEW.annotations, NEW.refs, NEW.finalizers, NEW.managed_by, NEW.api_version, NEW.pause, NEW.retried_at, NEW.rollback, NEW.formation, NEW.suspension)
        IS DISTINCT FROM
        (OLD.labels, OLD.annotations, OLD.refs, OLD.finalizers, OLD.managed_by, OLD.api_version, OLD.pause, OLD.retried_at, OLD.rollback, OLD.formation, OLD.suspension) THEN
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
        deletion_requested_at, managed_by, pause, retried_at, rollback, formation, suspension ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_log();

UPDATE tenant_right SET columns = columns || '{formation}'::text[] WHERE object = 'resource' AND privilege = 'UPDATE';
