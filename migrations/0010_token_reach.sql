-- Tokens get a reach and a role. Until now every token was an administrator's of the whole platform, which no tenant can be given; those
-- that exist stay what they are.
--
-- A token of an organisation names it by its uid and goes with it: an organisation that is made later under the same name is somebody
-- else's, and the old token must not open it.
ALTER TABLE api_token
    ADD COLUMN org_uid uuid REFERENCES resource (uid) ON DELETE CASCADE,
    ADD COLUMN role text NOT NULL DEFAULT 'owner' CHECK (role IN ('viewer', 'deployer', 'admin', 'owner')),
    ADD COLUMN made_by text,
    ADD COLUMN expires_at timestamptz,
    -- To the minute: it tells which tokens nobody uses any more, and must not cost a write for each request.
    ADD COLUMN last_used_at timestamptz;

ALTER TABLE api_token ALTER COLUMN role DROP DEFAULT;

-- Names are each organisation's own, so that nobody learns from a refusal which names others gave.
DROP INDEX api_token_name;
CREATE UNIQUE INDEX api_token_name ON api_token (coalesce(org_uid, '00000000-0000-0000-0000-000000000000'), name)
    WHERE revoked_at IS NULL;
