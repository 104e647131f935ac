//! What is known about one host.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Asked;
use crate::base::clock::{FileTime, UnixSeconds};
use crate::bookmark::Runs;
use crate::protocol::wsman::subscribe::SELF_REPORTS;

/// Maximum size in bytes of a text from the host.
const LONGEST_TEXT: usize = 400;
/// Maximum number of channels of one subscription whose gaps are kept; a query may name
/// 256.
const CHANNELS: usize = 32;

/// A host: what it proved, together with what it claims.
///
/// Times are by the relay's clock unless noted otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The proved identity; `None` for a null session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The claimed name (MachineID), or else its address.
    pub machine: String,
    /// The last address that it connected from.
    pub address: IpAddr,
    /// The last authentication method, as in messages and metrics.
    pub method: Cow<'static, str>,
    /// The SID of its domain account, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The relay that it last connected to, if several share a store; `None` for the relay
    /// that reports this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// When it first connected.
    pub first_seen: UnixSeconds,
    /// When it last sent anything.
    pub last_seen: UnixSeconds,
    /// Total running time of relays, in seconds, when it last connected. Its age is
    /// measured by this.
    #[serde(default)]
    pub ran: u64,
    /// When it last asked for its subscriptions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_enumerate: Option<UnixSeconds>,
    /// The subscriptions that it was offered, or has delivered to.
    #[serde(default)]
    pub subscriptions: Vec<Followed>,
    /// Set if no subscription is for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Box<Refused>>,
    /// Set if two hosts have this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clones: Option<Box<Clones>>,
    /// Problems that it has reported itself and not as resolved; the latest one last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Reported>,
    /// TimeCreated of the last report, by which repeats are recognized.
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
    /// Interval of heartbeats while there are no events, in seconds.
    pub heartbeat: u32,
    /// When it was first offered since the host was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<UnixSeconds>,
    /// How long after that something should have arrived, in seconds.
    #[serde(default)]
    pub patience: u32,
    /// When its first events arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_event: Option<UnixSeconds>,
    /// When its latest events arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event: Option<UnixSeconds>,
    /// TimeCreated of the first event, by the host's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_created: Option<UnixSeconds>,
    /// TimeCreated of the newest event, by the host's clock, but never later than when it
    /// arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_created: Option<UnixSeconds>,
    /// The same as the host stated it, whatever the relay's clock was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_created: Option<UnixSeconds>,
    /// When its last heartbeat arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat: Option<UnixSeconds>,
    /// Number of events of this subscription acknowledged to this host.
    pub events: u64,
    /// Missing record ids by channel; only for channels that are subscribed to as a whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gaps>,
    /// Why the host last ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Box<Ended>>,
}

/// Record ids of a channel that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    /// The channel whose record ids are missing.
    pub channel: String,
    /// Number of gaps.
    pub count: u64,
    /// Number of record ids in all gaps.
    pub missing: u64,
    /// First record id of the last gap.
    pub from: u64,
    /// Last record id of that gap.
    pub to: u64,
    /// When the last gap was found.
    pub at: UnixSeconds,
}

/// Why a host ended a subscription (SubscriptionEnd, WSManFault).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When it did.
    pub at: UnixSeconds,
    /// The Windows error code, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The message as the host sent it.
    pub text: String,
}

/// Two hosts with the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clones {
    /// When it was detected.
    pub at: UnixSeconds,
    /// Their addresses; equal behind a NAT.
    pub addresses: [IpAddr; 2],
}

/// No subscription is for a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The last time it asked.
    pub at: UnixSeconds,
    /// How often it occurred.
    pub count: u64,
    /// The reason as it was logged, with its remedy.
    pub reason: String,
}

impl Host {
    /// Number of acknowledged events in all its subscriptions.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.subscriptions.iter().map(|s| s.events).sum()
    }

    /// When its latest events arrived.
    #[must_use]
    pub fn last_event(&self) -> Option<UnixSeconds> {
        self.subscriptions.iter().filter_map(|s| s.last_event).max()
    }

    /// When its last heartbeat arrived.
    #[must_use]
    pub fn last_heartbeat(&self) -> Option<UnixSeconds> {
        self.subscriptions
            .iter()
            .filter_map(|s| s.last_heartbeat)
            .max()
    }

    /// Age of its newest event in seconds; `None` before the first one.
    #[must_use]
    pub fn lag(&self, now: UnixSeconds) -> Option<u64> {
        self.asked_for().filter_map(|s| s.lag(now)).min()
    }

    /// Number of missing record ids.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let gaps = self.subscriptions.iter().flat_map(|s| &s.gaps);
        gaps.map(|gaps| gaps.missing).sum()
    }

    /// Its subscriptions without the one for reports, whose state says nothing about the
    /// others; unless it has no other.
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

    /// When it was last heard of: events or a heartbeat.
    #[must_use]
    pub fn last_heard(&self) -> Option<UnixSeconds> {
        self.last_event.max(self.last_heartbeat)
    }

    /// Age of its newest event in seconds, by the host's TimeCreated. An event from the
    /// future counts from its arrival.
    #[must_use]
    pub fn lag(&self, now: UnixSeconds) -> Option<u64> {
        self.last_created.map(|at| now.since(at))
    }

    /// Records acknowledged events. `before` is the record id up to which a channel had
    /// been delivered; `whole` are the channels that are subscribed to as a whole.
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
        // A time in the future is not kept: the host's clock may have been corrected since.
        let before = self.told_created.filter(|told| *told <= now);
        self.told_created = before.max(Some(newest));
    }

    /// The relay's clock was set, and its times were moved. Events that arrived while it
    /// was ahead seemed old; now they are as old as their host states.
    pub(super) fn review_created(&mut self) {
        let told = self
            .told_created
            .filter(|told| Some(*told) <= self.last_event);
        self.last_created = self.last_created.max(told);
    }

    fn note_gaps(&mut self, now: UnixSeconds, runs: &Runs, before: Option<u64>, channel: String) {
        // Repeats, and events of a log that was cleared, have lower ids.
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

/// The start of a text, as one line.
pub(super) fn shorten(text: &str) -> String {
    let end = (0..=LONGEST_TEXT.min(text.len())).rfind(|at| text.is_char_boundary(*at));
    let text = text.get(..end.unwrap_or(0)).unwrap_or_default();
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(plain).collect()
}

/// The host's record of a subscription, created if it is new.
pub(super) fn follow<'h>(host: &'h mut Host, asked: &Asked<'_>) -> &'h mut Followed {
    let known = host.subscriptions.iter().position(|s| s.id == asked.id);
    let at = known.unwrap_or_else(|| {
        let new = Followed::new(asked.id, asked.name, asked.heartbeat);
        // Most hosts have one or two, and a list that grows by itself has room for four.
        host.subscriptions.reserve_exact(1);
        host.subscriptions.push(new);
        host.subscriptions.len() - 1
    });
    // It was just found or created.
    #[expect(clippy::indexing_slicing, reason = "`at` is a place in the list")]
    let followed = &mut host.subscriptions[at];
    followed.heartbeat = asked.heartbeat;
    followed
}

/// A problem that a host has reported, and not reported as resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// When it last did so, by its own clock.
    pub at: UnixSeconds,
    /// The event id: 101 and 102 are about a subscription, 105 and 107 about a collector's
    /// address.
    pub event: u16,
    /// The subscription or address that it is about.
    pub subject: String,
    /// The Windows error code, if it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The message as the host sent it.
    pub text: String,
    /// How often it occurred.
    pub count: u64,
}
