//! Runs all hosts, and computes the figures from their measurements.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wecrelay::protocol::wsman::source::Offered;

use crate::Result;
use crate::batch::{self, Template};
use crate::connection::Target;
use crate::host::{Host, Seen};
use crate::options::{Load, Mode};
use crate::process::Process;
use crate::ranges::{self, ByHost};

/// Stack size of a host's thread: small, because there can be thousands.
const STACK: usize = 256 << 10;
/// Number of threads that connect idle hosts.
const CONNECTING: usize = 16;
/// Maximum time until all hosts are connected.
const SET_UP: Duration = Duration::from_secs(180);
const TICK: Duration = Duration::from_millis(10);

/// Shared data of all hosts.
pub(crate) struct Shared {
    pub(crate) options: Load,
    pub(crate) target: Target,
    measured: AtomicBool,
    over: AtomicBool,
    /// Number of connected hosts.
    ready: AtomicUsize,
    /// Number of events that may still be sent, if there is a limit.
    left: Option<AtomicU64>,
    /// Bodies by address and reference of the subscription.
    templates: Mutex<BTreeMap<(String, String), Arc<Template>>>,
}

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn is_measured(&self) -> bool {
        self.measured.load(Ordering::Relaxed)
    }

    /// Counts another connected host, and waits for the others, up to a timeout.
    pub(crate) fn wait_until_set_up(&self) {
        self.ready.fetch_add(1, Ordering::Relaxed);
        if self.options.mode != Mode::Hold {
            self.wait_for_all();
        }
    }

    fn wait_for_all(&self) {
        let latest = Instant::now() + SET_UP;
        while !self.is_set_up() && Instant::now() < latest {
            thread::sleep(TICK);
        }
    }

    /// Whether the measurement can begin: when all hosts are connected; with a number of
    /// events, from the start.
    fn is_set_up(&self) -> bool {
        self.left.is_some() || self.ready.load(Ordering::Relaxed) >= self.options.sources
    }

    /// Number of events in the next message: 0 after all were sent, and in heartbeats.
    pub(crate) fn take_batch(&self) -> usize {
        let batch = self.options.batch;
        if self.options.mode != Mode::Events {
            return 0;
        }
        let Some(left) = &self.left else {
            return batch;
        };
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            (left > 0).then(|| left.saturating_sub(batch as u64))
        });
        taken.map_or(0, |_| batch)
    }

    /// The body of messages to this subscription.
    pub(crate) fn template(&self, offered: &Offered) -> Arc<Template> {
        let mut templates = self
            .templates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (offered.notify_to.clone(), offered.reference.clone());
        let made = templates
            .entry(key)
            .or_insert_with(|| match self.options.mode {
                Mode::Events => Template::events(offered, self.options.batch),
                Mode::Heartbeats | Mode::Hold => Template::heartbeat(offered),
            });
        Arc::clone(made)
    }
}

/// The measured time, and the resources that the collectors and their database used in it.
struct Window {
    began: Instant,
    ended: Instant,
    cpu: Duration,
    database: Duration,
}

/// Runs the hosts, prints the figures, and writes the ledger.
pub(crate) fn run(options: &Load) -> Result<()> {
    let shared = Shared {
        target: Target::new(options)?,
        measured: AtomicBool::new(false),
        over: AtomicBool::new(false),
        ready: AtomicUsize::new(0),
        left: options.events.map(AtomicU64::new),
        templates: Mutex::default(),
        options: options.clone(),
    };
    let (window, seen) = match options.mode {
        Mode::Hold => hold(&shared)?,
        Mode::Events | Mode::Heartbeats => play(&shared)?,
    };
    let report = report(&shared.options, &window, &seen)?;
    if options.json {
        println!("{report}");
    } else {
        println!("{report:#}");
    }
    if let Some(path) = &options.ledger {
        let acked = seen.into_iter().map(|seen| seen.acked);
        let hosts: ByHost = acked
            .enumerate()
            .map(|(number, acked)| (batch::host_name(number), acked))
            .collect();
        ranges::write(path, &hosts)?;
    }
    Ok(())
}

/// Runs one thread per host until the time is over or all events are sent.
fn play(shared: &Shared) -> Result<(Window, Vec<Seen>)> {
    thread::scope(|scope| {
        let start = |number: usize| {
            let builder = thread::Builder::new().stack_size(STACK);
            builder.spawn_scoped(scope, move || Host::new(shared, number).play().seen)
        };
        let hosts: Vec<_> = (0..shared.options.sources).map(start).collect();
        let hosts = hosts.into_iter().collect::<std::io::Result<Vec<_>>>()?;
        let window = measure(shared, || {
            hosts.iter().all(thread::ScopedJoinHandle::is_finished)
        });
        shared.over.store(true, Ordering::Relaxed);
        let seen = hosts
            .into_iter()
            .map(|host| host.join().unwrap_or_default());
        let seen: Vec<_> = seen.collect();
        Ok((window?, seen))
    })
}

