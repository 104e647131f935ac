//! What comes before the first request of a connection that a load balancer makes.

use super::{Refusal, RefusalKind};
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

impl Front {
    /// Looks at the first bytes of a connection.
    pub(super) fn note_start(&mut self, bytes: &[u8]) {
        if *self == Self::Unheard {
            *self = if bytes.len() >= TELLING && proxy::is_start(bytes) {
                Self::Uninvited
            } else {
                Self::Passed
            };
        }
    }

    /// The refusal of a header that should not have come.
    pub(super) fn refusal(self) -> Option<Refusal> {
        let reason = "a PROXY header, which is accepted from addresses in --proxy-protocol only";
        let refusal = || Refusal::new(RefusalKind::Proxy, 400, reason);
        (self == Self::Uninvited).then(refusal)
    }
}
