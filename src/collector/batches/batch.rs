//! A batch whose source waits for its Ack.

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
use crate::hosts::Key;
use crate::output::queue::Frames;
use crate::protocol::wsman::{Header, Name};
use crate::store::Ticket;

/// What a source gives an operation when it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time a batch is held, whatever the source would wait.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// How long before the source's timeout it gets its 503, so that it arrives in time.
const MARGIN: Duration = Duration::from_secs(5);

/// What a batch gets at least to be delivered.
const MOMENT: Duration = Duration::from_secs(1);

/// Whose batches: a host, and the subscription that they answer.
pub(in crate::collector) type Whose = (Rc<Key>, Uuid);

/// The bookmark that came with a batch, and whose it is.
#[derive(Debug)]
pub(in crate::collector) struct Mark {
    pub(in crate::collector) key: bookmark::Key,
    /// Whose it is.
    pub(in crate::collector) identity: Rc<Identity>,
    pub(in crate::collector) bookmark: Bookmark,
    /// Another relay may have written since the host came here.
    pub(in crate::collector) may_be_late: bool,
    pub(in crate::collector) facts: BatchFacts,
    pub(in crate::collector) rules: bookmark::Rules,
    /// Where it comes from.
    pub(in crate::collector) network: IpAddr,
    /// Who it is from, for the log.
    pub(in crate::collector) source: String,
}

/// A set of outputs. Those beyond the first 64 are not noted: what they have is sent again.
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

/// A batch whose source waits.
#[derive(Debug)]
pub(in crate::collector) struct Batch {
    pub(in crate::collector) conn: ConnId,
    pub(in crate::collector) header: Header,
    pub(in crate::collector) mark: Option<Mark>,
    pub(in crate::collector) events: usize,
    /// Its bookmark has to be known as of then.
    pub(in crate::collector) since: Ticket,
    /// Name of the subscription that it answers.
    pub(in crate::collector) subscription: Name,
    /// Whether its host is in the table.
    pub(in crate::collector) is_known: bool,
    /// Where it came from.
    pub(in crate::collector) address: IpAddr,
    pub(in crate::collector) began: Instant,
    /// Whose it is, and for which subscription.
    pub(in crate::collector) whose: Whose,
    /// One item for each form.
    pub(in crate::collector) frames: Vec<Rc<Frames>>,
    /// Where it waits, if it is not begun.
    pub(in crate::collector) place: Option<Place>,
    /// Outputs that have not delivered it.
    pub(in crate::collector) waiting: usize,
    /// Outputs that have it.
    pub(in crate::collector) had_by: OutputSet,
    /// How long its source waits in all.
    pub(in crate::collector) timeout: Duration,
    /// When it is handed back.
    pub(in crate::collector) until: Instant,
}

/// How long a source waits for its answer, and when it has to have it. `began`: when it
/// began to send.
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
    /// What most of the outputs get of it, in bytes.
    pub(super) fn size(&self) -> usize {
        let sizes = self.frames.iter().map(|frames| frames.bytes.len());
        sizes.max().unwrap_or(0)
    }

    /// Its host and subscription, if the host is in the table.
    pub(in crate::collector) fn host(&self) -> Option<&Whose> {
        self.is_known.then_some(&self.whose)
    }

    /// Whose it is, as far as a receiver's refusal is about it.
    pub(super) fn who(&self) -> Option<Who> {
        setbacks::who(self.host(), self.address)
    }
}

/// The source's time counts from when it began to send, the margin is before its end;
/// but outputs get a moment, however long the batch was under way.
fn deadline(now: Now, began: Instant, timeout: Duration) -> Instant {
    let in_time = began + timeout - MARGIN.min(timeout / 4);
    in_time.max(now.monotonic + MOMENT.min(timeout / 8))
}
