//! What a pass writes down: its decisions before its steps, each step before and after its call, and in the end what is gone.
//!
//! A verdict is recorded once, and the note of what was sent is taken back by a step that certainly had no effect.

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use skep_planner::deployment::Timeline;
use skep_planner::{Cancelled, InventoryEntry, Op, Plan, Release, ReleaseVersion, Step, Verdict};
use skep_schemas::{ResourceKey, Uid};

use super::Store;

impl Store {
    /// Records what a plan decides: verdicts, the release and the intents.
    pub fn begin(&mut self, plan: &Plan, now: Timestamp) -> Result<()> {
        self.end_rollback(plan)?;
        self.note_runs(plan);
        if !plan.verdicts.is_empty() {
            self.note(plan);
        }
        let releases = self.releases.entry(plan.uid).or_default();
        for change in &plan.verdicts {
            let pending = |found: &&mut Release| found.version == change.release && !found.verdict.is_final();
            if let Some(release) = releases.iter_mut().find(pending) {
                let of_cancelled = matches!(change.verdict, Verdict::Cancelled { .. });
                ensure!(release.cancelled.is_none() || of_cancelled, "{} was cancelled", release.version);
                release.verdict = change.verdict.clone();
            }
        }
        if let Some(new) = &plan.release {
            if releases.iter().any(|release| release.version >= new.version) {
                bail!("release {} of {} exists already", new.version, plan.key);
            }
            for release in releases.iter_mut().filter(|release| !release.verdict.is_final()) {
                release.verdict = release.cancelled.as_ref().map_or(Verdict::Superseded, Cancelled::verdict);
            }
            self.authors.made(plan.uid, new);
            releases.push(Release {
                version: new.version,
                content: new.content.clone(),
                verdict: Verdict::Pending,
                created_at: now,
                rollback_to: new.rollback_to,
                cancelled: None,
                timeline: Some(Timeline::default()),
            });
        }
        self.begin_phase(plan)?;
        self.follow_schedules(plan)?;
        plan.steps.iter().for_each(|step| self.intend(plan.uid, step));
        Ok(())
    }

    fn intend(&mut self, owner: Uid, step: &Step) {
        if !step.op.creates() && !matches!(step.op, Op::UpdateService { .. }) {
            return;
        }
        let object = step.object.clone();
        let entry = self.inventory.entry((owner, object.clone())).or_insert(InventoryEntry {
            owner,
            object,
            id: None,
            sent_release: None,
            address: None,
            applied: None,
        });
        if let Op::ConnectEdge { address, .. } = &step.op {
            entry.address = Some(*address);
        }
    }

    /// Notes that a step's call is about to be made; gives what was noted as sent before.
    pub fn started(&mut self, owner: Uid, step: &Step) -> Option<ReleaseVersion> {
        let entry = self.inventory.get_mut(&(owner, step.object.clone()))?;
        let before = entry.sent_release;
        if let Op::CreateService { release: Some(sent), .. } | Op::UpdateService { release: Some(sent), .. } =
            &step.op
        {
            entry.sent_release = Some(*sent);
        }
        before
    }

    /// Notes that a step had its effect, and the id of what it made.
    pub fn finished(&mut self, owner: Uid, step: &Step, id: Option<String>) {
        let now = self.now;
        if let Some(history) = self.drift.get_mut(&owner) {
            history.put_right(&step.object, now);
        }
        let Some(entry) = self.inventory.get_mut(&(owner, step.object.clone())) else { return };
        entry.id = id;
        entry.applied = match (&step.intended, &step.op) {
            (Some(intended), _) => Some(intended.clone()),
            (None, Op::CreateService { spec, .. } | Op::UpdateService { spec, .. }) => Some(spec.clone()),
            (None, _) => None,
        };
    }

    /// Notes that a step certainly had no effect: what was sent is what was sent before.
    pub fn without_effect(&mut self, owner: Uid, step: &Step, before: Option<ReleaseVersion>) {
        if let Some(entry) = self.inventory.get_mut(&(owner, step.object.clone())) {
            entry.sent_release = before;
        }
    }

    /// Forgets objects and lets a row go, as a plan says; never a row that still answers for objects.
    pub fn conclude(&mut self, plan: &Plan) -> Result<()> {
        let now = self.now;
        for learned in &plan.learned {
            let object = learned.object.clone();
            if let Some(history) = self.drift.get_mut(&plan.uid) {
                history.put_right(&object, now);
            }
            let entry = self.inventory.entry((plan.uid, object.clone())).or_insert(InventoryEntry {
                owner: plan.uid,
                object,
                id: None,
                sent_release: None,
                address: None,
                applied: None,
            });
            entry.id = Some(learned.id.clone());
            entry.applied = learned.applied.clone().or(entry.applied.take());
            entry.address = learned.address.or(entry.address);
        }
        for object in &plan.forget {
            self.inventory.remove(&(plan.uid, object.clone()));
        }
        if plan.finalized {
            let left = self.inventory(plan.uid);
            ensure!(left.is_empty(), "{} is to go, but the inventory still has {left:?}", plan.key);
            self.remove(&plan.key);
        }
        Ok(())
    }

    /// Writes a status. Does it say something new?
    pub fn write_status(&mut self, key: &ResourceKey, status: serde_json::Value) -> bool {
        let Some(resource) = self.resources.get_mut(key) else { return false };
        let new = resource.status != status;
        resource.status = status;
        new
    }
}
