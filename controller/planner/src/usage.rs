//! What a container uses, from one reading of the engine and the one before.
//!
//! The engine counts since the container was started. How much of a processor is used is what was added between two readings, over the time
//! between them as the engine's own clock has it. Memory is told as the kernel charges it, and as what is really at work: without the files
//! that could be dropped at once, as `docker stats` has it, for control groups of both versions.

use jiff::Timestamp;

use crate::swarm::{ContainerStats, MemoryStats};

/// Readings that lie less apart say nothing of what is used: the counters are not moved at every moment.
const APART_MIN_NANOS: u128 = 200_000_000;

/// One reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    at: Timestamp,
    cpu_nanos: u64,
    memory: Memory,
    network: Option<Network>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What is charged, files in the page cache included.
    pub used: u64,
    /// The same without files that could be dropped at once.
    pub working_set: u64,
    /// The most that may be.
    pub limit: u64,
}

/// Traffic since the container was started, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Network {
    /// What came in.
    pub received: u64,
    /// What went out.
    pub sent: u64,
}

/// What a container uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Millionths of a core, on average between the two readings.
    pub cpu_micros: Option<u64>,
    /// Memory.
    pub memory: Memory,
    /// Traffic; none without a network of its own.
    pub network: Option<Network>,
    /// Traffic in each second, on average between the two readings.
    pub each_second: Option<Network>,
}

impl Reading {
    /// From what the engine says; none if the container does not run.
    pub fn of(stats: &ContainerStats) -> Option<Self> {
        let at: Timestamp = stats.read.parse().ok()?;
        let ContainerStats { cpu_stats, memory_stats, networks, .. } = stats;
        // An engine answers for a container that does not run, too: with zeros, as of the year 1.
        if at < Timestamp::UNIX_EPOCH || (memory_stats.usage == 0 && cpu_stats.cpu_usage.total_usage == 0) {
            return None;
        }
        let network = (!networks.is_empty()).then(|| {
            networks.values().fold(Network::default(), |sum, one| Network {
                received: sum.received.saturating_add(one.rx_bytes),
                sent: sum.sent.saturating_add(one.tx_bytes),
            })
        });
        Some(Self { at, cpu_nanos: cpu_stats.cpu_usage.total_usage, memory: memory(memory_stats), network })
    }

    /// What is used, as far as another reading of the same container before this one tells it. Of counters that went back nothing is said: it
    /// was started anew.
    pub fn since(&self, before: Option<&Self>) -> Usage {
        let before = before.and_then(|before| Some((before, self.nanos_after(before)?)));
        let cpu_micros = before.and_then(|(before, nanos)| {
            // Billionths of a second in each second are billionths of a core.
            Some(in_a_second(before.cpu_nanos, self.cpu_nanos, nanos)? / 1000)
        });
        let each_second = before.and_then(|(before, nanos)| {
            let (from, to) = (before.network?, self.network?);
            Some(Network {
                received: in_a_second(from.received, to.received, nanos)?,
                sent: in_a_second(from.sent, to.sent, nanos)?,
            })
        });
        Usage { cpu_micros, memory: self.memory, network: self.network, each_second }
    }

    fn nanos_after(&self, before: &Self) -> Option<u128> {
        u128::try_from(self.at.duration_since(before.at).as_nanos())
            .ok()
            .filter(|nanos| *nanos >= APART_MIN_NANOS)
    }
}

/// By how much a counter moved in each second.
fn in_a_second(from: u64, to: u64, nanos: u128) -> Option<u64> {
    let moved = u128::from(to.checked_sub(from)?);
    u64::try_from(moved * 1_000_000_000 / nanos).ok()
}

/// A part of something, in ten-thousandths; none of nothing.
pub fn share(part: u64, whole: u64) -> Option<u64> {
    u64::try_from((u128::from(part) * 10_000).checked_div(u128::from(whole))?).ok()
}

