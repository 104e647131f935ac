//! Everything that is known about hosts: the table, saving and forgetting, and the hosts of
//! other relays.

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

/// Seconds after which a host is offered the subscription for reports.
const SETTLED: u64 = 600;

/// What a batch delivered.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// Number of events.
    pub events: u64,
    /// The host's position in its logs; empty for a batch without a bookmark.
    pub facts: BatchFacts,
    /// The bookmark before the batch.
    pub before: Option<&'a Stored>,
}

/// The hosts, and everything that keeps them up to date.
pub struct Registry {
    table: Table,
    refusals: Refusals,
    subscribed: Subscribed,
    /// Forget what was not heard of for this long while relays were running.
    forget_after: Option<Duration>,
    running: Running,
    saving: Saving,
    forgetting: Forgetting,
    /// The other relays, if any share the store.
    meeting: Option<Meeting>,
}

impl Registry {
    /// The registry of a relay that is starting; no host is known.
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

    /// Different subscriptions are offered from now on.
    pub fn replace_subscriptions(
        &mut self,
        subscriptions: &[Subscription],
        forget_after: Option<Duration>,
    ) {
        self.subscribed = Subscribed::new(subscriptions);
        self.forget_after = forget_after;
        self.table.forget_refused();
    }

    /// Compensates for a changed clock and for time that the relay was not running, neither
    /// of which may change the state of hosts.
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

    /// The same, to report events of hosts.
    pub const fn table_mut(&mut self) -> &mut Table {
        &mut self.table
    }

    /// Recent rejections, in no particular order.
    pub fn refusals(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter()
    }

    /// Records a rejected request.
    pub fn note_refusal(&mut self, refusal: Refusal) {
        self.refusals.note(refusal);
    }

    /// Whether a host has been connecting for long enough to be offered the subscription
    /// for reports. A new host has nothing to report, and this halves the connections while
    /// many hosts are being set up.
    #[must_use]
    pub fn is_settled(&self, now: Now, name: &HostName) -> bool {
        let host = self.table.get(&name.key());
        let age = host.map(|host| UnixSeconds::from(now.wall).since(host.first_seen));
        age.is_some_and(|age| age >= SETTLED)
    }

    /// Records acknowledged events of a host.
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

    /// Looks for reports among events, if the subscription delivers any. `machine` is the
    /// host's claimed name.
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

    /// Logs hosts that were given subscriptions and have sent nothing to any relay; returns
    /// their number.
    pub fn report_silent(&mut self, now: Now) -> u64 {
        let fleet = self.meeting.as_ref().map(Meeting::fleet);
        let is_heard = |key: &Key, since| fleet.is_some_and(|fleet| fleet.has_heard(key, since));
        self.table.report_silent(now.wall.into(), is_heard)
    }

    /// Loads what was saved.
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

    /// Some of the changes, if there are any to save.
    pub fn take_changes(&mut self, now: Now) -> Option<Changes> {
        let relays_after = self.forget_after.map(|age| age.as_secs());
        let known = (&mut self.table, &mut self.refusals);
        self.saving.changes(now, known, relays_after)
    }

    /// Handles the result of the last [`Registry::take_changes`], which on success is the
    /// total running time of relays in seconds. Returns whether nothing more has to be
    /// saved now.
    pub fn note_saved<E: fmt::Display>(&mut self, now: Now, saved: &Result<u64, E>) -> bool {
        if let Ok(ran) = saved {
            self.running.go_on_from(now, *ran);
        }
        let known = (&mut self.table, &mut self.refusals);
        self.saving.note_saved(now, known, saved)
    }

    /// Marks the relay as stopping: from now on, each save writes everything, including this.
    pub fn end(&mut self) {
        self.saving.end();
    }

    /// Whether the relay is stopping.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.saving.is_ending()
    }

    /// Whether it is stopping and not everything has been saved.
    #[must_use]
    pub fn awaits_end(&self) -> bool {
        self.saving.awaits_end()
    }

    /// Other relays share the store. `own` is this relay's name.
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

    /// The next query about other relays, if any share the store.
    #[must_use]
    pub fn inquiry(&self) -> Option<Inquiry> {
        self.meeting.as_ref().map(Meeting::inquiry)
    }

    /// Handles the store's answer about the others; returns whether there is more to ask.
    pub fn note_met<E: fmt::Display>(&mut self, now: Now, met: Result<Met, E>) -> bool {
        let meeting = self.meeting.as_mut();
        meeting.is_some_and(|meeting| meeting.take(now.wall.into(), met))
    }

    /// The bookmarks to examine for old ones, if it is time: after which one, and how many.
    pub fn next_walk(&mut self, now: Now) -> Option<(Option<bookmark::Key>, usize)> {
        let age = self.forget_after?;
        let old = self.forgetting.begin(now, age, &mut self.table);
        self.saving.forget(old);
        self.forgetting.next()
    }

    /// Sorts these bookmarks, each with the time of its last change, into old and kept
    /// ones.
    pub fn sort_walked(&mut self, found: Vec<(bookmark::Key, u64)>) -> Walked {
        let age = self.forget_after.unwrap_or(Duration::MAX);
        let known = (&self.table, &self.subscribed);
        self.forgetting.sort(age, found, known)
    }

    /// Counts deleted bookmarks.
    pub fn note_gone(&mut self, count: usize) {
        self.forgetting.note_gone(count);
    }

    /// All bookmarks have been examined; returns whether they must be counted again.
    pub fn end_walk(&mut self) -> bool {
        self.forgetting.end(self.forget_after)
    }
}
