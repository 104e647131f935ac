//! The metrics in the OpenMetrics text format 1.0.0, as Prometheus scrapes them.

use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeMetric, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Counters, Latency, OutputFacts};
use crate::base::clock::UnixSeconds;

/// The media type of [`Snapshot::expose`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counters since the start.
    pub counters: Counters,
    /// Number of open connections of sources.
    pub connections: usize,
    /// Maximum number of connections.
    pub room: usize,
    /// Whether new connections are accepted immediately.
    pub accepting: bool,
    /// Number of sources by state.
    pub sources: Vec<(&'static str, usize)>,
    /// Number of relays that share the store, by state; empty if none does.
    pub relays: Vec<(&'static str, usize)>,
    /// The facts about each output.
    pub outputs: Vec<OutputFacts>,
    /// Age of the oldest unacknowledged batch; `None` if none is waiting.
    pub oldest: Option<Duration>,
    /// Expiry times: of certificates, CA certificates, and revocation lists.
    pub ends: Vec<(String, SystemTime)>,
    /// When the relay was started.
    pub started: UnixSeconds,
    /// Resources that the process uses.
    pub process: ProcessFacts,
    /// Whether events can be accepted, as reported by `/readyz`.
    pub ready: bool,
    /// Whether bookmarks can be stored.
    pub storing: bool,
    /// Number of rows of the state that could not be read.
    pub damaged_rows: u64,
    /// Number of stored bookmarks.
    pub bookmarks: u64,
}

/// Resources that the process uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFacts {
    /// Processor time since the start.
    pub cpu: Duration,
    /// Resident memory in bytes, if known.
    pub memory: Option<u64>,
    /// Number of log lines dropped because they were not read in time.
    pub log_lines_dropped: u64,
}

impl Snapshot {
    /// The text for a scrape.
    #[must_use]
    pub fn expose(self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.process));
        let ours = registry.sub_registry_with_prefix("wecrelay");
        ours.register_collector(Box::new(self));
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
            "Whether events can be accepted, as /readyz reports",
            u64::from(self.ready),
        )?;
        page.gauge(
            "state_writable",
            "Whether the last bookmarks could be stored in the state folder",
            u64::from(self.storing),
        )?;
        page.gauge(
            "state_damaged_rows",
            "Stored rows that could not be read since the start, and were skipped",
            self.damaged_rows,
        )?;
        page.gauge("bookmarks", "Stored bookmarks", self.bookmarks)?;
        page.gauge(
            "oldest_batch_age_seconds",
            "For how long the oldest batch has waited for its acknowledgement; 0 if none waits",
            age(self.oldest),
        )?;
        page.gauge("connections", "Open connections of hosts", self.connections)?;
        page.gauge(
            "connection_room",
            "How many connections of hosts can be open",
            self.room,
        )?;
        page.gauge(
            "accepting",
            "Whether connections are accepted at once, without closing others",
            u64::from(self.accepting),
        )?;
        let sources = self.sources.iter();
        let sources = sources.map(|(state, count)| ([("state", *state)], *count));
        page.gauges("sources", "Known hosts by state; of relays that share a store, each counts those that it has seen last", sources)?;
        let relays = self.relays.iter();
        let relays = relays.map(|(state, count)| ([("state", *state)], *count));
        page.gauges(
            "relays",
            "Relays that share the store, including this one, by state: running, stopped, gone",
            relays,
        )?;
        let ends = self.ends.iter();
        let ends =
            ends.map(|(what, end)| ([("what", what.as_str())], UnixSeconds::from(*end).get()));
        page.gauges(
            "certificate_end_time_seconds",
            "When a certificate or revocation list expires, in seconds since 1970",
            ends,
        )?;
        page.counter(
            "log_lines_dropped",
            "Log lines that were dropped because standard error was not read in time",
            self.process.log_lines_dropped,
        )?;
        page.gauges(
            "build_info",
            "The running version",
            [([("version", env!("CARGO_PKG_VERSION"))], 1_u64)].into_iter(),
        )?;
        page.gauges(
            "start_time_seconds",
            "When the relay was started, in seconds since 1970",
            [([("", ""); 0], self.started.get())].into_iter(),
        )
    }
}

impl Collector for ProcessFacts {
    /// Standard names, as in all programs that Prometheus monitors.
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut page = Page { encoder };
        page.counter(
            "process_cpu_seconds",
            "Processor time since the start",
            self.cpu.as_secs_f64(),
        )?;
        let memory = self.memory.into_iter();
        page.gauges(
            "process_resident_memory_bytes",
            "Bytes in memory",
            memory.map(|bytes| ([("", ""); 0], bytes)),
        )
    }
}

