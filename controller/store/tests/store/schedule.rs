//! Schedules: each slot is decided once, whoever decides it, and nothing of them is lost without a word.

use jiff::Timestamp;
use serde_json::json;
use skep_planner::{
    Missed, NewRun, Plan, ReleaseVersion, RunEnd, RunNumber, RunOutput, RunPurpose, ScheduleChange,
    ScheduleDecision,
};
use skep_schemas::{Duration, Kind, Resource, Scope};
use skep_store::{Fence, RecordedSchedule, Retention};
use tokio::task::JoinSet;

use crate::convergence::plan_of;
use crate::run::{ended, released};
use crate::support::{Bed, actor, app, key, manifest, org_name};

const EVERY_MINUTE: &str = "* * * * * UTC";

fn at(minute: u32) -> Timestamp {
    format!("2026-11-22T03:{minute:02}:00Z").parse().unwrap()
}

fn deciding(env: &Resource, decision: ScheduleDecision) -> Plan {
    let change = ScheduleChange { process: "report".parse().unwrap(), decision };
    Plan { schedules: vec![change], ..plan_of(env, Vec::new()) }
}

fn begins(env: &Resource, recurrence: &str, minute: u32) -> Plan {
    let (recurrence, at) = (recurrence.to_owned(), at(minute));
    deciding(env, ScheduleDecision::Begins { recurrence, at })
}

/// The slot of a minute, decided where the one of another was the last.
fn passes(env: &Resource, known: u32, slot: u32, missed: Option<Missed>) -> Plan {
    let run = NewRun {
        release: ReleaseVersion::new(1),
        resources: serde_json::from_value(json!({"cpu": "1", "memory": "64Mi"})).unwrap(),
        time_limit: Duration::from_secs(60),
    };
    let known = (EVERY_MINUTE.to_owned(), at(known));
    deciding(env, ScheduleDecision::Passes { known, slot: at(slot), run: Some(run), missed })
}

async fn schedule(bed: &Bed, env: &Resource) -> Option<RecordedSchedule> {
    let mut found = bed.store.snapshot().await.unwrap().schedules(env.meta.uid).await.unwrap();
    found.remove("report")
}

/// An environment whose schedule is followed from the hour on.
async fn followed(bed: &Bed, fence: &Fence) -> Resource {
    let env = released(bed, fence).await;
    bed.store.begin_plan(fence, &begins(&env, EVERY_MINUTE, 0)).await.unwrap();
    env
}

#[tokio::test]
async fn a_slot_is_run_once_whoever_decides_it_and_however_often() {
    let bed = Bed::new("slot").await;
    let fence = bed.fence().await;
    let env = followed(&bed, &fence).await;
    let head = bed.head();
    let mut deciding = JoinSet::new();
    for _ in 0..8 {
        let (store, fence, plan) = (bed.store.clone(), fence.clone(), passes(&env, 0, 1, None));
        deciding.spawn(async move { store.begin_plan(&fence, &plan).await.map(drop) });
    }
    assert!(deciding.join_all().await.iter().all(Result::is_ok));
    bed.store.begin_plan(&fence, &passes(&env, 0, 2, None)).await.unwrap();
    assert_eq!(bed.head(), head, "who writes it looks after it at once");
    let open = bed.store.snapshot().await.unwrap().open_runs(env.meta.uid).await.unwrap();
    let told: Vec<_> = open.iter().map(|run| (run.purpose, run.process.as_str(), run.slot)).collect();
    assert_eq!(told, [(RunPurpose::Schedule, "report", Some(at(1)))], "nor is what rests on an old mark");
    let marks = bed.store.snapshot().await.unwrap().schedule_marks(env.meta.uid).await.unwrap();
    assert_eq!((marks.len(), marks[0].until), (1, at(1)));
    // Nor by hand.
    let again =
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, slot)
                 SELECT env_uid, 9, purpose, release, process, resources, time_limit_seconds, slot FROM run";
    let error = bed.server.psql(&bed.url, again).unwrap_err();
    assert!(format!("{error:#}").contains("run_slot"), "{error:#}");
}

