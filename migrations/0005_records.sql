-- What people ask afterwards, and who may ask.
--
-- Events tell the story of one resource; equal ones are counted instead of repeated, and the oldest make room, so that a
-- resource that fails every minute for a year costs as much as one that failed once. Audit tells who asked for what; it is
-- written in the transaction it tells of. Tokens are kept as hashes of long random texts, so nothing here lets anyone in.

CREATE TABLE event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uid uuid NOT NULL REFERENCES resource ON DELETE CASCADE,
    severity text NOT NULL CHECK (severity IN ('normal', 'warning')),
    reason text NOT NULL,
    message text NOT NULL,
    count bigint NOT NULL DEFAULT 1,
    first_at timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX event_same ON event (uid, severity, reason, md5(message));

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    verb text NOT NULL CHECK (verb IN ('create', 'configure', 'delete')),
    uid uuid NOT NULL,
    org text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    generation bigint NOT NULL
);

CREATE INDEX audit_of_resource ON audit (org, kind, name, id);
CREATE INDEX audit_time ON audit (at);

CREATE TABLE api_token (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    hash bytea NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);

-- A name can be given again when the token that had it was revoked.
CREATE UNIQUE INDEX api_token_name ON api_token (name) WHERE revoked_at IS NULL;
