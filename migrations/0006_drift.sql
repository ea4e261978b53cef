-- Drift, pauses, and trying again.
--
-- Drift is what somebody else changed. To tell it from what was asked for, the inventory keeps the spec that was last asked for,
-- and each difference gets a row: one that is open as long as it stands, and then says how it ended. The rows have no foreign key:
-- they tell of resources that are gone, too. They never hold a secret's value, as no spec does.
--
-- A pause and a wish to try again belong to the resource and not to its spec: they raise no generation, but they are logged like
-- any other change, so that whoever watches is woken.

ALTER TABLE inventory ADD COLUMN applied jsonb;

ALTER TABLE resource ADD COLUMN pause jsonb CHECK (jsonb_typeof(pause) = 'object');
ALTER TABLE resource ADD COLUMN retried_at timestamptz;

ALTER TABLE audit DROP CONSTRAINT audit_verb_check;
ALTER TABLE audit ADD CONSTRAINT audit_verb_check
    CHECK (verb IN ('create', 'configure', 'delete', 'pause', 'resume', 'retry', 'adopt', 'confirm'));

DROP TRIGGER resource_guard_update ON resource;
CREATE TRIGGER resource_guard_update
    BEFORE UPDATE OF uid, org, kind, name, api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by, pause, retried_at ON resource
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
    ELSIF (NEW.labels, NEW.annotations, NEW.refs, NEW.finalizers, NEW.managed_by, NEW.api_version, NEW.pause, NEW.retried_at)
        IS DISTINCT FROM
        (OLD.labels, OLD.annotations, OLD.refs, OLD.finalizers, OLD.managed_by, OLD.api_version, OLD.pause, OLD.retried_at) THEN
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

DROP TRIGGER resource_log ON resource;
CREATE TRIGGER resource_log
    AFTER INSERT OR DELETE OR UPDATE OF api_version, spec, labels, annotations, refs, generation, finalizers,
        deletion_requested_at, managed_by, pause, retried_at ON resource
    FOR EACH ROW EXECUTE FUNCTION resource_log();

CREATE TABLE drift (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The resource that answers for the object.
    owner uuid NOT NULL,
    org text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    object_kind text NOT NULL,
    object_name text NOT NULL,
    -- The field, as a JSON pointer; empty when it is about the object as a whole.
    pointer text NOT NULL,
    class text NOT NULL CHECK (class IN ('modified', 'rolled-back', 'missing', 'replaced', 'foreign', 'orphan')),
    desired jsonb,
    live jsonb,
    -- What is done about it, by policy, pause or history.
    response text NOT NULL CHECK (response IN ('correct', 'report', 'ignore', 'paused', 'give-up')),
    -- What made Skep look.
    noticed text NOT NULL CHECK (noticed IN ('event', 'change', 'resync')),
    first_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Corrected by Skep, or gone for another reason: put back by others, or wanted otherwise now.
    outcome text CHECK (outcome IN ('corrected', 'ended')),
    ended_at timestamptz,
    -- Rises with every change of the row, for those who follow.
    serial bigint NOT NULL,
    CONSTRAINT drift_ends_with_outcome CHECK ((outcome IS NULL) = (ended_at IS NULL))
);

-- One open row per field.
CREATE UNIQUE INDEX drift_open ON drift (owner, object_kind, object_name, pointer) WHERE ended_at IS NULL;
-- What was corrected of late: is somebody fighting?
CREATE INDEX drift_ended ON drift (owner, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX drift_serial ON drift (serial);
CREATE INDEX drift_age ON drift (ended_at);

CREATE SEQUENCE drift_serial_numbers;

CREATE FUNCTION drift_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.serial := nextval('drift_serial_numbers');
    RETURN NEW;
END
$$;

CREATE TRIGGER drift_stamp BEFORE INSERT OR UPDATE ON drift FOR EACH ROW EXECUTE FUNCTION drift_stamp();

CREATE FUNCTION drift_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('skep_drift', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER drift_tell AFTER INSERT OR UPDATE ON drift FOR EACH STATEMENT EXECUTE FUNCTION drift_tell();

-- Nothing stands at a resource that is gone.
CREATE FUNCTION drift_end_with_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE drift SET outcome = 'ended', ended_at = clock_timestamp() WHERE owner = OLD.uid AND ended_at IS NULL;
    RETURN NULL;
END
$$;

CREATE TRIGGER drift_end_with_owner AFTER DELETE ON resource FOR EACH ROW EXECUTE FUNCTION drift_end_with_owner();
