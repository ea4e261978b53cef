//! How much of an environment runs, as people say it: scale, restart, stop and start, and the suspension of an organisation.

use anyhow::{Context, Result, bail, ensure};
use skep_planner::formation::{self, Instances};
use skep_schemas::{
    AnySpec, FormationOverride, Kind, Manifest, ProcessName, ResourceKey, Restarted, ScaleOwner, Scaled,
    Stopped,
};

use super::Store;

impl Store {
    /// Scales a process; `others` gives the number back to whoever scales the service in the engine. Answers why it is refused, if it is.
    pub fn scale(&mut self, key: &ResourceKey, process: &ProcessName, instances: &str) -> Result<String> {
        let environment = self.get(key).with_context(|| format!("{key} does not exist"))?;
        let AnySpec::Environment(spec) = &environment.spec else { bail!("{key} has no processes") };
        let app = key.sibling(Kind::App, spec.app.clone()).and_then(|app| self.get(&app));
        let app = match app.map(|app| &app.spec) {
            Some(AnySpec::App(app)) => Some(&**app),
            _ => None,
        };
        if let Some(Instances::Declared(instances)) = formation::instances(app, spec, process) {
            return Ok(format!("refused: a manifest says that process {process} has {instances} instances"));
        }
        let instances = if instances == "others" { None } else { Some(instances.parse()?) };
        let (by, at) = (self.authors.change(self.now).by, self.now);
        let said = self.said(key)?;
        match instances {
            None => said.scale.remove(process),
            Some(instances) => {
                said.scale.insert(process.clone(), Scaled { instances, owner: ScaleOwner::Person, by, at })
            }
        };
        Ok(String::new())
    }

    /// Restarts a process, or all.
    pub fn restart(&mut self, key: &ResourceKey, process: Option<ProcessName>) -> Result<()> {
        let (by, at) = (self.authors.change(self.now).by, self.now);
        let said = self.said(key)?;
        let again =
            |before: Option<&Restarted>| Restarted { count: before.map_or(1, |it| it.count + 1), by, at };
        match process {
            None => said.restart = Some(again(said.restart.as_ref())),
            Some(process) => {
                let restarted = again(said.restarts.get(&process));
                said.restarts.insert(process, restarted);
            }
        }
        Ok(())
    }

    /// Stops a process, or all.
    pub fn stop(&mut self, key: &ResourceKey, process: Option<ProcessName>) -> Result<()> {
        let stop = self.stopped();
        let said = self.said(key)?;
        match process {
            None => said.stop = Some(stop),
            Some(process) => {
                said.stops.insert(process, stop);
            }
        }
        Ok(())
    }

    /// Starts a process, or all.
    pub fn start(&mut self, key: &ResourceKey, process: Option<ProcessName>) -> Result<()> {
        let said = self.said(key)?;
        match process {
            None => (said.stop, said.stops) = (None, Default::default()),
            Some(process) => {
                ensure!(said.stop.is_none(), "{key} is stopped as a whole");
                said.stops.remove(&process);
            }
        }
        Ok(())
    }

    /// Suspends an organisation, or lets it go on.
    pub fn suspend(&mut self, key: &ResourceKey, reason: Option<&str>) -> Result<()> {
        let suspension = reason.map(|reason| Stopped { reason: Some(reason.to_owned()), ..self.stopped() });
        let organization = self.resources.get_mut(key).with_context(|| format!("{key} does not exist"))?;
        organization.meta.suspension = suspension;
        Ok(())
    }

    /// Ends what was scaled of processes for which a manifest says how many instances there are.
    pub(super) fn yield_to(&mut self, manifest: &Manifest) {
        let (processes, kind) = match &manifest.spec {
            AnySpec::App(app) => (&app.processes, Kind::App),
            AnySpec::Environment(environment) => (&environment.processes, Kind::Environment),
            _ => return,
        };
        let is_meant = |key: &ResourceKey, spec: &AnySpec| match spec {
            AnySpec::Environment(_) if kind == Kind::Environment => *key == manifest.key,
            AnySpec::Environment(environment) => {
                key.sibling(Kind::App, environment.app.clone()).as_ref() == Some(&manifest.key)
            }
            _ => false,
        };
        for (key, resource) in &mut self.resources {
            if is_meant(key, &resource.spec) {
                let scale = &mut resource.meta.formation.scale;
                scale.retain(|name, _| processes.get(name).is_none_or(|process| process.instances.is_none()));
            }
        }
    }

    fn stopped(&mut self) -> Stopped {
        Stopped { by: self.authors.change(self.now).by, since: self.now, reason: None }
    }

    fn said(&mut self, key: &ResourceKey) -> Result<&mut FormationOverride> {
        let environment = self.resources.get_mut(key).with_context(|| format!("{key} does not exist"))?;
        Ok(&mut environment.meta.formation)
    }
}
