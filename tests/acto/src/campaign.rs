//! A campaign: changes one after another, and what is asked of each.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value as Json;
use skep_fuzz::Random;
use skep_schemas::{Diagnostics, Kind, Manifest, ResourceKey};
use skep_store::StoreError;

use crate::change::{Change, changes};
use crate::desired::Desired;
use crate::field::{self, Field};
use crate::ground::Ground;
use crate::state::State;
use crate::tally::Tally;

/// What everything begins from.
const BASE: &str = "base";
/// So many changes are made each in the place of the one before, until all is undone and compared with what was.
const ROW: usize = 20;

/// After so many changes it is said how far it has come.
const TOLD_AFTER: usize = 100;

/// In a chain, so many changes are made before what they came to is compared: most of the time goes into beginning from nothing.
const COMPARED_AFTER: usize = 5;

/// Which of many: one in so many, beginning with the one of this number.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// One in so many.
    pub one_in: usize,
    /// Beginning with this one.
    pub offset: usize,
}

/// A campaign on one ground.
pub struct Campaign {
    /// Where changes are made one after another.
    ground: Ground,
    /// Where the same manifests are applied to nothing.
    beside: Ground,
    base: Desired,
    before: State,
    fields: Vec<Field>,
    known: BTreeMap<String, State>,
    /// What findings of a chain begin with: which one, and how it came so far.
    way: Option<String>,
    /// What was done and found so far.
    pub tally: Tally,
}

impl Campaign {
    /// Sets the ground up.
    pub async fn begin() -> Result<Self> {
        let (mut ground, beside) = (Ground::new().await?, Ground::new().await?);
        let base = Desired::base()?;
        let before = fresh(&mut ground, &base).await.context("the base")?;
        anyhow::ensure!(before.is_ready(), "the base is not ready: {before:#?}");
        ground.keep(BASE).await?;
        let fields = field::all();
        Ok(Self {
            ground,
            beside,
            base,
            before,
            fields,
            known: BTreeMap::new(),
            way: None,
            tally: Tally::default(),
        })
    }

    /// Everything that is invalid, in every field: it is refused, and with it nothing is sent to the store at all.
    pub fn each_invalid(&mut self) -> Result<()> {
        for change in self.all_of_base(true) {
            self.tally.operations += 1;
            match change.made(&self.base)?.read_one(&change.place.key) {
                Ok(_) => self.find(&change, "it is accepted and should be refused"),
                Err(found) => {
                    self.tally.refused += 1;
                    self.refused(&change, &found);
                }
            }
        }
        Ok(())
    }

    /// Every change of every field that may be accepted, or of those every so many, each made in the place of the one before. Of
    /// those that are made, every so many are compared with what they come to from nothing, and after a row of them all is undone.
    pub async fn each_field(&mut self, part: Part, compared: usize) -> Result<()> {
        let mut row: Vec<Change> = Vec::new();
        self.ground.restore(BASE).await?;
        let mine = |(number, _): &(usize, Change)| number % part.one_in.max(1) == part.offset;
        let changes: Vec<Change> =
            self.all_of_base(false).into_iter().enumerate().filter(mine).map(|(_, change)| change).collect();
        for (number, change) in changes.iter().enumerate() {
            if number.is_multiple_of(TOLD_AFTER) {
                eprintln!("change {number} of {}", changes.len());
            }
            self.tally.operations += 1;
            let wanted = change.made(&self.base)?;
            if let Err(found) = wanted.read_one(&change.place.key) {
                self.tally.refused_by_meaning += 1;
                self.refused(change, &found);
                continue;
            }
            let findings = self.tally.findings.len();
            let compare = row.len().is_multiple_of(compared.max(1));
            self.in_place_of(row.last(), change, &wanted, compare)
                .await
                .with_context(|| change.to_string())?;
            row.push(change.clone());
            if row.len() == ROW || self.tally.findings.len() > findings {
                self.undo(&mut row).await?;
            }
        }
        self.undo(&mut row).await
    }

    async fn in_place_of(
        &mut self,
        former: Option<&Change>,
        change: &Change,
        wanted: &Desired,
        compare: bool,
    ) -> Result<()> {
        let keys: BTreeSet<&ResourceKey> =
            former.into_iter().chain([change]).map(|change| &change.place.key).collect();
        let manifests: Result<Vec<Manifest>, Diagnostics> =
            keys.into_iter().map(|key| wanted.read_one(key)).collect();
        self.tally.accepted += 1;
        self.ground.apply(manifests?).await?;
        let Some(after) = self.settled(change, "it").await? else { return Ok(()) };
        let left = left_to_others(wanted);
        let differs = self.before.end(&left) != after.end(&left) || self.before.objects() != after.objects();
        if differs {
            self.tally.effects.insert((change.kind, change.pattern.clone()));
        }
        if compare {
            self.compare_with_fresh(change, wanted, &after).await?;
        }
        Ok(())
    }

