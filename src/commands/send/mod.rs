//! `wecrelay send`: simulates Windows hosts, to test a collector.
//!
//! Each host behaves like a Windows host: it requests its subscriptions, opens a second
//! connection to the delivery address, sends a heartbeat, pushes batches, and waits for the
//! Ack of each. A batch that is not acknowledged is sent again.
#![expect(
    clippy::disallowed_methods,
    reason = "a command: it has sockets, files and a clock"
)]

mod credential;
mod delivery;
mod error;
mod events;
mod host;

use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::SendOptions;
use crate::client::Endpoint;
use crate::commands::terminal::{Color, Meter, Paint, note};
use crate::commands::words::plain;
use crate::protocol::wsman::source::Offered;
use crate::tls::Dialer;
use delivery::Delivery;
use events::{Stock, Supply};
use host::{Host, Manner, Secure};

pub use error::Error;

/// Maximum number of threads. The hosts of a thread take turns.
const THREADS: usize = 16;
/// How often paused hosts check whether a heartbeat is due.
const TICK: Duration = Duration::from_millis(200);

/// Simulates hosts until all events are acknowledged.
///
/// # Errors
/// Invalid flags or files, a failed connection, or a refusal by the collector.
pub fn run(options: &SendOptions) -> Result<(), Error> {
    let load = Load {
        options,
        stock: Stock::open(options.events.as_deref())?,
        manner: Manner {
            account: credential::read(options)?,
            dialer: dialer(options)?,
            sldc: options.sldc,
        },
        progress: Progress::new(options.count.map(NonZeroU64::get)),
    };
    let hosts = usize::try_from(options.hosts.get()).unwrap_or(usize::MAX);
    let ended = load.play(hosts);
    load.progress.report(hosts);
    ended
}

/// The settings for an https collector; `None` for http.
fn dialer(options: &SendOptions) -> Result<Option<Arc<Secure>>, Error> {
    let files = credential::files(options)?;
    let has_certificate = files.pair.is_some() || files.pfx.is_some();
    let endpoint = Endpoint::parse(&options.url)?;
    if !endpoint.secure {
        let has_any = has_certificate || files.authorities.is_some();
        return if has_any {
            Err(Error::NotHttps)
        } else {
            Ok(None)
        };
    }
    let dialer = Dialer::load(&files).map_err(Error::Tls)?;
    Ok(Some(Arc::new(Secure {
        dialer,
        has_certificate,
    })))
}

/// Data that all threads share.
struct Load<'a> {
    options: &'a SendOptions,
    stock: Stock,
    manner: Manner,
    progress: Progress,
}

