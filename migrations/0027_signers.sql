-- Signatures of identities.
--
-- A policy may ask for the signature of an identity: somebody whom an issuer vouches for, as a certificate of sigstore says. What is known of it
-- is kept as for keys (0023). The column `public_key` has the signer from now on: a key in PEM as before, or an identity as JSON. It keeps its
-- name, and the primary key stays on it, for as long as the release before this one may run beside it, which finds its rows by both; that
-- release does not read what is no key in PEM, and looks for the keys that it knows. One release later the column is called `signer`.
--
-- Whether a certificate is genuine follows from a trusted root, the file that `skep serve --sigstore-trusted-root` is given. What is known of an
-- identity is known under the root that it was found with, by its SHA-256: a root that no longer trusts an authority must not go on believing
-- it. Null for keys, which need none.
ALTER TABLE image_signature ADD COLUMN trusted_root text CHECK (trusted_root ~ '^[0-9a-f]{64}$');
-- Of an identity nothing is known without a root. Rows from before are of keys.
ALTER TABLE image_signature ADD CONSTRAINT identity_has_root CHECK (trusted_root IS NOT NULL OR public_key NOT LIKE '{%') NOT VALID;
COMMENT ON COLUMN image_signature.public_key IS 'The signer: a key in PEM, or an identity as JSON.';