    /// One change, by the words in which findings tell of it, and undone.
    pub async fn one(&mut self, words: &str) -> Result<()> {
        let found = self.all_of_base(false).into_iter().find(|change| change.to_string() == words);
        let change = found.with_context(|| format!("there is no change {words}"))?;
        self.ground.restore(BASE).await?;
        let wanted = change.made(&self.base)?;
        self.in_place_of(None, &change, &wanted, true).await?;
        self.undo(&mut vec![change]).await
    }

    /// Undoes the last of a row, with which all of it is undone; puts the base back if it is not.
    async fn undo(&mut self, row: &mut Vec<Change>) -> Result<()> {
        let Some(last) = row.pop() else { return Ok(()) };
        self.tally.operations += 1;
        self.ground.apply(vec![self.base.read_one(&last.place.key)?]).await?;
        let findings = self.tally.findings.len();
        if let Some(undone) = self.settled(&last, "undoing it").await? {
            let left = left_to_others(&self.base);
            let before: Vec<String> = row.iter().map(ToString::to_string).collect();
            let what = format!("undone, it is not as it was before; earlier: {}", before.join("; "));
            self.same(&last, &what, &self.before.end(&left), &undone.end(&left));
        }
        row.clear();
        if self.tally.findings.len() > findings {
            self.ground.restore(BASE).await?;
        }
        Ok(())
    }

    fn all_of_base(&self, invalid: bool) -> Vec<Change> {
        let all = self.fields.iter().flat_map(|field| changes(&self.base, field));
        all.filter(|change| change.invalid == invalid).collect()
    }

    fn refused(&mut self, change: &Change, found: &Diagnostics) {
        if let Err(why) = change.refused_properly(found) {
            self.find(change, &why);
        }
    }

    /// Every resource that nothing refers to is deleted, and made again.
    pub async fn each_resource(&mut self) -> Result<()> {
        let base = self.base.clone();
        let read = base.read()?;
        let referred: BTreeSet<ResourceKey> =
            read.iter().flat_map(|manifest| manifest.spec.references(&manifest.key)).collect();
        let left = left_to_others(&base);
        for manifest in read.into_iter().filter(|manifest| !referred.contains(&manifest.key)) {
            let key = manifest.key.clone();
            if key.kind() == Kind::Organization {
                continue;
            }
            self.tally.operations += 2;
            self.tally.accepted += 2;
            self.ground.restore(BASE).await?;
            let mut wanted = base.clone();
            wanted.put(&key, None);
            self.ground.delete(&key).await?;
            let change = Change::deletion(&key);
            let Some(after) = self.settled(&change, "it").await? else { continue };
            self.compare_with_fresh(&change, &wanted, &after).await?;
            self.ground.apply(vec![manifest]).await?;
            let Some(again) = self.settled(&change, "making it again").await? else { continue };
            let what = "made again, it is not as it was before";
            self.same(&change, what, &self.before.end(&left), &again.end(&left));
        }
        Ok(())
    }

    /// So many changes drawn by a seed, each on top of those before, and all of them undone at the end.
    pub async fn chain(&mut self, seed: u64, length: usize) -> Result<()> {
        self.way = Some(format!("seed {seed}"));
        let went = self.follow(seed, length).await;
        self.way = None;
        went
    }

    async fn follow(&mut self, seed: u64, length: usize) -> Result<()> {
        let mut random = Random::new(seed);
        let mut wanted = self.base.clone();
        self.ground.restore(BASE).await?;
        let mut last = None;
        for number in 1..=length {
            let Some(change) = self.draw(&wanted, &mut random) else { continue };
            self.tally.operations += 1;
            let next = change.made(&wanted)?;
            let Ok(manifest) = next.read_one(&change.place.key) else {
                self.tally.refused_by_meaning += 1;
                continue;
            };
            // Of what each manifest says alone nothing is wrong, but two of them may ask for the same host, or one for what another switched off.
            let refused = |error: &anyhow::Error| {
                matches!(
                    error.downcast_ref(),
                    Some(StoreError::HostTaken { .. } | StoreError::FeatureClosed { .. })
                ) || is_forbidden(error)
            };
            match self.ground.apply(vec![manifest]).await {
                Err(error) if refused(&error) => {
                    self.tally.refused_by_meaning += 1;
                    continue;
                }
                applied => applied?,
            }
            self.tally.accepted += 1;
            let Some(after) = self.settled(&change, "it").await? else { return Ok(()) };
            if number % COMPARED_AFTER == 0 || number == length {
                self.compare_with_fresh(&change, &next, &after).await?;
            }
            self.way.get_or_insert_default().push_str(&format!("; {change}"));
            wanted = next;
            last = Some(change);
        }
        let Some(change) = last else { return Ok(()) };
        self.tally.operations += 1;
        let base = self.base.clone();
        self.ground.apply(base.read()?).await?;
        if let Some(undone) = self.settled(&change, "undoing all").await? {
            let left = left_to_others(&base);
            let what = "undone, the chain is not as it was before";
            self.same(&change, what, &self.before.end(&left), &undone.end(&left));
        }
        Ok(())
    }

