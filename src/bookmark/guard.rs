//! The bookmark guard: which positions of a bookmark may replace those we hold.

use std::fmt;

use super::{BatchFacts, Bookmark, Position, Stored};

/// The log in which a host keeps what others forward to it. Its events carry the channel
/// and the record id of the host that wrote them, so none of them reaches a position of it.
pub const FORWARDED_EVENTS: &str = "ForwardedEvents";

/// What the guard has to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The source has proved who it is: it may say where it stands.
    pub is_proved: bool,
    /// The subscription reads existing events: what event 111 says would skip them.
    pub reads_existing: bool,
}

/// What came of a bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be stored; `None` where nothing of the bookmark was taken.
    pub stored: Option<Stored>,
    /// Why channels stay where they are, one reason each; of several that are the same in
    /// all channels, one.
    pub refused: Vec<Reason>,
}

/// Why a position did not replace the stored one.
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
    /// A source without an identity names a record id that none of its events reaches.
    Beyond {
        /// The channel as the source writes it.
        channel: String,
        /// The record id that came.
        incoming: u64,
        /// Where the channel stands now.
        now: u64,
    },
    /// The list has its most channels, or bytes.
    TooManyChannels {
        /// The channel as the source writes it.
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
                 at {now}: a source without a credential cannot move it further"
            ),
            Self::TooManyChannels { channel } => {
                write!(f, "there is no room for one more channel, {channel:?}")
            }
        }
    }
}

/// The bookmark guard, channel by channel: one that is refused stays where it is, and the
/// others go on.
///
/// A position that points backward or comes with event 111 names the end of the log; taken
/// after a restart it would skip what was not read yet. It counts only where there is none,
/// and not at all where existing events are to be read. A record id that goes back is taken
/// only where it is that of the events that came with it: the log began anew (recreated,
/// host installed again) or comes again, and going on from delivered events skips none. To
/// insist on the higher id there would: the source would pass over its new records up to it.
///
/// Without a proof of identity anybody could move a host's position past events that were
/// never sent. So there a known position goes forward only as far as the events of the batch
/// reach; a channel without one takes the first that comes, since Windows would replay a
/// channel that is missing in the list from its beginning.
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

/// The record id that a channel gets, if another one, and why not that of the bookmark.
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
            // It says again what is known, which is no trouble and no proof.
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

    /// Whether a channel may go to a record id, as far as it depends on who says so.
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
