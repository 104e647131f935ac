//! `wecrelay check`: shows what the relay would do with these flags, without doing it.
//!
//! Reads and verifies everything as a start of the relay does: flags, subscriptions,
//! accounts, keys, certificates. It binds each address briefly to see whether it is free,
//! stores nothing, and sends no event. An error that would prevent the start ends the
//! check; other findings are printed in the section to which they belong.

mod access;
mod offers;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use uuid::Uuid;

use crate::base::visible::visible;
use crate::commands::probe;
use crate::commands::run::{self, Plan};
use crate::commands::terminal::{Color, Meter, Paint};
use crate::commands::{Failure, RUNNING, USAGE};
use crate::config::{Config, Flag, Listener};
use crate::output;
use crate::record;
use crate::server;
use crate::store::sqlite;
use crate::syslog;

/// Why a check fails.
#[derive(Debug)]
pub enum Error {
    /// The relay would not start.
    Start(run::Error),
    /// The relay would start, but there are this many findings.
    Findings(usize),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Start(_) => USAGE,
            Self::Findings(_) => RUNNING,
        }
    }

    fn flag(&self) -> Option<Flag> {
        match self {
            Self::Start(error) => error.flag(),
            Self::Findings(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "{error}"),
            Self::Findings(1) => write!(f, "the relay would start, with one finding"),
            Self::Findings(count) => write!(f, "the relay would start, with {count} findings"),
        }
    }
}

impl std::error::Error for Error {}

/// Verifies the configuration and prints what the relay would do. With `probe`, also
/// connects to the outputs.
///
/// # Errors
/// The relay would not start, or there are findings.
pub fn run(config: &Config, probe: bool) -> Result<(), Error> {
    let plan = run::plan(config).map_err(Error::Start)?;
    let mut report = Report::new(Paint::new(&io::stdout()));
    report.part(
        "listens on",
        config
            .listeners
            .iter()
            .map(|l| listener(l, config.reuse_port)),
    );
    report.part("allows", access::methods(config).map_err(Error::Start)?);
    let own = access::own_certificates(config).map_err(Error::Start)?;
    if !own.is_empty() {
        report.part("presents the certificate", own);
    }
    for finding in access::findings(config).map_err(Error::Start)? {
        report.finding(1, &finding);
    }
    for warning in access::warnings(config).map_err(Error::Start)? {
        report.warning(1, &warning);
    }
    report.begin("offers");
    for subscription in &plan.subscriptions {
        offers::describe(&config.state, subscription, &plan.answers, &mut report);
    }
    if let Some(line) = offers::pages(&plan.answers) {
        report.line(1, &line);
    }
    report.begin("sends to");
    outputs(config, &plan, probe, &mut report);
    report.part("stores in", [config.state.display().to_string()]);
    // If standard output is closed, the error cannot be reported to anyone.
    drop(io::stdout().write_all(report.text.as_bytes()));
    match report.findings {
        0 => Ok(()),
        count => Err(Error::Findings(count)),
    }
}

/// The report, with one section per question.
#[derive(Debug, Default)]
struct Report {
    paint: Paint,
    text: String,
    findings: usize,
}

impl Report {
    fn new(paint: Paint) -> Self {
        Self {
            paint,
            ..Self::default()
        }
    }

    fn part(&mut self, question: &str, answers: impl IntoIterator<Item = String>) {
        self.begin(question);
        for answer in answers {
            self.line(1, &answer);
        }
    }

    fn begin(&mut self, question: &str) {
        let heading = format!("{question}:");
        self.text.push_str(&self.paint.paint(Color::Bold, &heading));
        self.text.push('\n');
    }

    /// Adds an indented text; further lines of it are indented alike. Control characters
    /// are escaped, because keytabs, certificates, and subscriptions must not be able to
    /// control the terminal.
    fn line(&mut self, depth: usize, text: &str) {
        self.labeled(depth, "", text);
    }

    fn labeled(&mut self, depth: usize, label: &str, text: &str) {
        self.push(depth, label, text.lines().map(visible));
    }

