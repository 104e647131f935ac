//! How events are batched: configuration modes and their settings.

use std::time::Duration;

use super::{Error, File, Parsed, child, line_of, text_of};
use crate::base::xml::Node;
use crate::protocol::wsman::Subscription;

/// Minimum delay and heartbeat interval in milliseconds; with less, a source would do
/// nothing but send.
pub(in crate::files::subscriptions) const MIN_INTERVAL: u64 = 100;

/// Maximum delay and heartbeat interval in milliseconds: Windows uses 32 bits.
pub(in crate::files::subscriptions) const MAX_INTERVAL: u64 = 0xffff_ffff;

/// The values of a configuration mode, as Event Viewer sets them.
struct Preset {
    name: &'static str,
    max_elements: Option<u32>,
    max_time: Duration,
    heartbeat: Duration,
}

const NORMAL: Preset = Preset {
    name: "Normal",
    max_elements: Some(5),
    max_time: Duration::from_secs(15 * 60),
    heartbeat: Duration::from_secs(15 * 60),
};

const MIN_LATENCY: Preset = Preset {
    name: "MinLatency",
    max_elements: None,
    max_time: Duration::from_secs(30),
    heartbeat: Duration::from_secs(3600),
};

const MIN_BANDWIDTH: Preset = Preset {
    name: "MinBandwidth",
    max_elements: None,
    max_time: Duration::from_secs(6 * 3600),
    heartbeat: Duration::from_secs(6 * 3600),
};

/// The values in the file, which apply only in custom mode.
struct Given {
    line: u32,
    max_elements: Option<u32>,
    max_time: Option<Duration>,
    heartbeat: Option<Duration>,
}

impl File<'_> {
    pub(super) fn take_delivery(
        &self,
        root: Node<'_, '_>,
        parsed: &mut Parsed,
    ) -> Result<(), Error> {
        let given = child(root, "Delivery")
            .map(|node| self.given(node))
            .transpose()?;
        let preset = self.preset(root, given.is_some())?;
        let subscription = &mut parsed.subscription;
        match (preset, given) {
            (Some(preset), given) => {
                preset.apply(subscription);
                let ignored = given.filter(|given| given.differs_from(&preset));
                parsed.notices.extend(ignored.map(|given| {
                    let (file, line, mode) = (self.name, given.line, preset.name);
                    format!(
                        "{file}:{line}: values under Delivery are ignored: ConfigurationMode is \
                         {mode}, only Custom uses them"
                    )
                }));
            }
            (None, Some(given)) => given.apply(subscription),
            (None, None) => {}
        }
        Ok(())
    }

    /// The preset to apply; `None` for custom mode, which also applies if there is a
    /// Delivery without a mode.
    fn preset(&self, root: Node<'_, '_>, has_delivery: bool) -> Result<Option<Preset>, Error> {
        let node = child(root, "ConfigurationMode").filter(|node| !text_of(*node).is_empty());
        let Some(node) = node else {
            return Ok((!has_delivery).then_some(NORMAL));
        };
        match text_of(node).to_ascii_lowercase().as_str() {
            "normal" => Ok(Some(NORMAL)),
            "minlatency" => Ok(Some(MIN_LATENCY)),
            "minbandwidth" => Ok(Some(MIN_BANDWIDTH)),
            "custom" => Ok(None),
            _ => {
                let allowed = "must be Normal, MinLatency, MinBandwidth or Custom";
                Err(self.value(node, "ConfigurationMode", &text_of(node), allowed))
            }
        }
    }

    fn given(&self, delivery: Node<'_, '_>) -> Result<Given, Error> {
        let mode = delivery.attribute("Mode").unwrap_or("Push");
        if !mode.eq_ignore_ascii_case("Push") {
            let allowed = "must be Push: hosts deliver, this collector does not fetch";
            return Err(self.value(delivery, "Delivery@Mode", mode, allowed));
        }
        let batching = child(delivery, "Batching");
        let setting = |name| batching.and_then(|node| child(node, name));
        let heartbeat = child(delivery, "PushSettings")
            .and_then(|settings| child(settings, "Heartbeat"))
            .and_then(|node| Some((node, node.attribute("Interval")?)));
        let max_items = setting("MaxItems").map(|node| self.max_items(node));
        let max_time = setting("MaxLatencyTime")
            .map(|node| self.interval(node, "MaxLatencyTime", &text_of(node)));
        let heartbeat =
            heartbeat.map(|(node, text)| self.interval(node, "Heartbeat@Interval", text));
        Ok(Given {
            line: line_of(delivery),
            max_elements: max_items.transpose()?,
            max_time: max_time.transpose()?,
            heartbeat: heartbeat.transpose()?,
        })
    }

    fn max_items(&self, node: Node<'_, '_>) -> Result<u32, Error> {
        let text = text_of(node);
        let count = text.parse().ok().filter(|count| *count > 0);
        let allowed = "must be a number of events, at least 1";
        count.ok_or_else(|| self.value(node, "MaxItems", &text, allowed))
    }

    fn interval(
        &self,
        node: Node<'_, '_>,
        element: &'static str,
        text: &str,
    ) -> Result<Duration, Error> {
        let milliseconds = text.trim().parse().ok();
        let milliseconds = milliseconds.filter(|ms| (MIN_INTERVAL..=MAX_INTERVAL).contains(ms));
        let allowed = "must be milliseconds, from 100 to 4294967295";
        milliseconds
            .map(Duration::from_millis)
            .ok_or_else(|| self.value(node, element, text, allowed))
    }
}

impl Preset {
    fn apply(&self, subscription: &mut Subscription) {
        subscription.max_elements = self.max_elements;
        subscription.max_time = self.max_time;
        subscription.heartbeat = self.heartbeat;
    }
}

impl Given {
    fn apply(&self, subscription: &mut Subscription) {
        subscription.max_elements = self.max_elements;
        subscription.max_time = self.max_time.unwrap_or(NORMAL.max_time);
        subscription.heartbeat = self.heartbeat.unwrap_or(NORMAL.heartbeat);
    }

    fn differs_from(&self, preset: &Preset) -> bool {
        self.max_elements
            .is_some_and(|most| Some(most) != preset.max_elements)
            || self.max_time.is_some_and(|time| time != preset.max_time)
            || self.heartbeat.is_some_and(|time| time != preset.heartbeat)
    }
}
