//! What is counted, as Prometheus reads it (OpenMetrics text format 1.0.0).

use super::{Counters, Latency};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The media type of [`Snapshot::expose`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is told at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Since the start.
    pub counters: Counters,
    /// Connections of sources that are open.
    pub connections: usize,
    /// Sources by state.
    pub sources: Vec<(&'static str, usize)>,
    /// Each output.
    pub outputs: Vec<OutputFacts>,
    /// What ends when: our certificates, those of authorities, revocation lists.
    pub ends: Vec<(String, SystemTime)>,
    /// When the relay was started.
    pub started: SystemTime,
    /// Whether events can be taken, as `/readyz` says.
    pub ready: bool,
    /// Whether bookmarks can be stored.
    pub storing: bool,
}

/// One output at this moment.
#[derive(Clone, Debug)]
pub struct OutputFacts {
    /// As it was asked for.
    pub label: String,
    /// Whether it is connected, its session open.
    pub up: bool,
    /// Whether sources wait for it.
    pub required: bool,
    /// Bytes that wait to be delivered.
    pub backlog: usize,
    /// Bytes written to it since the start.
    pub written: u64,
    /// Messages dropped because it is a best effort and was full.
    pub dropped: u64,
}

impl Snapshot {
    /// The text for a scrape.
    #[must_use]
    pub fn expose(self) -> String {
        let mut registry = Registry::with_prefix("wecrelay");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page { encoder };
        page.plain_counters(&self.counters)?;
        page.labelled_counters(&self.counters)?;
        page.latency(&self.counters.latency)?;
        page.outputs(&self.outputs)?;
        page.gauge(
            "ready",
            "Whether events can be taken, as /readyz says",
            self.ready.into(),
        )?;
        page.gauge(
            "state_writable",
            "Whether the last bookmarks could be stored in the state folder",
            self.storing.into(),
        )?;
        page.gauge(
            "connections",
            "Open connections of sources",
            self.connections,
        )?;
        let sources = self.sources.iter();
        let sources = sources.map(|(state, count)| ([("state", *state)], *count));
        page.gauges("sources", "Known sources by state", sources)?;
        let ends = self.ends.iter();
        let ends = ends.map(|(what, end)| ([("what", what.as_str())], seconds(*end)));
        page.gauges(
            "certificate_end_time_seconds",
            "When a certificate or revocation list ends, in seconds since 1970",
            ends,
        )?;
        page.gauges(
            "build_info",
            "The version that runs",
            [([("version", env!("CARGO_PKG_VERSION"))], 1)].into_iter(),
        )?;
        page.gauges(
            "start_time_seconds",
            "When the relay was started, in seconds since 1970",
            [([("", ""); 0], seconds(self.started))].into_iter(),
        )
    }
}

fn seconds(time: SystemTime) -> usize {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    usize::try_from(since.as_secs()).unwrap_or(usize::MAX)
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn plain_counters(&mut self, c: &Counters) -> fmt::Result {
        for (name, help, value) in [
            ("events", "Events acknowledged to their sources", c.events),
            (
                "batches",
                "Batches acknowledged to their sources",
                c.batches,
            ),
            (
                "received_bytes",
                "Bytes read from sources",
                c.received_bytes,
            ),
            ("heartbeats", "Heartbeats acknowledged", c.heartbeats),
            (
                "enumerations",
                "Sources asking for their subscriptions",
                c.enumerations,
            ),
            (
                "accepted_connections",
                "Connections accepted from sources",
                c.connections,
            ),
            (
                "malformed_events",
                "Events that were no well-formed XML, forwarded as raw text",
                c.malformed,
            ),
            (
                "computer_mismatches",
                "Events whose Computer is not the authenticated host",
                c.mismatches,
            ),
            (
                "truncated_messages",
                "Messages cut to the max of an output",
                c.truncated,
            ),
            (
                "bookmark_events",
                "Events 111, acknowledged and not forwarded",
                c.bookmark_events,
            ),
            (
                "bookmarks_kept_aside",
                "Bookmarks that would have skipped events",
                c.bookmarks_aside,
            ),
            (
                "unavailable_answers",
                "Batches answered 503: an output or the state folder could not take them",
                c.unavailable,
            ),
            (
                "silent_sources",
                "Times that a source got a subscription and then sent nothing",
                c.silent_sources,
            ),
        ] {
            let counter = ConstCounter::new(value);
            let metric = self
                .encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?;
            counter.encode(metric)?;
        }
        Ok(())
    }

    fn labelled_counters(&mut self, c: &Counters) -> fmt::Result {
        let refusals = c.refusals.iter();
        self.counters(
            "refusals",
            "Requests refused by reason",
            refusals.map(|(kind, count)| ([("reason", kind.name())], *count)),
        )?;
        let authentications = c.authentications.iter();
        self.counters(
            "authentications",
            "Authentications by method and result",
            authentications.map(|((method, outcome), count)| {
                ([("method", *method), ("result", outcome.as_str())], *count)
            }),
        )?;
        let delivered = c.subscriptions.iter();
        self.counters(
            "subscription_events",
            "Events acknowledged, by subscription",
            delivered.map(|(name, count)| ([("subscription", name.as_str())], *count)),
        )
    }

    fn outputs(&mut self, outputs: &[OutputFacts]) -> fmt::Result {
        let each = |value: fn(&OutputFacts) -> usize| {
            outputs
                .iter()
                .map(move |output| ([("output", output.label.as_str())], value(output)))
        };
        self.gauges(
            "output_up",
            "Whether an output is connected",
            each(|o| o.up.into()),
        )?;
        self.gauges(
            "output_required",
            "Whether sources wait for an output",
            each(|o| o.required.into()),
        )?;
        self.gauges(
            "output_backlog_bytes",
            "Bytes that wait to be delivered to an output",
            each(|o| o.backlog),
        )?;
        let count = |value: fn(&OutputFacts) -> u64| {
            outputs
                .iter()
                .map(move |output| ([("output", output.label.as_str())], value(output)))
        };
        self.counters(
            "output_written_bytes",
            "Bytes written to an output",
            count(|o| o.written),
        )?;
        self.counters(
            "output_dropped_messages",
            "Messages that a best effort output could not take",
            count(|o| o.dropped),
        )
    }

    fn latency(&mut self, latency: &Latency) -> fmt::Result {
        let mut metric = self.encoder.encode_descriptor(
            "delivery_seconds",
            "From a batch's arrival to its acknowledgement",
            None,
            MetricType::Histogram,
        )?;
        let buckets: Vec<_> = latency.buckets().collect();
        metric.encode_histogram::<NoLabelSet>(latency.sum(), latency.count(), &buckets, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) -> fmt::Result {
        let metric = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)
    }

    fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([(&'l str, &'l str); N], usize)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let metric = family.encode_family(&labels)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }

    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            ConstCounter::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
