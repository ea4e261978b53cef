-- What is told to somebody outside, until it is told.
--
-- A message is written in the transaction of the event that it tells of, so that neither is there without the other. It holds what is sent, and
-- refers to nothing but whom it is sent to: the environment may be gone by then. Of each Notification there is one row that is held while
-- messages are added, taken and noted: what is counted under it is right, and one message at a time is under way.

CREATE TABLE notification_target (
    uid uuid PRIMARY KEY REFERENCES resource ON DELETE CASCADE,
    org text NOT NULL CHECK (org <> ''),
    -- When the first of its messages is due; none when none waits.
    due_at timestamptz,
    -- Somebody is sending to it until then, or has ended without a word.
    claimed_until timestamptz,
    -- It did not take what was sent, and is left alone until then.
    paused_until timestamptz,
    -- How often in a row it did not, and why last.
    failures integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    last_error text CHECK (length(last_error) <= 500),
    -- Messages that were not kept because too many waited, and when the last of them was.
    dropped bigint NOT NULL DEFAULT 0 CHECK (dropped >= 0),
    dropped_at timestamptz
);
CREATE INDEX notification_target_due ON notification_target (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX notification_target_claimed ON notification_target (org) WHERE claimed_until IS NOT NULL;

CREATE TABLE notification_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    notification uuid NOT NULL REFERENCES notification_target ON DELETE CASCADE,
    -- The same each time it is sent: by it a receiver knows what it has.
    message_id uuid NOT NULL DEFAULT gen_random_uuid(),
    type text NOT NULL CHECK (length(type) BETWEEN 1 AND 50),
    -- JSON, as text: what is signed is sent as it stands.
    body text NOT NULL CHECK (length(body) <= 16384),
    -- Equal for messages that say the same of the same.
    sameness text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at timestamptz NOT NULL DEFAULT now(),
    last_error text CHECK (length(last_error) <= 500),
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT notification_delivery_ends CHECK ((state = 'waiting') = (ended_at IS NULL))
);
CREATE INDEX notification_delivery_of ON notification_delivery (notification, id);
CREATE INDEX notification_delivery_waiting ON notification_delivery (notification, next_at, id) WHERE state = 'waiting';
CREATE INDEX notification_delivery_dead ON notification_delivery (notification) WHERE state = 'dead';
CREATE INDEX notification_delivery_same ON notification_delivery (notification, sameness, created_at);
CREATE INDEX notification_delivery_ended ON notification_delivery (ended_at) WHERE ended_at IS NOT NULL;

-- Whoever writes the resource, by whatever way, has a row to hold.
CREATE FUNCTION notification_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO notification_target (uid, org) VALUES (NEW.uid, NEW.org);
    RETURN NULL;
END
$$;
CREATE TRIGGER notification_made AFTER INSERT ON resource
    FOR EACH ROW WHEN (NEW.kind = 'Notification') EXECUTE FUNCTION notification_made();

-- Its status speaks of what was given up; whoever assesses it is woken.
CREATE FUNCTION notification_log(changed uuid[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO change_log (uid, org, kind, name, op, refs)
        SELECT uid, org, kind, name, 'meta', refs FROM resource WHERE uid = ANY(changed);
$$;

CREATE FUNCTION notification_target_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM notification_log(ARRAY[NEW.uid]);
    RETURN NULL;
END
$$;
-- Three in a row are more than a hiccup: see `FAILURES_TOLD`.
CREATE TRIGGER notification_target_log AFTER UPDATE OF failures, dropped ON notification_target
    FOR EACH ROW WHEN ((OLD.failures >= 3) <> (NEW.failures >= 3) OR OLD.dropped <> NEW.dropped) EXECUTE FUNCTION notification_target_log();

-- When a target's first message is due follows from its messages, whoever writes them. The target is held first, and looked at afterwards: what was
-- written meanwhile counts.
CREATE FUNCTION notification_due() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched uuid[];
    died uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        touched := ARRAY(SELECT DISTINCT notification FROM is_now);
    ELSIF TG_OP = 'UPDATE' THEN
        touched := ARRAY(SELECT DISTINCT notification FROM is_now);
        died := ARRAY(SELECT DISTINCT n.notification FROM is_now n JOIN was w USING (id) WHERE (n.state = 'dead') <> (w.state = 'dead'));
    ELSE
        touched := ARRAY(SELECT DISTINCT notification FROM was WHERE state = 'waiting');
        died := ARRAY(SELECT DISTINCT notification FROM was WHERE state = 'dead');
    END IF;
    PERFORM FROM notification_target WHERE uid = ANY(touched) ORDER BY uid FOR NO KEY UPDATE;
    UPDATE notification_target t SET due_at = f.due_at
        FROM (SELECT uid, (SELECT min(next_at) FROM notification_delivery d WHERE d.notification = uid AND d.state = 'waiting') AS due_at
              FROM unnest(touched) AS uid) f
        WHERE t.uid = f.uid AND t.due_at IS DISTINCT FROM f.due_at;
    IF cardinality(died) > 0 THEN
        PERFORM notification_log(died);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER notification_due_made AFTER INSERT ON notification_delivery
    REFERENCING NEW TABLE AS is_now FOR EACH STATEMENT EXECUTE FUNCTION notification_due();
CREATE TRIGGER notification_due_changed AFTER UPDATE ON notification_delivery
    REFERENCING OLD TABLE AS was NEW TABLE AS is_now FOR EACH STATEMENT EXECUTE FUNCTION notification_due();
CREATE TRIGGER notification_due_gone AFTER DELETE ON notification_delivery
    REFERENCING OLD TABLE AS was FOR EACH STATEMENT EXECUTE FUNCTION notification_due();

-- A tenant sees what it is told, has it sent again, and asks for a test; what becomes of it is for the controller to say.
ALTER TABLE notification_target ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON notification_target FOR SELECT USING (org = (SELECT tenant_reach()));
CREATE POLICY tenant_mends ON notification_target FOR UPDATE USING (org = (SELECT tenant_reach()));
ALTER TABLE notification_delivery ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_sees ON notification_delivery FOR SELECT USING (EXISTS (SELECT FROM notification_target t WHERE t.uid = notification));
CREATE POLICY tenant_asks ON notification_delivery FOR INSERT WITH CHECK (EXISTS (SELECT FROM notification_target t WHERE t.uid = notification));
CREATE POLICY tenant_mends ON notification_delivery FOR UPDATE USING (EXISTS (SELECT FROM notification_target t WHERE t.uid = notification));
INSERT INTO tenant_right VALUES
    ('notification_target', 'SELECT', NULL),
    ('notification_target', 'UPDATE', '{dropped,dropped_at,paused_until}'),
    ('notification_delivery', 'SELECT', NULL),
    ('notification_delivery', 'INSERT', '{notification,type,body,sameness}'),
    ('notification_delivery', 'UPDATE', '{state,attempts,next_at,ended_at}');

-- They write on behalf of tenants, who may not, and find what they name where this migration finds it.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(schema), ', ' ORDER BY place)
                  FROM unnest(current_schemas(true)) WITH ORDINALITY AS path (schema, place)
                  WHERE schema NOT LIKE 'pg\_temp%' AND schema NOT LIKE 'pg\_toast\_temp%');
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['notification_made()', 'notification_target_log()', 'notification_due()'] LOOP
        EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s, pg_temp', name, path);
    END LOOP;
END
$$;