    /// Appends lines, the first one after `label`.
    fn push(&mut self, depth: usize, label: &str, lines: impl Iterator<Item: fmt::Display>) {
        let margin = "  ".repeat(depth);
        for (index, line) in lines.enumerate() {
            let label = if index == 0 { label } else { "" };
            self.text.push_str(&format!("{margin}{label}{line}\n"));
        }
    }

    /// Adds a sample message unescaped: some formats separate values by tabs.
    fn example(&mut self, depth: usize, message: &str) {
        self.push(depth, "example: ", message.lines());
    }

    /// Adds a problem that should be fixed, which counts as a finding.
    fn finding(&mut self, depth: usize, text: &str) {
        self.findings += 1;
        let label = self.paint.paint(Color::Red, "finding:");
        self.labeled(depth, &format!("{label} "), text);
    }

    /// Adds a possible surprise, which does not count as a finding.
    fn warning(&mut self, depth: usize, text: &str) {
        let label = self.paint.paint(Color::Yellow, "warning:");
        self.labeled(depth, &format!("{label} "), text);
    }
}

fn listener(listener: &Listener, is_shared: bool) -> String {
    let scheme = if listener.secure { "https" } else { "http" };
    let address = listener.address;
    let how = match (listener.inherited, listener.optional) {
        (Some(_), _) => ", passed by the service manager".to_owned(),
        (None, optional) => match server::try_bind(address, is_shared) {
            Ok(()) => ", free".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                ", in use, perhaps by a running relay".to_owned()
            }
            Err(_) if optional => ", not supported by this system".to_owned(),
            Err(error) => format!(", not available to this user: {error}"),
        },
    };
    format!("{scheme}://{address}{how}")
}

fn outputs(config: &Config, plan: &Plan, probe: bool, report: &mut Report) {
    if config.log_to_outputs {
        report.line(1, "(each also gets the relay's own log)");
    }
    let ways = plan.connectors.iter().zip(&plan.secrets);
    for (output, (connector, secret)) in config.outputs.iter().zip(ways) {
        report.line(1, &destination(output));
        let (mapping, style, rendered) =
            (&config.mapping, output.style(), config.wants_rendering());
        let sample = match output.record {
            Some(kind) => record::sample(kind, mapping, &style, rendered),
            None => syslog::sample(mapping, &style, rendered),
        };
        report.example(2, &sample);
        for reason in output.filter.reasons() {
            report.line(2, &format!("filter: {reason}"));
        }
        if !probe {
            continue;
        }
        let found = {
            let mut meter = Meter::new();
            meter.show(|| format!("probing {}", output.label));
            probe::probe(output, connector.as_ref(), secret)
        };
        for fact in found.facts {
            report.line(2, &fact);
        }
        match found.failure {
            None => {}
            Some(failure) if output.required => report.finding(2, &failure.to_string()),
            Some(failure) => report.line(2, &failure.to_string()),
        }
    }
}

fn destination(output: &output::Settings) -> String {
    if output.required {
        output.label.clone()
    } else {
        format!("{} (best effort)", output.label)
    }
}

/// What the state folder contains about a subscription; `None` if it cannot be read.
fn known(folder: &Path, subscription: Uuid) -> Option<sqlite::Known> {
    match sqlite::known(folder, subscription) {
        Ok(known) => known,
        Err(error) => {
            log::warn!("--state {error}: stored bookmarks are unavailable");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_files_do_not_steer_the_terminal() {
        let mut report = Report::new(Paint::default());
        report.line(1, "HTTP/a\u{1b}[2Jb\u{202e}c@EXAMPLE.COM kvno 1");
        report.finding(1, "Sec\turity: first\nsecond");
        report.warning(1, "CN=\u{200b}");
        report.example(1, "LEEF:2.0|a=1\tb=2");
        let expected = "  HTTP/a\\u{1b}[2Jb\\u{202e}c@EXAMPLE.COM kvno 1\n  \
             finding: Sec\\turity: first\n  second\n  warning: CN=\\u{200b}\n  \
             example: LEEF:2.0|a=1\tb=2\n";
        assert_eq!(report.text, expected);
        assert_eq!(report.findings, 1);
    }
}