#[tokio::test]
async fn what_is_missed_is_counted_and_another_recurrence_begins_anew() {
    let bed = Bed::new("slotmissed").await;
    let fence = bed.fence().await;
    let env = followed(&bed, &fence).await;
    let missed = |count, minute| Some(Missed { count, newest: at(minute), why: "away".to_owned() });
    bed.store.begin_plan(&fence, &passes(&env, 0, 5, missed(4, 4))).await.unwrap();
    bed.store.begin_plan(&fence, &passes(&env, 5, 7, missed(1, 6))).await.unwrap();
    bed.store.begin_plan(&fence, &begins(&env, EVERY_MINUTE, 8)).await.unwrap();
    let found = schedule(&bed, &env).await.unwrap();
    assert_eq!((found.mark.until, found.missed, found.since), (at(7), 5, at(0)), "it is followed already");
    assert_eq!(found.last_missed, Some((at(6), "away".to_owned())));
    assert_eq!(found.last_run.unwrap().run.slot, Some(at(7)));
    bed.store.begin_plan(&fence, &begins(&env, "0 3 * * * UTC", 9)).await.unwrap();
    let found = schedule(&bed, &env).await.unwrap();
    assert_eq!((found.mark.until, found.missed, found.last_missed), (at(9), 0, None));
    // Decided for the one before.
    bed.store.begin_plan(&fence, &passes(&env, 9, 10, None)).await.unwrap();
    assert_eq!(schedule(&bed, &env).await.unwrap().mark.until, at(9));
    bed.store.begin_plan(&fence, &deciding(&env, ScheduleDecision::Ends)).await.unwrap();
    assert_eq!(schedule(&bed, &env).await, None);
}

#[tokio::test]
async fn a_slot_without_room_in_the_quota_is_told_as_missed() {
    let bed = Bed::new("slotroom").await;
    let fence = bed.fence().await;
    let env = followed(&bed, &fence).await;
    let quota = json!({"instance": {"cpu": "1", "memory": "1Gi"}, "quota": {"instances": 3}});
    bed.applied(manifest(key("", Kind::Plan, "small"), quota)).await;
    bed.applied(manifest(key("", Kind::Organization, "acme"), json!({"plan": "small"}))).await;
    bed.applied(app("acme", "shop", "shop:1")).await;
    let shop = json!({"app": "shop", "processes": {"web": {"instances": 2}}});
    let env = Resource {
        meta: bed.applied(manifest(key("acme", Kind::Environment, "production"), shop)).await.meta,
        ..env
    };
    bed.store.begin_plan(&fence, &passes(&env, 0, 1, None)).await.unwrap();
    bed.store.begin_plan(&fence, &passes(&env, 1, 2, None)).await.unwrap();
    let found = schedule(&bed, &env).await.unwrap();
    assert_eq!((found.mark.until, found.missed), (at(2), 1));
    let (slot, why) = found.last_missed.unwrap();
    assert_eq!((slot, why.as_str()), (at(2), "organisation acme would have 4 instances where 3 may be"));
    // A tenant sees its own, and nobody else's.
    let seen = async |org: &str| {
        let store = bed.store.within(Some(&Scope::Org(org_name(org))));
        store.snapshot().await.unwrap().schedules(env.meta.uid).await.unwrap().len()
    };
    assert_eq!((seen("acme").await, seen("globex").await), (1, 0));
    assert!(bed.store.stop_run(&env.meta.key, RunNumber::new(1), &actor()).await.unwrap());
}

#[tokio::test]
async fn of_each_schedule_the_newest_runs_are_kept_apart_by_how_they_went() {
    let bed = Bed::new("slotkeep").await;
    let fence = bed.fence().await;
    let env = followed(&bed, &fence).await;
    bed.store.begin_plan(&fence, &passes(&env, 0, 1, None)).await.unwrap();
    bed.store.begin_plan(&fence, &ended(&env, 1, RunEnd::Succeeded, "done\n")).await.unwrap();
    bed.sql(
        "INSERT INTO run (env_uid, number, purpose, release, process, resources, time_limit_seconds, slot, outcome, exit_code, reason, ended_at, output)
         SELECT env_uid, n, purpose, release, CASE WHEN n % 2 = 0 THEN process ELSE 'other' END, resources, time_limit_seconds, slot + n * interval '1 minute',
                CASE WHEN n < 60 THEN 'failed' ELSE 'succeeded' END, 1, CASE WHEN n < 60 THEN 'it failed' END, now(), output
         FROM run, generate_series(2, 301) n WHERE number = 1",
    );
    assert_eq!(bed.store.sweep(&Retention::USUAL).await.unwrap().runs, 301 - 4 * 20);
    let kept = "SELECT string_agg(process || ' ' || outcome || ' ' || count, ', ' ORDER BY process, outcome)
                FROM (SELECT process, outcome, count(*) FROM run GROUP BY process, outcome) r";
    let each = "other failed 20, other succeeded 20, report failed 20, report succeeded 20";
    assert_eq!((bed.sql(kept).as_str(), bed.sql("SELECT max(number) FROM run").as_str()), (each, "301"));
    let output =
        bed.store.snapshot().await.unwrap().run_output(env.meta.uid, RunNumber::new(300)).await.unwrap();
    assert_eq!(output, Some(RunOutput { text: "done\n".to_owned(), gap: None }), "with what they printed");
}
