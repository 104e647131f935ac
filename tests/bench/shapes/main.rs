//! Finds events whose cost is out of proportion to their size: milliseconds per MiB, by shape.
//!
//! `cargo bench --bench shapes` parses events that contain only one unit, in every place
//! where it is allowed, and writes each in all forms; see `scripts/bench --help`. It measures
//! the processor time of its threads, so that other load on the machine has little effect.
//! Events of a quarter of the maximum length are measured first; only forms that are not far
//! from the limits there, even if their cost grew with the square of the length, are measured
//! at the maximum length, and the best of a few runs counts.
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
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wecrelay::event::{self, MAX_TEXT};
use wecrelay::protocol::wsman;

use forms::Form;
use units::{Place, Unit};

/// Limit in milliseconds per MiB, for reading and writing one form together.
const MOST: f64 = 20.0;
/// Time that an event of any length may take in addition: for the elements and attributes that
/// every event may have (`event::LIMITS`).
const FREE: Duration = Duration::from_millis(2);
/// Limit of the total time of an event.
const MOST_IN_ALL: Duration = Duration::from_millis(50);
const MIB: f64 = 1_048_576.0;
/// Number of runs, of which the best counts, if the first ones are over the limits.
const RUNS: usize = 5;
/// Length of the events that are measured first.
const SHORT: usize = MAX_TEXT / 4;
/// What of the limits they may use if the longest ones are to stay within them, even where the
/// time grows with the square of the length.
const SAFE: f64 = 1.0 / 8.0;

fn main() -> ExitCode {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let all = Place::all().flat_map(|place| Unit::all().map(move |unit| (place, unit)));
    let named =
        all.map(|(place, unit)| (format!("{} of {}", place.name(), unit.name()), place, unit));
    let is_wanted = |name: &str| word.as_ref().is_none_or(|word| name.contains(word));
    let shapes: Vec<_> = named.filter(|(name, ..)| is_wanted(name)).collect();
    let next = AtomicUsize::new(0);
    let run = || {
        let mut worst = Worst::default();
        while let Some((name, place, unit)) = shapes.get(next.fetch_add(1, Ordering::Relaxed)) {
            measure(name, *place, unit, &mut worst);
        }
        worst
    };
    let threads = std::thread::available_parallelism().unwrap().get();
    let worst = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let each = threads.into_iter().map(|thread| thread.join().unwrap());
        each.reduce(Worst::and).unwrap_or_default()
    });
    worst.report(shapes.len())
}

/// Measures a shape in all forms, and those that are not cheap again at the maximum length.
fn measure(name: &str, place: Place, unit: &Unit, worst: &mut Worst) {
    let mut costly = Vec::new();
    for xml in place.fill(unit, SHORT) {
        each_form(&xml, None, |form, length, time| {
            if cost(time.saturating_sub(FREE / 2), length) > MOST * SAFE {
                costly.push(form.to_owned());
            } else {
                worst.note_cost(name, form, length, time);
            }
        });
    }
    if costly.is_empty() {
        return;
    }
    for xml in place.fill(unit, MAX_TEXT) {
        each_form(&xml, Some(&costly), |form, length, time| {
            worst.note(name, form, length, time);
        });
    }
}

/// Reads the event as it arrives, and writes it in each form, or in those with these names,
/// several times if necessary. Calls `note` with the form, the length, and the time.
fn each_form(xml: &str, only: Option<&[String]>, mut note: impl FnMut(&str, usize, Duration)) {
    let runs = if only.is_some() { RUNS } else { 1 };
    let is_wanted = |form: &str| only.is_none_or(|only| only.iter().any(|name| name == form));
    let length = xml.len();
    let (read, event) = best(runs, |_| false, || event::parse(xml));
    note("reading", xml.len(), read);
    for (form, envelope) in forms::envelopes(xml) {
        if is_wanted(form) {
            let is_within = |time: Duration| is_linear(time, envelope.len());
            let (time, _) = best(runs, is_within, || drop(wsman::parse(&envelope)));
            note(form, envelope.len(), time);
        }
    }
    let mut out = Vec::new();
    for form in Form::all() {
        let name = form.name();
        if is_wanted(&name) {
            let (time, ()) = best(
                runs,
                |time| is_within(read + time, length),
                || {
                    out = Vec::new();
                    form.write(xml, &event, &mut out);
                },
            );
            note(&name, xml.len(), read + time);
        }
    }
}

/// The shortest time of a few runs, at least until it is good enough.
fn best<T>(
    runs: usize,
    is_enough: impl Fn(Duration) -> bool,
    mut run: impl FnMut() -> T,
) -> (Duration, T) {
    let mut least = Duration::MAX;
    let mut result = None;
    for _ in 0..runs {
        drop(result.take());
        let began = used();
        result = Some(run());
        least = least.min(used() - began);
        if is_enough(least) {
            break;
        }
    }
    (least, result.unwrap())
}

/// Whether an event of this length may take this time.
fn is_within(time: Duration, length: usize) -> bool {
    time <= MOST_IN_ALL && is_linear(time, length)
}

/// Whether a text of this length, such as an envelope with an event, may take this time.
fn is_linear(time: Duration, length: usize) -> bool {
    cost(time.saturating_sub(FREE), length) <= MOST
}

/// Milliseconds per MiB.
fn cost(time: Duration, length: usize) -> f64 {
    let mib = f64::from(u32::try_from(length).unwrap()) / MIB;
    time.as_secs_f64() * 1e3 / mib
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
        let cost = self.note_cost(shape, form, length, time);
        let is_fine = length > MAX_TEXT && is_linear(time, length);
        if !(is_fine || is_within(time, length)) {
            self.over.push((cost, time, format!("{form}: {shape}")));
        }
    }

    /// Returns the cost per MiB, without the time that any event may take.
    fn note_cost(&mut self, shape: &str, form: &str, length: usize, time: Duration) -> f64 {
        let cost = cost(time.saturating_sub(FREE), length);
        self.keep(form.to_owned(), (cost, time, shape.to_owned()));
        cost
    }

    fn keep(&mut self, form: String, costs: (f64, Duration, String)) {
        let known = self.by_form.entry(form).or_default();
        if costs.0 > known.0 {
            *known = costs;
        }
    }

    /// Both together.
    fn and(mut self, other: Self) -> Self {
        for (form, costs) in other.by_form {
            self.keep(form, costs);
        }
        self.over.extend(other.over);
        self
    }

    fn report(mut self, shapes: usize) -> ExitCode {
        println!("{shapes} shapes; the most expensive one of each form:");
        for (form, (cost, time, shape)) in &self.by_form {
            println!("{cost:>8.1} ms a MiB {time:>12.1?}  {form}: {shape}");
        }
        self.over.sort_by(|a, b| b.0.total_cmp(&a.0));
        println!(
            "{} over {MOST} ms a MiB beyond {FREE:?}, or over {MOST_IN_ALL:?}:",
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