impl Load<'_> {
    /// Runs all hosts, distributed over several threads. Returns the first failure.
    fn play(&self, hosts: usize) -> Result<(), Error> {
        let threads = hosts.min(THREADS);
        thread::scope(|scope| {
            let start = |first: usize| {
                let mine = (first..hosts).step_by(threads);
                let builder = thread::Builder::new().name(format!("hosts {first}"));
                builder.spawn_scoped(scope, move || self.play_hosts(mine))
            };
            let started: Vec<_> = (0..threads).map(start).collect();
            let ended = started.into_iter().map(|thread| {
                let thread = thread.map_err(Error::Thread)?;
                thread
                    .join()
                    .unwrap_or_else(|p| std::panic::resume_unwind(p))
            });
            ended.fold(Ok(()), Result::and)
        })
    }

    fn play_hosts(&self, numbers: impl Iterator<Item = usize>) -> Result<(), Error> {
        let mut hosts = numbers
            .map(|number| self.begin(number))
            .collect::<Result<Vec<_>, _>>()?;
        while !hosts.is_empty() {
            let mut index = 0;
            while let Some(host) = hosts.get_mut(index) {
                match host.push()? {
                    0 => drop(hosts.swap_remove(index)),
                    events => {
                        self.progress.note(events);
                        self.pause(&mut hosts)?;
                        index += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Connects the host with this number.
    fn begin(&self, number: usize) -> Result<Delivery, Error> {
        let options = self.options;
        let machine = machine_name(&options.machine, number, options.hosts.get());
        let supply = Supply::new(&self.stock, machine.clone(), self.share(number));
        let mut host = Host::new(machine, self.manner.clone())?;
        let offered = host.enumerate(&options.url)?;
        let is_first = number == 0;
        if is_first {
            self.describe(&offered);
        }
        let chosen = choose(offered, options.subscription.as_deref())?;
        if is_first && options.sldc && !chosen.compression {
            let name = plain(&chosen.name);
            note(&format!(
                "{name}: does not request SLDC, so bodies are not compressed"
            ));
        }
        Delivery::begin(host, chosen, supply, options.batch.get())
    }

    /// The part of `--count` that a host sends.
    fn share(&self, number: usize) -> Option<u64> {
        let count = self.options.count?.get();
        let hosts = u64::from(self.options.hosts.get());
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        Some(count / hosts + u64::from(number < count % hosts))
    }

    fn describe(&self, offered: &[Offered]) {
        let names: Vec<_> = offered.iter().map(|o| o.name.as_str()).collect();
        let count = counted(offered.len(), "subscription");
        let names = names.join(", ");
        note(&format!(
            "{}: {count} offered: {}",
            self.options.url,
            plain(&names)
        ));
    }

    /// Waits as long as `--rate` requires, and sends heartbeats that become due.
    fn pause(&self, hosts: &mut [Delivery]) -> Result<(), Error> {
        let Some(rate) = self.options.rate else {
            return Ok(());
        };
        while let Some(left) = self.progress.ahead_of(rate.get()) {
            thread::sleep(left.min(TICK));
            hosts.iter_mut().try_for_each(Delivery::heartbeat_if_due)?;
        }
        Ok(())
    }
}

fn choose(offered: Vec<Offered>, wanted: Option<&str>) -> Result<Offered, Error> {
    let names = offered.iter().map(|o| o.name.clone()).collect();
    let mut offered = offered.into_iter();
    let chosen = offered.find(|o| wanted.is_none_or(|name| name == o.name));
    chosen.ok_or_else(|| Error::NoSubscription(wanted.map(str::to_owned), names))
}

/// `NAME` for a single host, otherwise `NAME-0001` and so on, numbered before the domain.
fn machine_name(name: &str, number: usize, hosts: u32) -> String {
    if hosts == 1 {
        return name.to_owned();
    }
    let (host, domain) = name.split_at(name.find('.').unwrap_or(name.len()));
    format!("{host}-{:04}{domain}", number + 1)
}

/// The number of acknowledged events of all hosts.
struct Progress {
    /// The value of `--count`.
    goal: Option<u64>,
    meter: Mutex<Option<Meter>>,
    began: Instant,
    events: AtomicU64,
    batches: AtomicU64,
}

impl Progress {
    fn new(goal: Option<u64>) -> Self {
        Self {
            goal,
            meter: Mutex::new(Some(Meter::new())),
            began: Instant::now(),
            events: AtomicU64::new(0),
            batches: AtomicU64::new(0),
        }
    }

    fn note(&self, events: u64) {
        let events = events + self.events.fetch_add(events, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        // Does not wait for another thread that is updating the line.
        if let Ok(mut meter) = self.meter.try_lock()
            && let Some(meter) = &mut *meter
        {
            meter.show(|| match self.goal {
                Some(goal) => format!("{events} of {goal} events acknowledged"),
                None => format!("{events} events acknowledged"),
            });
        }
    }

    /// How long to wait so that the average stays at or below `rate` events per second. `None`
    /// if no wait is needed.
    fn ahead_of(&self, rate: u32) -> Option<Duration> {
        let due = lossy(self.events.load(Ordering::Relaxed)) / f64::from(rate);
        let due = Duration::from_secs_f64(due);
        due.checked_sub(self.began.elapsed())
            .filter(|left| !left.is_zero())
    }

    fn report(&self, hosts: usize) {
        let events = self.events.load(Ordering::Relaxed);
        let batches = self.batches.load(Ordering::Relaxed);
        let from = match hosts {
            1 => String::new(),
            hosts => format!(" from {hosts} hosts"),
        };
        let batches = counted(usize::try_from(batches).unwrap_or(usize::MAX), "batch");
        let seconds = self.began.elapsed().as_secs_f64();
        if let Ok(mut meter) = self.meter.lock() {
            drop(meter.take());
        }
        let acknowledged = Paint::new(&io::stderr()).paint(Color::Green, "acknowledged:");
        note(&format!(
            "{acknowledged} {events} events{from} in {batches}, {seconds:.2} s"
        ));
    }
}

fn counted(count: usize, what: &str) -> String {
    match (count, what.ends_with("ch")) {
        (1, _) => format!("1 {what}"),
        (_, true) => format!("{count} {what}es"),
        (_, false) => format!("{count} {what}s"),
    }
}

/// Converts a count for calculations of rates; saturates at `u32::MAX`.
fn lossy(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_are_numbered_before_their_domain() {
        assert_eq!(machine_name("ws.example.com", 0, 1), "ws.example.com");
        assert_eq!(machine_name("ws.example.com", 0, 2), "ws-0001.example.com");
        assert_eq!(machine_name("ws", 11_999, 20_000), "ws-12000");
    }

    #[test]
    fn a_rate_is_waited_for() {
        let progress = Progress::new(None);
        assert!(progress.ahead_of(10).is_none());
        progress.note(50);
        let left = progress.ahead_of(10).unwrap();
        assert!(left > Duration::from_secs(4) && left <= Duration::from_secs(5));
        assert!(progress.ahead_of(u32::MAX).is_none());
    }

    #[test]
    fn counts_are_said_in_words() {
        assert_eq!(counted(1, "batch"), "1 batch");
        assert_eq!(counted(2, "batch"), "2 batches");
        assert_eq!(counted(0, "subscription"), "0 subscriptions");
    }
}
