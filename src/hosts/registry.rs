//! All that is known of hosts: the table, what is stored and forgotten of it, and what other
//! relays know.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use uuid::Uuid;

use super::forgetting::{Forgetting, Walked};
use super::meeting::Meeting;
use super::refusals::{Refusal, Refusals};
use super::running::Running;
use super::saving::Saving;
use super::subscribed::Subscribed;
use super::{Changes, Fleet, HostName, Inquiry, Key, Met, Overview, Saved, Table, reports};
use crate::base::clock::{Now, UnixSeconds};
use crate::bookmark::{self, BatchFacts, Stored};
use crate::protocol::wsman::{RawEvent, Subscription};

/// Seconds after which a host is asked how its forwarding goes.
const SETTLED: u64 = 600;

/// What a batch found and brought.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// How many events.
    pub events: u64,
    /// What they say of where the host stands; none of a batch without a bookmark.
    pub facts: BatchFacts,
    /// The bookmark before it.
    pub before: Option<&'a Stored>,
}

/// The hosts.
pub struct Registry {
    table: Table,
    refusals: Refusals,
    subscribed: Subscribed,
    /// Forget what was not heard of while relays ran so long.
    forget_after: Option<Duration>,
    running: Running,
    saving: Saving,
    forgetting: Forgetting,
    /// The other relays, where some share the store.
    meeting: Option<Meeting>,
}

impl Registry {
    /// No host is known of a relay that starts now.
    #[must_use]
    pub fn new(now: Now, subscriptions: &[Subscription], forget_after: Option<Duration>) -> Self {
        Self {
            table: Table::new(now.wall.into()),
            refusals: Refusals::default(),
            subscribed: Subscribed::new(subscriptions),
            forget_after,
            running: Running::new(now),
            saving: Saving::default(),
            forgetting: Forgetting::default(),
            meeting: None,
        }
    }

    /// Hosts are asked for something else from now on.
    pub fn replace_subscriptions(
        &mut self,
        subscriptions: &[Subscription],
        forget_after: Option<Duration>,
    ) {
        self.subscribed = Subscribed::new(subscriptions);
        self.forget_after = forget_after;
        self.table.forget_refused();
    }

    /// Lets neither a clock that is set nor time that the relay was down change how hosts are.
    pub fn tick(&mut self, now: Now) {
        if let Some(by) = self.running.take_jump(now) {
            log::warn!("the clock was set by {by} s: stored times of hosts are adjusted");
            self.table.shift(by);
            self.refusals.shift(by);
        }
        self.table.set_ran(self.running.seconds(now));
    }

    /// The hosts that this relay knows.
    #[must_use]
    pub const fn table(&self) -> &Table {
        &self.table
    }

