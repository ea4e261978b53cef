-- Releases that somebody cancelled.
--
-- Whoever cancels one writes who and when into its row, once and while it is pending, and wakes the environment by it; the environment's reconcile gives the verdict. It is a column
-- of the release and not of the environment: it is about this one release, and over with it.

ALTER TABLE release ADD COLUMN cancelled_by text, ADD COLUMN cancelled_at timestamptz;

-- Wider than what they replace, so that no row has to be looked at.
ALTER TABLE release DROP CONSTRAINT release_verdict_check;
ALTER TABLE release ADD CONSTRAINT release_verdict_check
    CHECK (verdict IN ('pending', 'succeeded', 'rolled-back', 'failed', 'superseded', 'cancelled')) NOT VALID;
ALTER TABLE release DROP CONSTRAINT release_reason_of_failure;
ALTER TABLE release ADD CONSTRAINT release_reason_of_failure
    CHECK ((reason IS NOT NULL) = (verdict IN ('rolled-back', 'failed', 'cancelled'))) NOT VALID;
ALTER TABLE release ADD CONSTRAINT release_cancelled_by_somebody
    CHECK ((cancelled_by IS NULL) = (cancelled_at IS NULL) AND (verdict <> 'cancelled' OR cancelled_by IS NOT NULL)) NOT VALID;

CREATE OR REPLACE FUNCTION release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.env_uid, NEW.version, NEW.content, NEW.rollback_to, NEW.made_by)
            IS DISTINCT FROM (OLD.env_uid, OLD.version, OLD.content, OLD.rollback_to, OLD.made_by)
        OR OLD.verdict <> 'pending' AND NEW.verdict <> OLD.verdict
        OR (OLD.verdict <> 'pending' OR OLD.cancelled_by IS NOT NULL)
            AND (NEW.cancelled_by, NEW.cancelled_at) IS DISTINCT FROM (OLD.cancelled_by, OLD.cancelled_at) THEN
        RAISE EXCEPTION 'release % of % is a fact and does not change', OLD.version, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'release_is_fact';
    END IF;
    RETURN NEW;
END
$$;

-- The function tells of any row with an `env_uid` (0030).
CREATE TRIGGER release_log_cancelled AFTER UPDATE OF cancelled_by ON release
    FOR EACH ROW WHEN (NEW.cancelled_by IS DISTINCT FROM OLD.cancelled_by) EXECUTE FUNCTION run_log();

-- A tenant asks that a release be cancelled; how it went is for the reconcile to say.
CREATE POLICY tenant_cancels ON release FOR UPDATE USING (EXISTS (SELECT FROM resource r WHERE r.uid = release.env_uid));
INSERT INTO tenant_right VALUES ('release', 'UPDATE', '{cancelled_by,cancelled_at}');
