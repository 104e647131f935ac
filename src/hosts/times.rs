//! Times and ages in the table, which neither a jump of the clock nor a relay that was down
//! may change.

use super::{Followed, Host, Key, Table};
use crate::base::clock::UnixSeconds;
use std::rc::Rc;

impl Host {
    /// All times by the relay's clock.
    pub(super) fn each_time(&mut self, mut change: impl FnMut(&mut UnixSeconds)) {
        change(&mut self.first_seen);
        change(&mut self.last_seen);
        self.last_enumerate.iter_mut().for_each(&mut change);
        for followed in &mut self.subscriptions {
            let times = [
                &mut followed.offered,
                &mut followed.first_event,
                &mut followed.last_event,
                // The host's, but never later than the relay's.
                &mut followed.last_created,
                &mut followed.last_heartbeat,
            ];
            times.into_iter().flatten().for_each(&mut change);
            followed
                .gaps
                .iter_mut()
                .for_each(|gaps| change(&mut gaps.at));
            followed.end.iter_mut().for_each(|end| change(&mut end.at));
        }
        self.clones.iter_mut().for_each(|it| change(&mut it.at));
        self.refused.iter_mut().for_each(|it| change(&mut it.at));
    }
}

impl Table {
    /// The clock was set, by so many seconds: all times go with it, so that states and lags
    /// stay as they are.
    pub fn shift(&mut self, by: i64) {
        let shift = |time: &mut UnixSeconds| *time = time.saturating_add_signed(by);
        shift(&mut self.up_since);
        self.refusals.each_time(shift);
        for row in self.rows.values_mut() {
            row.host.each_time(shift);
            let followed = row.host.subscriptions.iter_mut();
            followed.for_each(Followed::review_created);
        }
        let keys: Vec<_> = self.rows.keys().cloned().collect();
        keys.iter().for_each(|key| self.set_dirty(key));
    }

    /// Seconds that relays have run with this state.
    #[must_use]
    pub fn ran(&self) -> u64 {
        self.ran
    }

    /// The relay has run for so long, with those before it.
    pub fn set_ran(&mut self, ran: u64) {
        self.ran = ran;
    }

    /// Whether a host came within the last `age` seconds that relays ran.
    #[must_use]
    pub fn is_recent(&self, host: &Host, age: u64) -> bool {
        self.ran.saturating_sub(host.ran) <= age
    }

    /// Forgets the hosts that did not come within that time. Answers which.
    pub fn forget(&mut self, age: u64) -> Vec<Rc<Key>> {
        let rows = self.rows.iter();
        let old = rows.filter(|(_, row)| !self.is_recent(&row.host, age));
        let old: Vec<_> = old.map(|(key, _)| Rc::clone(key)).collect();
        for key in &old {
            self.rows.remove(key);
        }
        old
    }
}
