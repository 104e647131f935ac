//! CPU time and memory of another process, from /proc.

use std::fs;
use std::time::Duration;

use crate::Result;

/// Clock ticks per second in /proc/PID/stat, the same on every Linux.
const TICKS: u64 = 100;

/// The measured process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// User and system time of all its threads.
    pub(crate) fn cpu(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        Ok(time(fields(&text).skip(11).take(2)))
    }

    /// The same, plus that of all its child processes, including those that have ended.
    pub(crate) fn cpu_of_family(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let own = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        let parent = self.0.to_string();
        let mut all = time(fields(&own).skip(11).take(4));
        for entry in fs::read_dir("/proc")?.flatten() {
            // The time of a process that has just ended is included in its parent's.
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if fields(&stat).nth(1) == Some(&parent) {
                all += time(fields(&stat).skip(11).take(2));
            }
        }
        Ok(all)
    }

    /// Resets the peak of memory, if the kernel allows it.
    pub(crate) fn reset_peak(self) {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
    }

    /// Resident memory in MB: current, and peak.
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

/// The fields after the name in /proc/PID/stat; the name can contain blanks and parentheses.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
}

fn time<'a>(ticks: impl Iterator<Item = &'a str>) -> Duration {
    let ticks = ticks.filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * (1000 / TICKS))
}