/// Idle connections: a few threads connect all hosts, and keep the connections open.
fn hold(shared: &Shared) -> Result<(Window, Vec<Seen>)> {
    let numbers = (0..shared.options.sources).collect::<Vec<_>>();
    let mut hosts: Vec<_> = numbers
        .iter()
        .map(|number| Host::new(shared, *number))
        .collect();
    thread::scope(|scope| {
        for hosts in hosts.chunks_mut(numbers.len().div_ceil(CONNECTING).max(1)) {
            scope.spawn(move || hosts.iter_mut().for_each(Host::hold));
        }
    });
    let window = measure(shared, || false)?;
    Ok((window, hosts.into_iter().map(|host| host.seen).collect()))
}

/// Waits for all hosts, and then for the measured time, or until `is_done`.
fn measure(shared: &Shared, is_done: impl Fn() -> bool) -> Result<Window> {
    let options = &shared.options;
    shared.wait_for_all();
    thread::sleep(Duration::from_secs_f64(options.warmup));
    let processes = || options.watch.iter().copied().map(Process);
    let cpu = || processes().map(Process::cpu).sum::<Result<Duration>>();
    let of_database = || {
        let database = options.database.map(Process);
        database.map_or(Ok(Duration::ZERO), Process::cpu_of_family)
    };
    processes().for_each(Process::reset_peak);
    let (began, before) = (Instant::now(), [cpu()?, of_database()?]);
    shared.measured.store(true, Ordering::Relaxed);
    let end = began + Duration::from_secs_f64(options.duration);
    while Instant::now() < end && !is_done() {
        thread::sleep(TICK.min(end.saturating_duration_since(Instant::now())));
    }
    shared.measured.store(false, Ordering::Relaxed);
    Ok(Window {
        began,
        ended: Instant::now(),
        cpu: cpu()?.saturating_sub(before[0]),
        database: of_database()?.saturating_sub(before[1]),
    })
}

fn report(options: &Load, window: &Window, seen: &[Seen]) -> Result<Value> {
    let mut acks: Vec<_> = seen
        .iter()
        .flat_map(|seen| seen.acks.iter().copied())
        .collect();
    acks.sort_unstable();
    let messages = acks.len() as f64;
    let events = match options.mode {
        Mode::Events => messages * options.batch as f64,
        Mode::Heartbeats | Mode::Hold => 0.0,
    };
    let connections = seen.iter().map(|seen| seen.connections).sum::<u64>() as f64;
    // A load with a number of events ends with the last Ack.
    let last = seen.iter().filter_map(|seen| seen.last_ack).max();
    let ended = options.events.and(last).unwrap_or(window.ended);
    let seconds = (ended - window.began).as_secs_f64().max(0.001);
    let mut failures = BTreeMap::<&str, u64>::new();
    for (why, count) in seen.iter().flat_map(|seen| &seen.failures) {
        *failures.entry(why).or_default() += count;
    }
    let mut report = json!({
        "sources": options.sources, "batch": options.batch, "seconds": round(seconds),
        "events": events, "events_per_s": round(events / seconds),
        "messages_per_s": round(messages / seconds),
        "connections_per_s": round(connections / seconds),
        "ack_ms": { "p50": quantile(&acks, 0.5), "p90": quantile(&acks, 0.9),
            "p99": quantile(&acks, 0.99), "max": quantile(&acks, 1.0) },
        "failures": failures,
    });
    let us_per_event = |cpu: Duration| match events {
        0.0 => 0.0,
        events => round(cpu.as_secs_f64() * 1e6 / events),
    };
    if !options.watch.is_empty() {
        let cpu = window.cpu.as_secs_f64();
        let per_second = |count: f64| if cpu > 0.0 { round(count / cpu) } else { 0.0 };
        let (mut now, mut peak) = (0.0, 0.0);
        for pid in &options.watch {
            let of_one = Process(*pid).memory()?;
            (now, peak) = (now + of_one.0, peak + of_one.1);
        }
        report["collector"] = json!({
            "cpu_s": round(cpu), "events_per_cpu_s": per_second(events),
            "messages_per_cpu_s": per_second(messages),
            "connections_per_cpu_s": per_second(connections),
            "cpu_us_per_event": us_per_event(window.cpu),
            "rss_mb_after": round(now), "rss_mb_peak": round(peak),
        });
    }
    if options.database.is_some() {
        report["database"] = json!({
            "database_cpu_s": round(window.database.as_secs_f64()),
            "database_us_per_event": us_per_event(window.database),
        });
    }
    Ok(report)
}

/// In milliseconds.
fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * part).round() as usize;
    round(sorted.get(at).copied().unwrap_or_default().as_secs_f64() * 1000.0)
}

/// Rounds to three digits.
fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
