//! Whether a host that was given a subscription sends something, since the relay was
//! started.

use std::time::Duration;

use super::Host;
use crate::base::clock::UnixSeconds;

/// How soon the first message (event 111 or a heartbeat) must arrive from a source without
/// a bookmark, which sends it immediately.
const FIRST_MESSAGE_TIME: Duration = Duration::from_secs(300);
/// Margin added to the heartbeat interval for a source that resumes from a bookmark.
const HEARTBEAT_MARGIN: Duration = Duration::from_secs(60);

/// How long a host that was given subscriptions may be silent. `heartbeat` is the interval
/// for one that resumes from a bookmark.
pub(super) fn patience(heartbeat: Option<Duration>) -> Duration {
    heartbeat.map_or(FIRST_MESSAGE_TIME, |every| every + HEARTBEAT_MARGIN)
}

/// What a host has done since the relay was started, as far as it was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Watch {
    /// It has not connected yet.
    #[default]
    Unseen,
    /// It was given subscriptions and should send something by this time.
    Waiting {
        since: UnixSeconds,
        until: UnixSeconds,
        /// The delivery URL.
        url: Box<str>,
    },
    /// It sent nothing in time, and that has been logged.
    Silent,
    /// It sends heartbeats or events.
    Active,
    /// No subscription is for it, and that has been logged.
    Refused,
}

impl Watch {
    /// The host was given subscriptions that deliver to `url`. Returns whether it is
    /// awaited from now on.
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
            "host {} ({}, {who}{sid}): enumerated for the first time",
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

    /// No subscription is for the host. Returns whether that is new.
    pub(super) fn note_refused(&mut self) -> bool {
        std::mem::replace(self, Self::Refused) != Self::Refused
    }

    /// Other subscriptions may be for it; if not, that is news again.
    pub(super) fn forget_refused(&mut self) {
        if *self == Self::Refused {
            *self = Self::Unseen;
        }
    }

    /// The host has sent a heartbeat or events.
    pub(super) fn note_posted(&mut self, host: &Host) {
        if *self == Self::Silent {
            log::info!("host {} ({}): no longer silent", host.machine, host.address);
        }
        *self = Self::Active;
    }

    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    /// Logs it once if the host's time to send something is over, unless another relay has
    /// heard of it (`is_heard`). Returns whether it was logged.
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
            "host {} ({}): got its subscriptions {minutes} min ago and has sent nothing since; \
             probably it cannot reach {url} (name, port, firewall; see --hostname), or NETWORK \
             SERVICE cannot read its logs (group Event Log Readers, then a reboot); its log \
             Microsoft-Windows-Forwarding/Operational has the reason",
            host.machine,
            host.address,
        );
        *self = Self::Silent;
        true
    }

    /// The relay's clock was set by this many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        if let Self::Waiting { since, until, .. } = self {
            *since = since.saturating_add_signed(by);
            *until = until.saturating_add_signed(by);
        }
    }
}
