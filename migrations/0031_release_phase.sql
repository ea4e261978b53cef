-- The release phase: a run that comes before a release is rolled out. A plan makes it together with its release, or after a crash between the two alone.

ALTER TABLE run DROP CONSTRAINT run_purpose_check;
ALTER TABLE run ADD CONSTRAINT run_purpose_check CHECK (purpose IN ('one-off', 'release'));

-- Once for each release, whoever plans it.
CREATE UNIQUE INDEX run_phase ON run (env_uid, release) WHERE purpose = 'release';

-- Who makes one looks after it at once, and needs not be woken.
DROP TRIGGER run_log_asked ON run;
CREATE TRIGGER run_log_asked AFTER INSERT ON run
    FOR EACH ROW WHEN (NEW.purpose = 'one-off') EXECUTE FUNCTION run_log();

-- A tenant asks for runs, and not for what comes before a release.
DROP POLICY tenant_asks ON run;
CREATE POLICY tenant_asks ON run FOR INSERT
    WITH CHECK (purpose = 'one-off' AND EXISTS (SELECT FROM resource r WHERE r.uid = run.env_uid));
