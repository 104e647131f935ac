//! What precedes the first request on a load balancer's connection: the PROXY header.

use super::{Refusal, RefusalKind};
use crate::protocol::proxy;

/// Fewer bytes than this could also be the start of a request.
const TELLING: usize = 6;

/// State of the PROXY header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Front {
    /// None is expected; nothing has been received yet.
    #[default]
    Unheard,
    /// One must come before anything else.
    Awaited,
    /// None is expected any more.
    Passed,
    /// One came from an address that is not a configured balancer.
    Uninvited,
}

impl Front {
    /// Examines the first bytes of a connection.
    pub(super) fn note_start(&mut self, bytes: &[u8]) {
        if *self == Self::Unheard {
            *self = if bytes.len() >= TELLING && proxy::is_start(bytes) {
                Self::Uninvited
            } else {
                Self::Passed
            };
        }
    }

    /// The rejection of an unexpected header; without it, anyone could forge an address.
    pub(super) fn refusal(self) -> Option<Refusal> {
        let reason = "a PROXY header, which is accepted from addresses in --proxy-protocol only";
        let refusal = || Refusal::new(RefusalKind::Proxy, 400, reason);
        (self == Self::Uninvited).then(refusal)
    }
}
