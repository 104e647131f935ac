//! The state of a host, judged by its heartbeat interval.

use super::explain::{self, Cause};
use super::record::{Clones, Followed, Host, Reported};
use crate::base::clock::UnixSeconds;

/// Margin added to a heartbeat interval, in seconds: a quarter of it, within these bounds.
const MARGIN: std::ops::RangeInclusive<u32> = 1..=60;
/// Number of heartbeats that may be missed before a host counts as lost.
const MISSED: u32 = 3;
/// Events within this many seconds count as recent, however short the heartbeat interval.
const LATELY: u64 = 60;

/// How long two hosts with the same name are reported, in seconds.
const CLONES: u64 = 86_400;

/// The reference time for a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The current time, by the relay's clock.
    pub now: UnixSeconds,
    /// Since when the relay has been listening: hosts get a period of grace after a start.
    pub up_since: UnixSeconds,
}

/// State of a host, or of one of its subscriptions; the liveliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Has sent events recently.
    Active,
    /// Sends heartbeats, but no events.
    Alive,
    /// Has missed a heartbeat.
    Late,
    /// Has just been given its subscriptions.
    Waiting,
    /// Fetches its subscriptions, but sends nothing.
    Silent,
    /// Has missed several heartbeats.
    Lost,
    /// No subscription is for it.
    Refused,
}

impl State {
    /// All states, in the order in which tables show them.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Alive,
        Self::Late,
        Self::Lost,
        Self::Silent,
        Self::Waiting,
        Self::Refused,
    ];

    /// The name in tables, metrics, and flags.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Alive => "alive",
            Self::Late => "late",
            Self::Waiting => "waiting",
            Self::Silent => "silent",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
}

impl Followed {
    /// The subscription's state.
    #[must_use]
    pub fn state(&self, at: Moment) -> State {
        let margin = (self.heartbeat / 4).clamp(*MARGIN.start(), *MARGIN.end());
        let (interval, margin) = (u64::from(self.heartbeat), u64::from(margin));
        let age = |time: UnixSeconds| at.now.since(time.max(at.up_since));
        if let Some(heard) = self.last_heard() {
            let silence = age(heard);
            if silence <= interval + margin {
                let lately = (interval + margin).max(LATELY);
                let events = self.last_event.is_some_and(|event| age(event) <= lately);
                return if events { State::Active } else { State::Alive };
            }
            if silence <= interval * u64::from(MISSED) + margin {
                return State::Late;
            }
        }
        match self.offered {
            Some(offered) if age(offered) > u64::from(self.patience) => State::Silent,
            Some(_) if self.last_heard().is_none() => State::Waiting,
            _ => State::Lost,
        }
    }
}

impl Host {
    /// The host's state: that of its liveliest subscription.
    #[must_use]
    pub fn state(&self, at: Moment) -> State {
        let liveliest = self.asked_for().map(|s| s.state(at)).min();
        match liveliest {
            // A rejection since it was last heard of is more important than that it is
            // lost.
            None | Some(State::Lost | State::Silent) if self.is_refused() => State::Refused,
            Some(state) => state,
            None => State::Waiting,
        }
    }

    fn is_refused(&self) -> bool {
        let heard = self.asked_for().filter_map(Followed::last_heard).max();
        self.refused
            .as_ref()
            .is_some_and(|refused| Some(refused.at) >= heard)
    }

    /// The last report that still matters: while a host delivers, its reports about
    /// connecting are obsolete.
    fn reported(&self, state: State) -> Option<&Reported> {
        let delivers = matches!(state, State::Active | State::Alive);
        let mut reports = self.reports.iter().rev();
        reports.find(|report| !delivers || matches!(report.event, 101 | 102))
    }

    /// Why it is not well, with the remedy; `None` if it is well.
    #[must_use]
    pub fn why(&self, at: Moment) -> Option<String> {
        self.cause(at).map(explain::cause)
    }

    /// Why it is not well; its own report takes precedence.
    #[must_use]
    pub fn cause(&self, at: Moment) -> Option<Cause<'_>> {
        let state = self.state(at);
        let heard = self.asked_for().filter_map(Followed::last_heard).max();
        let is_news = |time: UnixSeconds| heard.is_none_or(|heard| time >= heard);
        if state == State::Refused {
            return self.refused.as_deref().map(Cause::Refused);
        }
        let is_lately = |clones: &&Clones| at.now.since(clones.at) <= CLONES;
        if let Some(clones) = self.clones.as_deref().filter(is_lately) {
            return Some(Cause::Clones(clones));
        }
        let ended = self.subscriptions.iter().filter_map(|s| s.end.as_deref());
        let ended = ended.max_by_key(|end| end.at).filter(|end| is_news(end.at));
        let said = ended.map(Cause::Ended);
        said.or_else(|| self.reported(state).map(Cause::Reported))
            .or(match state {
                State::Silent => Some(Cause::Silent),
                State::Lost => Some(Cause::Lost),
                _ => None,
            })
    }
}
