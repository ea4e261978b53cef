//! The commands by which a case does what people do who operate what runs, and what the safety of the loop does to them.

use anyhow::{Context, Result, bail, ensure};
use skep_planner::NetworkPool;
use skep_planner::safety::{HoldScope, InForce};

use crate::command::Words;
use crate::stage::Stage;

/// The number of the only hold there can be in a case.
const HOLD: i64 = 1;

impl Stage {
    /// How much of an environment, or of an organisation, runs.
    pub(crate) fn formation(&mut self, verb: &str, words: &mut Words<'_>) -> Result<String> {
        let key = self.key(words)?;
        let store = &mut self.world.store;
        if verb == "scale" {
            let wanted = words.next("a process and a number, as in web=3")?;
            let (process, instances) =
                wanted.split_once('=').context("write `scale Environment/prod web=3`")?;
            return store.scale(&key, &process.parse()?, instances);
        }
        if verb == "suspend" {
            return store.suspend(&key, Some(words.next("why")?)).map(|()| String::new());
        }
        let process = words.maybe()?.map(str::parse).transpose()?;
        match verb {
            "restart" => store.restart(&key, process),
            "stop" => store.stop(&key, process),
            "start" => store.start(&key, process),
            _ => store.suspend(&key, None),
        }
        .map(|()| String::new())
    }

    pub(crate) fn operator(&mut self, verb: &str, words: &mut Words<'_>) -> Result<()> {
        match verb {
            "pool" => {
                let range = words.next("a range")?.parse()?;
                let pool =
                    NetworkPool::new(range, words.next("the length of the prefix of a subnet")?.parse()?)?;
                self.world.settings.pool = pool;
                self.world.store.set_pool(pool);
            }
            "forwarder" => {
                let image = words.next("an image, or `none`")?;
                self.world.settings.forward_image = (image != "none").then(|| image.to_owned());
            }
            "safety-hold" => {
                let foreseen = words.take("foreseen");
                let scope = match words.next("how far it reaches")? {
                    "everything" => HoldScope::Everything,
                    "removals" => HoldScope::Removals,
                    other => bail!("a hold is on `everything` or on `removals`, not on `{other}`"),
                };
                let why = words.next("why")?.to_owned();
                self.world.hold = Some(InForce { id: (!foreseen).then_some(HOLD), scope, why });
            }
            _ => ensure!(self.world.hold.take().is_some(), "nothing is on hold"),
        }
        Ok(())
    }
}
