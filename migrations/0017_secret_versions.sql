-- Where a value of a secret came from.
--
-- A value comes with a manifest, is made at random, is brought by somebody who rotates the secret, or is a former one again. Who did it
-- and when is kept beside the value for as long as the value itself, so that its history can be told without the audit, which fewer people
-- may read and which is kept for another time.

ALTER TABLE secret_version
    ADD COLUMN origin text NOT NULL DEFAULT 'written' CHECK (origin IN ('written', 'generated', 'restored')),
    -- Of which version it is the value again.
    ADD COLUMN restored_from integer,
    -- Who made it; null for those from before this was noted.
    ADD COLUMN made_by text,
    ADD CONSTRAINT secret_version_restored CHECK ((origin = 'restored') = (restored_from IS NOT NULL)) NOT VALID;

UPDATE tenant_right SET columns = '{uid,version,digest,created_at,origin,restored_from,made_by}'
    WHERE object = 'secret_version' AND privilege = 'SELECT';
UPDATE tenant_right SET columns = '{uid,version,nonce,ciphertext,digest,origin,restored_from,made_by}'
    WHERE object = 'secret_version' AND privilege = 'INSERT';
