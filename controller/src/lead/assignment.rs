//! Who takes which shards: a pure function of what a member sees.
//!
//! Members do not talk to each other. Each sees the others that are alive and the shards that are free, works out how many it
//! should have, takes free ones up to that and gives back what is above. Their shares add up to all shards, so when all see
//! the same members, all shards are held and no two members differ by more than one. While they see different ones (one
//! just came, another's clock is late), leases keep a shard from having two holders, and the next look corrects the rest.

use std::collections::BTreeSet;

use super::shard::{SHARDS, Shard};

/// What a member does about its share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Moves {
    /// Free shards to take, most wanted first.
    pub(super) take: Vec<Shard>,
    /// Shards to give back.
    pub(super) give: Vec<Shard>,
}

/// What a member sees.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    /// Its own name.
    pub(super) me: &'a str,
    /// The names of the others that are alive.
    pub(super) others: &'a [String],
    /// The shards that it has and is not giving back.
    pub(super) mine: &'a BTreeSet<Shard>,
    /// The shards that nobody has.
    pub(super) free: &'a BTreeSet<Shard>,
}

impl View<'_> {
    /// How many shards this member should have, and where its share begins when all are laid out by the members' names.
    fn share(&self) -> (usize, usize) {
        let members = self.others.len() + 1;
        let rank = self.others.iter().filter(|other| other.as_str() < self.me).count();
        let (least, more) = (SHARDS / members, SHARDS % members);
        (least + usize::from(rank < more), rank * least + rank.min(more))
    }

    /// What to do now.
    pub(super) fn moves(&self) -> Moves {
        let (share, begin) = self.share();
        // Everyone prefers other shards, so that members that look at once seldom want the same.
        let preference = |shard: &Shard| (shard.index() + SHARDS - begin) % SHARDS;
        if self.mine.len() > share {
            let mut give: Vec<Shard> = self.mine.iter().copied().collect();
            give.sort_by_key(preference);
            return Moves { take: Vec::new(), give: give.split_off(share) };
        }
        let mut take: Vec<Shard> = self.free.iter().copied().collect();
        take.sort_by_key(preference);
        take.truncate(share - self.mine.len());
        Moves { take, give: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Members with what they hold, and those that are gone.
    #[derive(Debug, Clone)]
    struct World {
        members: Vec<(String, BTreeSet<Shard>)>,
    }

    impl World {
        fn free(&self) -> BTreeSet<Shard> {
            let held: BTreeSet<Shard> =
                self.members.iter().flat_map(|(_, held)| held.iter().copied()).collect();
            Shard::all().filter(|shard| !held.contains(shard)).collect()
        }

        fn others(&self, me: &str) -> Vec<String> {
            self.members.iter().map(|(name, _)| name.clone()).filter(|name| name != me).collect()
        }

        /// One member looks and moves. The lease decides, so it gets what is still free.
        fn step(&mut self, index: usize, seen_free: &BTreeSet<Shard>) -> bool {
            let (me, mine) = self.members[index].clone();
            let others = self.others(&me);
            let moves = View { me: &me, others: &others, mine: &mine, free: seen_free }.moves();
            let free = self.free();
            let held = &mut self.members[index].1;
            for shard in &moves.give {
                held.remove(shard);
            }
            held.extend(moves.take.iter().filter(|shard| free.contains(shard)));
            moves != Moves::default()
        }

        fn is_balanced(&self) -> bool {
            let counts = self.members.iter().map(|(_, held)| held.len());
            let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
            self.free().is_empty() && most - least <= 1
        }
    }

    /// Some members; each shard has one of them, or nobody.
    fn any_world(rng: &mut StdRng) -> World {
        let count = rng.random_range(1..24);
        let mut members: Vec<_> = (0..count).map(|n| (format!("member-{n:02}"), BTreeSet::new())).collect();
        for shard in Shard::all() {
            let owner = rng.random_range(0..=count);
            if let Some((_, held)) = members.get_mut(owner) {
                held.insert(shard);
            }
        }
        World { members }
    }

    fn worlds() -> impl Iterator<Item = (u64, StdRng, World)> {
        (0..400).map(|seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let world = any_world(&mut rng);
            (seed, rng, world)
        })
    }

    #[test]
    fn members_that_look_one_after_another_end_with_all_shards_held_once_and_balanced() {
        for (seed, mut rng, mut world) in worlds() {
            for _ in 0..rng.random_range(0..40) {
                let free = world.free();
                world.step(rng.random_range(0..world.members.len()), &free);
            }
            // Whatever happened before: two full turns, the first to give and the second to take.
            for index in (0..world.members.len()).chain(0..world.members.len()) {
                let free = world.free();
                world.step(index, &free);
            }
            assert!(world.is_balanced(), "seed {seed}: {world:?}");
            for index in 0..world.members.len() {
                let free = world.free();
                assert!(!world.step(index, &free), "seed {seed}: it is not a fixed point: {world:?}");
            }
        }
    }

    #[test]
    fn members_that_all_look_at_the_same_moment_come_to_the_same_end() {
        for (seed, _, mut world) in worlds() {
            for _ in 0..SHARDS {
                let free = world.free();
                for index in 0..world.members.len() {
                    world.step(index, &free);
                }
            }
            assert!(world.is_balanced(), "seed {seed}: {world:?}");
        }
    }

    #[test]
    fn nobody_gives_back_and_takes_at_once_or_moves_what_it_cannot() {
        for (seed, _, world) in worlds() {
            for (me, mine) in &world.members {
                let (others, free) = (world.others(me), world.free());
                let moves = View { me, others: &others, mine, free: &free }.moves();
                assert!(moves.give.is_empty() || moves.take.is_empty(), "seed {seed}: {moves:?}");
                assert!(moves.give.iter().all(|shard| mine.contains(shard)), "seed {seed}: {moves:?}");
                assert!(moves.take.iter().all(|shard| free.contains(shard)), "seed {seed}: {moves:?}");
            }
        }
    }

    #[test]
    fn a_member_alone_takes_everything() {
        let all: BTreeSet<Shard> = Shard::all().collect();
        let moves = View { me: "one", others: &[], mine: &BTreeSet::new(), free: &all }.moves();
        assert_eq!(moves.take.len(), SHARDS);
    }
}
