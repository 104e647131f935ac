//! Explains symptoms that Windows and the relay report when no events arrive: what each
//! means and what to do. One table for `doctor` and all other explanations.

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

/// The log of the forwarder on a host.
pub const FORWARDER_LOG: &str = "Microsoft-Windows-Forwarding/Operational";
/// The location of [`FORWARDER_LOG`] in Event Viewer.
pub const FORWARDER_PATH: &str = "Applications and Services Logs > Microsoft > Windows > Eventlog-ForwardingPlugin > Operational";

/// The explanation of a problem, or of a sign that everything works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remedy {
    /// What the symptom means.
    pub meaning: &'static str,
    /// What to do; empty if nothing has to be done.
    pub remedy: &'static str,
    /// Commands to run on the Windows host; `COLLECTOR` stands for the relay's name.
    pub on_host: &'static [&'static str],
    /// The log and the event on the host that have details.
    pub look: &'static str,
}

/// The remedy for an event ID of [`FORWARDER_LOG`]; `None` if the ID is unknown.
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

/// The remedy for an error code of Windows, `WinRM`, or the event log; `None` if the code
/// is unknown.
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

/// The remedy for a kind of refusal, by the name that the relay logs and counts; `None` if
/// the kind is unknown.
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
