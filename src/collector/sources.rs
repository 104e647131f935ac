//! Which sources are known, and which were given a subscription and stay silent.

use crate::base::clock::Now;
use crate::windows::sid::Sid;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// A first message (event 111 or a heartbeat) follows at once where a source has no bookmark.
const FIRST_MESSAGE_TIME: Duration = Duration::from_secs(300);
/// On top of the heartbeat interval, for a source that goes on from a bookmark.
const HEARTBEAT_MARGIN: Duration = Duration::from_secs(60);
/// Sources that are watched; beyond it new ones are served but not watched.
const WATCHED: usize = 200_000;

/// How long a source that was given subscriptions may be silent; `heartbeat`: of one that
/// goes on from a bookmark.
pub(super) fn patience(heartbeat: Option<Duration>) -> Duration {
    heartbeat.map_or(FIRST_MESSAGE_TIME, |every| every + HEARTBEAT_MARGIN)
}

/// A source as far as it has told us: who it proved to be and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceName {
    pub(super) identity: String,
    pub(super) machine: String,
}

#[derive(Debug)]
enum State {
    /// Was given subscriptions and should send something by then.
    Waiting {
        since: Instant,
        until: Instant,
        url: String,
    },
    /// That has been logged.
    Silent,
    /// Sends heartbeats or events.
    Active,
    /// May have no subscription; that has been logged.
    Refused,
}

#[derive(Debug)]
struct Known {
    address: IpAddr,
    state: State,
}

/// What is known of the sources since the start.
#[derive(Debug, Default)]
pub(super) struct Sources {
    known: HashMap<SourceName, Known>,
}

impl Sources {
    /// A source was given subscriptions that deliver to `url`.
    pub(super) fn note_enumerated(
        &mut self,
        now: Now,
        name: SourceName,
        (address, sid): (IpAddr, Option<Sid>),
        url: &str,
        heartbeat: Option<Duration>,
    ) {
        if let Some(known) = self.known.get_mut(&name)
            && !matches!(known.state, State::Refused)
        {
            known.address = address;
            return;
        }
        if self.known.len() >= WATCHED {
            return;
        }
        let who = if name.identity.is_empty() {
            "anonymous"
        } else {
            &name.identity
        };
        let sid = sid.map_or_else(String::new, |sid| format!(", {sid}"));
        log::info!(
            "source {} ({address}, {who}{sid}): enumerated for the first time",
            name.machine
        );
        let patience = patience(heartbeat);
        let since = now.monotonic;
        let state = State::Waiting {
            since,
            until: since + patience,
            url: url.to_owned(),
        };
        self.known.insert(name, Known { address, state });
    }

    /// A source may have no subscription. Answers whether that is news.
    pub(super) fn note_refused(&mut self, name: SourceName, address: IpAddr) -> bool {
        let known = self.known.get(&name);
        let is_news = known.is_none_or(|known| !matches!(known.state, State::Refused));
        if is_news && (known.is_some() || self.known.len() < WATCHED) {
            let state = State::Refused;
            self.known.insert(name, Known { address, state });
        }
        is_news
    }

    /// Other subscriptions may let those in that were refused; if not, it is news again.
    pub(super) fn forget_refused(&mut self) {
        self.known
            .retain(|_, known| !matches!(known.state, State::Refused));
    }

    /// A source has sent a heartbeat or events.
    pub(super) fn note_posted(&mut self, name: &SourceName, address: IpAddr) {
        if let Some(known) = self.known.get_mut(name) {
            if matches!(known.state, State::Silent) {
                log::info!("source {} ({address}): no longer silent", name.machine);
            }
            known.state = State::Active;
        } else if self.known.len() < WATCHED {
            self.known.insert(
                name.clone(),
                Known {
                    address,
                    state: State::Active,
                },
            );
        }
    }

    /// Logs, once each, the sources whose time to send something is over. `is_heard`: whether
    /// another relay has heard of one within that time. Answers how many there were.
    pub(super) fn report_silent(
        &mut self,
        now: Now,
        is_heard: impl Fn(&SourceName, Duration) -> bool,
    ) -> u64 {
        let mut count = 0;
        for (name, known) in &mut self.known {
            let State::Waiting { since, until, url } = &known.state else {
                continue;
            };
            if now.monotonic < *until {
                continue;
            }
            if is_heard(name, now.monotonic.duration_since(*since)) {
                known.state = State::Active;
                continue;
            }
            let minutes = now.monotonic.duration_since(*since).as_secs() / 60;
            log::warn!(
                "source {} ({}): got its subscriptions {minutes} min ago and has sent nothing since; \
                 likely it cannot reach {url} (name, port, firewall; see --hostname), or NETWORK \
                 SERVICE may not read its logs (group Event Log Readers, then a reboot); its log \
                 Microsoft-Windows-Forwarding/Operational says why",
                name.machine,
                known.address,
            );
            known.state = State::Silent;
            count += 1;
        }
        count
    }
}
