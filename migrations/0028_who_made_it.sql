-- Who made a release.
--
-- Whoever wrote a resource last is noted in its row, with the time (a revision rises with a pause as well), so that the loop can tell of a release whose change it came from: that of the input that was
-- written last. The audit tells more, and is for fewer people to read.

ALTER TABLE resource ADD COLUMN changed_by text, ADD COLUMN changed_at timestamptz;
ALTER TABLE release ADD COLUMN made_by text;

CREATE OR REPLACE FUNCTION release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.env_uid, NEW.version, NEW.content, NEW.rollback_to, NEW.made_by)
            IS DISTINCT FROM (OLD.env_uid, OLD.version, OLD.content, OLD.rollback_to, OLD.made_by)
        OR OLD.verdict <> 'pending' AND NEW.verdict <> OLD.verdict THEN
        RAISE EXCEPTION 'release % of % is a fact and does not change', OLD.version, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'release_is_fact';
    END IF;
    RETURN NEW;
END
$$;

UPDATE tenant_right SET columns = columns || '{changed_by,changed_at}'::text[]
    WHERE object = 'resource' AND privilege IN ('INSERT', 'UPDATE');
