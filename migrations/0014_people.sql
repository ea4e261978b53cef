-- People, what they may do where, and how they come in.
--
-- A person is an email address that somebody vouched for: an identity provider at a login, or whoever runs the platform. What a person
-- may do is a membership for each organisation, and one of the platform; a person without any may do nothing. Changes act at once:
-- memberships are read with each request.
--
-- Sessions and invitations are hashes of long random texts, as tokens are: nothing here lets anyone in. Both are rows only for as long
-- as they are worth something; that they were there is told by the audit.

CREATE TABLE person (
    uid uuid PRIMARY KEY,
    email text NOT NULL CONSTRAINT person_email_normal CHECK (email = lower(email) AND octet_length(email) <= 254),
    display_name text CHECK (length(display_name) BETWEEN 1 AND 100),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT person_email UNIQUE (email)
);

CREATE TABLE membership (
    person uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    -- By uid, so that it goes with its organisation; null for the platform.
    org_uid uuid REFERENCES resource (uid) ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('viewer', 'deployer', 'admin', 'owner')),
    given_by text NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT membership_once UNIQUE NULLS NOT DISTINCT (person, org_uid)
);

CREATE INDEX membership_of_org ON membership (org_uid);

-- Who is owner may give that role to others. Where nobody is any more, nobody could; so the last one stays, whatever way he was to go.
-- Whoever changes memberships locks the organisation first; a row written by hand is held to that here.
CREATE FUNCTION membership_keeps_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.org_uid IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('skep members of the platform', 0));
    ELSE
        PERFORM FROM resource WHERE uid = OLD.org_uid FOR NO KEY UPDATE;
        -- It goes itself.
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM membership WHERE org_uid IS NOT DISTINCT FROM OLD.org_uid AND role = 'owner') THEN
        RAISE EXCEPTION 'the last owner stays'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'membership_keeps_owner',
                  HINT = 'make somebody else an owner first';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER membership_keeps_owner AFTER UPDATE OR DELETE ON membership
    FOR EACH ROW WHEN (OLD.role = 'owner') EXECUTE FUNCTION membership_keeps_owner();

CREATE TABLE person_session (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    person uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE,
    -- By what it came about: whoever lists his sessions should know each again.
    origin text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    -- To the minute, as with tokens.
    last_used_at timestamptz
);

CREATE INDEX person_session_of ON person_session (person);

CREATE TABLE invitation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_uid uuid REFERENCES resource (uid) ON DELETE CASCADE,
    -- Whoever accepts it has to have this address; what is sent to another is worth nothing there.
    email text NOT NULL CHECK (email = lower(email) AND octet_length(email) <= 254),
    role text NOT NULL CHECK (role IN ('viewer', 'deployer', 'admin', 'owner')),
    hash bytea NOT NULL UNIQUE,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT invitation_once UNIQUE NULLS NOT DISTINCT (org_uid, email)
);

-- An organisation sees its members, and of people those. It makes nobody a member by itself: that takes the person's own word, for which
-- the program uses its own connections.
ALTER TABLE membership ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_manages ON membership FOR ALL USING (EXISTS (
    SELECT FROM resource r WHERE r.uid = membership.org_uid
        AND r.org = '' AND r.kind = 'Organization' AND r.name = (SELECT tenant_reach())));
ALTER TABLE person ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON person FOR SELECT USING (EXISTS (SELECT FROM membership m WHERE m.person = person.uid));
ALTER TABLE invitation ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_manages ON invitation FOR ALL USING (EXISTS (
    SELECT FROM resource r WHERE r.uid = invitation.org_uid
        AND r.org = '' AND r.kind = 'Organization' AND r.name = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES
    ('membership', 'SELECT', NULL),
    ('membership', 'UPDATE', '{role,given_by,since}'),
    ('membership', 'DELETE', NULL),
    ('person', 'SELECT', '{uid,email,display_name}'),
    ('invitation', 'SELECT', '{id,org_uid,email,role,made_by,created_at,expires_at}'),
    ('invitation', 'INSERT', '{org_uid,email,role,hash,made_by,expires_at}'),
    ('invitation', 'DELETE', NULL);
