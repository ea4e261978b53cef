-- Deployments: what of the attempt at a release took how long.
--
-- When a release was made and when its verdict was given are columns already. What happened between is noted while it is pending, by the environment's reconcile, together with the status or the
-- verdict that it writes anyway. The uid is for the panel, whose paths have no other way to name a deployment. Releases from before have neither.

ALTER TABLE release ADD COLUMN timeline jsonb CHECK (jsonb_typeof(timeline) = 'object'), ADD COLUMN uid uuid;
-- Apart from the columns, so that no row is rewritten.
ALTER TABLE release ALTER COLUMN timeline SET DEFAULT '{}', ALTER COLUMN uid SET DEFAULT gen_random_uuid();
CREATE UNIQUE INDEX release_uid ON release (uid) WHERE uid IS NOT NULL;

CREATE OR REPLACE FUNCTION release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.env_uid, NEW.version, NEW.content, NEW.rollback_to, NEW.made_by, NEW.uid)
            IS DISTINCT FROM (OLD.env_uid, OLD.version, OLD.content, OLD.rollback_to, OLD.made_by, OLD.uid)
        OR OLD.verdict <> 'pending' AND (NEW.verdict, NEW.timeline) IS DISTINCT FROM (OLD.verdict, OLD.timeline)
        OR (OLD.verdict <> 'pending' OR OLD.cancelled_by IS NOT NULL)
            AND (NEW.cancelled_by, NEW.cancelled_at) IS DISTINCT FROM (OLD.cancelled_by, OLD.cancelled_at) THEN
        RAISE EXCEPTION 'release % of % is a fact and does not change', OLD.version, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'release_is_fact';
    END IF;
    RETURN NEW;
END
$$;