    fn draw(&self, wanted: &Desired, random: &mut Random) -> Option<Change> {
        let field = random.pick(&self.fields);
        let mut all = changes(wanted, field);
        all.retain(|change| !change.invalid);
        if all.is_empty() { None } else { Some(random.pick(&all).clone()) }
    }

    async fn settled(&mut self, change: &Change, what: &str) -> Result<Option<State>> {
        if let Err(error) = self.ground.settle().await {
            self.find(change, &format!("{what} does not come to rest: {error:#}"));
            return Ok(None);
        }
        Ok(Some(State::of(&self.ground.look().await?)?))
    }

    async fn compare_with_fresh(&mut self, change: &Change, wanted: &Desired, after: &State) -> Result<()> {
        if keeps_a_value(wanted) {
            return Ok(());
        }
        let text =
            serde_json::to_string(&wanted.keys().map(|key| wanted.get(key)).collect::<Vec<Option<&Json>>>())?;
        let fresh = match self.known.get(&text) {
            Some(known) => known.clone(),
            None => {
                let made = match fresh(&mut self.beside, wanted).await {
                    // A policy that became stricter than what it found leaves that alone, and lets nobody begin so.
                    Err(error) if is_forbidden(&error) => {
                        self.tally.refused_by_meaning += 1;
                        return Ok(());
                    }
                    made => made.context("from nothing")?,
                };
                self.known.insert(text, made.clone());
                made
            }
        };
        if !fresh.is_ready() || !after.is_ready() {
            self.tally.not_ready += 1;
            // What cannot be done changes nothing of what is there, so only the verdict is the same.
            if fresh.is_ready() != after.is_ready() {
                let which = if fresh.is_ready() {
                    "only on the way here it is not ready"
                } else {
                    "only from nothing it is not ready"
                };
                let lines = fresh.differences(after);
                self.find(change, &format!("{which}:\n    {}", lines.join("\n    ")));
            }
            return Ok(());
        }
        let left = left_to_others(wanted);
        self.same(change, "from nothing it comes to something else", &fresh.end(&left), &after.end(&left));
        Ok(())
    }

    fn same(&mut self, change: &Change, what: &str, one: &State, other: &State) {
        let lines = one.differences(other);
        if !lines.is_empty() {
            self.find(change, &format!("{what}:\n    {}", lines.join("\n    ")));
        }
    }

    fn find(&mut self, change: &Change, what: &str) {
        let way = self.way.as_ref().map(|way| format!("{way}; then ")).unwrap_or_default();
        let finding = format!("{way}{change}: {what}");
        eprintln!("found: {finding}");
        self.tally.findings.push(finding);
    }
}

async fn fresh(ground: &mut Ground, desired: &Desired) -> Result<State> {
    let manifests = desired.read()?;
    ground.clear().await?;
    ground.apply(manifests).await?;
    ground.until_no_more_calls().await?;
    State::of(&ground.look().await?)
}

/// Was a state refused because a policy of its own does not allow it?
fn is_forbidden(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(StoreError::PolicyDenied { .. }))
}

/// Is there a Secret without a value? It keeps the one that it has, so that values need not stand in manifests; from nothing there is
/// none to keep, and the store refuses it.
fn keeps_a_value(desired: &Desired) -> bool {
    let mut secrets = desired.keys().filter(|key| key.kind() == Kind::Secret);
    let says =
        |secret: &Json| ["/spec/value", "/spec/generate"].iter().any(|field| secret.pointer(field).is_some());
    secrets.any(|key| desired.get(key).is_some_and(|secret| !says(secret)))
}

/// The services whose number of instances no manifest says.
fn left_to_others(desired: &Desired) -> BTreeSet<String> {
    let mut services = BTreeSet::new();
    for key in desired.keys().filter(|key| key.kind() == Kind::Environment) {
        let Some(environment) = desired.get(key) else { continue };
        let name = environment.pointer("/spec/app").and_then(Json::as_str).unwrap_or_default();
        let app = desired
            .keys()
            .find(|app| app.kind() == Kind::App && app.org() == key.org() && app.name().as_str() == name);
        let app = app.and_then(|app| desired.get(app));
        let own = environment.pointer("/spec/processes").and_then(Json::as_object);
        let of_app = app.and_then(|app| app.pointer("/spec/processes")).and_then(Json::as_object);
        let says = |processes: Option<&serde_json::Map<String, Json>>, process: &str| {
            processes
                .and_then(|all| all.get(process))
                .is_some_and(|process| process.get("instances").is_some())
        };
        let names = own.into_iter().chain(of_app).flat_map(|processes| processes.keys());
        for process in names.filter(|process| !says(own, process) && !says(of_app, process)) {
            let org = key.org().map(ToString::to_string).unwrap_or_default();
            services.insert(format!("{org}_{}_{process}", key.name()));
        }
    }
    services
}
