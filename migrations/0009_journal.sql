-- The journal tells the truth about its end, and which pass made what.
--
-- A plan had an end but no outcome: one that was cut off by a crash looked like one that was done once a later plan took its place.
-- And a line of the log, an entry of the journal and an event of the same pass could not be brought together.

ALTER TABLE plan
    -- The pass that made it, as logs and traces name it; none for plans from before this column.
    ADD COLUMN reconcile_id text,
    -- Done: every step had its effect. Stopped: a step did not, and those after it were not tried. Interrupted: the controller ended
    -- before the plan did.
    ADD COLUMN outcome text CHECK (outcome IN ('done', 'stopped', 'interrupted'));

UPDATE plan SET outcome = CASE
        WHEN EXISTS (SELECT FROM plan_step s WHERE s.plan = plan.id AND s.state IN ('planned', 'started')) THEN 'interrupted'
        WHEN EXISTS (SELECT FROM plan_step s WHERE s.plan = plan.id AND s.state <> 'done') THEN 'stopped'
        ELSE 'done'
    END
    WHERE finished_at IS NOT NULL;

ALTER TABLE plan ADD CONSTRAINT plan_outcome_with_end CHECK ((outcome IS NULL) = (finished_at IS NULL));

-- The pass that said it last.
ALTER TABLE event ADD COLUMN reconcile_id text;
