-- Secret values, sealed.
--
-- A value is encrypted with its organisation's data key, and the data key with the master key, which is never in the
-- database: a dump without the master key is worth nothing, and the master key changes without touching a value. Each
-- ciphertext is bound to its organisation, secret and version by associated data, so a row that is moved elsewhere does
-- not open. The digest is keyed as well: whoever reads the table cannot test guesses against it.
--
-- Removing an organisation removes its data key, and with it every copy of its values in backups that lack the key.

CREATE TABLE organization_key (
    org_uid uuid PRIMARY KEY REFERENCES resource ON DELETE CASCADE,
    nonce bytea NOT NULL,
    wrapped_key bytea NOT NULL,
    -- Which master key wrapped it.
    master_key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE secret_version (
    uid uuid NOT NULL REFERENCES resource ON DELETE CASCADE,
    version integer NOT NULL CHECK (version > 0),
    nonce bytea NOT NULL,
    ciphertext bytea NOT NULL,
    -- HMAC of the value under a key derived from the data key: equal values are found without opening them.
    digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uid, version)
);
