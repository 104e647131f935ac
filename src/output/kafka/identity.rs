//! The producer id: whether batches carry a place in a sequence.

use std::time::Instant;

use crate::protocol::kafka::ProducerId;

/// Whether batches carry a place in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// To be asked for, at this time.
    Unknown(Instant),
    /// Asked for on this connection.
    Asked(usize),
    Known(ProducerId),
    /// The brokers give none.
    None,
}

impl Identity {
    /// Whether the brokers have given an id, or have none to give: without that nothing is sent.
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Known(_) | Self::None)
    }

    /// The id that batches carry, if they carry one.
    pub(super) fn producer(self) -> Option<ProducerId> {
        match self {
            Self::Known(producer) => Some(producer),
            Self::Unknown(_) | Self::Asked(_) | Self::None => None,
        }
    }
}
