//! The times in a host's record, which must not be affected by changes of the clock.

use super::Host;
use crate::base::clock::UnixSeconds;

impl Host {
    /// Calls `change` for every time that is by the relay's clock.
    pub(super) fn each_time(&mut self, mut change: impl FnMut(&mut UnixSeconds)) {
        change(&mut self.first_seen);
        change(&mut self.last_seen);
        self.last_enumerate.iter_mut().for_each(&mut change);
        for followed in &mut self.subscriptions {
            let times = [
                &mut followed.offered,
                &mut followed.first_event,
                &mut followed.last_event,
                // By the host's clock, but never later than the relay's.
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
