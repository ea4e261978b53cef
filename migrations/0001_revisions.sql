-- Identity and time.
--
-- Every reader that follows changes needs an order in which nothing can appear behind it. A sequence does not give one: its
-- numbers are drawn at insert and become visible at commit, so a reader that has seen 2 never sees a slow 1. Here a
-- transaction gets its number last of all: a deferred trigger, run by COMMIT itself, takes the one row of cluster_rev, adds
-- one, and stamps everything the transaction logged. The row lock is held until the commit is done, so numbers are dense and
-- in commit order, all rows of a transaction share one, and a rollback leaves no gap.
--
-- The price is that commits which change resources queue up for one row: about one flush of the log each. That is ample for
-- a control plane, and keeps three rules: run at READ COMMITTED, never SET CONSTRAINTS ... IMMEDIATE, take no lock after it.
--
-- NOTIFY carries nothing and is sent once per commit. It only says "look"; a reader that misses it looks by itself soon.

-- Which Skep this database belongs to. Everything made in a Swarm carries the id.
CREATE TABLE instance (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id text NOT NULL,
    -- Names the master key without telling anything about it, so that a wrong one is found at the start.
    master_key_id text,
    -- The first administrator's token is made once; this says that it was.
    bootstrapped_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO instance (id) VALUES (left(replace(gen_random_uuid()::text, '-', ''), 12));

CREATE TABLE cluster_rev (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- Changes when history may have been rewritten (a restored backup): cursors of another epoch are void.
    epoch uuid NOT NULL,
    -- Where the epoch began: server, timeline and database. Another origin at the start means another epoch.
    origin text NOT NULL DEFAULT '',
    -- The last number given out.
    revision bigint NOT NULL DEFAULT 0,
    -- Changes up to here may have been removed.
    floor bigint NOT NULL DEFAULT 0,
    CONSTRAINT cluster_rev_floor_behind CHECK (floor <= revision)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO cluster_rev (epoch) VALUES (gen_random_uuid());

-- What changed, in order. Rows say which resource and in what way; readers then read the resource itself.
CREATE TABLE change_log (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Null from the insert until the commit; no other transaction ever sees it null.
    revision bigint,
    uid uuid NOT NULL,
    org text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    op text NOT NULL CHECK (op IN ('created', 'spec', 'meta', 'status', 'deleting', 'removed')),
    -- The keys that the resource referred to before or refers to now, so that those can be woken even when it is gone.
    refs text[] NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Readers page on (revision, seq): the rows of one transaction share a revision and may span pages.
CREATE INDEX change_log_order ON change_log (revision, seq);
-- A transaction's own unstamped rows; empty between commits.
CREATE INDEX change_log_unstamped ON change_log (seq) WHERE revision IS NULL;

CREATE FUNCTION assign_revision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stamp bigint;
BEGIN
    -- The trigger runs once per logged row; the first run stamps them all.
    PERFORM FROM change_log WHERE seq = NEW.seq AND revision IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE cluster_rev SET revision = revision + 1 RETURNING revision INTO STRICT stamp;
    -- Rows of others are either stamped or not visible, so these are our own.
    UPDATE change_log SET revision = stamp WHERE revision IS NULL;
    UPDATE resource SET revision = stamp
        FROM change_log WHERE change_log.revision = stamp AND change_log.op <> 'status' AND resource.uid = change_log.uid;
    UPDATE resource_status SET revision = stamp
        FROM change_log WHERE change_log.revision = stamp AND change_log.op = 'status' AND resource_status.uid = change_log.uid;
    PERFORM pg_notify('skep_changes', '');
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER change_log_assign_revision
    AFTER INSERT ON change_log DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION assign_revision();