fn age(since: Option<Duration>) -> f64 {
    since.map_or(0.0, |since| since.as_secs_f64())
}

struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn plain_counters(&mut self, c: &Counters) -> fmt::Result {
        for (name, help, value) in [
            ("events", "Events acknowledged to their hosts", c.events),
            ("batches", "Batches acknowledged to their hosts", c.batches),
            ("received_bytes", "Bytes read from hosts", c.received_bytes),
            ("heartbeats", "Heartbeats acknowledged", c.heartbeats),
            (
                "enumerations",
                "Requests of hosts for their subscriptions",
                c.enumerations,
            ),
            (
                "accepted_connections",
                "Connections accepted from hosts",
                c.connections,
            ),
            (
                "malformed_events",
                "Events whose XML was malformed, forwarded as raw text",
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
                "Bookmarks that were not used because a channel would have skipped events",
                c.bookmarks_aside,
            ),
            (
                "bookmark_conflicts",
                "Bookmarks that another relay had written in the meantime, and that were compared \
                 again",
                c.bookmark_conflicts,
            ),
            (
                "clones",
                "Names that two hosts share, as alternating record ids show",
                c.clones,
            ),
            (
                "bookmarks_not_stored",
                "Bookmarks that were not stored because their identity or network has reached its \
                 limit",
                c.bookmarks_crowded,
            ),
            (
                "unavailable_answers",
                "Batches answered 503: an output or the state folder could not accept them",
                c.unavailable,
            ),
            (
                "shed_batches",
                "Batches answered 503 unsent, because outputs could not have delivered them in \
                 time",
                c.shed,
            ),
            (
                "silent_sources",
                "Times that a host got a subscription and then sent nothing",
                c.silent_sources,
            ),
        ] {
            self.counter(name, help, value)?;
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
        self.gauges(
            "output_up",
            "Whether an output is connected",
            each(outputs, |o| u64::from(o.up)),
        )?;
        self.gauges(
            "output_required",
            "Whether hosts wait for an output",
            each(outputs, |o| u64::from(o.required)),
        )?;
        self.gauges(
            "output_backlog_bytes",
            "Bytes that wait to be delivered to an output",
            each(outputs, |o| o.backlog),
        )?;
        self.gauges(
            "output_rate_bytes_per_second",
            "What an output has delivered lately, while it had something to deliver",
            each(outputs, |o| o.rate),
        )?;
        self.gauges(
            "output_oldest_batch_age_seconds",
            "For how long the oldest batch has waited for a required output; 0 if none waits",
            each(outputs, |o| age(o.oldest)),
        )?;
        self.counters(
            "output_delivered_messages",
            "Messages delivered to an output",
            each(outputs, |o| o.delivered),
        )?;
        self.counters(
            "output_written_bytes",
            "Bytes written to an output",
            each(outputs, |o| o.written),
        )?;
        self.counters(
            "output_dropped_messages",
            "Messages that a best-effort output could not accept, or that were rejected for good \
             (refused=drop)",
            each(outputs, |o| o.dropped),
        )?;
        self.counters(
            "output_refused_messages",
            "Times that a RELP or OTLP receiver rejected a message, or skipped it",
            each(outputs, |o| o.refused),
        )?;
        self.counters(
            "output_filed_messages",
            "Messages rejected for good and written to their file (refused=file:)",
            each(outputs, |o| o.refused_filed),
        )?;
        let kept = outputs.iter().flat_map(|output| {
            let label = output.label.as_str();
            let rules = output.kept.iter();
            rules.map(move |(rule, count)| ([("output", label), ("rule", rule)], *count))
        });
        self.counters(
            "output_filtered_events",
            "Events that a rule of only= or drop= withheld from an output, each time they arrived",
            kept,
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

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeCounterValue + Clone,
    ) -> fmt::Result {
        self.counters(name, help, [([("", ""); 0], value)].into_iter())
    }

    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue + Clone,
    ) -> fmt::Result {
        self.gauges(name, help, [([("", ""); 0], value)].into_iter())
    }

    fn gauges<'l, const N: usize, V: EncodeGaugeValue + Clone>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([(&'l str, &'l str); N], V)>,
    ) -> fmt::Result {
        let mut family = self
            .encoder
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counters<'l, const N: usize, V: EncodeCounterValue + Clone>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = ([(&'l str, &'l str); N], V)>,
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

fn each<V>(
    outputs: &[OutputFacts],
    value: impl Fn(&OutputFacts) -> V,
) -> impl Iterator<Item = ([(&str, &str); 1], V)> {
    outputs
        .iter()
        .map(move |output| ([("output", output.label.as_str())], value(output)))
}
