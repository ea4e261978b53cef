//! What reading an input may cost: allocations and memory in proportion to its length.
//!
//! They are counted, not timed, so that a busy machine fails no test and a reader that copies its input once per line does.
//! The processor time of the thread has a bound as well, a hundred times what is usual, for loops that allocate nothing.

use allocation_counter::measure;
use rustix::time::{ClockId, clock_gettime};

/// Allocations for a short input: one of a few hundred bytes may unfold to as many values as a document may have, by aliases.
const ALLOCATIONS_BASE: u64 = 400_000;
/// Allocations for each byte: the densest input is a list of lists, with a tree, a copy for an anchor and a finding each.
const ALLOCATIONS_PER_BYTE: u64 = 60;
/// Memory for a short input, which may unfold likewise.
const MEMORY_BASE: u64 = 32 << 20;
/// Memory for each byte: a node of a tree takes 200 bytes, and two bytes make one.
const MEMORY_PER_BYTE: u64 = 600;
/// Memory of what is bounded by itself: the tree of a document of the most values that are allowed, twice for anchors.
const MEMORY_TREES: u64 = 64 << 20;
/// Memory for each byte of a long input, beside its trees: the text, its lines, and copies of single lines.
const MEMORY_PER_BYTE_OF_LONG: u64 = 12;
/// Seconds of processor time, in a debug build.
const SECONDS_MAX: i64 = 20;

/// Does the work and refuses when it cost more than an input of that length may.
pub fn within_budget<T>(length: usize, work: impl FnOnce() -> T) -> Result<T, String> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let begun = clock_gettime(ClockId::ThreadCPUTime);
    let mut done = None;
    let cost = measure(|| done = Some(work()));
    let seconds = clock_gettime(ClockId::ThreadCPUTime).tv_sec - begun.tv_sec;
    let (allocations, memory) = (ALLOCATIONS_BASE + length * ALLOCATIONS_PER_BYTE, memory_for(length));
    if cost.count_total > allocations {
        return Err(format!(
            "{} allocations for {length} bytes, {allocations} are allowed",
            cost.count_total
        ));
    }
    if cost.bytes_max > memory {
        return Err(format!("{} bytes of memory for {length} bytes, {memory} are allowed", cost.bytes_max));
    }
    if seconds > SECONDS_MAX {
        return Err(format!("{seconds} seconds of processor time for {length} bytes"));
    }
    done.ok_or_else(|| "nothing was done".to_owned())
}

fn memory_for(length: u64) -> u64 {
    (MEMORY_BASE + length * MEMORY_PER_BYTE).min(MEMORY_TREES + length * MEMORY_PER_BYTE_OF_LONG)
}
