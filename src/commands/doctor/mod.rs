//! `wecrelay doctor`: finds out why events do not arrive.
//!
//! Each check prints what it sees, and a `Finding` for what prevents events from arriving
//! or may soon do so, with a remedy and commands to run on the Windows host.

mod certificates;
mod hosts;
mod machine;
mod names;
mod network;

use std::fmt;
use std::io::{self, Write};
use std::time::SystemTime;

use crate::cli::DoctorOptions;
use crate::commands::run;
use crate::commands::terminal::{Color, Paint};
use crate::commands::{Failure, RUNNING, USAGE};
use crate::config::Config;
use crate::windows::remedies::{self, FORWARDER_LOG, FORWARDER_PATH, Remedy};

/// Why `doctor` fails.
#[derive(Debug)]
pub enum Error {
    /// The number of findings that prevent events from arriving.
    Findings(usize),
    /// No table contains the value of `--explain`.
    Unknown(String),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Findings(_) => RUNNING,
            Self::Unknown(_) => USAGE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Findings(1) => write!(f, "one finding keeps events from arriving"),
            Self::Findings(count) => write!(f, "{count} findings keep events from arriving"),
            Self::Unknown(what) => write!(
                f,
                "--explain {what}: not a known event id of {FORWARDER_LOG} (100 to 107), error \
                 code (decimal, or hexadecimal after 0x) or kind of refusal"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Something that prevents events from arriving, or may soon do so.
#[derive(Debug, Default)]
struct Finding {
    /// Whether it prevents them now.
    stops: bool,
    what: String,
    why: String,
    remedy: String,
    /// Commands to run on the Windows host.
    on_host: Vec<String>,
    /// The log and event on the host that show it; may be empty.
    look: &'static str,
}

impl Finding {
    fn color(&self) -> Color {
        if self.stops {
            Color::Red
        } else {
            Color::Yellow
        }
    }
}

/// Collects the findings, and prints them immediately.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    /// The relay's name as hosts use it, for commands to run there.
    collector: String,
}

impl Report {
    fn say(&self, line: impl fmt::Display) {
        // Printed immediately, because the next check may take a while.
        drop(writeln!(io::stdout(), "  {line}"));
    }

    fn find(&mut self, finding: Finding) {
        let number = format!("FINDING {}:", self.findings.len() + 1);
        let number = Paint::new(&io::stdout()).paint(finding.color(), &number);
        let mut text = format!("{number} {}\n", finding.what);
        text.push_str(&format!(
            "  why: {}\n  do: {}\n",
            finding.why, finding.remedy
        ));
        for line in &finding.on_host {
            text.push_str(&format!("  run on the Windows host: {line}\n"));
        }
        if !finding.look.is_empty() {
            text.push_str(&format!("  look at: {}\n", finding.look));
        }
        drop(io::stdout().write_all(text.as_bytes()));
        self.findings.push(finding);
    }

    /// Commands for the host, with the relay's name filled in.
    fn typed(&self, lines: &[&str]) -> Vec<String> {
        let lines = lines.iter();
        lines
            .map(|line| line.replace("COLLECTOR", &self.collector))
            .collect()
    }
}

fn heading(text: &str) {
    let mut stdout = io::stdout();
    let heading = format!("{text}:");
    let heading = Paint::new(&stdout).paint(Color::Bold, &heading);
    drop(writeln!(stdout, "{heading}"));
}

/// Explains an event ID, an error code, or a kind of refusal.
///
/// # Errors
/// No table contains it.
pub fn explain(what: &str) -> Result<(), Error> {
    let found = find(what).ok_or_else(|| Error::Unknown(what.to_owned()))?;
    drop(writeln!(io::stdout(), "{found}"));
    Ok(())
}

fn find(what: &str) -> Option<&'static Remedy> {
    let hexadecimal = what.strip_prefix("0x").or_else(|| what.strip_prefix("0X"));
    let number = match hexadecimal {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        // Windows displays some codes as negative numbers.
        None => what
            .parse::<i64>()
            .ok()
            .and_then(|number| u32::try_from(number & 0xFFFF_FFFF).ok()),
    };
    let Some(number) = number else {
        return remedies::refusal(what);
    };
    let event = u16::try_from(number).ok().and_then(remedies::event);
    event.or_else(|| remedies::code(number))
}

/// Checks everything that usually prevents events from arriving.
///
/// # Errors
/// There is a finding that prevents them.
pub fn run(config: &Config, options: &DoctorOptions) -> Result<(), Error> {
    let mut report = Report {
        collector: collector(config),
        ..Report::default()
    };
    let now = now();
    heading("flags and files");
    let plan = run::plan(config);
    match &plan {
        Ok(_) => report.say("the relay would start with them"),
        Err(error) => report.find(Finding {
            stops: true,
            what: format!("the relay does not start: {error}"),
            why: "all flags and files are read before the relay listens".to_owned(),
            remedy: "correct that file or flag; verify it with wecrelay check".to_owned(),
            ..Finding::default()
        }),
    }
    heading("clock");
    machine::clock(config, &mut report);
    heading("names");
    names::examine(config, options.host.as_deref(), &mut report);
    heading("certificates");
    certificates::examine(config, now, &mut report);
    heading("ports");
    network::listeners(config, &mut report);
    heading("outputs");
    network::outputs(config, plan.as_ref().ok(), &mut report);
    heading(match config.store {
        Some(_) => "limits",
        None => "state folder and limits",
    });
    machine::state(config, &mut report);
    heading("hosts");
    hosts::examine(config, options.host.as_deref(), now, &mut report);
    end(&report)
}

fn end(report: &Report) -> Result<(), Error> {
    let mut text = String::new();
    let stopping = report.findings.iter().filter(|found| found.stops).count();
    match report.findings.len() {
        0 => text.push_str("nothing found\n"),
        1 => text.push_str("one finding"),
        count => text.push_str(&format!("{count} findings")),
    }
    if !report.findings.is_empty() {
        text.push_str(&format!(
            ", {stopping} of which keep events from arriving:\n"
        ));
        for (finding, number) in report.findings.iter().zip(1..) {
            text.push_str(&format!("  {number}. {}\n", finding.what));
        }
    }
    if stopping == 0 {
        text.push_str(&format!(
            "If a host sends nothing all the same, look there at {FORWARDER_LOG}\n({FORWARDER_PATH}):\n\
             \x20 wevtutil qe {FORWARDER_LOG} /c:20 /rd:true /f:text\n\
             100 and 104 mean success; wecrelay doctor --explain NUMBER explains other event ids and error codes.\n"
        ));
    }
    drop(io::stdout().write_all(text.as_bytes()));
    match stopping {
        0 => Ok(()),
        count => Err(Error::Findings(count)),
    }
}

/// The relay's name as hosts use it, or the placeholder `COLLECTOR` without `--hostname`.
fn collector(config: &Config) -> String {
    let name = config.hostname.clone();
    name.unwrap_or_else(|| "COLLECTOR".to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "certificates end by the wall clock"
)]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn codes_are_taken_in_all_the_forms_that_windows_prints() {
        let wanted = find("0x803380E4");
        assert!(wanted.is_some());
        assert_eq!(find("2150858980"), wanted);
        assert_eq!(find("-2144108316"), wanted);
        assert!(find("105").unwrap().meaning.contains("cannot communicate"));
        assert!(find("authentication").is_some());
        assert!(find("99").is_none() && find("x").is_none());
    }
}
