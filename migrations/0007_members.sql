-- Several controllers share the work: each shard of the organisations has a lease of its own, and a member takes its share of
-- them. For that the members must know how many they are (controller_member), and a lease must be renewed without waiting for the
-- writes that are made under it.

-- The controllers that are alive. Times are the database's alone. A row that has expired is a member that is gone; one that
-- leaves, and the sweep, remove it.
CREATE TABLE controller_member (
    id text PRIMARY KEY,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- A write of the controller holds its lease's row FOR KEY SHARE until it commits. With the epoch in a unique index a change of
-- hands is a change of a key and waits for such writes, or they for it; a renewal changes no key and waits for nobody.
CREATE UNIQUE INDEX lease_epoch ON lease (name, epoch);
