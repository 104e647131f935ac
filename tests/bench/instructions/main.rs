//! Measures the user-space instructions per event, by stage.
//!
//! `scripts/bench instructions` runs it: `instructions [--limit PERCENT] [--json] BINARY...`.
//! Each binary processes fixed loads under `valgrind --tool=callgrind`, a short one and a
//! long one: their difference excludes startup, handshake, and shutdown. Instruction counts
//! hardly depend on other load, so one run per binary suffices for a comparison.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    reason = "a measurement may panic"
)]

mod load;
mod profile;
#[path = "../receivers/mod.rs"]
mod receivers;
mod relay;
mod report;
mod sink;
mod stages;
#[path = "../../support/mod.rs"]
mod support;

use std::process::ExitCode;

use load::Load;
use profile::Costs;
use report::Report;

/// Events per batch: in UTF-16, they arrive in one piece over loopback, so that the number of
/// reads does not depend on timing.
const BATCH: usize = 25;
/// Batches of the short run, which includes everything that is done once.
const SHORT: usize = 20;
/// Batches of the long run.
const LONG: usize = 100;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            eprintln!("instructions: {why}");
            return ExitCode::from(2);
        }
    };
    if std::process::Command::new("valgrind")
        .arg("--version")
        .output()
        .is_err()
    {
        eprintln!("instructions: no valgrind: run scripts/peers, or apt-get install valgrind");
        return ExitCode::from(2);
    }
    let mut report = Report::new(arguments.limit);
    for load in Load::ALL {
        if !arguments.has(load.name) {
            continue;
        }
        for binary in &arguments.binaries {
            eprintln!("instructions: {}: {binary}", load.name);
            if !load.is_known_to(binary) {
                eprintln!("instructions: left out: {binary} does not know this output or layout");
                continue;
            }
            let costs = measure(binary, &load);
            report.add(load.name, binary, costs);
        }
    }
    print!("{report}");
    if report.is_worse() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Instructions per event, or per heartbeat.
fn measure(binary: &str, load: &Load) -> Costs {
    let short = relay::run(binary, load, SHORT);
    let long = relay::run(binary, load, LONG);
    long.minus(&short).over((LONG - SHORT) * load.batch.max(1))
}

struct Arguments {
    binaries: Vec<String>,
    /// Limit for the other binaries, in per cent of the first.
    limit: Option<f64>,
    /// Only loads whose name contains this, or one of several alternatives separated by `|`.
    only: String,
}

impl Arguments {
    fn has(&self, load: &str) -> bool {
        self.only.split('|').any(|part| load.contains(part))
    }

    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            binaries: Vec::new(),
            limit: None,
            only: String::new(),
        };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--limit" => {
                    let text = value()?;
                    let limit = text.parse::<f64>().ok().filter(|limit| *limit >= 100.0);
                    parsed.limit =
                        Some(limit.ok_or(format!("--limit {text}: no per cent from 100"))?);
                }
                "--only" => parsed.only = value()?,
                _ => parsed.binaries.push(argument),
            }
        }
        if parsed.binaries.is_empty() {
            Err("which binary? Give the path of a relay, or of several".to_owned())
        } else {
            Ok(parsed)
        }
    }
}
