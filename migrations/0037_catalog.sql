-- Buildpacks, stacks and templates are part of the catalogue, as plans and tiers are: every organisation may read what there is to choose from. Writing
-- them stays the platform's; the policies of 0013 for that name no kind.

ALTER POLICY tenant_sees ON resource USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier', 'Buildpack', 'Stack', 'Template') AND (SELECT tenant_reach()) IS NOT NULL);
ALTER POLICY tenant_sees ON change_log USING (
    org = (SELECT tenant_reach())
    OR org = '' AND kind = 'Organization' AND name = (SELECT tenant_reach())
    OR org = '' AND kind IN ('Plan', 'IsolationTier', 'Buildpack', 'Stack', 'Template') AND (SELECT tenant_reach()) IS NOT NULL);
