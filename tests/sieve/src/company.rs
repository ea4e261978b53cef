//! Passes that write at the same time, and one statement of theirs that goes wrong.
//!
//! A world makes one pass at a time, so each write in it is alone. Here several passes come at once, and the store puts what they write
//! into shared transactions. Some of them cannot succeed: one rests on a plan that is stale, one on a lease that has moved on, one
//! wants an object that is somebody else's. Each statement is lost in turn, or its answer, and each time:
//!
//! - whoever is told that a plan is recorded finds its intent in the database before the call is made (I3);
//! - whoever cannot succeed is told why, leaves nothing behind, and takes nobody with it;
//! - everybody else does, if need be in a further pass, and makes its call once;
//! - the journal says of every step what its pass was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use skep_planner::{Cost, ObjectKind, ObjectRef, Op, Plan, Step};
use skep_schemas::{AnySpec, Generation, Kind, Labels, Manifest, Resource, ResourceKey, Scope};
use skep_store::{
    Actor, ApplyItem, Fence, NewEvent, PlanId, Precondition, Severity, StepOutcome, Store, StoreError, Writer,
};

use crate::database::Database;
use crate::fault::{Fault, Kind as FaultKind};
use crate::proxy::PostgresProxy;

/// The ways in which a statement goes wrong while its process lives on.
pub const KINDS: [FaultKind; 2] = [FaultKind::LostStatement, FaultKind::LostAnswer];

/// How often a pass is made again. One statement goes wrong, and everything that was shared fails with it once.
const PASSES_MAX: usize = 4;
/// Under which name the state is kept in which every run begins.
const BASE: &str = "company";
/// How long a lease lasts: longer than any run.
const LEASE: Duration = Duration::from_secs(600);

/// What is to become of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// It succeeds.
    Sound,
    /// Its plan is for a spec that has changed.
    Stale,
    /// Its lease has moved on.
    Fenced,
    /// It wants to make an object that somebody else has.
    Taken,
}

impl Member {
    /// Is this what it has to be told?
    const fn is_told(self, error: &StoreError) -> bool {
        match self {
            Self::Sound => false,
            Self::Stale => matches!(error, StoreError::PlanStale { .. }),
            Self::Fenced => matches!(error, StoreError::Fenced { .. }),
            Self::Taken => matches!(error, StoreError::ObjectTaken { .. }),
        }
    }
}

/// A database in which companies meet.
pub struct Meeting {
    database: Database,
    /// Past the proxy: what is really there.
    direct: Store,
    fence: Fence,
    moved_on: Fence,
    resources: Vec<Resource>,
}

/// What came of a run.
#[derive(Debug)]
pub struct Came {
    /// How many statements there were.
    pub statements: usize,
    /// Did what was ordered go wrong?
    pub fired: bool,
}

impl Meeting {
    /// A meeting of at most so many, in an empty database at `url`.
    pub async fn new(url: &str, most: usize) -> Result<Self> {
        let mut database = Database::new(url, Timestamp::UNIX_EPOCH).await?;
        let direct = database.connect().await?;
        let items: Vec<ApplyItem> = (0..=most).map(organization).collect::<Result<_>>()?;
        let applied = direct.apply(&items, &Actor::new("company")).await?;
        let resources: Vec<Resource> = applied.into_iter().map(|applied| applied.resource).collect();
        let lease =
            async |name| direct.acquire_lease(name, "company", LEASE).await?.context("a lease is free");
        let (fence, moved_on) = (lease("held").await?, lease("moved-on").await?);
        let other = resources.last().context("one more than meet")?;
        direct.begin_plan(&fence, &plan(other, "taken")).await?;
        database.run("UPDATE lease SET epoch = epoch + 1 WHERE name = 'moved-on'").await?;
        database.keep(BASE).await?;
        Ok(Self { database, direct, fence, moved_on, resources })
    }

    /// Lets these make their passes at the same time, and this go wrong; fails if anything is not as it has to be.
    pub async fn run(&mut self, members: &[Member], fault: Option<Fault>) -> Result<Came> {
        self.database.restore(BASE).await?;
        let proxy = PostgresProxy::start(self.database.url(), Arc::default()).await?;
        let store = self.database.connect_to(&proxy.url_for(self.database.url())?).await?;
        store.ping().await?;
        proxy.begin(fault);
        let calls = Mutex::new(BTreeMap::new());
        let passes = members.iter().zip(&self.resources).map(|(member, resource)| {
            let fence = if *member == Member::Fenced { &self.moved_on } else { &self.fence };
            Pass { member: *member, resource, fence, store: &store, direct: &self.direct, calls: &calls }
                .make()
        });
        let made: Vec<Made> = join_all(passes).await.into_iter().collect::<Result<_>>()?;
        let (statements, fired) = (proxy.statements(), proxy.lost() > 0);
        store.close().await;
        for ((member, resource), made) in members.iter().zip(&self.resources).zip(&made) {
            let calls = calls.lock().ok().and_then(|calls| calls.get(&name(resource)).copied()).unwrap_or(0);
            let journal = journal(&mut self.database, resource).await?;
            judge(*member, made, calls, &journal)
                .with_context(|| format!("{member:?} {}", name(resource)))?;
        }
        Ok(Came { statements, fired })
    }
}

/// One resource's passes, one after the other until there is nothing left to do.
struct Pass<'a> {
    member: Member,
    resource: &'a Resource,
    fence: &'a Fence,
    store: &'a Store,
    direct: &'a Store,
    calls: &'a Mutex<BTreeMap<String, usize>>,
}

