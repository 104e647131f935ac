//! The stored bookmark of a source: one position for each channel, possibly from different
//! bookmarks.

use super::list::{self, Bookmark};
use super::position::{Position, WEAK};
use super::{BatchFacts, Error, MAX_BOOKMARK_BYTES, MAX_CHANNELS};

/// Maximum size in bytes of a position in XML, apart from its channel's name.
const FRAME: usize = 80;

/// The stored position of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The channel and its record id.
    pub position: Position,
    /// Whether it pointed backward or came with event 111 when there was no other. Any
    /// normal position replaces it.
    pub is_weak: bool,
}

/// The stored positions of a source, channel by channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    held: Vec<Held>,
    /// The channel of the last event that was read.
    current: Option<String>,
}

impl Stored {
    /// From the first bookmark, unchanged.
    #[must_use]
    pub fn new(bookmark: &Bookmark, facts: &BatchFacts) -> Self {
        let is_weak = bookmark.is_backward() || facts.has_bookmark_event();
        let held = bookmark.positions().iter().map(|position| Held {
            position: position.clone(),
            is_weak,
        });
        Self {
            held: held.collect(),
            current: bookmark.current_channel().map(str::to_owned),
        }
    }

    /// Parses what [`Stored::to_xml`] wrote, or a source's own list as stored by version
    /// 0.1; with `is_weak` all positions are weak.
    ///
    /// # Errors
    /// It is not a bookmark.
    pub fn parse(text: &str, is_weak: bool) -> Result<Self, Error> {
        let mut stored = Self::default();
        list::read(text, |entry| {
            let position = entry.position;
            if entry.is_current && stored.current.is_none() {
                stored.current = Some(position.channel.clone());
            }
            let is_weak = is_weak || entry.is_weak;
            match stored.find(&position.channel) {
                Some(known) if known.position.record >= position.record => {}
                _ => stored.set(position, is_weak),
            }
        })?;
        Ok(stored)
    }

    /// Whether another channel fits: the list must stay within what a source may send, and
    /// within the limits of the response to Enumerate.
    pub(super) fn has_room_for(&self, channel: &str) -> bool {
        let names = self.held.iter().map(|held| held.position.channel.len());
        let bytes: usize = names.chain([channel.len()]).map(|name| name + FRAME).sum();
        self.held.len() < MAX_CHANNELS && bytes <= MAX_BOOKMARK_BYTES
    }

    /// The form for the store, which includes weakness; not for sources.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let is_any_weak = self.held.iter().any(|held| held.is_weak);
        let weak = is_any_weak.then(|| format!(" {WEAK}=\"true\""));
        let weak = weak.unwrap_or_default();
        self.write(|held| Some(if held.is_weak { &weak } else { "" }))
    }

    /// The list for the source, in canonical form. If its subscription reads existing
    /// events, weak positions are left out, because they would skip these events.
    #[must_use]
    pub fn offer(&self, reads_existing: bool) -> Option<String> {
        let counts = |held: &Held| !(reads_existing && held.is_weak);
        let is_any = self.held.iter().any(counts);
        is_any.then(|| self.write(|held| counts(held).then_some("")))
    }

    /// Writes the positions for which `more` returns text to follow their attributes.
    fn write<'m>(&self, more: impl Fn(&Held) -> Option<&'m str>) -> String {
        let names = self.held.iter().map(|held| held.position.channel.len());
        let mut xml = String::with_capacity(FRAME + names.map(|name| name + FRAME).sum::<usize>());
        xml.push_str("<BookmarkList>");
        for held in &self.held {
            if let Some(more) = more(held) {
                let current = self.current.as_deref();
                let is_current = current == Some(&held.position.channel);
                list::push(&mut xml, &held.position, is_current, more);
            }
        }
        xml.push_str("</BookmarkList>");
        xml
    }

    /// The higher position of the two in each channel.
    #[must_use]
    pub fn furthest(mut self, other: &Self) -> Self {
        for held in &other.held {
            let own = self.find(&held.position.channel);
            if own.is_none_or(|own| own.position.record < held.position.record) {
                self.set(held.position.clone(), held.is_weak);
            }
        }
        self
    }

    /// Limits a channel's position to `record`.
    pub fn lower(&mut self, channel: &str, record: u64) {
        let is_same = |held: &&mut Held| held.position.channel.eq_ignore_ascii_case(channel);
        if let Some(held) = self.held.iter_mut().find(is_same) {
            held.position.record = held.position.record.min(record);
        }
    }

    /// Keeps only the channels that `before` also has.
    #[must_use]
    pub fn without_new(mut self, before: &Self) -> Self {
        self.held
            .retain(|held| before.find(&held.position.channel).is_some());
        self
    }

    /// All positions, in the order of the last bookmark.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// The record id of `channel`, compared ignoring case.
    #[must_use]
    pub fn position(&self, channel: &str) -> Option<u64> {
        self.find(channel).map(|held| held.position.record)
    }

    /// The same, unless the position is weak: then it is the end of the log, not what was
    /// read.
    #[must_use]
    pub fn read_up_to(&self, channel: &str) -> Option<u64> {
        let held = self.find(channel).filter(|held| !held.is_weak);
        held.map(|held| held.position.record)
    }

    pub(super) fn find(&self, channel: &str) -> Option<&Held> {
        let is_same = |held: &&Held| held.position.channel.eq_ignore_ascii_case(channel);
        self.held.iter().find(is_same)
    }

    pub(super) fn set(&mut self, position: Position, is_weak: bool) {
        let is_same = |held: &&mut Held| {
            let channel = &held.position.channel;
            channel.eq_ignore_ascii_case(&position.channel)
        };
        match self.held.iter_mut().find(is_same) {
            Some(held) => *held = Held { position, is_weak },
            None => self.held.push(Held { position, is_weak }),
        }
    }

    /// Puts the channels in the order of `bookmark`, so that a source gets back what it
    /// sent; channels that it does not name come last.
    pub(super) fn follow(&mut self, bookmark: &Bookmark) {
        let order = |held: &Held| {
            let is_same = |position: &Position| {
                let channel = &held.position.channel;
                position.channel.eq_ignore_ascii_case(channel)
            };
            let at = bookmark.positions().iter().position(is_same);
            at.unwrap_or(usize::MAX)
        };
        if !self.held.is_sorted_by_key(order) {
            self.held.sort_by_cached_key(order);
        }
        let current = bookmark.current_channel();
        if current.is_some() && self.current.as_deref() != current {
            self.current = current.map(str::to_owned);
        }
    }
}
