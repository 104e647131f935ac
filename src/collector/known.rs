//! What happens, told to the table of hosts, and the table to the store.

use super::batches::Batch;
use super::forgetting::Forgetting;
use super::requests::subscription_of;
use super::running::Running;
use super::who::Source;
use super::{Collector, ConnId, Settings, seconds};
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Stored};
use crate::connection::Refusal;
use crate::event;
use crate::hosts::{self, Asked, Changes, Pulse, Report, Sender};
use crate::protocol::wsman::subscribe::SELF_REPORTS;
use crate::protocol::wsman::{Header, RawEvent, Subscription, SubscriptionEnd};
use crate::store::Store;
use crate::windows::query;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How often hosts that have changed are stored.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Seconds after which a host is asked how its forwarding goes.
const SETTLED: u64 = 600;
/// How many hosts are stored in one turn: sources wait meanwhile.
const SAVED_AT_ONCE: usize = 200;

/// What a batch found and brought; without a bookmark there is none of it.
pub(super) struct Before {
    pub(super) stored: Option<Stored>,
    pub(super) facts: BatchFacts,
}

/// The table of hosts, and when it is stored.
pub(super) struct Known {
    pub(super) hosts: hosts::Table,
    /// Channels that a subscription asks for whole.
    whole: HashMap<Uuid, Vec<String>>,
    /// Subscriptions by which hosts report how their forwarding goes.
    reporting: Vec<Uuid>,
    running: Running,
    pub(super) forgetting: Forgetting,
    save_at: Instant,
    /// When it was stored last, and whether that fails.
    saved: Option<Instant>,
    save_failing: bool,
}

impl Known {
    pub(super) fn new(now: Now, settings: &Settings) -> Self {
        Self {
            hosts: hosts::Table::new(seconds(now)),
            whole: whole(settings),
            reporting: reporting(settings),
            running: Running::new(now),
            forgetting: Forgetting::new(),
            save_at: now.monotonic,
            saved: None,
            save_failing: false,
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

    /// Whether a host has come for so long that it is asked for reports. Who has just come
    /// has nothing to report, and a roll-out to many hosts has half the connections.
    pub(super) fn is_settled(&self, now: Now, sender: &Sender) -> bool {
        let key = hosts::Key::new(sender.identity.as_deref(), &sender.machine);
        let host = self.hosts.get(&key);
        let age = host.map(|host| seconds(now).saturating_sub(host.first_seen));
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

/// Whether it is the one that all hosts have which have another.
pub(super) fn is_for_reports(subscription: &Subscription) -> bool {
    subscription.name == SELF_REPORTS
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
    /// Takes what the store knows of hosts. Without it they are known when they come.
    pub fn load_hosts(&mut self, store: &mut dyn Store) {
        match store.load_hosts() {
            Ok(saved) => {
                self.known.running.go_on_from(saved.pulse.ran);
                self.known.hosts.load(saved);
            }
            Err(error) => log::error!("what was known of hosts cannot be read: {error}"),
        }
        self.bookmarks.count(store);
        self.bookmarks.note_condition(store);
    }

    /// When [`Collector::save_hosts`] has something to do.
    #[must_use]
    pub fn save_due(&self) -> Instant {
        self.known.save_at
    }

    /// Stores some of the hosts that have changed; to be called when it is due, after a turn.
    pub fn save_hosts(&mut self, now: Now, store: &mut dyn Store) {
        self.known.tick(now);
        let is_done = self.save_some(now, store, false);
        let is_done = self.forget_some(now, store) && is_done;
        self.bookmarks.note_condition(store);
        // A relay at rest writes seldom, so that disks may sleep.
        self.known.save_at = match is_done {
            true => now.monotonic + SAVE_EVERY,
            false => now.monotonic,
        };
    }

    /// Stores all hosts that have changed, and that the relay stops.
    pub fn save_all_hosts(&mut self, now: Now, store: &mut dyn Store) {
        while !self.save_some(now, store, true) {}
    }

    /// Answers whether nothing is left for now.
    fn save_some(&mut self, now: Now, store: &mut dyn Store, is_stopped: bool) -> bool {
        let written = seconds(now);
        let pulse = Duration::from_secs(Pulse::EVERY);
        let saved = self.known.saved;
        let is_quiet = saved.is_some_and(|saved| now.monotonic < saved + pulse) && !is_stopped;
        let mut forgotten = self.known.hosts.make_room();
        forgotten.append(&mut self.known.forgetting.take_hosts());
        if is_quiet && forgotten.is_empty() && !self.known.hosts.is_dirty() {
            return true;
        }
        let keys = self.known.hosts.take_dirty(SAVED_AT_ONCE);
        let refusals = self.known.hosts.take_refusals();
        let changes = Changes {
            hosts: keys
                .iter()
                .filter_map(|key| self.known.hosts.get(key))
                .collect(),
            forgotten: forgotten.clone(),
            refusals,
            pulse: Pulse {
                ran: self.known.hosts.ran(),
                started: self.known.hosts.up_since(),
                written,
                is_stopped,
            },
        };
        match store.save_hosts(&changes) {
            Ok(()) => {
                self.known.saved = Some(now.monotonic);
                if std::mem::take(&mut self.known.save_failing) {
                    log::info!("hosts are stored again");
                }
                !self.known.hosts.is_dirty()
            }
            Err(error) => {
                self.known.hosts.put_back(&keys);
                self.known.forgetting.put_back(forgotten);
                if !std::mem::replace(&mut self.known.save_failing, true) {
                    log::error!("what is known of hosts is not stored, events go on: {error}");
                }
                true
            }
        }
    }

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
