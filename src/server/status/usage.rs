//! Resources that this process uses.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::metrics::ProcessFacts;

pub(super) fn of_this_process() -> ProcessFacts {
    ProcessFacts {
        cpu: Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default(),
        memory: std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| resident(&status)),
        log_lines_dropped: crate::system::log_queue::dropped(),
    }
}

/// Resident memory in bytes, from `VmRSS` in proc_pid_status(5).
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}
