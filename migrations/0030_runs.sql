-- Runs: commands that run once in an environment's image, config and secrets.
--
-- A run is a fact. Whoever asks for one writes a row, and wakes the environment by it; the environment's reconcile notes when it starts and how it
-- ended, once. Its output is the end of what it printed.

CREATE TABLE run (
    env_uid uuid NOT NULL REFERENCES resource ON DELETE CASCADE,
    -- Seven digits fit into the name of its service.
    number integer NOT NULL CHECK (number BETWEEN 1 AND 9999999),
    purpose text NOT NULL CHECK (purpose IN ('one-off')),
    release integer NOT NULL,
    process text NOT NULL,
    -- In place of the process's.
    command jsonb CHECK (jsonb_typeof(command) = 'array'),
    resources jsonb NOT NULL CHECK (jsonb_typeof(resources) = 'object'),
    time_limit_seconds bigint NOT NULL CHECK (time_limit_seconds > 0),
    made_by text,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    stopped_by text,
    -- What it waits for, while it does.
    waits text,
    outcome text CHECK (outcome IN ('succeeded', 'failed', 'timed-out', 'stopped')),
    exit_code bigint,
    reason text,
    ended_at timestamptz,
    output text,
    -- What of its output is missing.
    output_gap text,
    PRIMARY KEY (env_uid, number),
    CONSTRAINT run_ends_at_once CHECK ((outcome IS NULL) = (ended_at IS NULL) AND (outcome IS NULL) = (output IS NULL)),
    CONSTRAINT run_reason_of_failure CHECK ((reason IS NOT NULL) = (outcome IS NOT NULL AND outcome <> 'succeeded'))
);

-- Those that are not over are asked for in each pass.
CREATE INDEX run_open ON run (env_uid) WHERE outcome IS NULL;

CREATE FUNCTION run_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL
        OR (NEW.env_uid, NEW.number, NEW.purpose, NEW.release, NEW.process, NEW.command, NEW.resources, NEW.time_limit_seconds, NEW.made_by, NEW.created_at)
            IS DISTINCT FROM (OLD.env_uid, OLD.number, OLD.purpose, OLD.release, OLD.process, OLD.command, OLD.resources, OLD.time_limit_seconds, OLD.made_by, OLD.created_at) THEN
        RAISE EXCEPTION 'run % of % is a fact and does not change', OLD.number, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'run_is_fact';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER run_guard BEFORE UPDATE ON run FOR EACH ROW EXECUTE FUNCTION run_guard();

-- Whoever asks for a run, or for its end, wakes the environment. What the reconcile notes by itself wakes nobody.
CREATE FUNCTION run_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO change_log (uid, org, kind, name, op, refs)
        SELECT uid, org, kind, name, 'meta', refs FROM resource WHERE uid = NEW.env_uid;
    RETURN NULL;
END
$$;

CREATE TRIGGER run_log_asked AFTER INSERT ON run FOR EACH ROW EXECUTE FUNCTION run_log();
CREATE TRIGGER run_log_stopped AFTER UPDATE OF stopped_by ON run
    FOR EACH ROW WHEN (NEW.stopped_by IS DISTINCT FROM OLD.stopped_by) EXECUTE FUNCTION run_log();

ALTER TABLE inventory DROP CONSTRAINT inventory_kind_check;
ALTER TABLE inventory ADD CONSTRAINT inventory_kind_check CHECK (kind IN ('network', 'secret', 'service', 'run', 'edge-attachment'));

-- A tenant asks for runs of its environments, and that they end; how they went is for the reconcile to say.
ALTER TABLE run ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON run FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = run.env_uid));
CREATE POLICY tenant_asks ON run FOR INSERT WITH CHECK (EXISTS (SELECT FROM resource r WHERE r.uid = run.env_uid));
CREATE POLICY tenant_stops ON run FOR UPDATE USING (EXISTS (SELECT FROM resource r WHERE r.uid = run.env_uid));
INSERT INTO tenant_right VALUES
    ('run', 'SELECT', NULL),
    ('run', 'INSERT', '{env_uid,number,purpose,release,process,command,resources,time_limit_seconds,made_by}'),
    ('run', 'UPDATE', '{stopped_by}');

-- It writes the log on behalf of tenants, who may not, and finds what it names where this migration finds it.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
BEGIN
    EXECUTE format('ALTER FUNCTION run_log() SECURITY DEFINER SET search_path = %s, pg_temp', path);
END
$$;
