//! What is used, as the API tells it: each instance, and the sum of those that could be read.

use jiff::Timestamp;
use skep_api::wire::{
    CpuView, InstanceMetrics, MemoryView, MetricsView, NetworkView, UnreadReason, UnreadView, UsageView,
};
use skep_planner::usage::{Network, Usage, share};

use super::engine::Instance;

/// One answer.
pub(super) fn view<'a>(
    at: Timestamp,
    instances: impl Iterator<Item = (&'a Instance, Result<Usage, UnreadReason>)>,
) -> MetricsView {
    let mut sum = Sum::default();
    let items = instances.map(|(instance, usage)| {
        let told = match &usage {
            Ok(usage) => {
                sum.add(instance, usage);
                (Some(told(usage, instance.cpu_limit)), None)
            }
            Err(reason) => {
                sum.unread = sum.unread.saturating_add(1);
                (None, Some(UnreadView { reason: *reason, message: reason.in_words().to_owned() }))
            }
        };
        InstanceMetrics {
            process: instance.process.clone(),
            slot: instance.slot,
            instance: instance.id.clone(),
            usage: told.0,
            unread: told.1,
        }
    });
    let items = items.collect();
    MetricsView { at, total: sum.total(), unread: sum.unread, items }
}

/// What all that could be read use together.
#[derive(Default)]
struct Sum {
    unread: u32,
    cpu_micros: Option<u64>,
    used: u64,
    working_set: u64,
    /// Absent as soon as one of them has no limit; so with memory.
    cpu_limit: Option<Option<u64>>,
    memory_limit: Option<Option<u64>>,
    network: Option<Network>,
    each_second: Option<Network>,
}

impl Sum {
    fn add(&mut self, instance: &Instance, usage: &Usage) {
        let Usage { cpu_micros, memory, network, each_second } = usage;
        self.cpu_micros = both(self.cpu_micros, *cpu_micros, u64::saturating_add);
        self.used = self.used.saturating_add(memory.used);
        self.working_set = self.working_set.saturating_add(memory.working_set);
        self.cpu_limit = Some(limits(self.cpu_limit, instance.cpu_limit));
        self.memory_limit = Some(limits(self.memory_limit, Some(memory.limit)));
        self.network = both(self.network, *network, plus);
        self.each_second = both(self.each_second, *each_second, plus);
    }

    fn total(&self) -> UsageView {
        let cpu_limit = self.cpu_limit.flatten();
        let memory_limit = self.memory_limit.flatten();
        UsageView {
            cpu: cpu(self.cpu_micros, cpu_limit),
            memory: memory(self.used, self.working_set, memory_limit),
            network: self.network.map(|network| traffic(network, self.each_second)),
        }
    }
}

/// What is there of two, together.
fn both<T>(one: Option<T>, other: Option<T>, together: impl Fn(T, T) -> T) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(together(one, other)),
        (one, other) => one.or(other),
    }
}

fn plus(one: Network, other: Network) -> Network {
    Network {
        received: one.received.saturating_add(other.received),
        sent: one.sent.saturating_add(other.sent),
    }
}

fn limits(sum: Option<Option<u64>>, limit: Option<u64>) -> Option<u64> {
    match sum {
        None => limit,
        Some(sum) => sum.zip(limit).map(|(sum, limit)| sum.saturating_add(limit)),
    }
}

fn told(usage: &Usage, cpu_limit: Option<u64>) -> UsageView {
    let Usage { cpu_micros, memory: used, network, each_second } = usage;
    UsageView {
        cpu: cpu(*cpu_micros, cpu_limit),
        memory: memory(used.used, used.working_set, Some(used.limit)),
        network: network.map(|network| traffic(network, *each_second)),
    }
}

fn cpu(micros: Option<u64>, limit_nanos: Option<u64>) -> CpuView {
    let limit = limit_nanos.map(|nanos| nanos / 1000);
    CpuView {
        cores: micros.map(|micros| fraction(micros, 1_000_000)),
        limit: limit.map(|micros| fraction(micros, 1_000_000)),
        share: micros.zip(limit).and_then(|(micros, limit)| parts(micros, limit)),
    }
}

fn memory(used_bytes: u64, working_set_bytes: u64, limit: Option<u64>) -> MemoryView {
    // Without a limit the kernel says the largest number that it has, and the engine zero.
    let limit_bytes = limit.filter(|limit| *limit > 0 && *limit < u64::MAX / 2);
    let share = limit_bytes.and_then(|limit| parts(working_set_bytes, limit));
    MemoryView { used_bytes, working_set_bytes, limit_bytes, share }
}

fn traffic(network: Network, each_second: Option<Network>) -> NetworkView {
    NetworkView {
        received_bytes: network.received,
        sent_bytes: network.sent,
        received_each_second: each_second.map(|each| each.received),
        sent_each_second: each_second.map(|each| each.sent),
    }
}

/// The part, to four digits.
fn parts(part: u64, whole: u64) -> Option<f64> {
    share(part, whole).map(|parts| fraction(parts, 10_000))
}

/// So many of so many parts of one.
fn fraction(count: u64, parts: u32) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / f64::from(parts)
}
