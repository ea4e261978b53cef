-- What was done stays told as it was.
--
-- An entry of the audit says who did what, from where, in which role, and what a spec was before and after, as digests; and it tells
-- also of what was denied. At its commit it gets a number and a digest over all of this and over the digest of the entry before it.
-- Whoever changes, removes or inserts one later has to change all that follow.
--
-- Numbers are given like revisions: by a deferred trigger, from one row that commits take in turn. Both rows are always taken in the same
-- order, that of the revisions first: in any other order two commits could wait for each other.
--
-- Who may write to this database at will can write the whole chain anew. What he cannot make is a seal: a signature over a place in
-- the chain, with a key that is derived from the master key, which is never in the database.
--
-- The digest is over text, so that it can be computed again by anybody, anywhere: see audit_link. Entries from before this
-- migration stay outside the chain.
ALTER TABLE audit
    ADD COLUMN outcome text NOT NULL DEFAULT 'allowed' CHECK (outcome IN ('allowed', 'denied')),
    -- In which role the actor was, and where: "deployer of acme".
    ADD COLUMN acting_as text,
    -- The address that the request came from, as the server saw it.
    ADD COLUMN peer text,
    ADD COLUMN request_id text,
    -- SHA-256 of the spec as this database writes it, which is never with a secret's value.
    ADD COLUMN before bytea,
    ADD COLUMN after bytea,
    -- Null from the insert until the commit; no other transaction ever sees them null.
    ADD COLUMN position bigint,
    ADD COLUMN link bytea;

CREATE UNIQUE INDEX audit_position ON audit (position);
CREATE INDEX audit_of_org ON audit (org, id);

-- The end of the chain, and its beginning: what stood before the oldest entry that is kept.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL DEFAULT 0,
    link bytea NOT NULL,
    floor_position bigint NOT NULL DEFAULT 0,
    floor_link bytea NOT NULL,
    -- Entries up to here are from before the chain.
    begins_after bigint NOT NULL,
    CONSTRAINT audit_head_floor_behind CHECK (floor_position <= position)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO audit_head (link, floor_link, begins_after)
SELECT start, start, (SELECT coalesce(max(audit.id), 0) FROM audit)
FROM (SELECT sha256(convert_to('skep.dev/audit/v1/' || instance.id, 'UTF8')) AS start FROM instance) begin;

-- Signed places in the chain.
CREATE TABLE audit_seal (
    position bigint PRIMARY KEY,
    link bytea NOT NULL,
    sealed_at timestamptz NOT NULL DEFAULT now(),
    -- The key that it can be checked with, and the signature (Ed25519).
    public_key bytea NOT NULL,
    signature bytea NOT NULL
);

-- A part of what is digested: its length in bytes and itself, so that parts cannot run into each other; a dash for none.
CREATE FUNCTION audit_part(part text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(octet_length(part) || ':' || part, '-') || ','
$$;

CREATE FUNCTION audit_link(previous bytea, number bigint, entry audit) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(previous || convert_to(
        audit_part(number::text) || audit_part((extract(epoch FROM entry.at) * 1000000)::bigint::text)
        || audit_part(entry.outcome) || audit_part(entry.actor) || audit_part(entry.acting_as) || audit_part(entry.peer)
        || audit_part(entry.request_id) || audit_part(entry.verb) || audit_part(entry.org) || audit_part(entry.kind)
        || audit_part(entry.name) || audit_part(entry.uid::text) || audit_part(entry.generation::text)
        || audit_part(encode(entry.before, 'hex')) || audit_part(encode(entry.after, 'hex')), 'UTF8'))
$$;

CREATE FUNCTION spec_digest(spec jsonb) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT sha256(convert_to(spec::text, 'UTF8'))
$$;

CREATE FUNCTION audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    head audit_head;
    entry audit;
BEGIN
    -- The trigger runs once per entry; the first run links them all.
    PERFORM FROM audit WHERE id = NEW.id AND position IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM cluster_rev FOR UPDATE;
    SELECT * INTO STRICT head FROM audit_head FOR UPDATE;
    -- Entries of others are either linked or not visible, so these are our own.
    FOR entry IN SELECT * FROM audit WHERE position IS NULL AND id > head.begins_after ORDER BY id LOOP
        head.position := head.position + 1;
        head.link := audit_link(head.link, head.position, entry);
        UPDATE audit SET position = head.position, link = head.link WHERE id = entry.id;
    END LOOP;
    UPDATE audit_head SET position = head.position, link = head.link;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER audit_chain
    AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION audit_chain();

-- Entries are not changed, by nobody and for no reason. This keeps mistakes out; against intent there is the chain.
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.position IS NULL AND NEW.position IS NOT NULL
       AND to_jsonb(OLD) - '{position,link}'::text[] = to_jsonb(NEW) - '{position,link}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'entries of the audit are not changed' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();

-- Only the oldest may go, when nobody has to keep them any longer; the chain then begins after them.
CREATE FUNCTION audit_ends() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last audit;
BEGIN
    SELECT * INTO last FROM gone WHERE position IS NOT NULL ORDER BY position DESC LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    PERFORM FROM audit WHERE position <= last.position;
    IF FOUND THEN
        RAISE EXCEPTION 'only the oldest entries of the audit may be removed' USING ERRCODE = 'restrict_violation';
    END IF;
    UPDATE audit_head SET floor_position = last.position, floor_link = last.link;
    RETURN NULL;
END
$$;

CREATE TRIGGER audit_ends AFTER DELETE ON audit REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION audit_ends();

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is not emptied' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audit_is_kept BEFORE TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
