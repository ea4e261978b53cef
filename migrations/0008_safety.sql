-- Safety: what keeps a loop with a wrong idea of the world from acting on it.
--
-- A hold says why nothing (or nothing more) is done until a person has looked. It is in force until it is settled: by the loop,
-- when what it was about is no longer so or its confirmation was carried out. Of each reason one is in force at a time.
--
-- A confirmed removal is a deletion that someone has said twice: the brake does not count it. It has no foreign key, because it
-- has to be known for as long as the removal counts as recent, when its owner is gone already.
--
-- An orphan is an object of ours in the Swarm that the inventory does not know. When it was seen first has to survive restarts,
-- so that a grace period is one.

CREATE TABLE hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reason text NOT NULL CHECK (reason IN ('second-instance', 'restored-database', 'too-many-removals')),
    scope text NOT NULL CHECK (scope IN ('everything', 'removals')),
    -- What it is about, exactly: a confirmation is good for this alone.
    subject text NOT NULL,
    why text NOT NULL,
    evidence jsonb NOT NULL CHECK (jsonb_typeof(evidence) = 'array'),
    since timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    confirmed_by text,
    settled_at timestamptz,
    CONSTRAINT hold_confirmed_by_someone CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL))
);

CREATE UNIQUE INDEX hold_in_force ON hold (reason) WHERE settled_at IS NULL;

CREATE TABLE confirmed_removal (
    owner uuid NOT NULL,
    -- One object of the owner; both empty for everything that it owns.
    kind text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '',
    confirmed_by text NOT NULL,
    confirmed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, kind, name)
);

CREATE TABLE orphan (
    object_id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('network', 'secret', 'service')),
    name text NOT NULL,
    labels jsonb NOT NULL CHECK (jsonb_typeof(labels) = 'object'),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    -- Someone has confirmed that it goes.
    confirmed boolean NOT NULL DEFAULT false
);

-- Objects that will be removed, confirmed or not: those of resources that are being deleted, and services of processes that the
-- newest release which may run does not have.
CREATE VIEW due_removal AS
    SELECT i.owner, i.kind, i.name, r.org, r.kind AS owner_kind, r.name AS owner_name
    FROM inventory i JOIN resource r ON r.uid = i.owner
    WHERE i.kind <> 'edge-attachment' AND (
        r.deletion_requested_at IS NOT NULL
        OR i.kind = 'service' AND r.kind = 'Environment' AND coalesce((
            SELECT NOT l.content->'processes' ? split_part(i.name, '_', 3) FROM release l
            WHERE l.env_uid = r.uid AND l.verdict NOT IN ('rolled-back', 'failed') ORDER BY l.version DESC LIMIT 1), false));

-- Which removals are recent? Asked before each plan that removes something.
CREATE INDEX plan_step_removal ON plan_step (finished_at)
    WHERE state = 'done' AND step->'op'->>'op' IN ('removeNetwork', 'removeSecret', 'removeService');

-- The list of verbs is the program's; here it is enough that they are words.
ALTER TABLE audit DROP CONSTRAINT IF EXISTS audit_verb_check;
ALTER TABLE audit ADD CONSTRAINT audit_verb_check CHECK (verb ~ '^[a-z][a-z-]*$');
