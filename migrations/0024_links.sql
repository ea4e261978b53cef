-- Links between organisations. A link exists only while the NetworkPolicies of both sides name each other, so whoever plans one side has to
-- know of the other, which row-level security keeps from him. What he is told is one fact for each link that both sides want, and what a
-- forwarder needs for it; of whom his policies do not name, and of who does not name him, he is told nothing, and neither whether there
-- is such an organisation. Both functions see all rows, as the owner, and answer a tenant for his own organisation alone.

-- Does the platform let this organisation have links? Its plan has to say so, and of a dedicated tier the tier, too. What is named and not
-- there is no permission. (`Terms::takes_links` says the same of an organisation that is planned for.)
CREATE FUNCTION takes_links(organization text) RETURNS boolean LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT EXISTS (
            SELECT FROM resource o
            JOIN resource p ON p.org = '' AND p.kind = 'Plan' AND p.name = o.spec->>'plan'
            LEFT JOIN resource t ON t.org = '' AND t.kind = 'IsolationTier' AND t.name = p.spec->>'isolationTier'
            WHERE o.org = '' AND o.kind = 'Organization' AND o.name = organization AND o.deletion_requested_at IS NULL
              AND coalesce((p.spec->'quota'->>'links')::bigint, 0) > 0
              AND (p.spec->>'isolationTier' IS NULL
                   OR t.uid IS NOT NULL
                      AND (t.spec->>'level' <> 'dedicated' OR coalesce((t.spec->>'links')::boolean, false))));
    END;

-- The links of an organisation on which both sides agree, those that it uses and those that it offers. Each side has to have something for
-- the link: the environment that it leads to, and an environment that could use it.
CREATE FUNCTION links_of(organization text)
    RETURNS TABLE (policy uuid, alias text, used_by text, provider text, environment text, process text, port integer,
                   provider_uid uuid, network text, subnet text, tier text) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF tenant_reach() IS DISTINCT FROM organization AND tenant_reach() IS NOT NULL THEN
        RETURN;
    END IF;
    RETURN QUERY WITH concerned AS (
        SELECT r.uid, r.org, r.spec FROM resource r
        WHERE r.kind = 'NetworkPolicy' AND r.deletion_requested_at IS NULL
          AND (r.org = organization OR r.refs @> ARRAY['Organization/' || organization])
    ), asked AS (
        SELECT c.uid AS policy, e->>'as' AS alias, c.org AS used_by, e->'to'->>'organization' AS provider,
               e->'to'->>'environment' AS environment, e->'to'->>'process' AS process, (e->'to'->>'port')::integer AS port
        FROM concerned c, jsonb_array_elements(c.spec->'egress') e
    ), offered AS (
        SELECT DISTINCT f->>'organization' AS used_by, c.org AS provider,
               i->>'environment' AS environment, i->>'process' AS process, (i->>'port')::integer AS port
        FROM concerned c, jsonb_array_elements(c.spec->'ingress') i, jsonb_array_elements(i->'from') f
    )
    SELECT a.policy, a.alias, a.used_by, a.provider, a.environment, a.process, a.port,
           o.uid, s.status->'network'->>'id', n.subnet::text, p.spec->>'isolationTier'
    FROM asked a
    JOIN offered USING (used_by, provider, environment, process, port)
    JOIN resource o ON o.org = '' AND o.kind = 'Organization' AND o.name = a.provider
    JOIN resource p ON p.org = '' AND p.kind = 'Plan' AND p.name = o.spec->>'plan'
    LEFT JOIN subnet_allocation n ON n.org_uid = o.uid
    LEFT JOIN resource_status s ON s.uid = o.uid
    WHERE a.used_by <> a.provider
      AND organization IN (a.used_by, a.provider)
      AND EXISTS (SELECT FROM resource e WHERE e.org = a.provider AND e.kind = 'Environment' AND e.name = a.environment
                  AND e.deletion_requested_at IS NULL)
      AND EXISTS (SELECT FROM resource e WHERE e.org = a.used_by AND e.kind = 'Environment' AND e.deletion_requested_at IS NULL)
      AND takes_links(a.used_by) AND takes_links(a.provider);
END
$$;
REVOKE EXECUTE ON FUNCTION takes_links(text) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION links_of(text) FROM PUBLIC;
INSERT INTO tenant_right VALUES ('links_of(text)', 'EXECUTE', NULL);

-- As in 0013: as the owner, and with the names where this migration finds them.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
BEGIN
    EXECUTE format('ALTER FUNCTION links_of(text) SECURITY DEFINER SET search_path = %s, pg_temp', path);
END
$$;
