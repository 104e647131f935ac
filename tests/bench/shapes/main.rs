//! Finds events whose cost is out of proportion to their size: milliseconds per MiB, by shape.
//!
//! `cargo bench --bench shapes` parses events that contain only one unit, in every place
//! where it is allowed, and writes each in all forms; see `scripts/bench --help`. It measures
//! the processor time of this thread, the best of a few runs, so that other load on the
//! machine has little effect.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement may panic"
)]

mod forms;
mod units;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wecrelay::event;
use wecrelay::protocol::wsman;

use forms::Form;
use units::{Place, Unit};

/// Limit in milliseconds per MiB, for reading and writing one form together.
const MOST: f64 = 20.0;
/// Limit of the total time of an event.
const MOST_IN_ALL: Duration = Duration::from_millis(50);
const MIB: f64 = 1_048_576.0;
/// Number of runs, of which the best counts.
const RUNS: usize = 3;

fn main() -> ExitCode {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut worst = Worst::default();
    let mut shapes = 0;
    for (place, unit) in Place::all().flat_map(|place| Unit::all().map(move |unit| (place, unit))) {
        let name = format!("{} of {}", place.name(), unit.name());
        if word.as_ref().is_some_and(|word| !name.contains(word)) {
            continue;
        }
        for xml in place.fill(&unit) {
            shapes += 1;
            measure(&name, &xml, &mut worst);
        }
    }
    worst.report(shapes)
}

/// Reads the event as it arrives, and writes it in each form.
fn measure(name: &str, xml: &str, worst: &mut Worst) {
    let (read, event) = best(|| event::parse(xml));
    worst.note(name, "reading", xml.len(), read);
    for (form, envelope) in forms::envelopes(xml) {
        let (time, _) = best(|| drop(wsman::parse(&envelope)));
        worst.note(name, form, envelope.len(), time);
    }
    let mut out = Vec::new();
    for form in Form::all() {
        let (time, ()) = best(|| {
            out = Vec::new();
            form.write(xml, &event, &mut out);
        });
        worst.note(name, &form.name(), xml.len(), read + time);
    }
}

/// The shortest time of a few runs.
fn best<T>(mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut least = Duration::MAX;
    let mut result = None;
    for _ in 0..RUNS {
        drop(result.take());
        let began = used();
        result = Some(run());
        least = least.min(used() - began);
        // Most shapes are far from the limits.
        if least < Duration::from_millis(2) {
            break;
        }
    }
    (least, result.unwrap())
}

fn used() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

/// The most expensive shape of each form.
#[derive(Default)]
struct Worst {
    by_form: BTreeMap<String, (f64, Duration, String)>,
    /// Shapes over a limit.
    over: Vec<(f64, Duration, String)>,
}

impl Worst {
    fn note(&mut self, shape: &str, form: &str, length: usize, time: Duration) {
        let mib = f64::from(u32::try_from(length).unwrap()) / MIB;
        let cost = time.as_secs_f64() * 1e3 / mib;
        let known = self.by_form.entry(form.to_owned()).or_default();
        if cost > known.0 {
            *known = (cost, time, shape.to_owned());
        }
        if cost > MOST || time > MOST_IN_ALL {
            self.over.push((cost, time, format!("{form}: {shape}")));
        }
    }

    fn report(mut self, shapes: usize) -> ExitCode {
        println!("{shapes} shapes; the most expensive one of each form:");
        for (form, (cost, time, shape)) in &self.by_form {
            println!("{cost:>8.1} ms a MiB {time:>12.1?}  {form}: {shape}");
        }
        self.over.sort_by(|a, b| b.0.total_cmp(&a.0));
        println!(
            "{} over {MOST} ms a MiB, or over {MOST_IN_ALL:?}:",
            self.over.len()
        );
        for (cost, time, what) in &self.over {
            println!("{cost:>8.1} ms a MiB {time:>12.1?}  {what}");
        }
        if self.over.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
