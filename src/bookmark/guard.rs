//! The bookmark guard: which bookmark may replace the stored one.

use std::collections::BTreeMap;
use std::fmt;

use super::Bookmark;

/// What the guard needs to know of the batch that a bookmark came with.
#[derive(Clone, Debug, Default)]
pub struct BatchFacts {
    has_bookmark_event: bool,
    channels: BTreeMap<String, ChannelFacts>,
    /// Lower-cased name of the event at hand; kept to save an allocation each.
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
    /// How many events.
    pub count: u64,
    /// How often an id was left out before the next event.
    pub jumps: u32,
    /// First and last id that was left out the last time.
    pub last_jump: Option<(u64, u64)>,
    /// The oldest `TimeCreated`, as [`event_time`](super::event_time) gives it.
    pub oldest: Option<u64>,
    /// The newest one.
    pub newest: Option<u64>,
}

impl Runs {
    fn new(record_id: u64, time: Option<u64>) -> Self {
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

    fn note(&mut self, last: u64, record_id: u64, time: Option<u64>) {
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

    /// How many ids between the lowest and the highest are not there.
    #[must_use]
    pub fn missing(&self) -> u64 {
        (self.most - self.least).saturating_sub(self.count - 1)
    }
}

impl BatchFacts {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of one event: its channel, `EventRecordID`, and `TimeCreated`
    /// as [`event_time`](super::event_time) gives it.
    pub fn note(&mut self, channel: &str, record_id: u64, time: Option<u64>) {
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

    /// Takes note of event 111 (`SubscriptionBookmarkEvent`).
    pub fn note_bookmark_event(&mut self) {
        self.has_bookmark_event = true;
    }

    /// Whether event 111 was in the batch.
    #[must_use]
    pub fn has_bookmark_event(&self) -> bool {
        self.has_bookmark_event
    }

    /// The newest `TimeCreated` of the batch, as [`event_time`](super::event_time) gives it.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
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

    /// Whether `record_id` is where this batch itself ends in `channel`.
    fn ends_at(&self, channel: &str, record_id: u64) -> bool {
        let facts = self.channels.get(&channel.to_ascii_lowercase());
        facts.is_some_and(|facts| facts.last == record_id)
    }
}

/// A bookmark that is stored, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// What the source gets back.
    pub bookmark: Bookmark,
    /// Came backward or with event 111, where there was no other: any normal
    /// one replaces it.
    pub weak: bool,
    /// Newest event of the last batch that had a time, as [`event_time`](super::event_time) gives it.
    pub last_event: Option<u64>,
}

impl Stored {
    /// What to store of `bookmark`, which came with a batch of `facts` and
    /// takes the place of `previous`.
    #[must_use]
    pub fn new(bookmark: Bookmark, facts: &BatchFacts, previous: Option<&Self>) -> Self {
        let before = previous.and_then(|previous| previous.last_event);
        Self {
            weak: bookmark.backward || facts.has_bookmark_event,
            last_event: facts.newest().or(before),
            bookmark,
        }
    }
}

/// What is to be done with a bookmark that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Store it: there is none yet.
    First,
    /// Store it in place of the one there.
    Replace,
    /// Leave the stored one, keep this one for the administrator, log why.
    KeepAside(Reason),
}

/// Why a bookmark did not replace the stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It says `Direction="backward"`.
    Backward,
    /// It came with event 111.
    BookmarkEvent,
    /// A record id is lower than the stored one.
    WentBack {
        /// The channel as the source writes it.
        channel: String,
        /// The record id that is stored.
        stored: u64,
        /// The record id that came.
        incoming: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backward => f.write_str("it points backward, to the end of the log"),
            Self::BookmarkEvent => f.write_str("it came with event 111, not with events read"),
            Self::WentBack {
                channel,
                stored,
                incoming,
            } => {
                write!(
                    f,
                    "record id of {channel:?} went back from {stored} to {incoming}"
                )
            }
        }
    }
}

/// The bookmark guard.
///
/// A bookmark that points backward or comes with event 111 names the end of
/// the log; taken after a restart it would skip what was not read yet. One whose
/// record ids go back is taken only where they are those of the events that came
/// with it: the log began anew (recreated, host installed again) or comes again,
/// and going on from delivered events skips none. To insist on the higher id
/// there would: the source would pass over its new records up to it. Any other
/// one that goes back is kept aside.
#[must_use]
pub fn judge(stored: Option<&Stored>, incoming: &Bookmark, facts: &BatchFacts) -> Verdict {
    let Some(stored) = stored else {
        return Verdict::First;
    };
    if incoming.backward {
        return Verdict::KeepAside(Reason::Backward);
    }
    if facts.has_bookmark_event {
        return Verdict::KeepAside(Reason::BookmarkEvent);
    }
    if stored.weak {
        return Verdict::Replace;
    }
    let mut positions = incoming.positions.iter();
    let back = positions.find_map(|(channel, id)| went_back(stored, channel, *id, facts));
    back.map_or(Verdict::Replace, Verdict::KeepAside)
}

fn went_back(stored: &Stored, channel: &str, id: u64, facts: &BatchFacts) -> Option<Reason> {
    let before = stored.bookmark.position(channel)?;
    if id >= before || facts.ends_at(channel, id) {
        return None;
    }
    Some(Reason::WentBack {
        channel: channel.to_owned(),
        stored: before,
        incoming: id,
    })
}
