//! The bookmark guard: which positions of a bookmark may replace the stored ones.

use std::fmt;

use super::{BatchFacts, Bookmark, Position, Stored};

/// The log in which a host stores what other hosts forward to it. Its events have the
/// channel and record id of their original host, so they never match a position in this
/// log.
pub const FORWARDED_EVENTS: &str = "ForwardedEvents";

/// What the guard's decisions depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether the source is authenticated, so that it may state its own position.
    pub is_proved: bool,
    /// Whether the subscription reads existing events, which the position in event 111
    /// would skip.
    pub reads_existing: bool,
}

/// The guard's decision about a bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What to store; `None` if nothing of the bookmark was accepted.
    pub stored: Option<Stored>,
    /// Why channels keep their position, one reason for each; a reason that applies to all
    /// channels occurs only once.
    pub refused: Vec<Reason>,
}

/// Why a position did not replace the stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It has `Direction="backward"`.
    Backward,
    /// It came with event 111.
    BookmarkEvent,
    /// Its record id is lower than the stored one.
    WentBack {
        /// The channel, spelled as by the source.
        channel: String,
        /// The stored record id.
        stored: u64,
        /// The record id of the bookmark.
        incoming: u64,
    },
    /// A source without identity states a record id that none of its events reaches.
    Beyond {
        /// The channel, spelled as by the source.
        channel: String,
        /// The record id of the bookmark.
        incoming: u64,
        /// The current position of the channel.
        now: u64,
    },
    /// The list already has its maximum number of channels or bytes.
    TooManyChannels {
        /// The channel, spelled as by the source.
        channel: String,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backward => f.write_str("it points back to the end of the log"),
            Self::BookmarkEvent => f.write_str("it arrived with event 111, not with events"),
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
            Self::Beyond {
                channel,
                incoming,
                now,
            } => write!(
                f,
                "no event of the batch reaches record id {incoming} of {channel:?}, which stays \
                 at {now}: a host without credentials cannot advance it further"
            ),
            Self::TooManyChannels { channel } => {
                write!(f, "there is no room for one more channel, {channel:?}")
            }
        }
    }
}

/// Decides about a bookmark, channel by channel: a rejected one keeps its position, and the
/// others advance.
///
/// A position that points backward or comes with event 111 is the end of the log. If it
/// were accepted after a restart, everything not read yet would be skipped. So it counts
/// only where there is no other, and not at all if existing events are to be read. A lower
/// record id is accepted only if it is that of the events that came with it: then the log
/// was cleared or the host reinstalled, or the batch is a repeat, and continuing after
/// delivered events skips none. Keeping the higher id would: the source would skip its new
/// records up to it.
///
/// Without authentication anyone could move a host's position past events that were never
/// sent. So for such sources a known position advances only as far as the events of the
/// batch. A channel without a position accepts the first one, because Windows would replay
/// a channel that is missing in the list from its start.
#[must_use]
pub fn judge(
    stored: Option<&Stored>,
    incoming: &Bookmark,
    facts: &BatchFacts,
    rules: Rules,
) -> Judgement {
    let mut next = stored.cloned().unwrap_or_default();
    let mut refused = Vec::new();
    let mut taken = false;
    let context = Context {
        is_weak: incoming.is_backward() || facts.has_bookmark_event(),
        is_backward: incoming.is_backward(),
        facts,
        rules,
    };
    for position in incoming.positions() {
        let Verdict { record, reason } = context.judge(&next, position);
        if let Some(record) = record {
            let channel = position.channel.clone();
            next.set(Position { channel, record }, context.is_weak);
            taken = true;
        }
        refused.extend(reason.filter(|reason| !refused.contains(reason)));
    }
    if taken {
        next.follow(incoming);
    }
    Judgement {
        stored: taken.then_some(next),
        refused,
    }
}

/// The new record id of a channel, if it changes, and why it is not that of the bookmark.
struct Verdict {
    record: Option<u64>,
    reason: Option<Reason>,
}

struct Context<'a> {
    is_weak: bool,
    is_backward: bool,
    facts: &'a BatchFacts,
    rules: Rules,
}

impl Context<'_> {
    fn judge(&self, stored: &Stored, position: &Position) -> Verdict {
        let Position { channel, record } = position;
        let record = *record;
        let keep = |reason| Verdict {
            record: None,
            reason: Some(reason),
        };
        let take = |record| Verdict {
            record: Some(record),
            reason: None,
        };
        let Some(held) = stored.find(channel) else {
            return if self.is_weak && self.rules.reads_existing {
                keep(self.weakness())
            } else if stored.has_room_for(channel) {
                take(record)
            } else {
                let channel = channel.clone();
                keep(Reason::TooManyChannels { channel })
            };
        };
        let known = held.position.record;
        let moves_nothing = !self.rules.is_proved && !self.facts.has_events();
        if record == known && (self.is_weak || moves_nothing) {
            // It repeats what is known, which is neither a problem nor a proof.
            return Verdict {
                record: None,
                reason: None,
            };
        }
        if self.is_weak {
            return keep(self.weakness());
        }
        if record < known && !held.is_weak && !self.facts.ends_at(channel, record) {
            let (channel, stored, incoming) = (channel.clone(), known, record);
            return keep(Reason::WentBack {
                channel,
                stored,
                incoming,
            });
        }
        if self.is_believed(channel, record, known) {
            return take(record);
        }
        let reached = self.facts.reach(channel).filter(|reach| *reach > known);
        let reached = reached.map(|reach| reach.min(record));
        let reason = Reason::Beyond {
            channel: channel.clone(),
            incoming: record,
            now: reached.unwrap_or(known),
        };
        Verdict {
            record: reached,
            reason: Some(reason),
        }
    }

    /// Whether a channel may move to a record id, as far as this depends on the source's
    /// identity.
    fn is_believed(&self, channel: &str, record: u64, known: u64) -> bool {
        let reaches = |reach: u64| reach >= record;
        let is_forwarded = channel.eq_ignore_ascii_case(FORWARDED_EVENTS);
        self.rules.is_proved
            || (record <= known && self.facts.has_events())
            || (is_forwarded && self.facts.has_events())
            || self.facts.reach(channel).is_some_and(reaches)
    }

    fn weakness(&self) -> Reason {
        if self.is_backward {
            Reason::Backward
        } else {
            Reason::BookmarkEvent
        }
    }
}