    /// The same, to tell it what hosts do.
    pub const fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Who was refused lately, in no order.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// A request was refused.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.refusals.note(refusal);
    }

    /// Whether a host has come for so long that it is asked for reports. Who has just come
    /// has nothing to report, and a roll-out to many hosts has half the connections.
    #[must_use]
    pub fn is_settled(&self, now: Now, name: &HostName) -> bool {
        let host = self.table.get(&name.key());
        let age = host.map(|host| UnixSeconds::from(now.wall).since(host.first_seen));
        age.is_some_and(|age| age >= SETTLED)
    }

    /// Events of a host were acknowledged.
    pub fn note_acknowledged(
        &mut self,
        now: Now,
        key: &Rc<Key>,
        subscription: Uuid,
        delivered: &Delivered<'_>,
    ) {
        let Delivered {
            events,
            facts,
            before,
        } = delivered;
        let whole = self.subscribed.whole(subscription);
        self.table.note_acknowledged(
            now.wall.into(),
            key,
            subscription,
            (*events, facts),
            (*before, whole),
        );
    }

    /// Looks for reports among events, if the subscription brings such. `machine`: what the
    /// host calls itself.
    pub fn note_reports(
        &mut self,
        key: &Rc<Key>,
        subscription: Uuid,
        machine: Option<&str>,
        events: &[RawEvent<'_>],
    ) {
        if self.subscribed.has_reports(subscription) {
            reports::each(events, machine, |report| {
                self.table.note_report(key, report);
            });
        }
    }

    /// Logs who was given subscriptions and has sent nothing, to any relay. Answers how many
    /// there were.
    pub fn report_silent(&mut self, now: Now) -> u64 {
        let fleet = self.meeting.as_ref().map(Meeting::fleet);
        let is_heard = |key: &Key, since| fleet.is_some_and(|fleet| fleet.has_heard(key, since));
        self.table.report_silent(now.wall.into(), is_heard)
    }

    /// Takes what was stored.
    pub fn load<E: fmt::Display>(&mut self, now: Now, saved: Result<Saved, E>) {
        match saved {
            Ok(saved) => {
                self.running.go_on_from(now, saved.pulse.ran);
                self.table.load(saved.hosts, saved.pulse.ran);
                self.refusals.load(saved.refusals);
            }
            Err(error) => log::error!("stored hosts cannot be read: {error}"),
        }
    }

    /// Some of what has changed, if there is anything to store.
    pub fn take_changes(&mut self, now: Now) -> Option<Changes> {
        let relays_after = self.forget_after.map(|age| age.as_secs());
        let known = (&mut self.table, &mut self.refusals);
        self.saving.changes(now, known, relays_after)
    }

    /// What came of the last [`Registry::take_changes`], with the seconds that relays have run.
    /// Answers whether there is nothing more to store now.
    pub fn note_saved<E: fmt::Display>(&mut self, now: Now, saved: &Result<u64, E>) -> bool {
        if let Ok(ran) = saved {
            self.running.go_on_from(now, *ran);
        }
        let known = (&mut self.table, &mut self.refusals);
        self.saving.note_saved(now, known, saved)
    }

    /// From now on all is stored, and that the relay stops.
    pub fn end(&mut self) {
        self.saving.end();
    }

    /// Whether the relay stops.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.saving.is_ending()
    }

    /// Whether it stops, and not all is stored.
    #[must_use]
    pub fn awaits_end(&self) -> bool {
        self.saving.awaits_end()
    }

    /// Others share the store. `own`: our name.
    pub fn share(&mut self, own: String) {
        self.meeting = Some(Meeting::new(own));
    }

    /// The relays that share the store, if any do.
    #[must_use]
    pub fn fleet(&self) -> Option<&Fleet> {
        self.meeting.as_ref().map(Meeting::fleet)
    }

    /// The hosts as all relays together know them.
    #[must_use]
    pub fn overview(&self) -> Overview<'_> {
        Overview::new(&self.table, self.fleet())
    }

    /// What to ask about other relays, if any share the store.
    #[must_use]
    pub fn inquiry(&self) -> Option<Inquiry> {
        self.meeting.as_ref().map(Meeting::inquiry)
    }

    /// Takes what the store says of the others. Answers whether there is more to ask.
    pub fn note_met<E: fmt::Display>(&mut self, now: Now, met: Result<Met, E>) -> bool {
        let meeting = self.meeting.as_mut();
        meeting.is_some_and(|meeting| meeting.take(now.wall.into(), met))
    }

    /// Which bookmarks to look at for old ones, if it is time: behind which one, and how many.
    pub fn next_walk(&mut self, now: Now) -> Option<(Option<bookmark::Key>, usize)> {
        let age = self.forget_after?;
        let old = self.forgetting.begin(now, age, &mut self.table);
        self.saving.forget(old);
        self.forgetting.next()
    }

    /// Sorts out what is old of these bookmarks, each with when it last changed.
    pub fn sort_walked(&mut self, found: Vec<(bookmark::Key, u64)>) -> Walked {
        let age = self.forget_after.unwrap_or(Duration::MAX);
        let known = (&self.table, &self.subscribed);
        self.forgetting.sort(age, found, known)
    }

    /// Bookmarks were forgotten.
    pub fn note_gone(&mut self, count: usize) {
        self.forgetting.note_gone(count);
    }

    /// All bookmarks were looked at. Answers whether they are to be counted anew.
    pub fn end_walk(&mut self) -> bool {
        self.forgetting.end(self.forget_after)
    }
}
