//! Letting a process do something, and whatever goes wrong with that: it crashes, or it stands still and another takes over.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use skep_controller::local::LEASE;

use super::World;
use super::turn::{Act, Hints, perform};
use crate::fault::Kind;
use crate::faulty::{Faulty, Interruption, Paused};

/// How long another process works before the one that stood still goes on: longer than any workflow's roll-out.
const STANDS_FOR: Duration = Duration::from_secs(40);
/// How long what somebody else made by the name of one of ours stays.
const FOREIGN_FOR: Duration = Duration::from_secs(5);

impl World {
    /// The process that was started first ends, as a crash ends it between two passes, and another is started.
    pub async fn kill_oldest(&mut self) -> Result<()> {
        if !self.processes.is_empty() {
            let process = self.processes.remove(0);
            self.note(format!("{} is killed", process.name));
            self.bury(process).await?;
        }
        self.start().await
    }

    /// Lets a process do something, and whatever goes wrong with that.
    pub(super) async fn act(&mut self, name: &str, act: Act) -> Result<()> {
        let Some(at) = self.processes.iter().position(|process| process.name == name) else { return Ok(()) };
        let mut process = self.processes.remove(at);
        let (now, switch, clock) = (self.now(), Arc::clone(&self.switch), process.clock.clone());
        let hints = Hints { swarm: self.swarm.clone(), dropped: self.dropped_event() };
        let entropy = self.entropy.clone();
        let mut done = Box::pin(perform(&mut process, act, now, &hints, &entropy));
        let interruption = tokio::select! {
            biased;
            interruption = switch.interrupted() => interruption,
            line = &mut done => {
                drop(done);
                self.processes.insert(at.min(self.processes.len()), process);
                self.note_all(line);
                return Ok(());
            }
        };
        match interruption {
            Interruption::Crashed => {
                drop(done);
                self.note(format!("{name} crashes"));
                self.bury(process).await?;
                return self.start().await;
            }
            Interruption::Paused(paused) => {
                self.note(format!("{name} stands still"));
                Box::pin(self.take_over(paused)).await?;
                if self.fault.is_some_and(|fault| fault.kind == Kind::Takeover) {
                    clock.stood_still(self.now().duration_since(now).unsigned_abs());
                }
            }
        }
        let line = done.await;
        self.note(format!("{name} goes on"));
        self.note_all(line);
        self.processes.push(process);
        Ok(())
    }

    /// Another process takes over and comes to rest; then the call that was under way goes through.
    async fn take_over(&mut self, paused: Box<Paused>) -> Result<()> {
        self.start().await?;
        self.advance_by(LEASE + Duration::from_secs(1)).await?;
        // Not until it comes to rest: it may wait for somebody.
        self.for_a_while(STANDS_FOR).await?;
        paused.let_through(&Faulty::new(self.swarm.clone(), Arc::clone(&self.switch))).await;
        Ok(())
    }

    pub(super) async fn take_foreign_away(&mut self) {
        self.foreign_until = None;
        for call in self.switch.take_foreign() {
            // Gone already is as good.
            drop(call.send(&self.swarm).await);
        }
    }

    pub(super) fn dropped_event(&self) -> Option<u64> {
        let fault = self.fault.filter(|fault| fault.kind == Kind::DroppedEvent)?;
        Some(self.events_from + u64::try_from(fault.point).unwrap_or(u64::MAX))
    }

    fn note_all(&mut self, lines: Vec<String>) {
        for line in lines {
            self.note(line);
        }
        if self.foreign_until.is_none() && self.switch.has_foreign() {
            self.foreign_until = Some(self.now() + FOREIGN_FOR);
        }
    }
}
