-- The last lines of what a release failed by.
--
-- They are apart from the release: everybody who may read an environment reads its releases, and what a program prints may hold secrets. They go with the release.

CREATE TABLE release_output (
    env_uid uuid NOT NULL,
    version integer NOT NULL,
    -- Whose instance it was.
    process text NOT NULL,
    output text NOT NULL CHECK (octet_length(output) <= 65536),
    -- What is missing.
    output_gap text,
    CONSTRAINT release_output_version PRIMARY KEY (env_uid, version),
    CONSTRAINT release_output_of_release FOREIGN KEY (env_uid, version) REFERENCES release (env_uid, version) ON DELETE CASCADE
);

ALTER TABLE release_output ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON release_output FOR SELECT USING (EXISTS (SELECT FROM resource r WHERE r.uid = release_output.env_uid));
INSERT INTO tenant_right VALUES ('release_output', 'SELECT', NULL);
