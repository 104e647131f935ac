//! CPU time and memory of another process, from /proc.

use std::fs;
use std::time::Duration;

use crate::Result;

/// Clock ticks a second of /proc/PID/stat, the same on every Linux.
const TICKS: u64 = 100;

/// The process that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time of all its threads so far.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        // The name may have blanks and brackets; the fields follow its last bracket.
        let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: Vec<u64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        Ok(Duration::from_millis(
            ticks.iter().sum::<u64>() * (1000 / TICKS),
        ))
    }

    /// Begins a new peak of memory, where the kernel allows it.
    pub(crate) fn reset_peak(self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }

    /// Resident memory in MB: now, and at most.
    pub(crate) fn memory(self) -> Result<(f64, f64)> {
        let path = format!("/proc/{}/status", self.0);
        let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes =
                line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kilobytes.unwrap_or_default() / 1000.0
        };
        Ok((field("VmRSS:"), field("VmHWM:")))
    }
}
