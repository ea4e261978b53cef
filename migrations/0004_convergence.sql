-- What the controller remembers between two looks at the Swarm.
--
-- The Swarm itself is the truth about what runs. These tables hold what cannot be read from it: what Skep was about to make
-- (inventory, so that a crash leaves nothing behind), what an environment is meant to run (release), what was being done
-- (plan, plan_step), which addresses belong to whom (subnet_allocation, inventory.address), and who may write (lease).

-- Who does the work. The epoch rises with every change of hands and never falls; the holder's writes carry it, so a holder
-- that was paused and has lost the lease changes nothing. Times are the database's alone.
CREATE TABLE lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- What Skep has made, or is about to make. The row is there before the object and goes only when the object was seen to be
-- absent; ON DELETE RESTRICT keeps the owner until then.
CREATE TABLE inventory (
    owner uuid NOT NULL REFERENCES resource ON DELETE RESTRICT,
    kind text NOT NULL CHECK (kind IN ('network', 'secret', 'service', 'edge-attachment')),
    name text NOT NULL,
    -- The engine's id, once known.
    object_id text,
    -- Of a service: the release that was sent last.
    sent_release integer,
    -- Of an edge attachment: the address on the owner's network.
    address inet,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, kind, name),
    CONSTRAINT inventory_address_of_edge CHECK ((address IS NULL) = (kind <> 'edge-attachment'))
);

-- Names in a Swarm are unique, so an object has one owner. An edge container is attached to many networks and is no object of ours.
CREATE UNIQUE INDEX inventory_object ON inventory (kind, name) WHERE kind <> 'edge-attachment';
-- Two edge tasks with one address on a network would take each other's traffic.
CREATE UNIQUE INDEX inventory_address ON inventory (owner, address) WHERE address IS NOT NULL;

CREATE TABLE release (
    env_uid uuid NOT NULL REFERENCES resource ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    content jsonb NOT NULL CHECK (jsonb_typeof(content) = 'object'),
    -- What is different from the one before.
    why text NOT NULL,
    verdict text NOT NULL DEFAULT 'pending'
        CHECK (verdict IN ('pending', 'succeeded', 'rolled-back', 'failed', 'superseded')),
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,
    CONSTRAINT release_version PRIMARY KEY (env_uid, version),
    CONSTRAINT release_reason_of_failure CHECK ((reason IS NOT NULL) = (verdict IN ('rolled-back', 'failed')))
);

-- An environment rolls out one release at a time.
CREATE UNIQUE INDEX release_pending ON release (env_uid) WHERE verdict = 'pending';
CREATE INDEX release_succeeded ON release (env_uid, version) WHERE verdict = 'succeeded';

CREATE FUNCTION release_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.env_uid, NEW.version, NEW.content) IS DISTINCT FROM (OLD.env_uid, OLD.version, OLD.content)
        OR OLD.verdict <> 'pending' AND NEW.verdict <> OLD.verdict THEN
        RAISE EXCEPTION 'release % of % is a fact and does not change', OLD.version, OLD.env_uid
            USING ERRCODE = 'check_violation', CONSTRAINT = 'release_is_fact';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER release_guard BEFORE UPDATE ON release FOR EACH ROW EXECUTE FUNCTION release_guard();

-- The journal. It has no foreign key: it tells what was done to resources that are gone.
CREATE TABLE plan (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid uuid NOT NULL,
    key text NOT NULL,
    generation bigint NOT NULL,
    release integer,
    -- Who ran it.
    lease text NOT NULL,
    epoch bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- When the last step ended, or when a later plan took its place.
    finished_at timestamptz
);

CREATE INDEX plan_of_resource ON plan (uid, id);
CREATE INDEX plan_unfinished ON plan (id) WHERE finished_at IS NULL;

CREATE TABLE plan_step (
    plan bigint NOT NULL REFERENCES plan ON DELETE CASCADE,
    index integer NOT NULL,
    object_kind text NOT NULL,
    object_name text NOT NULL,
    -- The step as the planner wrote it: never a secret's value.
    step jsonb NOT NULL,
    state text NOT NULL DEFAULT 'planned'
        CHECK (state IN ('planned', 'started', 'done', 'conflict', 'failed', 'unknown', 'skipped')),
    why text,
    -- For a service: what inventory.sent_release was before the step, to go back to when it had no effect.
    prior_release integer,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (plan, index)
);

-- The subnet of each organisation's network. Subnets of any two never overlap, even when the pool's prefix changed.
CREATE TABLE subnet_allocation (
    org_uid uuid PRIMARY KEY REFERENCES resource ON DELETE CASCADE,
    subnet cidr NOT NULL,
    allocated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subnet_apart EXCLUDE USING gist (subnet inet_ops WITH &&)
);
