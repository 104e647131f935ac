//! What Windows and the relay say when no events come, what that means, and what to do:
//! one table for `doctor` and whoever else explains it.

mod codes;
mod events;
pub mod hosts;
mod refusals;
#[cfg(test)]
mod tests;
mod winrm;

use std::fmt;

pub use codes::CODES;
pub use events::EVENTS;
pub use refusals::REFUSALS;
pub use winrm::WINRM_CODES;

/// The log of a host's own forwarder.
pub const FORWARDER_LOG: &str = "Microsoft-Windows-Forwarding/Operational";
/// The same, as it is shown in Event Viewer.
pub const FORWARDER_PATH: &str = "Applications and Services Logs > Microsoft > Windows > Eventlog-ForwardingPlugin > Operational";

/// One trouble, or one good sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it; empty where nothing has to be done.
    pub remedy: &'static str,
    /// What to run on the Windows host, a line each; `COLLECTOR` stands for the relay's name.
    pub on_host: &'static [&'static str],
    /// Which log and event of the host tell more.
    pub look: &'static str,
}

/// The remedy for an event id of [`FORWARDER_LOG`].
#[must_use]
pub fn event(id: u16) -> Option<&'static Remedy> {
    EVENTS
        .iter()
        .find(|(known, _)| *known == id)
        .map(|(_, remedy)| remedy)
}

/// All codes with their remedies.
pub fn codes() -> impl Iterator<Item = &'static (u32, Remedy)> {
    CODES.iter().chain(&WINRM_CODES)
}

/// The remedy for an error code of Windows, `WinRM` or the event log.
///
/// ```
/// let remedy = wecrelay::windows::remedies::code(0x803380E4).unwrap();
/// assert!(remedy.remedy.contains("TrustedHosts"));
/// ```
#[must_use]
pub fn code(number: u32) -> Option<&'static Remedy> {
    codes()
        .find(|(known, _)| *known == number)
        .map(|(_, remedy)| remedy)
}

/// The remedy for a kind of refusal, as the relay logs and counts it.
#[must_use]
pub fn refusal(kind: &str) -> Option<&'static Remedy> {
    REFUSALS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, remedy)| remedy)
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "meaning: {}", self.meaning)?;
        if !self.remedy.is_empty() {
            write!(f, "\ndo: {}", self.remedy)?;
        }
        for line in self.on_host {
            write!(f, "\nrun on the host: {line}")?;
        }
        write!(f, "\nlook at: {}", self.look)
    }
}
