//! What is known of one host.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Asked;
use crate::base::clock::{FileTime, UnixSeconds};
use crate::bookmark::Runs;
use crate::protocol::wsman::subscribe::SELF_REPORTS;

/// Longest text of a host's that is kept, in bytes.
const LONGEST_TEXT: usize = 400;
/// Channels of one subscription whose gaps are kept; a query may name 256.
const CHANNELS: usize = 32;

/// A host: who it proved to be together with what it calls itself.
///
/// Times are by the relay's clock unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Who it proved to be; `None` for a null session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// What it calls itself (MachineID), else its address.
    pub machine: String,
    /// Where it came from last.
    pub address: IpAddr,
    /// How it was authenticated last, as in messages and metrics.
    pub method: Cow<'static, str>,
    /// The SID of its account in a domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The relay that it came to last, where several share a store; none for the one that
    /// says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// When it came for the first time.
    pub first_seen: UnixSeconds,
    /// When it came last, with whatever.
    pub last_seen: UnixSeconds,
    /// Seconds that relays had run with this state when it came last: what its age is
    /// counted in.
    #[serde(default)]
    pub ran: u64,
    /// When it asked for its subscriptions last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_enumerate: Option<UnixSeconds>,
    /// What it was offered, or has delivered to.
    #[serde(default)]
    pub subscriptions: Vec<Followed>,
    /// That no subscription is for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<Refused>>,
    /// That two hosts have this name, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clones: Option<Clones>,
    /// What it has reported of its forwarding itself, and not as over; the last one at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Reported>,
    /// TimeCreated of the last report: what comes again is known by it.
    #[serde(default)]
    pub reported_until: FileTime,
}

/// One subscription of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Identifier of the subscription, derived from its name.
    pub id: Uuid,
    /// Name of the subscription.
    pub name: String,
    /// Without events there is a heartbeat this often, in seconds.
    pub heartbeat: u32,
    /// The first time that it was offered since the host was heard of it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<UnixSeconds>,
    /// How long after that something should have come, in seconds.
    #[serde(default)]
    pub patience: u32,
    /// When the first events came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_event: Option<UnixSeconds>,
    /// When the last events came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event: Option<UnixSeconds>,
    /// TimeCreated of the first event, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_created: Option<UnixSeconds>,
    /// TimeCreated of the newest event, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_created: Option<UnixSeconds>,
    /// The same as it was told, whatever the relay's clock was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_created: Option<UnixSeconds>,
    /// When the last heartbeat came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<UnixSeconds>,
    /// Events acknowledged to this host by this subscription.
    pub events: u64,
    /// Record ids that did not come, by channel; only of channels that are asked for whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gaps>,
    /// Why the host ended it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Box<Ended>>,
}

/// Record ids of a channel that did not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// The channel whose record ids are missing.
    pub channel: String,
    /// How many gaps there were.
    pub count: u64,
    /// How many record ids were in them.
    pub missing: u64,
    /// First record id of the last gap.
    pub from: u64,
    /// Last record id of that gap.
    pub to: u64,
    /// When it was found.
    pub at: UnixSeconds,
}

/// Why a host ended a subscription (SubscriptionEnd, WSManFault).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub at: UnixSeconds,
    /// The Windows error, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The message as the host sent it.
    pub text: String,
}

/// That two hosts have one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clones {
    /// When that was seen.
    pub at: UnixSeconds,
    /// Where they come from; the same twice behind a NAT.
    pub addresses: [IpAddr; 2],
}

/// That no subscription is for a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The last time.
    pub at: UnixSeconds,
    /// How often it occurred.
    pub count: u64,
    /// The reason as it was logged, with its remedy.
    pub reason: String,
}

impl Host {
    /// Events acknowledged.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.subscriptions.iter().map(|s| s.events).sum()
    }

    /// When events came last.
    #[must_use]
    pub fn last_event(&self) -> Option<UnixSeconds> {
        self.subscriptions.iter().filter_map(|s| s.last_event).max()
    }

    /// When a heartbeat came last.
    #[must_use]
    pub fn last_heartbeat(&self) -> Option<UnixSeconds> {
        self.subscriptions
            .iter()
            .filter_map(|s| s.last_heartbeat)
            .max()
    }

    /// Age of its newest event in seconds.
    #[must_use]
    pub fn lag(&self, now: UnixSeconds) -> Option<u64> {
        self.asked_for().filter_map(|s| s.lag(now)).min()
    }

    /// How many record ids did not come.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let gaps = self.subscriptions.iter().flat_map(|s| &s.gaps);
        gaps.map(|gaps| gaps.missing).sum()
    }

    /// Its subscriptions without that for reports, whose health is not theirs; unless it
    /// has no other.
    pub(super) fn asked_for(&self) -> impl Iterator<Item = &Followed> {
        let is_report = |s: &Followed| s.name == SELF_REPORTS;
        let only = self.subscriptions.iter().all(is_report);
        let subscriptions = self.subscriptions.iter();
        subscriptions.filter(move |s| only || !is_report(s))
    }

    pub(super) fn followed(&mut self, id: Uuid) -> Option<&mut Followed> {
        self.subscriptions.iter_mut().find(|s| s.id == id)
    }
}

