//! The parts of the subscriptions that matter for the records of hosts.

use std::collections::HashMap;

use uuid::Uuid;

use super::reports::CHANNEL;
use crate::protocol::wsman::Subscription;
use crate::windows::query;

/// The channels of a subscription.
#[derive(Debug, Default)]
struct Channels {
    /// Channels that it subscribes to as a whole, so that missing record ids are gaps.
    whole: Vec<String>,
    /// Whether it is the one by which hosts report about forwarding.
    has_reports: bool,
}

/// The current subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    channels: HashMap<Uuid, Channels>,
}

impl Subscribed {
    pub(super) fn new(subscriptions: &[Subscription]) -> Self {
        let channels = |subscription: &Subscription| {
            let channels = query::channels(&subscription.query);
            let mut channels = channels.iter();
            let channels = Channels {
                whole: query::whole_channels(&subscription.query),
                has_reports: channels.any(|channel| channel.eq_ignore_ascii_case(CHANNEL)),
            };
            (subscription.id(), channels)
        };
        Self {
            channels: subscriptions.iter().map(channels).collect(),
        }
    }

    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.channels.contains_key(&id)
    }

    /// The channels that a subscription covers as a whole.
    pub(super) fn whole(&self, id: Uuid) -> &[String] {
        let channels = self.channels.get(&id);
        channels.map_or(&[], |channels| &channels.whole)
    }

    /// Whether a subscription delivers the hosts' own reports.
    pub(super) fn has_reports(&self, id: Uuid) -> bool {
        let channels = self.channels.get(&id);
        channels.is_some_and(|channels| channels.has_reports)
    }
}
