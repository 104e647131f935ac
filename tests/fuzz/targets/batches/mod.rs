//! The fate of batches at an output with a hostile receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use wecrelay::base::clock::Now;
use wecrelay::output::link::Link;
use wecrelay::output::queue::{BatchId, Frames};
use wecrelay::record::{self, Kind};
use wecrelay::syslog::{Line, Mapping, Sender, Severity, Style};

/// Maximum number of steps with a correct receiver.
pub const PATIENCE: usize = 4000;

#[derive(Default)]
pub struct Batches {
    next: u64,
    /// Messages of each batch that is neither delivered nor returned.
    open: BTreeMap<u64, BTreeSet<String>>,
    confirmed: BTreeSet<String>,
    /// Whether bytes of the script itself may have confirmed messages.
    is_foreign: bool,
}

impl Batches {
    /// Passes the link a batch of this many messages, each from the host with this name.
    pub fn push(
        &mut self,
        link: &mut Link,
        now: Now,
        kind: Kind,
        count: u8,
        host: impl Fn(u8) -> String,
    ) {
        let id = self.next;
        self.next += 1;
        let mut frames = Frames::default();
        let mut names = BTreeSet::new();
        for index in 0..count {
            let name = format!("{id}.{index}");
            push_message(kind, host(index), &name, &mut frames.bytes);
            frames.ends.push(frames.bytes.len());
            names.insert(name);
        }
        self.open.insert(id, names);
        link.push(now, BatchId(id), &Rc::new(frames));
    }

    /// A receiver has confirmed these messages.
    pub fn confirm(&mut self, names: impl IntoIterator<Item = String>) {
        self.confirmed.extend(names);
    }

    /// From now on, the script may have confirmed any delivered message.
    pub fn trust(&mut self) {
        self.is_foreign = true;
    }

    /// Checks the property: each message of a delivered batch was confirmed.
    pub fn note_delivered(&mut self, delivered: &[BatchId]) {
        for BatchId(id) in delivered {
            let names = self.open.remove(id).expect("delivered once");
            assert!(
                self.is_foreign || names.is_subset(&self.confirmed),
                "batch {id} of {names:?} was not confirmed"
            );
        }
    }

    /// Takes the results of batches from the link.
    pub fn take_from(&mut self, link: &mut Link) {
        let delivered = link.take_delivered();
        self.note_delivered(&delivered);
        for BatchId(id) in link.take_refused() {
            self.open.remove(&id).expect("handed back once");
        }
    }

    pub fn are_done(&self) -> bool {
        self.open.is_empty()
    }

    /// # Panics
    /// Always.
    pub fn left_over(&self) -> ! {
        panic!("left over: {:?}", self.open);
    }
}

/// The start time.
pub fn start() -> Now {
    Now {
        monotonic: Instant::now(),
        wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
    }
}

/// The time until the next deadline of the link.
pub fn next_deadline(link: &Link, now: Now) -> Duration {
    let at = link.poll_timeout();
    let time = at.map(|at| at.saturating_duration_since(now.monotonic));
    time.unwrap_or_default()
}

/// A message that contains its name in double braces.
fn push_message(kind: Kind, hostname: String, name: &str, out: &mut Vec<u8>) {
    let sender = Sender {
        hostname,
        process: 1,
    };
    let line = Line {
        severity: Severity::Notice,
        time: SystemTime::UNIX_EPOCH,
        text: format!("{{{{{name}}}}}"),
    };
    let (mapping, style) = (Mapping::default(), Style::default());
    record::write_own(kind, &mapping, &sender, &line, &style, out);
}
