//! A batch whose source is waiting for its Ack.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::setbacks::{self, Who};
use super::waiting::Place;
use super::{ConnId, OutputId};
use crate::auth::Identity;
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::collector::access::Described;
use crate::hosts::Key;
use crate::output::queue::Frames;
use crate::protocol::wsman::{Header, Name};
use crate::store::Ticket;

/// The time that a source waits for an answer, if it does not state one (OperationTimeout;
/// Windows sends 60 s).
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time to hold a batch, however long the source would wait.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// How long before the source's timeout the 503 is sent, so that it arrives in time.
const MARGIN: Duration = Duration::from_secs(5);

/// Minimum time that a batch gets to be delivered, for sources that wait eight seconds or more.
const MOMENT: Duration = Duration::from_secs(1);

/// The owner of a batch: a host, and the subscription that it answers.
pub(in crate::collector) type Whose = (Rc<Key>, Uuid);

/// The bookmark that came with a batch, and its owner.
#[derive(Debug)]
pub(in crate::collector) struct Mark {
    pub(in crate::collector) key: bookmark::Key,
    /// The identity that it was sent by.
    pub(in crate::collector) identity: Rc<Identity>,
    pub(in crate::collector) bookmark: Bookmark,
    /// Another relay may have written the row since the host connected.
    pub(in crate::collector) may_be_late: bool,
    pub(in crate::collector) facts: BatchFacts,
    pub(in crate::collector) rules: bookmark::Rules,
    /// The network that it comes from (see `store::network`), against which space is counted.
    pub(in crate::collector) network: IpAddr,
    /// Name of the source, for the log.
    pub(in crate::collector) source: Described,
}

/// A set of outputs. Outputs beyond the first 64 are not recorded, so they get repeats.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::collector) struct OutputSet(u64);

impl OutputSet {
    pub(super) fn add(&mut self, output: OutputId) {
        self.0 |= Self::bit(output);
    }

    pub(super) fn has(self, output: OutputId) -> bool {
        self.0 & Self::bit(output) != 0
    }

    fn bit(output: OutputId) -> u64 {
        let index = u32::try_from(output.0).unwrap_or(u32::MAX);
        1_u64.checked_shl(index).unwrap_or(0)
    }
}

/// A batch whose source is waiting.
#[derive(Debug)]
pub(in crate::collector) struct Batch {
    pub(in crate::collector) conn: ConnId,
    pub(in crate::collector) header: Header,
    pub(in crate::collector) mark: Option<Mark>,
    pub(in crate::collector) events: usize,
    /// Its bookmark must be known as of this ticket.
    pub(in crate::collector) since: Ticket,
    /// Name of the subscription.
    pub(in crate::collector) subscription: Name,
    /// Whether its host is in the table of hosts.
    pub(in crate::collector) is_known: bool,
    /// Address of the source.
    pub(in crate::collector) address: IpAddr,
    pub(in crate::collector) began: Instant,
    /// The host, and the subscription.
    pub(in crate::collector) whose: Whose,
    /// Its messages, one item for each encoding.
    pub(in crate::collector) frames: Vec<Rc<Frames>>,
    /// Its position among the waiting batches; `None` once it has been begun.
    pub(in crate::collector) place: Option<Place>,
    /// Number of required outputs that have not delivered it.
    pub(in crate::collector) waiting: usize,
    /// Outputs that have delivered it.
    pub(in crate::collector) had_by: OutputSet,
    /// How long its source waits in total.
    pub(in crate::collector) timeout: Duration,
    /// When it is handed back with a 503.
    pub(in crate::collector) until: Instant,
}

/// How long a source waits for its answer, and when the answer has to be there. `began` is
/// when it started to send.
pub(in crate::collector) fn time_of(
    now: Now,
    began: Instant,
    header: &Header,
) -> (Duration, Instant) {
    let timeout = header.operation_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let timeout = timeout.min(LONGEST_TIMEOUT);
    (timeout, deadline(now, began, timeout))
}

impl Batch {
    /// Size of the batch in bytes in its largest encoding.
    pub(super) fn size(&self) -> usize {
        let sizes = self.frames.iter().map(|frames| frames.bytes.len());
        sizes.max().unwrap_or(0)
    }

    /// Its host and subscription, if the host is in the table.
    pub(in crate::collector) fn host(&self) -> Option<&Whose> {
        self.is_known.then_some(&self.whose)
    }

    /// The host and subscription that a receiver's refusal of this batch counts against.
    pub(super) fn who(&self) -> Option<Who> {
        setbacks::who(self.host(), self.address)
    }
}

/// The source's time counts from when it started to send; the margin is subtracted, but no more
/// than a quarter of the timeout. Outputs always get [`MOMENT`], or an eighth of a shorter timeout,
/// however long the batch took to arrive.
fn deadline(now: Now, began: Instant, timeout: Duration) -> Instant {
    let in_time = began + timeout - MARGIN.min(timeout / 4);
    in_time.max(now.monotonic + MOMENT.min(timeout / 8))
}
