//! Whether a host that was given a subscription sends something, since the relay runs.

use std::time::Duration;

use super::Host;
use crate::base::clock::UnixSeconds;

/// A first message (event 111 or a heartbeat) follows at once where a source has no bookmark.
const FIRST_MESSAGE_TIME: Duration = Duration::from_secs(300);
/// On top of the heartbeat interval, for a source that goes on from a bookmark.
const HEARTBEAT_MARGIN: Duration = Duration::from_secs(60);

/// How long a host that was given subscriptions may be silent; `heartbeat`: of one that goes
/// on from a bookmark.
pub(super) fn patience(heartbeat: Option<Duration>) -> Duration {
    heartbeat.map_or(FIRST_MESSAGE_TIME, |every| every + HEARTBEAT_MARGIN)
}

/// What a host has done since the relay runs, as far as it was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Watch {
    /// It did not come yet.
    #[default]
    Unseen,
    /// Was given subscriptions and should send something by then.
    Waiting {
        since: UnixSeconds,
        until: UnixSeconds,
        /// Where to.
        url: Box<str>,
    },
    /// That has been logged.
    Silent,
    /// Sends heartbeats or events.
    Active,
    /// May have no subscription; that has been logged.
    Refused,
}

impl Watch {
    /// The host was given subscriptions that deliver to `url`. Answers whether it is waited
    /// for from now on.
    pub(super) fn note_enumerated(
        &mut self,
        now: UnixSeconds,
        host: &Host,
        url: &str,
        patience: Duration,
    ) -> bool {
        if !matches!(self, Self::Unseen | Self::Refused) {
            return false;
        }
        let who = host.identity.as_deref().unwrap_or("anonymous");
        let sid = host.sid.as_ref();
        let sid = sid.map_or_else(String::new, |sid| format!(", {sid}"));
        log::info!(
            "source {} ({}, {who}{sid}): enumerated for the first time",
            host.machine,
            host.address
        );
        *self = Self::Waiting {
            since: now,
            until: now.saturating_add(patience.as_secs()),
            url: url.into(),
        };
        true
    }

    /// No subscription is for the host. Answers whether that is news.
    pub(super) fn note_refused(&mut self) -> bool {
        std::mem::replace(self, Self::Refused) != Self::Refused
    }

    /// Other subscriptions may let it in; if not, it is news again.
    pub(super) fn forget_refused(&mut self) {
        if *self == Self::Refused {
            *self = Self::Unseen;
        }
    }

    /// The host has sent a heartbeat or events.
    pub(super) fn note_posted(&mut self, host: &Host) {
        if *self == Self::Silent {
            log::info!(
                "source {} ({}): no longer silent",
                host.machine,
                host.address
            );
        }
        *self = Self::Active;
    }

    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    /// Logs it once when the host's time to send something is over. `is_heard`: whether
    /// another relay has heard of it meanwhile. Answers whether it was logged.
    pub(super) fn report_silent(
        &mut self,
        now: UnixSeconds,
        host: &Host,
        is_heard: impl FnOnce(UnixSeconds) -> bool,
    ) -> bool {
        let Self::Waiting { since, until, url } = self else {
            return false;
        };
        if now < *until {
            return false;
        }
        if is_heard(*since) {
            *self = Self::Active;
            return false;
        }
        let minutes = now.since(*since) / 60;
        log::warn!(
            "source {} ({}): got its subscriptions {minutes} min ago and has sent nothing since; \
             probably it cannot reach {url} (name, port, firewall; see --hostname), or NETWORK \
             SERVICE cannot read its logs (group Event Log Readers, then a reboot); its log \
             Microsoft-Windows-Forwarding/Operational has the reason",
            host.machine,
            host.address,
        );
        *self = Self::Silent;
        true
    }

    /// The relay's clock was set, by so many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        if let Self::Waiting { since, until, .. } = self {
            *since = since.saturating_add_signed(by);
            *until = until.saturating_add_signed(by);
        }
    }
}
