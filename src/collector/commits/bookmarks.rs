//! The bookmarks of delivered batches: judged by the bookmark guard, limited, stored, and
//! reported.

use super::ConnId;
use super::Mark;
use super::clones::{Clones, Two};
use crate::base::clock::Now;
use crate::base::hashing::QuickSet;
use crate::bookmark::{self, Bookmark, Judgement, Reason, Stored, judge};
use crate::store::{Condition, Error, Owner, Room, Usage};

/// Maximum number of sources to remember, so that each persistent problem is logged once.
const TOLD: usize = 10_000;

/// What is known about bookmarks besides the store itself.
#[derive(Debug, Default)]
pub(super) struct Bookmarks {
    room: Room,
    /// The last known state of the store.
    condition: Condition,
    told: QuickSet<bookmark::Key>,
    clones: Clones,
}

/// The result for a bookmark, what replaces the stored one, and what is kept aside, with
/// the reason.
pub(super) type Judged = (Outcome, Option<Stored>, Option<(Bookmark, String)>);

/// The result for one bookmark.
#[derive(Debug)]
pub(in crate::collector) struct Outcome {
    pub(in crate::collector) before: Option<Stored>,
    refused: Vec<Reason>,
    /// Additional space that it takes.
    grown: Option<(Owner, Usage)>,
    /// There was not enough room for all of it.
    is_crowded: bool,
}

/// What is counted for a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) aside: u64,
    pub(super) crowded: u64,
}

impl Bookmarks {
    /// Sets the usage that the store has counted. Until then everything has room.
    pub(super) fn note_counted(&mut self, usage: Result<Vec<(Owner, Usage)>, Error>) {
        match usage {
            Ok(usage) => self.room = Room::new(usage),
            Err(error) => log::error!("bookmarks cannot be counted: {error}"),
        }
    }

    /// Records the state of the store.
    pub(super) fn note_condition(&mut self, condition: Condition) {
        if condition.trouble != self.condition.trouble {
            match &condition.trouble {
                Some(trouble) if self.condition.trouble.is_some() => log::debug!("now: {trouble}"),
                Some(trouble) => {
                    log::error!("{trouble}; nothing is acknowledged until this is resolved");
                }
                None => log::info!("the state can be written again"),
            }
        }
        self.condition = condition;
    }

    pub(super) fn condition(&self) -> &Condition {
        &self.condition
    }

    /// How much is stored in total.
    pub(super) fn usage(&self) -> Usage {
        self.room.all()
    }

    /// Checks whether a batch is from another host with the same name as a known one.
    pub(super) fn watch(
        &mut self,
        now: Now,
        conn: ConnId,
        mark: &Mark,
        were_two: bool,
        is_open: impl FnOnce(ConnId) -> bool,
    ) -> Option<Two> {
        let two = self.clones.note(now, conn, mark, were_two, is_open)?;
        let ([first, second], [before, after]) = (two.addresses, two.records);
        log::warn!(
            "host {}: two hosts have this name: record ids of {:?} continue at {before} from \
             {first} and at {after} from {second}; both get the lower bookmark, so events repeat; \
             rename one of them (sysprep /generalize)",
            mark.source,
            two.channel,
        );
        Some(two)
    }

    /// Judges a bookmark where `before` is stored: what replaces that, if anything, and
    /// what is kept aside, with the reason.
    pub(super) fn judge(&mut self, mark: &Mark, before: Option<Stored>) -> Judged {
        let Mark { key, facts, .. } = mark;
        let judgement = judge(before.as_ref(), &mark.bookmark, facts, mark.rules);
        let Judgement {
            mut stored,
            mut refused,
        } = judgement;
        if mark.may_be_late
            && let Some(before) = &before
        {
            refused.clear();
            // Written even if unchanged: after a crash a database may show commits that
            // were not durable, and this commit waits for all before it.
            let furthest = stored.map(|stored| stored.furthest(before));
            stored = Some(furthest.unwrap_or_else(|| before.clone()));
        }
        let mut outcome = Outcome {
            before,
            refused,
            grown: None,
            is_crowded: false,
        };
        let fitting = stored.and_then(|stored| self.fit(mark, stored, &mut outcome));
        let latest = fitting.map(|mut stored| {
            let before = outcome.before.as_ref();
            self.clones.hold_back(key, &mut stored, before);
            stored
        });
        let is_refused = !outcome.refused.is_empty();
        let aside = is_refused.then(|| (mark.bookmark.clone(), words(&outcome.refused)));
        (outcome, latest, aside)
    }

    /// Reduces a bookmark to what there is room for.
    fn fit(&mut self, mark: &Mark, stored: Stored, outcome: &mut Outcome) -> Option<Stored> {
        let length = |stored: &Stored| u64::try_from(stored.to_xml().len()).unwrap_or(u64::MAX);
        let before = outcome.before.as_ref();
        if before.is_some_and(|before| before.held().len() == stored.held().len()) {
            return Some(stored);
        }
        let more = Usage {
            rows: u64::from(before.is_none()),
            bytes: length(&stored).saturating_sub(before.map_or(0, length)),
        };
        let owner = Owner::of(&mark.key, mark.network);
        let has_event = mark.facts.has_events() || mark.facts.has_bookmark_event();
        let is_named = before.is_some() || has_event || self.room.takes_without_events(&owner);
        if is_named && self.room.has(&owner, more) {
            outcome.grown = Some((owner, more));
            return Some(stored);
        }
        outcome.is_crowded = true;
        before.map(|before| stored.without_new(before))
    }

    /// Counts the space of a bookmark that has been committed.
    pub(super) fn note_grown(&mut self, outcome: &mut Outcome) {
        if let Some((owner, more)) = outcome.grown.take() {
            self.room.note(owner, more);
        }
    }

    /// Logs and counts the result for a bookmark.
    pub(super) fn note(&mut self, mark: &Mark, outcome: &Outcome) -> Counts {
        let mut counts = Counts::default();
        if outcome.is_crowded {
            counts.crowded += 1;
            self.say_crowded(mark);
        }
        if !outcome.refused.is_empty() {
            counts.aside += 1;
            self.say_aside(mark, &outcome.refused);
        } else if !self.told.is_empty() {
            self.told.remove(&mark.key);
        }
        counts
    }

    fn say_aside(&mut self, mark: &Mark, refused: &[Reason]) {
        let reason = words(refused);
        let is_news = self.told.len() < TOLD && self.told.insert(mark.key.clone());
        if is_news {
            log::warn!("host {}: bookmark not used: {reason}", mark.source);
        } else {
            log::debug!("host {}: bookmark not used: {reason}", mark.source);
        }
    }

    fn say_crowded(&mut self, mark: &Mark) {
        if !self.room.note_refused() {
            return;
        }
        let who = match mark.key.identity() {
            Some(identity) => format!("identity {identity:?}"),
            None => format!("hosts without credentials from {}", mark.network),
        };
        let all = self.room.all();
        log::warn!(
            "host {}: bookmark not stored: {who} have reached the limit of names or bytes of \
             bookmarks ({} bookmarks of {} kB in all, {} times not stored so far); if these are \
             hosts, give them a credential, else remove that network from --anonymous",
            mark.source,
            all.rows,
            all.bytes / 1024,
            self.room.refused(),
        );
    }
}

fn words(reasons: &[Reason]) -> String {
    /// Maximum number of reasons to log; a subscription to 256 channels may have as many.
    const MOST: usize = 4;
    let words: Vec<_> = reasons.iter().take(MOST).map(Reason::to_string).collect();
    let more = match reasons.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!("; and {more} more channels"),
    };
    format!("{}{more}", words.join("; "))
}
