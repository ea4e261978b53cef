-- Images that releases left behind. Nobody else remembers that an image was one of ours once the last release that names it is gone, and without that memory a
-- clean-up would have to guess which images of an engine are somebody else's. Whatever removes releases, a sweep or the end of their environment, leaves theirs here;
-- whoever removes an image asks the releases once more (`Store::left_images`).
CREATE TABLE left_image (
    -- What the registry knows it by.
    digest text NOT NULL,
    -- As it was written, with its tag: the repository that the engine has it under is in it.
    reference text NOT NULL,
    -- When a release that named it went last.
    left_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT left_image_key PRIMARY KEY (digest, reference)
);

-- "Does any release name it?" is asked for each of them.
CREATE INDEX release_image ON release ((content->'image'->'resolved'->>'digest'));

-- An image that no registry knows is somebody's own, put on the engine by hand: there would be no way to get it back.
CREATE FUNCTION release_leaves_image() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO left_image (digest, reference)
        SELECT DISTINCT content->'image'->'resolved'->>'digest' AS digest, content->'image'->>'reference' AS reference FROM gone
        WHERE content->'image'->'resolved'->>'from' = 'registry'
        ORDER BY digest, reference
        ON CONFLICT (digest, reference) DO UPDATE SET left_at = now();
    RETURN NULL;
END
$$;
CREATE TRIGGER release_leaves_image AFTER DELETE ON release
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION release_leaves_image();

-- It finds what it names where this migration finds it.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
BEGIN
    EXECUTE format('ALTER FUNCTION release_leaves_image() SECURITY DEFINER SET search_path = %s, pg_temp', path);
END
$$;
