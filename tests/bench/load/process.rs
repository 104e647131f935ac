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
        Ok(time(fields(&text).skip(11).take(2)))
    }

    /// The same with that of all processes that it has started, also of those that have ended.
    pub(crate) fn cpu_of_family(self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.0);
        let own = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        let parent = self.0.to_string();
        let mut all = time(fields(&own).skip(11).take(4));
        for entry in fs::read_dir("/proc")?.flatten() {
            // One that has just ended counts with its parent.
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            if fields(&stat).nth(1) == Some(&parent) {
                all += time(fields(&stat).skip(11).take(2));
            }
        }
        Ok(all)
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

/// What follows the name in /proc/PID/stat, which may have blanks and brackets.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
}

fn time<'a>(ticks: impl Iterator<Item = &'a str>) -> Duration {
    let ticks = ticks.filter_map(|field| field.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * (1000 / TICKS))
}
