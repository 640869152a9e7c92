//! Samples of machine and services. Units are part of the names.

use serde::{Deserialize, Serialize};

use super::{ids::RunId, time::Timestamp};

/// What a whole run (its process tree) uses.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunUsage {
    /// Percent of one core since the last sample: 150 is one and a half cores.
    pub cpu_percent: f32,
    /// Resident memory in bytes, all processes of the tree.
    pub memory_bytes: u64,
    /// Processes in the tree.
    pub processes: u32,
    /// Threads in the tree.
    pub threads: u32,
}

/// Pressure stall information (Linux, `Documentation/accounting/psi.rst`): percent of the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pressure {
    /// In which something waited for a processor.
    pub cpu_some_percent: f32,
    /// In which all that would run waited for memory.
    pub memory_full_percent: f32,
    /// In which all that would run waited for a disk.
    pub io_full_percent: f32,
}

/// The machine.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct HostUsage {
    /// 0 to 100, all cores together, since the last sample.
    pub cpu_percent: f32,
    /// Logical cores.
    pub cores: u32,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: [f32; 3],
    /// Bytes of memory.
    pub memory_total_bytes: u64,
    /// Bytes in use (total minus available).
    pub memory_used_bytes: u64,
    /// Bytes of swap.
    pub swap_total_bytes: u64,
    /// Bytes of swap in use.
    pub swap_used_bytes: u64,
    /// Bytes per second received by network devices with hardware behind them; where there are none, by all but loopback.
    pub net_rx_bytes_per_s: f64,
    /// Bytes per second sent by the same devices.
    pub net_tx_bytes_per_s: f64,
    /// Bytes per second read from whole disks with hardware behind them; where there are none, from all whole disks.
    pub disk_read_bytes_per_s: f64,
    /// Bytes per second written to the same disks.
    pub disk_write_bytes_per_s: f64,
    /// Size in bytes of the file system that holds the project.
    pub disk_total_bytes: u64,
    /// Bytes free there for this user.
    pub disk_free_bytes: u64,
    /// How much was waited for, where the kernel tells it (`/proc/pressure`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
}

/// One look at everything, once a second.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub at: Timestamp,
    /// The machine.
    pub host: HostUsage,
    /// Every run that was asked for and is still there.
    pub runs: Vec<(RunId, RunUsage)>,
    /// Those of them whose main process a signal has stopped (state `T`).
    pub stopped: Vec<RunId>,
}
