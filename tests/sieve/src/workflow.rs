//! Workflows: what somebody asks for, beginning from what.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use skep_schemas::{Kind, ResourceKey, Scope};
use skep_simulator::Swarm;

use crate::world::World;

/// Something that is asked for, or that happens.
#[derive(Debug, Clone, Copy)]
pub enum Act {
    /// Manifests are applied.
    Apply(&'static str),
    /// The deletion of these is asked for, by their keys.
    Delete(&'static [&'static str]),
    /// Somebody does something by hand.
    Hand(fn(&mut Swarm)),
    /// What stands in the place of a resource's objects is adopted.
    Adopt(&'static str),
    /// What was given up is to be tried again.
    Retry(&'static str),
    /// So many steps of the world.
    Steps(usize),
    /// So many seconds of the world.
    For(u64),
    /// Everything comes to rest.
    Rest,
}

/// A workflow.
#[derive(Debug, Clone, Copy)]
pub struct Workflow {
    /// Its name.
    pub name: &'static str,
    /// What there is before.
    pub base: &'static Base,
    /// What is asked for. What comes first is there before any process is.
    pub acts: &'static [Act],
}

impl Workflow {
    /// Does it depend on when its acts come which of them are ever acted on? Then a fault may change what is done on the way, and only
    /// the end is compared.
    pub fn is_a_race(&self) -> bool {
        self.acts.iter().any(|act| matches!(act, Act::Steps(_)))
    }
}

/// A state from which workflows begin.
#[derive(Debug)]
pub struct Base {
    /// Its name, a plain word.
    pub name: &'static str,
    /// What the Swarm is prepared with.
    pub hands: fn(&mut Swarm),
    /// What was applied and has come to rest.
    pub manifests: &'static [&'static str],
}

impl World {
    /// Puts the world into the state that a workflow begins from; made once, and from then on put back.
    pub async fn begin_from(&mut self, base: &Base) -> Result<()> {
        let name = format!("base_{}", base.name);
        if !self.has(&name) {
            self.restore(EMPTY).await?;
            self.swarm().with(base.hands);
            self.until_swarm_is_quiet().await?;
            if !base.manifests.is_empty() {
                self.order(0, None, false).await?;
                for manifests in base.manifests {
                    self.apply(manifests).await?;
                }
                self.start().await?;
                self.come_to_rest().await?;
                self.stop_all().await?;
                self.forget_members().await?;
            }
            self.keep(&name).await?;
        }
        self.restore(&name).await
    }

    /// Carries a workflow out, and comes to rest.
    pub async fn carry_out(&mut self, workflow: &Workflow) -> Result<()> {
        for (index, act) in workflow.acts.iter().enumerate() {
            if index == 1 {
                self.start().await?;
            }
            self.take(*act).await.with_context(|| format!("act {index} of {}", workflow.name))?;
        }
        if workflow.acts.len() < 2 {
            self.start().await?;
        }
        self.come_to_rest().await
    }

    /// One act.
    pub async fn take(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Apply(yaml) => self.apply(yaml).await.map(drop),
            Act::Delete(keys) => {
                let keys = keys.iter().map(|key| self::key(key)).collect::<Result<Vec<_>>>()?;
                self.delete(&keys).await
            }
            Act::Hand(hand) => {
                self.note("somebody does something by hand".to_owned());
                self.swarm().with(hand);
                Ok(())
            }
            Act::Adopt(key) => self.adopt(&self::key(key)?).await,
            Act::Retry(key) => self.retry(&self::key(key)?).await,
            Act::Steps(count) => self.steps(count).await,
            Act::For(seconds) => self.for_a_while(Duration::from_secs(seconds)).await,
            Act::Rest => self.until_quiet().await,
        }
    }
}

/// The state of a world that was just made.
pub(crate) const EMPTY: &str = "empty";

/// A key as people write it: `acme/Environment/prod`, `Organization/acme`.
pub(crate) fn key(text: &str) -> Result<ResourceKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let (scope, kind, name) = match parts.as_slice() {
        [kind, name] => (Scope::Platform, kind, name),
        [org, kind, name] => (Scope::Org(org.parse()?), kind, name),
        _ => bail!("{text} is no key"),
    };
    let kind: Kind = kind.parse().map_err(|_| anyhow!("{kind} is no kind"))?;
    ResourceKey::new(scope, kind, name.parse()?).map_err(|error| anyhow!("{text} is no key: {error:?}"))
}
