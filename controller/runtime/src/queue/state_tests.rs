//! The state machine against a model that is nothing but a list and slow searches.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Few keys and groups, so that steps collide often.
const KEYS: u32 = 12;
const GROUPS: u32 = 3;
const SHARE: usize = 2;
const MAX: usize = 10;

/// What the queue must know of one key.
#[derive(Clone, Debug)]
struct Entry {
    key: u32,
    priority: Priority,
    due: Instant,
    backing_off: bool,
    running: bool,
    held: Option<(Priority, Instant)>,
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    picks: u64,
}

impl Model {
    fn wake(&mut self, key: u32, priority: Priority, due: Instant, now: Instant) -> Woken {
        let full = self.entries.len() >= MAX;
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == key) else {
            if full {
                return Woken::Refused;
            }
            self.entries.push(Entry { key, priority, due, backing_off: false, running: false, held: None });
            return Woken::Added;
        };
        if entry.running {
            let (held_priority, held_due) = entry.held.unwrap_or((priority, due));
            entry.held = Some((held_priority.max(priority), held_due.min(due)));
            return Woken::Held;
        }
        entry.priority = entry.priority.max(priority);
        if entry.due > now && (!entry.backing_off || priority >= Priority::Change) {
            entry.due = entry.due.min(due);
            entry.backing_off = false;
        }
        Woken::Merged
    }

    /// The keys that may be picked: due, not running, their group with a free share.
    fn admissible(&self, now: Instant) -> Vec<Entry> {
        let running = |group| self.entries.iter().filter(|e| e.running && e.key % GROUPS == group).count();
        let may_run =
            |entry: &&Entry| !entry.running && entry.due <= now && running(entry.key % GROUPS) < SHARE;
        self.entries.iter().filter(may_run).cloned().collect()
    }

    fn check_pick(&mut self, picked: Option<&Picked<u32>>, now: Instant) {
        let admissible = self.admissible(now);
        let Some(picked) = picked else {
            assert!(admissible.is_empty(), "nothing picked, but {admissible:?} could run");
            return;
        };
        let entry = admissible.iter().find(|entry| entry.key == picked.key);
        let entry = entry.unwrap_or_else(|| panic!("{picked:?} may not run now"));
        assert_eq!(entry.priority, picked.priority);
        let priorities = admissible.iter().map(|entry| entry.priority);
        self.picks += 1;
        let wanted =
            if self.picks.is_multiple_of(LOWEST_FIRST_EVERY) { priorities.min() } else { priorities.max() };
        assert_eq!(Some(picked.priority), wanted);
        let entry = self.entries.iter_mut().find(|entry| entry.key == picked.key).unwrap();
        entry.running = true;
    }

    fn release(&mut self, key: u32, after: After, now: Instant) {
        let index = self.entries.iter().position(|entry| entry.key == key).unwrap();
        let held = self.entries.remove(index).held;
        let own = match after {
            After::Done => None,
            After::Poll(wait) | After::BackOff(wait) => Some((Priority::Retry, now + wait)),
        };
        let both = held.into_iter().chain(own);
        let Some(priority) = both.clone().map(|(priority, _)| priority).max() else { return };
        let backing_off = matches!(after, After::BackOff(_)) && priority < Priority::Change;
        let due = if backing_off { own.map(|(_, due)| due) } else { both.map(|(_, due)| due).min() };
        let due = due.unwrap();
        self.entries.push(Entry { key, priority, due, backing_off, running: false, held: None });
    }
}

fn random_run(seed: u64) -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut now = Instant::now();
    let (mut state, mut model) = (State::new(MAX, SHARE), Model::default());
    let (mut running, mut order) = (Vec::new(), Vec::new());
    for _ in 0..3000 {
        let wait = Duration::from_millis(if rng.random_bool(0.4) { 0 } else { rng.random_range(0..50) });
        match rng.random_range(0..10) {
            0..=3 => {
                let key = rng.random_range(0..KEYS);
                let priority = Priority::ALL[rng.random_range(0..Priority::ALL.len())];
                let woken = state.wake(key, key % GROUPS, priority, now + wait, now);
                assert_eq!(woken, model.wake(key, priority, now + wait, now));
            }
            4..=6 => {
                let picked = state.pick(now);
                model.check_pick(picked.as_ref(), now);
                order.extend(picked.iter().map(|picked| picked.key));
                running.extend(picked.map(|picked| picked.key));
            }
            7..=8 if !running.is_empty() => {
                let key = running.swap_remove(rng.random_range(0..running.len()));
                let after = match rng.random_range(0..4) {
                    0 => After::Poll(wait),
                    1 => After::BackOff(wait),
                    _ => After::Done,
                };
                state.release(&key, after, now);
                model.release(key, after, now);
            }
            _ => now += wait,
        }
        check_books(&state, &model, now);
    }
    order
}

/// The counts agree with the model, and every index of the state agrees with its slots.
fn check_books(state: &State<u32, u32>, model: &Model, now: Instant) {
    let stats = state.stats(now);
    let ready: usize = stats.ready.iter().map(|(_, count)| count).sum();
    assert_eq!(state.len(), model.entries.len());
    assert_eq!(stats.running, model.entries.iter().filter(|entry| entry.running).count());
    assert_eq!(ready + stats.waiting + stats.running, state.len());
    assert_eq!(state.running.values().sum::<usize>(), stats.running);
    assert!(state.running.values().all(|count| (1..=SHARE).contains(count)));
    let due = model.entries.iter().filter(|entry| !entry.running && entry.due > now).map(|entry| entry.due);
    let mut due: Vec<Instant> = due.collect();
    due.sort_unstable();
    let waiting: Vec<Instant> = state.waiting.keys().map(|(due, _)| *due).filter(|due| *due > now).collect();
    assert_eq!(waiting, due);
}

#[test]
fn the_queue_agrees_with_the_model_on_random_histories() {
    for seed in 0..60 {
        let order = random_run(seed);
        assert!(order.len() > 300, "the history must exercise the queue: {} runs", order.len());
    }
}

#[test]
fn the_same_history_gives_the_same_order() {
    assert_eq!(random_run(99), random_run(99));
}

#[test]
fn a_stream_of_urgent_keys_slows_lower_priorities_but_does_not_starve_them() {
    let now = Instant::now();
    let mut state = State::new(1000, 1);
    state.wake(0, 0, Priority::Resync, now, now);
    for key in 1..=100 {
        state.wake(key, key, Priority::Urgent, now, now);
    }
    let runs_before = (0..).take_while(|_| state.pick(now).is_some_and(|picked| picked.key != 0)).count();
    assert_eq!(u64::try_from(runs_before).unwrap(), LOWEST_FIRST_EVERY - 1);
}

#[test]
fn groups_of_one_priority_run_in_turn_while_their_shares_allow() {
    let now = Instant::now();
    let mut state = State::new(1000, 100);
    for key in 0..300 {
        // Group 0 has 280 keys, the two others ten each, and all of group 0 come first.
        let group = match key {
            0..280 => 0,
            280..290 => 1,
            _ => 2,
        };
        state.wake(key, group, Priority::Retry, now, now);
    }
    let first: Vec<u32> = (0..30).filter_map(|_| state.pick(now)).map(|picked| picked.key).collect();
    assert_eq!(first.iter().filter(|key| **key >= 280).count(), 20);
}
