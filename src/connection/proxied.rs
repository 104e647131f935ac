//! A connection that comes through a load balancer.

use std::net::IpAddr;
use std::time::Instant;

use super::{Connection, Event, Limits, Phase, Refusal, RefusalKind};
use crate::base::clock::Now;
use crate::protocol::proxy;

/// Fewer bytes may be the start of a request too.
const TELLING: usize = 6;

/// What is known of a PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Front {
    /// None should come; nothing has come yet.
    #[default]
    Unheard,
    /// One comes before anything else.
    Awaited,
    /// None is expected any more.
    Passed,
    /// One came, from an address that may not send any.
    Uninvited,
}

impl Connection {
    /// The address is that of a load balancer: where the source is follows in a header.
    pub fn expect_proxy(&mut self) {
        self.front = Front::Awaited;
    }

    /// Whether that header is still to come.
    #[must_use]
    pub fn awaits_proxy(&self) -> bool {
        self.front == Front::Awaited
    }

    /// The header has come: from here on the source is the one that it names. The
    /// balancer's own connections, its health checks, keep its address.
    pub fn handle_proxy(&mut self, now: Now, source: Option<IpAddr>) {
        self.front = Front::Passed;
        self.moved = now.monotonic;
        self.address = source.unwrap_or(self.address);
    }

    /// When the header is late.
    pub(super) fn proxy_due(&self, limits: &Limits) -> Option<Instant> {
        let is_open = matches!(self.phase, Phase::Open);
        (is_open && self.awaits_proxy()).then(|| self.opened + limits.head_time)
    }

    /// Nothing can be answered to a balancer that has not said for whom.
    pub(super) fn give_up_proxy(&mut self) -> Event {
        self.phase = Phase::Closed;
        let reason = "the PROXY header did not arrive in time";
        Event::Refused(Refusal::new(RefusalKind::Proxy, 0, reason))
    }

    /// Looks at the first bytes of a connection.
    pub(super) fn note_start(&mut self, bytes: &[u8]) {
        if self.front == Front::Unheard {
            self.front = match bytes.len() >= TELLING && proxy::is_start(bytes) {
                true => Front::Uninvited,
                false => Front::Passed,
            };
        }
    }

    /// The refusal of a header that should not have come.
    pub(super) fn uninvited(&self) -> Option<Refusal> {
        let reason = "a PROXY header, which is accepted from addresses in --proxy-protocol only";
        let refusal = Refusal::new(RefusalKind::Proxy, 400, reason);
        (self.front == Front::Uninvited).then_some(refusal)
    }
}
