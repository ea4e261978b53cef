-- A Platform says which features there are. Every organisation may read it, as it may read the catalogue: what it may not begin, and who says so, is told to it.
-- Writing it stays the platform's; the policies of 0013 for that name no kind.

ALTER POLICY tenant_sees ON resource USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier', 'Buildpack', 'Stack', 'Template', 'Platform') AND (SELECT tenant_reach()) IS NOT NULL);
ALTER POLICY tenant_sees ON change_log USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier', 'Buildpack', 'Stack', 'Template', 'Platform') AND (SELECT tenant_reach()) IS NOT NULL);
