//! The producer id, which determines whether batches have a position in a sequence.

use std::time::Instant;

use crate::protocol::kafka::ProducerId;

/// State of the producer id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// To be requested at this time.
    Unknown(Instant),
    /// Requested on this connection.
    Asked(usize),
    Known(ProducerId),
    /// The brokers do not assign one to this user.
    None,
}

impl Identity {
    /// Whether it is known, or known not to exist. Nothing is sent before.
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Known(_) | Self::None)
    }

    /// The id for batches; `None` without one.
    pub(super) fn producer(self) -> Option<ProducerId> {
        match self {
            Self::Known(producer) => Some(producer),
            Self::Unknown(_) | Self::Asked(_) | Self::None => None,
        }
    }
}
