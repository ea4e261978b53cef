-- Who owns a resource, and where it is written.
--
-- `resource.managed_by` is the owner. It was a note, and is a right from now on: whoever does not own a resource neither writes nor deletes it
-- (`controller/store/src/ownership`). Where a Git source's resource is written is beside the row and not in it: a line that was added above it is no
-- change of the resource, and must wake nobody.

-- A source of an organisation owns what is in that organisation. Checked from here on, without a look at every row under a lock: a source has
-- never owned anything yet.
ALTER TABLE resource ADD CONSTRAINT resource_owner CHECK (
    managed_by = '{"by": "api"}'
    OR managed_by->>'by' = 'git' AND managed_by->'source'->>'name' IS NOT NULL
        AND coalesce(managed_by->'source'->>'org' = org, true)) NOT VALID;

-- Written by a source's sync, in its transaction; gone with the resource, and when another one becomes the owner. A resource that was given to a
-- source and that the source has not written yet has none.
CREATE TABLE provenance (
    uid uuid CONSTRAINT provenance_key PRIMARY KEY CONSTRAINT provenance_resource REFERENCES resource (uid) ON DELETE CASCADE,
    -- The commit in which document or place changed last.
    commit text NOT NULL CONSTRAINT provenance_commit CHECK (commit ~ '^([0-9a-f]{40}|[0-9a-f]{64})$'),
    path text NOT NULL CONSTRAINT provenance_path CHECK (octet_length(path) BETWEEN 1 AND 1024),
    line bigint NOT NULL CONSTRAINT provenance_line CHECK (line BETWEEN 1 AND 4294967295)
);

ALTER TABLE provenance ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_writes ON provenance FOR ALL USING (
    EXISTS (SELECT FROM resource r WHERE r.uid = provenance.uid AND r.org = (SELECT tenant_reach())));

-- That a resource has another owner is an event, in the transaction of whoever said so. Equal ones are counted, and the oldest make room.
CREATE POLICY tenant_tells ON event FOR INSERT WITH CHECK (
    EXISTS (SELECT FROM resource r WHERE r.uid = event.uid AND r.org = (SELECT tenant_reach())));
CREATE POLICY tenant_counts ON event FOR UPDATE USING (
    EXISTS (SELECT FROM resource r WHERE r.uid = event.uid AND r.org = (SELECT tenant_reach())));
CREATE POLICY tenant_forgets ON event FOR DELETE USING (
    EXISTS (SELECT FROM resource r WHERE r.uid = event.uid AND r.org = (SELECT tenant_reach())));
INSERT INTO tenant_right VALUES
    ('provenance', 'SELECT', NULL),
    ('provenance', 'INSERT', '{uid,commit,path,line}'),
    ('provenance', 'UPDATE', '{commit,path,line}'),
    ('provenance', 'DELETE', NULL),
    ('event', 'INSERT', '{uid,severity,reason,message,reconcile_id}'),
    ('event', 'UPDATE', '{count,last_at,reconcile_id}'),
    ('event', 'DELETE', NULL);