impl Followed {
    pub(super) fn new(id: Uuid, name: &str, heartbeat: u32) -> Self {
        Self {
            id,
            name: name.to_owned(),
            heartbeat,
            offered: None,
            patience: 0,
            first_event: None,
            last_event: None,
            first_created: None,
            last_created: None,
            told_created: None,
            last_heartbeat: None,
            events: 0,
            gaps: Vec::new(),
            end: None,
        }
    }

    /// When it was heard of last: events or a heartbeat.
    #[must_use]
    pub fn last_heard(&self) -> Option<UnixSeconds> {
        self.last_event.max(self.last_heartbeat)
    }

    /// Age of its newest event in seconds, by the host's TimeCreated. One from the future
    /// counts as of the time when it came.
    #[must_use]
    pub fn lag(&self, now: UnixSeconds) -> Option<u64> {
        self.last_created.map(|at| now.since(at))
    }

    /// Takes note of events that were acknowledged. `before`: the record id up to which a
    /// channel was delivered before; `whole`: the channels asked for whole.
    pub(super) fn note_acknowledged(
        &mut self,
        now: UnixSeconds,
        events: u64,
        channels: impl Iterator<Item = (Runs, Option<u64>, Option<String>)>,
    ) {
        self.events += events;
        for (runs, before, whole) in channels {
            self.first_created = match (self.first_created, runs.oldest) {
                (None, oldest) => oldest.map(|oldest| UnixSeconds::from(oldest).min(now)),
                (first, _) => first,
            };
            if let Some(newest) = runs.newest.map(UnixSeconds::from) {
                self.note_created(now, newest);
            }
            if let Some(channel) = whole {
                self.note_gaps(now, &runs, before, channel);
            }
        }
    }

    fn note_created(&mut self, now: UnixSeconds, newest: UnixSeconds) {
        self.last_created = self.last_created.max(Some(newest.min(now)));
        // One from the future does not stay: the host's clock may have been set since.
        let before = self.told_created.filter(|told| *told <= now);
        self.told_created = before.max(Some(newest));
    }

    /// The relay's clock was set, and its times with it. What came while it was ahead seemed
    /// old, and is as old as its host says.
    pub(super) fn review_created(&mut self) {
        let told = self
            .told_created
            .filter(|told| Some(*told) <= self.last_event);
        self.last_created = self.last_created.max(told);
    }

    fn note_gaps(&mut self, now: UnixSeconds, runs: &Runs, before: Option<u64>, channel: String) {
        // What comes again, or from a log that began anew, lies before.
        let ahead = before.filter(|before| runs.least > before.saturating_add(1));
        let ahead = ahead.map(|before| (before + 1, runs.least - 1));
        if before.is_some_and(|before| runs.most <= before) {
            return;
        }
        let within = runs.missing();
        let mut count = u64::from(ahead.is_some());
        let mut missing = ahead.map_or(0, |(from, to)| to - from + 1);
        let mut last = ahead;
        if within > 0 {
            count += u64::from(runs.jumps).max(1);
            missing += within;
            last = runs.last_jump.or(last);
        }
        let Some((from, to)) = last else {
            return;
        };
        let known = self.gaps.iter_mut().find(|gaps| gaps.channel == channel);
        if let Some(gaps) = known {
            gaps.count += count;
            gaps.missing = gaps.missing.saturating_add(missing);
            (gaps.from, gaps.to, gaps.at) = (from, to, now);
        } else if self.gaps.len() < CHANNELS {
            self.gaps.push(Gaps {
                channel,
                count,
                missing,
                from,
                to,
                at: now,
            });
        }
    }
}

/// The beginning of a text, one line of it.
pub(super) fn shorten(text: &str) -> String {
    let end = (0..=LONGEST_TEXT.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(plain).collect()
}

/// The subscription as the host has it, made where it is new.
pub(super) fn follow<'h>(host: &'h mut Host, asked: &Asked<'_>) -> &'h mut Followed {
    let known = host.subscriptions.iter().position(|s| s.id == asked.id);
    let at = known.unwrap_or_else(|| {
        let new = Followed::new(asked.id, asked.name, asked.heartbeat);
        host.subscriptions.push(new);
        host.subscriptions.len() - 1
    });
    // It was just found or made.
    #[expect(clippy::indexing_slicing, reason = "`at` is a place in the list")]
    let followed = &mut host.subscriptions[at];
    followed.heartbeat = asked.heartbeat;
    followed
}

/// A trouble that a host has reported, and has not reported as over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// When it did so last, by its clock.
    pub at: UnixSeconds,
    /// The event: 101 and 102 speak of a subscription, 105 and 107 of a collector's address.
    pub event: u16,
    /// The subscription or the address.
    pub subject: String,
    /// The Windows error, if it named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The message as the host sent it.
    pub text: String,
    /// How often it occurred.
    pub count: u64,
}
