//! What happens, told to the table of hosts, and the table to the store.

use super::access::{Source, subscription_of};
use super::batches::Batch;
use super::forgetting::Forgetting;
use super::meeting::Meeting;
use super::running::Running;
use super::{Collector, ConnId, Settings, seconds};
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Stored};
use crate::connection::Refusal;
use crate::event;
use crate::hosts::{self, Asked, Report, Sender};
use crate::protocol::wsman::{Header, RawEvent, Subscription, SubscriptionEnd};
use crate::windows::query;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use uuid::Uuid;

/// Seconds after which a host is asked how its forwarding goes.
const SETTLED: u64 = 600;

/// What a batch found and brought; without a bookmark there is none of it.
pub(super) struct Before {
    pub(super) stored: Option<Stored>,
    pub(super) facts: BatchFacts,
}

/// The table of hosts, and when it is stored.
pub(super) struct Known {
    pub(super) hosts: hosts::Table,
    /// The other relays, where some share the store.
    pub(super) meeting: Option<Meeting>,
    /// Channels that a subscription asks for whole.
    whole: HashMap<Uuid, Vec<String>>,
    /// Subscriptions by which hosts report how their forwarding goes.
    reporting: Vec<Uuid>,
    running: Running,
    pub(super) forgetting: Forgetting,
}

impl Known {
    pub(super) fn new(now: Now, settings: &Settings) -> Self {
        Self {
            hosts: hosts::Table::new(seconds(now)),
            meeting: None,
            whole: whole(settings),
            reporting: reporting(settings),
            running: Running::new(now),
            forgetting: Forgetting::new(),
        }
    }

    /// Lets neither a clock that is set nor time that the relay was down change how hosts are.
    pub(super) fn tick(&mut self, now: Now) {
        if let Some(by) = self.running.take_jump(now) {
            log::warn!("the clock was set by {by} s: what is known of hosts is set with it");
            self.hosts.shift(by);
        }
        self.hosts.set_ran(self.running.seconds(now));
    }

    /// Relays have run for so long with this state.
    pub(super) fn go_on_from(&mut self, now: Now, ran: u64) {
        self.running.go_on_from(now, ran);
    }

    /// Whether a host has come for so long that it is asked for reports. Who has just come
    /// has nothing to report, and a roll-out to many hosts has half the connections.
    pub(super) fn is_settled(&self, now: Now, sender: &Sender) -> bool {
        let key = hosts::Key::new(sender.identity.as_deref(), &sender.machine);
        let host = self.hosts.get(&key);
        let age = host.map(|host| seconds(now).since(host.first_seen));
        age.is_some_and(|age| age >= SETTLED)
    }

    pub(super) fn replace_settings(&mut self, settings: &Settings) {
        self.whole = whole(settings);
        self.reporting = reporting(settings);
        self.hosts.forget_refused();
    }
}

/// The channels that each subscription asks for whole.
fn whole(settings: &Settings) -> HashMap<Uuid, Vec<String>> {
    let subscriptions = settings.subscriptions.iter();
    subscriptions
        .map(|s| (s.id(), query::whole_channels(&s.query)))
        .collect()
}

fn reporting(settings: &Settings) -> Vec<Uuid> {
    let reports = |s: &&Subscription| {
        let channels = query::channels(&s.query);
        channels
            .iter()
            .any(|channel| channel.eq_ignore_ascii_case(hosts::CHANNEL))
    };
    let subscriptions = settings.subscriptions.iter().filter(reports);
    subscriptions.map(Subscription::id).collect()
}

/// What the table needs of a subscription.
pub(super) fn asked(subscription: &Subscription) -> Asked<'_> {
    Asked {
        id: subscription.id(),
        name: &subscription.name,
        heartbeat: u32::try_from(subscription.heartbeat.as_secs()).unwrap_or(u32::MAX),
    }
}

impl Collector {
    pub(super) fn note_acknowledged(&mut self, now: Now, batch: &Batch, before: Option<Before>) {
        let Some((key, subscription)) = &batch.host else {
            return;
        };
        let events = u64::try_from(batch.events).unwrap_or(u64::MAX);
        let whole = self.known.whole.get(subscription);
        let whole = whole.map_or(&[][..], Vec::as_slice);
        let (stored, facts) = match before {
            Some(Before { stored, facts }) => (stored, facts),
            None => (None, BatchFacts::new()),
        };
        self.known.hosts.note_acknowledged(
            seconds(now),
            key,
            *subscription,
            (events, &facts),
            (stored.as_ref(), whole),
        );
    }

    /// Looks for reports among events, if the subscription brings such.
    pub(super) fn note_reports(
        &mut self,
        (key, subscription): (&Rc<hosts::Key>, Uuid),
        machine_id: Option<&str>,
        events: &[RawEvent<'_>],
    ) {
        if !self.known.reporting.contains(&subscription) {
            return;
        }
        for event in events.iter().filter_map(|raw| event::parse(&raw.xml).ok()) {
            // What a collector between has gathered is of other hosts.
            let is_own = machine_id.is_none_or(|name| same_host(name, &event.computer));
            let created = bookmark::event_time(&event.time_created);
            let (Some(created), Ok(id)) = (created, event.event_id.parse()) else {
                continue;
            };
            if !is_own || !event.channel.eq_ignore_ascii_case(hosts::CHANNEL) {
                continue;
            }
            let data = event.data.iter().map(|(name, value)| (&**name, &**value));
            let rendering = event.rendering.as_ref();
            let report = Report {
                created,
                event: id,
                data: &data.collect::<Vec<_>>(),
                message: rendering.map_or("", |rendering| &rendering.message),
            };
            self.known.hosts.note_report(key, &report);
        }
    }

    pub(super) fn note_ended(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        target: &str,
        end: &SubscriptionEnd,
    ) {
        let all = &self.settings.subscriptions;
        let asked = subscription_of(all, source, header, target).ok().map(asked);
        self.known.hosts.note_ended(
            seconds(now),
            &source.sender(header),
            asked.as_ref(),
            (end.code, &end.to_string()),
        );
    }

    pub(super) fn note_refused(
        &mut self,
        now: Now,
        address: IpAddr,
        conn: ConnId,
        refusal: &Refusal,
    ) {
        let slot = self.connections.get(&conn);
        let identity = slot.and_then(|slot| slot.connection.identity());
        self.known.hosts.note_refusal(hosts::Refusal {
            address,
            kind: refusal.kind.name().to_owned(),
            method: refusal.method.map(str::to_owned),
            identity: identity.map(|identity| identity.name.clone()),
            status: refusal.status,
            reason: refusal.reason.clone(),
            count: 1,
            first: seconds(now),
            last: seconds(now),
        });
    }
}

/// Whether two names are of one host; one of them may lack the domain.
fn same_host(a: &str, b: &str) -> bool {
    let label = |name: &'_ str| name.split('.').next().unwrap_or_default().to_lowercase();
    label(a.trim()) == label(b)
}
