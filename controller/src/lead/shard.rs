//! Shards: the parts that the work is split into.
//!
//! All resources of an organisation are in one shard, so one member at a time works on an organisation and everything that is
//! fair, ordered or counted per organisation stays within one process. Which shard that is must be the same for every
//! version of the program, because two of them share the work during an update: the hash is written down here and a test
//! keeps it as it is.

use std::fmt;

use skep_schemas::{Kind, ResourceKey};

/// How many shards there are. Enough to split evenly among a few members, few enough that renewing all of them is one small
/// statement. Another number would be another split: two versions that disagree about it must not run at once.
pub(crate) const SHARDS: usize = 16;

/// One part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shard(usize);

impl Shard {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }

    /// The shard of a resource: that of its organisation. A platform resource without one is spread by its own name.
    pub(crate) fn of(key: &ResourceKey) -> Self {
        let organization = match key.kind() {
            Kind::Organization => key.name().as_str(),
            _ => key.org().map_or(key.name().as_str(), |org| org.as_str()),
        };
        Self::of_name(organization)
    }

    fn of_name(name: &str) -> Self {
        let shards = u64::try_from(SHARDS).unwrap_or(1);
        Self(usize::try_from(hash(name) % shards).unwrap_or_default())
    }

    /// Its position among all.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What has a lease of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// A shard of the organisations.
    Shard(Shard),
    /// The work of the whole cluster.
    Cluster,
}

impl Part {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Shard::all().map(Self::Shard).chain([Self::Cluster])
    }

    /// The name of its lease.
    pub(crate) fn lease(self) -> String {
        match self {
            Self::Shard(Shard(index)) => format!("shard-{index:02}"),
            Self::Cluster => "cluster".to_owned(),
        }
    }
}

/// FNV-1a of 64 bits, and the last step of MurmurHash3 over it, without which names that differ in their last letter only would
/// agree in most bits.
fn hash(name: &str) -> u64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use skep_schemas::{OrgName, ResourceName, Scope};

    use super::*;

    fn org(name: &str) -> OrgName {
        name.parse().unwrap()
    }

    fn key(scope: Scope, kind: Kind, name: &str) -> ResourceKey {
        ResourceKey::new(scope, kind, name.parse::<ResourceName>().unwrap()).unwrap()
    }

    #[test]
    fn the_split_is_the_same_in_every_version() {
        // Golden: members of two versions share the work during an update. Never change these numbers.
        let golden = [
            ("acme", 6),
            ("globex", 1),
            ("initech", 2),
            ("umbrella", 7),
            ("a", 11),
            ("org-1", 4),
            ("org-2", 7),
            ("org-3", 14),
        ];
        assert_eq!(golden.map(|(name, _)| (name, Shard::of_name(name).index())), golden);
        assert_eq!(SHARDS, 16);
        assert_eq!(Part::Shard(Shard(3)).lease(), "shard-03");
    }

    #[test]
    fn everything_of_an_organisation_is_in_one_shard() {
        let acme = org("acme");
        let of = Shard::of(&ResourceKey::organization(&acme));
        for kind in [Kind::App, Kind::Environment, Kind::Secret, Kind::Domain] {
            assert_eq!(Shard::of(&key(Scope::Org(acme.clone()), kind, "thing")), of);
        }
        assert_eq!(Shard::of(&key(Scope::Platform, Kind::Plan, "acme")), of);
    }

    #[test]
    fn names_that_differ_little_spread_evenly() {
        let mut counts = [0; SHARDS];
        for number in 0..1600 {
            counts[Shard::of_name(&format!("tenant-{number}")).index()] += 1;
        }
        assert!(counts.iter().all(|count| (60..=140).contains(count)), "{counts:?}");
    }
}
