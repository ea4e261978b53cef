-- The master key changes while servers run.
--
-- One master key is in force: it wraps new data keys and signs the audit (instance.master_key_id). Which one that is, is decided here and
-- not by what a server was started with, so that all servers change over at one moment, however many there are. What was wrapped before
-- is wrapped anew afterwards, some organisations at a time; until then servers need the former key as well.

-- The master keys that are or were in force, without the keys. One that was replaced never returns: whoever found it out could otherwise
-- wait for that.
CREATE TABLE master_key (
    id text PRIMARY KEY,
    -- The public half of what it signs the audit with.
    audit_key bytea NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    -- The last entry of the audit before it came into force. Its predecessor signs nothing after that.
    after_position bigint NOT NULL DEFAULT 0,
    -- Its predecessor's word that it follows: a signature over its public half and the number of that entry. So whoever knows one key
    -- of the audit can tell the next from one that somebody put in its place.
    endorsed_by text REFERENCES master_key,
    endorsement bytea,
    CONSTRAINT master_key_endorsed CHECK ((endorsed_by IS NULL) = (endorsement IS NULL))
);

-- What still has to be wrapped anew is found without reading the rest.
CREATE INDEX organization_key_master ON organization_key (master_key_id, org_uid);

-- The master keys that each controller has. One that some of them lack does not come into force: what it wraps they could not open.
ALTER TABLE controller_member ADD COLUMN master_keys text[] NOT NULL DEFAULT '{}';

-- For whoever is about to wrap with it, which tenants' writes may be, who do not see the instance. It stays in force until he is done: what
-- he wraps is counted by whoever asks afterwards what is left.
CREATE FUNCTION master_key_in_force() RETURNS text LANGUAGE sql
    BEGIN ATOMIC
        SELECT master_key_id FROM instance FOR SHARE;
    END;
REVOKE EXECUTE ON FUNCTION master_key_in_force() FROM PUBLIC;
INSERT INTO tenant_right VALUES ('master_key_in_force()', 'EXECUTE', NULL);

-- It runs as the owner, and means what this migration finds, not what the caller's search path says.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
BEGIN
    EXECUTE format('ALTER FUNCTION master_key_in_force() SECURITY DEFINER SET search_path = %s, pg_temp', path);
END
$$;
