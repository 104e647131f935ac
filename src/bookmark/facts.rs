//! What the bookmark guard needs to know about the batch that a bookmark came with.

use std::collections::BTreeMap;

use crate::base::clock::FileTime;

/// Facts about a batch, gathered event by event.
#[derive(Clone, Debug, Default)]
pub struct BatchFacts {
    has_bookmark_event: bool,
    channels: BTreeMap<String, ChannelFacts>,
    /// Buffer for the lower-cased channel of the current event, which saves an allocation
    /// for each.
    scratch: String,
}

#[derive(Clone, Copy, Debug)]
struct ChannelFacts {
    last: u64,
    runs: Runs,
}

/// The record ids and times of one channel in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The lowest record id.
    pub least: u64,
    /// The highest record id.
    pub most: u64,
    /// Number of events.
    pub count: u64,
    /// How often ids were skipped before the next event.
    pub jumps: u32,
    /// First and last id of the latest gap.
    pub last_jump: Option<(u64, u64)>,
    /// The oldest `TimeCreated`; `None` if no event has a valid one.
    pub oldest: Option<FileTime>,
    /// The newest `TimeCreated`.
    pub newest: Option<FileTime>,
}

impl Runs {
    fn new(record_id: u64, time: Option<FileTime>) -> Self {
        Self {
            least: record_id,
            most: record_id,
            count: 1,
            jumps: 0,
            last_jump: None,
            oldest: time,
            newest: time,
        }
    }

    fn note(&mut self, last: u64, record_id: u64, time: Option<FileTime>) {
        self.least = self.least.min(record_id);
        self.most = self.most.max(record_id);
        self.count += 1;
        if record_id > last.saturating_add(1) {
            self.jumps += 1;
            self.last_jump = Some((last + 1, record_id - 1));
        }
        self.newest = self.newest.max(time);
        self.oldest = match (self.oldest, time) {
            (Some(oldest), Some(time)) => Some(oldest.min(time)),
            (oldest, time) => oldest.or(time),
        };
    }

    /// Number of ids between the lowest and the highest that did not occur.
    #[must_use]
    pub fn missing(&self) -> u64 {
        (self.most - self.least).saturating_sub(self.count - 1)
    }
}

impl BatchFacts {
    /// Facts about an empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records one event: its channel, `EventRecordID`, and `TimeCreated`.
    pub fn note(&mut self, channel: &str, record_id: u64, time: Option<FileTime>) {
        self.scratch.clear();
        self.scratch.push_str(channel);
        self.scratch.make_ascii_lowercase();
        if let Some(facts) = self.channels.get_mut(&self.scratch) {
            facts.runs.note(facts.last, record_id, time);
            facts.last = record_id;
        } else {
            let facts = ChannelFacts {
                last: record_id,
                runs: Runs::new(record_id, time),
            };
            self.channels.insert(self.scratch.clone(), facts);
        }
    }

    /// Records event 111 (`SubscriptionBookmarkEvent`).
    pub fn note_bookmark_event(&mut self) {
        self.has_bookmark_event = true;
    }

    /// Whether the batch contained event 111.
    #[must_use]
    pub fn has_bookmark_event(&self) -> bool {
        self.has_bookmark_event
    }

    /// The newest `TimeCreated` in the batch.
    #[must_use]
    pub fn newest(&self) -> Option<FileTime> {
        self.channels
            .values()
            .filter_map(|facts| facts.runs.newest)
            .max()
    }

    /// The channels, in lower case, with their record ids.
    pub fn channels(&self) -> impl Iterator<Item = (&str, Runs)> {
        let channels = self.channels.iter();
        channels.map(|(channel, facts)| (channel.as_str(), facts.runs))
    }

    /// Whether it contains an event with a record id.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.channels.is_empty()
    }

    /// The highest record id of `channel`; `None` if it has no event.
    pub(super) fn reach(&self, channel: &str) -> Option<u64> {
        let facts = self.channels.get(&channel.to_ascii_lowercase());
        facts.map(|facts| facts.runs.most)
    }

    /// Whether `record_id` is the last one of this batch in `channel`.
    pub(super) fn ends_at(&self, channel: &str, record_id: u64) -> bool {
        let facts = self.channels.get(&channel.to_ascii_lowercase());
        facts.is_some_and(|facts| facts.last == record_id)
    }
}
