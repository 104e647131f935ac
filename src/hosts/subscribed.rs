//! What hosts are asked for, as far as it matters for what is known of them.

use std::collections::HashMap;

use uuid::Uuid;

use super::reports::CHANNEL;
use crate::protocol::wsman::Subscription;
use crate::windows::query;

/// A subscription, as far as it matters here.
#[derive(Debug, Default)]
struct Channels {
    /// Those that it asks for whole.
    whole: Vec<String>,
    /// By it, hosts report how their forwarding goes.
    has_reports: bool,
}

/// The subscriptions that there are.
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

    /// The channels that it asks for whole.
    pub(super) fn whole(&self, id: Uuid) -> &[String] {
        let channels = self.channels.get(&id);
        channels.map_or(&[], |channels| &channels.whole)
    }

    /// Whether hosts report by it how their forwarding goes.
    pub(super) fn has_reports(&self, id: Uuid) -> bool {
        let channels = self.channels.get(&id);
        channels.is_some_and(|channels| channels.has_reports)
    }
}
