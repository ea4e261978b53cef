-- Isolation tiers are part of the catalogue, as plans are: every organisation may read what it is kept apart by and which capabilities it may
-- ask for. Writing them stays the platform's; the policies of 0013 for that name no kind.

ALTER POLICY tenant_sees ON resource USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier') AND (SELECT tenant_reach()) IS NOT NULL);
ALTER POLICY tenant_sees ON change_log USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier') AND (SELECT tenant_reach()) IS NOT NULL);