/// In version 1 what counts is the number of the whole group; in version 2 there is no other.
fn memory(stats: &MemoryStats) -> Memory {
    let part = |name: &str| stats.stats.get(name).copied().filter(|inactive| *inactive < stats.usage);
    let inactive = match stats.stats.contains_key("total_inactive_file") {
        true => part("total_inactive_file"),
        false => part("inactive_file"),
    };
    let working_set = stats.usage - inactive.unwrap_or_default();
    Memory { used: stats.usage, working_set, limit: stats.limit }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Recorded from an engine whose control groups are of version 1, a second apart.
    const FIRST: &str = include_str!("swarm/fixtures/26.1/stats_first.json");
    const SECOND: &str = include_str!("swarm/fixtures/26.1/stats_second.json");
    /// The second as an engine says it whose control groups are of version 2.
    const VERSION_2: &str = include_str!("swarm/fixtures/stats_cgroup_v2.json");

    fn reading(text: &str) -> Reading {
        Reading::of(&serde_json::from_str(text).unwrap()).unwrap()
    }

    fn changed(text: &str, pointer: &str, value: Value) -> Option<Reading> {
        let mut stats: Value = serde_json::from_str(text).unwrap();
        *stats.pointer_mut(pointer).unwrap() = value;
        Reading::of(&serde_json::from_value(stats).unwrap())
    }

    #[test]
    fn what_is_used_is_what_was_added_between_two_readings_over_the_time_between_them() {
        let usage = reading(SECOND).since(Some(&reading(FIRST)));
        // 47,515,015 ns in 1.034137686 s.
        assert_eq!(usage.cpu_micros, Some(45_946));
        assert_eq!(usage.network, Some(Network { received: 640, sent: 0 }));
        assert_eq!(usage.each_second, Some(Network { received: 67, sent: 0 }));
        let alone = reading(SECOND).since(None);
        assert_eq!((alone.cpu_micros, alone.each_second), (None, None));
        assert_eq!((alone.memory, alone.network), (usage.memory, usage.network));
    }

    #[test]
    fn the_working_set_leaves_out_inactive_files_under_control_groups_of_both_versions() {
        let used = Memory { used: 9_334_784, working_set: 1_142_784, limit: 67_108_864 };
        assert_eq!(reading(SECOND).since(None).memory, used);
        assert_eq!(reading(VERSION_2).since(None).memory, used);
        assert_eq!(reading(VERSION_2).since(Some(&reading(FIRST))).cpu_micros, Some(45_946));
        // In version 1 the group's own number is without those of groups in it, and is not what counts.
        let own = changed(SECOND, "/memory_stats/stats/inactive_file", json!(0)).unwrap();
        assert_eq!(own.memory, used);
        for (text, part) in [(SECOND, "total_inactive_file"), (VERSION_2, "inactive_file")] {
            let more = changed(text, &format!("/memory_stats/stats/{part}"), json!(9_334_785)).unwrap();
            assert_eq!(more.memory.working_set, more.memory.used, "{part}: not below nothing");
        }
    }

    #[test]
    fn of_counters_that_went_back_and_of_readings_that_lie_too_close_nothing_is_said() {
        let (first, second) = (reading(FIRST), reading(SECOND));
        assert_eq!(first.since(Some(&second)).cpu_micros, None, "an older one is not before");
        assert_eq!(second.since(Some(&second)).cpu_micros, None);
        let anew = changed(SECOND, "/cpu_stats/cpu_usage/total_usage", json!(1)).unwrap();
        let usage = anew.since(Some(&first));
        assert_eq!((usage.cpu_micros, usage.each_second.map(|each| each.received)), (None, Some(67)));
        let close = changed(SECOND, "/read", json!("2026-11-22T17:10:18.774284608Z")).unwrap();
        assert_eq!(close.since(Some(&first)).cpu_micros, None);
    }

    #[test]
    fn a_container_that_does_not_run_has_no_reading_and_one_without_a_network_no_traffic() {
        let nothing = json!({"read": "0001-01-01T00:00:00Z", "memory_stats": {}, "networks": null});
        assert_eq!(Reading::of(&serde_json::from_value(nothing).unwrap()), None);
        assert_eq!(changed(SECOND, "/read", json!("soon")), None);
        let alone = changed(SECOND, "/networks", Value::Null).unwrap();
        assert_eq!((alone.since(Some(&reading(FIRST))).network, alone.since(None).each_second), (None, None));
        assert_eq!((share(1, 3), share(3, 2), share(1, 0)), (Some(3333), Some(15_000), None));
    }
}
