-- Schedules: processes that run again and again. What a schedule is belongs to a release; here is how far it was followed, and what was missed.

CREATE TABLE schedule (
    env_uid uuid NOT NULL REFERENCES resource ON DELETE CASCADE,
    process text NOT NULL,
    -- Expression and time zone that the mark is about.
    recurrence text NOT NULL,
    since timestamptz NOT NULL,
    -- Each slot up to here was decided: its run was written down, or it was counted as missed. It only rises.
    until timestamptz NOT NULL,
    missed bigint NOT NULL DEFAULT 0 CHECK (missed >= 0),
    missed_at timestamptz,
    missed_why text,
    PRIMARY KEY (env_uid, process),
    CONSTRAINT schedule_missed_is_told CHECK ((missed > 0) = (missed_at IS NOT NULL) AND (missed > 0) = (missed_why IS NOT NULL))
);

-- What is run by it.
ALTER TABLE run ADD COLUMN slot timestamptz;
ALTER TABLE run DROP CONSTRAINT run_purpose_check;
ALTER TABLE run ADD CONSTRAINT run_purpose_check CHECK (purpose IN ('one-off', 'release', 'schedule'));
ALTER TABLE run ADD CONSTRAINT run_slot_of_schedule CHECK ((slot IS NOT NULL) = (purpose = 'schedule'));

-- Once for each slot, whoever plans it.
CREATE UNIQUE INDEX run_slot ON run (env_uid, process, slot) WHERE purpose = 'schedule';

CREATE OR REPLACE FUNCTION run_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL
        OR (NEW.env_uid, NEW.number, NEW.purpose, NEW.release, NEW.process, NEW.command, NEW.resources, NEW.time_limit_seconds, NEW.made_by, NEW.created_at, NEW.slot)
            IS DISTINCT FROM (OLD.env_uid, OLD.number, OLD.purpose, OLD.release, OLD.process, OLD.command, OLD.resources, OLD.time_limit_seconds, OLD.made_by, OLD.created_at, OLD.slot) THEN
        RAISE EXCEPTION 'run % of % is a fact and does not change', OLD.number, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'run_is_fact';
    END IF;
    RETURN NEW;
END
$$;

-- A tenant sees how its schedules were followed. It follows none itself: it has neither the right to write here, nor to write runs of that purpose.
ALTER TABLE schedule ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON schedule FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = schedule.env_uid));
INSERT INTO tenant_right VALUES ('schedule', 'SELECT', NULL);