/// What a resource's passes were told.
#[derive(Debug, Default)]
struct Made {
    begun: usize,
    /// The plan whose step was told to be recorded as done.
    finished: Option<PlanId>,
    reported: bool,
    refused: bool,
}

impl Pass<'_> {
    async fn make(self) -> Result<Made> {
        let mut made = Made::default();
        for _ in 0..PASSES_MAX {
            match self.once(&mut made).await {
                Ok(()) => return Ok(made),
                Err(error) if self.member.is_told(&error) => {
                    made.refused = true;
                    return Ok(made);
                }
                Err(error) if error.is_transient() => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("{:?} {}", self.member, self.name()));
                }
            }
        }
        bail!("{:?} {} never succeeds", self.member, self.name())
    }

    async fn once(&self, made: &mut Made) -> Result<(), StoreError> {
        if self.called() == 0 {
            let object = if self.member == Member::Taken { "taken".to_owned() } else { self.name() };
            let mut plan = plan(self.resource, &object);
            if self.member == Member::Stale {
                plan.generation = Generation::new(plan.generation.get() + 1);
            }
            made.begun += 1;
            let record = self.store.start_plan(self.fence, &plan).await?;
            let owned = self.direct.snapshot().await?.inventory(self.resource.meta.uid).await?;
            let intended = owned.iter().any(|entry| entry.object.name == object);
            if let (Some(record), true) = (record, intended) {
                *self.calls().entry(self.name()).or_default() += 1;
                let done = StepOutcome::Done { object_id: Some(format!("{}-id", self.name())) };
                self.store.step_finished(self.fence, record.id, 0, &done).await?;
                made.finished = Some(record.id);
            }
        }
        let event = NewEvent {
            severity: Severity::Normal,
            reason: "Made".to_owned(),
            message: "it was made".to_owned(),
            notice: None,
        };
        let (uid, generation) = (self.resource.meta.uid, self.resource.meta.generation);
        let status = json!({ "name": self.name() });
        self.store.write_status_and_tell(self.fence, uid, generation, status, vec![event], None).await?;
        made.reported = true;
        Ok(())
    }

    fn name(&self) -> String {
        name(self.resource)
    }

    fn called(&self) -> usize {
        self.calls().get(&self.name()).copied().unwrap_or(0)
    }

    fn calls(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the database says of one resource in the end.
async fn journal(database: &mut Database, resource: &Resource) -> Result<Value> {
    let uid = resource.meta.uid;
    let rows = database
        .rows(&format!(
            "SELECT (SELECT count(*) FROM plan WHERE uid = '{uid}') AS plans,
                    (SELECT count(*) FROM plan WHERE uid = '{uid}' AND finished_at IS NULL) AS open,
                    (SELECT count(*) FROM event WHERE uid = '{uid}') AS events,
                    (SELECT count(*) FROM resource_status WHERE uid = '{uid}') AS statuses,
                    (SELECT count(*) FROM inventory WHERE owner = '{uid}') AS owned,
                    (SELECT object_id FROM inventory WHERE owner = '{uid}') AS id,
                    (SELECT string_agg(id || ' ' || state, ', ') FROM plan JOIN plan_step ON plan = id WHERE uid = '{uid}') AS steps"
        ))
        .await?;
    rows.into_iter().next().context("one row")
}

fn judge(member: Member, made: &Made, calls: usize, journal: &Value) -> Result<()> {
    let told = || format!("{made:?}, {calls} calls, {journal}");
    let count = |what: &str| journal.get(what).and_then(Value::as_u64).unwrap_or(u64::MAX);
    if member != Member::Sound {
        ensure!(made.refused && calls == 0, "it was not refused: {}", told());
        ensure!(["plans", "owned", "statuses", "events"].iter().all(|what| count(what) == 0), "{}", told());
        return Ok(());
    }
    ensure!(calls == 1, "not one call: {}", told());
    ensure!(made.reported && count("statuses") == 1 && count("events") == 1, "no report: {}", told());
    ensure!(count("owned") == 1, "not one object: {}", told());
    ensure!(count("plans") <= u64::try_from(made.begun)?, "more plans than were begun: {}", told());
    if let Some(plan) = made.finished {
        let steps = journal.get("steps").and_then(Value::as_str).unwrap_or_default();
        ensure!(steps.split(", ").any(|step| step == format!("{plan} done")), "it is not done: {}", told());
        ensure!(count("open") == 0, "a plan is open: {}", told());
        ensure!(journal.get("id").is_some_and(Value::is_string), "its id is not known: {}", told());
    } else {
        // Nobody was told that it was recorded; what is open is closed by the next pass.
        ensure!(count("open") <= 1, "more than one plan is open: {}", told());
    }
    Ok(())
}

fn organization(number: usize) -> Result<ApplyItem> {
    let key = ResourceKey::new(Scope::Platform, Kind::Organization, format!("org-{number}").parse()?)?;
    let spec = AnySpec::from_json(Kind::Organization, json!({}))?;
    let manifest = Manifest { key, labels: Labels::new(), annotations: Labels::new(), spec };
    Ok(ApplyItem { manifest, precondition: Precondition::None, writer: Writer::Api })
}

fn name(resource: &Resource) -> String {
    resource.meta.key.name().to_string()
}

/// A plan that makes one network of this name.
fn plan(resource: &Resource, network: &str) -> Plan {
    let object = ObjectRef::new(ObjectKind::Network, network);
    let op = Op::CreateNetwork { spec: Box::default() };
    let step = Step::new(object, op, "it is missing", Cost::Create);
    let meta = &resource.meta;
    Plan { steps: vec![step], ..Plan::empty(meta.key.clone(), meta.uid, meta.generation) }
}
