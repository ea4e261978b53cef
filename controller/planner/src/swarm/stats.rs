//! What a container uses, as the engine it runs on counts it.
//!
//! These names are small letters on the wire. The same document comes of control groups of both versions, with other keys in the memory's
//! parts; [`crate::usage`] makes numbers of it that can be compared.

use std::collections::BTreeMap;

wire_struct! {
    /// One reading. That of a container which does not run is empty.
    pub struct ContainerStats {
        /// When it was read, RFC 3339; year 1 when it was not.
        read: String = "read",
        /// Processor time.
        cpu_stats: CpuStats = "cpu_stats",
        /// Memory.
        memory_stats: MemoryStats = "memory_stats",
        /// By interface. Absent without a network of its own.
        networks: BTreeMap<String, InterfaceStats> = "networks",
    }
}

wire_struct! {
    /// Processor time since the container was started.
    pub struct CpuStats {
        /// What was used.
        cpu_usage: CpuUsage = "cpu_usage",
    }
}

wire_struct! {
    /// Processor time that was used.
    pub struct CpuUsage {
        /// In billionths of a second, of all cores together.
        total_usage: u64 = "total_usage",
    }
}

wire_struct! {
    /// Memory.
    pub struct MemoryStats {
        /// What is charged to the container, its files in the page cache included.
        usage: u64 = "usage",
        /// The most that may be: its limit, or the node's memory.
        limit: u64 = "limit",
        /// What it consists of, in the kernel's words, which are others in control groups of version 1 and of version 2.
        stats: BTreeMap<String, u64> = "stats",
    }
}

wire_struct! {
    /// Traffic of one interface since the container was started.
    pub struct InterfaceStats {
        /// Bytes that came in.
        rx_bytes: u64 = "rx_bytes",
        /// Bytes that went out.
        tx_bytes: u64 = "tx_bytes",
    }
}
