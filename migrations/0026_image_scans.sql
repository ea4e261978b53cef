-- What scanners say of images.
--
-- A policy may name a scanner that has to say yes to an image before it is released. What it said is kept here with its words, since when it says so, and
-- when it was asked last: its yes counts for as long as the policy says, and a no is asked about again after pauses that follow from the two. A no
-- stands until there is a yes. That a scanner did not answer is no fact and is not kept.
--
-- A fact is an organisation's own: the scanner was told who asks, and may say something else to another.
CREATE TABLE image_scan (
    org text NOT NULL CHECK (org <> ''),
    url text NOT NULL CHECK (length(url) BETWEEN 1 AND 500),
    -- In full, as ghcr.io/acme/shop.
    repository text NOT NULL CHECK (length(repository) BETWEEN 1 AND 300),
    digest text NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
    verdict text NOT NULL CHECK (verdict IN ('pass', 'fail', 'pending')),
    -- The scanner's words.
    reason text CHECK (length(reason) BETWEEN 1 AND 500),
    since timestamptz NOT NULL,
    checked_at timestamptz NOT NULL,
    PRIMARY KEY (org, url, repository, digest)
);
CREATE INDEX image_scan_checked ON image_scan (checked_at);

ALTER TABLE image_scan ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON image_scan FOR SELECT USING (org = (SELECT tenant_reach()));
INSERT INTO tenant_right VALUES ('image_scan', 'SELECT', NULL);
