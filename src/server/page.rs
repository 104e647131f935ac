//! The status page, and what it shows: `/` and `/status.json`.

use crate::clock::Now;
use crate::collector::{Collector, HostFacts};
use crate::http::Response;
use crate::metrics::{OutputFacts, Snapshot};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PAGE: &str = include_str!("page.html");
/// However many look, it is written once in this time.
const FRESH: Duration = Duration::from_secs(1);
/// Hosts that are told, those with trouble first: the loop must not be held for long.
const HOSTS: usize = 20_000;

/// What was last written.
#[derive(Debug, Default)]
pub(super) struct Written(Option<(Instant, Vec<u8>)>);

impl Written {
    /// The answer to `/status.json`.
    pub(super) fn answer(&mut self, now: Now, write: impl FnOnce() -> Vec<u8>) -> Response {
        let body = match self.0.take() {
            Some((at, body)) if now.monotonic.saturating_duration_since(at) < FRESH => (at, body),
            _ => (now.monotonic, write()),
        };
        let response = Response::with_body(200, body.1.clone());
        self.0 = Some(body);
        guarded(response, "application/json")
    }
}

/// The answer to `/`. Its style and script are allowed by their hashes, and nothing else
/// is: a host's name that got into the page as HTML could still do nothing.
pub(super) fn page() -> Response {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash_of("style"),
        hash_of("script")
    );
    let response = Response::with_body(200, PAGE.as_bytes().to_vec());
    guarded(response, "text/html; charset=utf-8").header("Content-Security-Policy", policy)
}

fn guarded(response: Response, kind: &str) -> Response {
    response
        .header("Content-Type", kind)
        .header("Cache-Control", "no-store")
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cross-Origin-Resource-Policy", "same-origin")
}

/// Of the text within an element of the page, as CSP Level 3 2.3.1 writes it.
fn hash_of(element: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let text = PAGE
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end));
    let text = text.map_or("", |(text, _)| text);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// Arrays rather than objects where there are many: `page.html` knows the order.
pub(super) fn status(now: Now, snapshot: &Snapshot, collector: &Collector) -> Vec<u8> {
    let counters = &snapshot.counters;
    let subscriptions = collector.subscriptions().iter().map(|subscription| {
        let events = counters.subscriptions.get(&subscription.name);
        json!([
            subscription.name,
            subscription.description,
            subscription.enabled,
            events.copied().unwrap_or(0)
        ])
    });
    let refusals = collector.refused().map(|one| {
        let address = one.address.to_string();
        json!([
            seconds(one.at),
            one.count,
            address,
            one.kind.name(),
            one.status,
            one.reason
        ])
    });
    let ends = snapshot.ends.iter();
    let oldest = collector.oldest_batch(now);
    let mut head = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": seconds(now.wall),
        "started": seconds(snapshot.started),
        "troubles": collector.troubles(),
        "connections": snapshot.connections,
        "events": counters.events,
        "batches": counters.batches,
        "bytes": counters.received_bytes,
        "unavailable": counters.unavailable,
        "refused": counters.refusals.values().sum::<u64>(),
        "oldest": oldest.map(|age| age.as_secs_f64()),
        "states": snapshot.sources,
        "outputs": snapshot.outputs.iter().map(output).collect::<Value>(),
        "subscriptions": subscriptions.collect::<Value>(),
        "ends": ends.map(|(what, end)| json!([what, seconds(*end)])).collect::<Value>(),
        "refusals": refusals.collect::<Value>(),
    })
    .to_string()
    .into_bytes();
    // The object goes on with what there may be much of.
    head.pop();
    hosts(&mut head, collector);
    head
}

fn output(facts: &OutputFacts) -> Value {
    json!([
        facts.label,
        facts.up,
        facts.required,
        facts.backlog,
        facts.written,
        facts.dropped
    ])
}

fn hosts(out: &mut Vec<u8>, collector: &Collector) {
    let mut told = 0;
    out.extend(b",\"hosts\":[");
    let (well, troubled): (Vec<_>, Vec<_>) =
        collector.hosts().partition(|host| host.state == "active");
    let total = well.len() + troubled.len();
    for host in troubled.iter().chain(&well).take(HOSTS) {
        if told > 0 {
            out.push(b',');
        }
        told += 1;
        let HostFacts {
            machine,
            identity,
            address,
            state,
            seen,
            last_event,
            events,
        } = *host;
        let last_event = last_event.map(seconds);
        let row = (
            machine,
            identity,
            address.to_string(),
            state,
            seconds(seen),
            last_event,
            events,
        );
        // Writing to a Vec cannot fail, and no value here is beyond JSON.
        let _ = serde_json::to_writer(&mut *out, &row);
    }
    out.extend(format!("],\"omitted\":{}}}", total - told).bytes());
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
