-- What is known of the signatures of images.
--
-- A policy may ask that images are signed with a key. Whether a digest is, a registry has to be asked, and what it said is kept here: a signature
-- that was found holds for ever, because neither the digest nor the signature can change, and a registry that is away must not put an end to
-- what it allowed. That none was found is kept with what was found instead, since when, and when it was looked at last: from these follow the
-- pauses after which it is looked at again. That a registry did not answer is no fact and is not kept.
--
-- A fact is an organisation's own. It was found with the credentials of that organisation, and says nothing to another.
CREATE TABLE image_signature (
    org text NOT NULL CHECK (org <> ''),
    -- In full, as ghcr.io/acme/shop.
    repository text NOT NULL CHECK (length(repository) BETWEEN 1 AND 300),
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    -- In PEM.
    public_key text NOT NULL CHECK (length(public_key) <= 2000),
    -- Null if it is signed; otherwise what was found instead.
    found jsonb,
    since timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (org, repository, digest, public_key)
);
CREATE INDEX image_signature_checked ON image_signature (checked_at);

ALTER TABLE image_signature ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON image_signature FOR SELECT USING (org = (SELECT tenant_reach()));
INSERT INTO tenant_right VALUES ('image_signature', 'SELECT', NULL);
