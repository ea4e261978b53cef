//! How a world comes to rest: step by step, with the looks at everything that a server takes from time to time.

use std::time::Duration;

use anyhow::{Result, bail};

use super::turn::Act;
use super::{ORPHAN_GRACE, World};

/// Steps after which a world is said never to come to rest: many times what any workflow takes.
const STEPS_MAX: usize = 4000;

impl World {
    /// Lets things happen until nothing is due any more.
    pub async fn until_quiet(&mut self) -> Result<()> {
        for _ in 0..STEPS_MAX {
            if !self.step().await? {
                return Ok(());
            }
        }
        bail!("it does not come to rest within {STEPS_MAX} steps")
    }

    /// Lets happen what happens in so much time: for a world that does not come to rest before somebody does something.
    pub async fn for_a_while(&mut self, time: Duration) -> Result<()> {
        let end = self.now() + time;
        while self.now() < end {
            if !self.step().await? {
                return self.advance_to(end).await;
            }
        }
        Ok(())
    }

    /// Lets so many steps happen, or less if nothing is due before.
    pub async fn steps(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            if !self.step().await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Everything that a server does from time to time, and then whatever follows from it.
    pub async fn housekeeping(&mut self) -> Result<()> {
        self.keep_house().await?;
        self.until_quiet().await
    }

    /// Every key is looked at once more, and whatever follows from it is done.
    pub async fn resync(&mut self) -> Result<()> {
        self.wake_all().await?;
        self.until_quiet().await
    }

    /// Everything that a server does from time to time.
    pub(crate) async fn keep_house(&mut self) -> Result<()> {
        for name in self.names() {
            for act in [Act::Survey, Act::CloseCutOff, Act::WatchHolds] {
                self.act(&name, act).await?;
            }
        }
        Ok(())
    }

    /// The periodic look: what it cannot leave out is to be looked at once more.
    pub async fn look(&mut self) -> Result<()> {
        for name in self.names() {
            self.act(&name, Act::Look).await?;
        }
        Ok(())
    }

    /// Every key is to be looked at once more.
    pub async fn wake_all(&mut self) -> Result<()> {
        for name in self.names() {
            self.act(&name, Act::Resync).await?;
        }
        Ok(())
    }

    /// Everything that a server looks at from time to time, and whatever follows from it.
    pub async fn look_at_everything(&mut self) -> Result<()> {
        self.housekeeping().await?;
        self.resync().await?;
        self.housekeeping().await
    }

    /// Did nothing come of the last look at everything? Then there was no call that changes something, and no row was written.
    pub const fn was_silent(&self) -> bool {
        self.silent
    }

    /// Comes to rest as a world does in which time goes on: with the periodic looks, and until orphans are collected.
    pub async fn come_to_rest(&mut self) -> Result<()> {
        self.until_quiet().await?;
        self.switch.refresh();
        let (calls, before) = (self.made().len(), self.database.written().await?);
        self.look_at_everything().await?;
        self.silent = self.made().len() == calls && self.database.written().await? == before;
        let orphans = self.database.rows("SELECT object_id FROM orphan").await?;
        if !orphans.is_empty() {
            self.note(format!("{} orphans wait for their end", orphans.len()));
            self.silent = false;
            self.advance_by(ORPHAN_GRACE).await?;
            self.until_quiet().await?;
            self.housekeeping().await?;
        }
        Ok(())
    }
}
