//! The status page and its data: `/` and `/status.json`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::base::clock::{Now, UnixSeconds};
use crate::collector::Collector;
use crate::hosts::{Fleet, Host, Moment, State};
use crate::metrics::{OutputFacts, RefusedFacts, Snapshot};
use crate::protocol::http::Response;
use crate::server::status::Answer;
use crate::system::json::push_json;
use crate::windows::remedies;

const PAGE: &str = include_str!("page.html");
/// Maximum number of hosts in the status, those with problems first, so that the loop is not
/// blocked for long.
const HOSTS: usize = 20_000;
/// Maximum number of refusals in the status, the latest ones.
const REFUSALS: usize = 100;

/// The response to `/status.json`; clients that request it at the same time share its body.
pub(super) fn answer(body: Rc<Vec<u8>>) -> Answer {
    let head = guarded(Response::empty(200), "application/json");
    Answer { head, body }
}

/// The response to `/`. Its policy allows only the page's own style and script, by their hashes, so
/// that markup in a host's name could not execute.
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

/// The hash of the text within an element of the page, in the form of CSP Level 3 2.3.1.
fn hash_of(element: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let text = PAGE
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end));
    let text = text.map_or("", |(text, _)| text);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// The data of `/status.json`. Long lists have arrays instead of objects; `page.html` depends on
/// the order of their items.
pub(super) fn status(now: Now, snapshot: &Snapshot, collector: &Collector) -> Vec<u8> {
    let counters = &snapshot.counters;
    let at = collector.moment(now);
    let subscriptions = collector.subscriptions().iter().map(|subscription| {
        let events = counters.subscriptions.get(&*subscription.name);
        json!([
            &*subscription.name,
            subscription.description,
            subscription.enabled,
            events.copied().unwrap_or(0)
        ])
    });
    let ends = snapshot.ends.iter();
    let facts = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": moment(now.wall),
        "started": snapshot.started,
        "troubles": collector.troubles(),
        "connections": snapshot.connections,
        "events": counters.events,
        "batches": counters.batches,
        "bytes": counters.received_bytes,
        "unavailable": counters.unavailable,
        "refused": counters.refusals.values().sum::<u64>(),
        "oldest": snapshot.oldest.map(|age| age.as_secs_f64()),
        "outputs": snapshot.outputs.iter().map(output).collect::<Value>(),
        "subscriptions": subscriptions.collect::<Value>(),
        "ends": ends.map(|(what, end)| json!([what, UnixSeconds::from(*end)])).collect::<Value>(),
        "refusals": refusals(collector),
        "remedies": remedies(collector),
    });
    let mut status = Vec::new();
    push_json(&mut status, &facts);
    // The lists that may be long follow, appended without an intermediate value.
    status.pop();
    relays(&mut status, now, collector);
    hosts(&mut status, at, collector);
    status.push(b'}');
    status
}

fn output(facts: &OutputFacts) -> Value {
    json!([
        facts.label,
        facts.up,
        facts.required,
        facts.backlog,
        facts.written,
        facts.dropped,
        facts.delivered,
        facts.oldest.map(|age| age.as_secs_f64()),
        facts.trouble,
        facts.refused_events.iter().map(refused).collect::<Value>()
    ])
}

fn refused(event: &RefusedFacts) -> Value {
    json!([
        event.event,
        event.reason,
        event.times,
        UnixSeconds::from(event.since),
        UnixSeconds::from(event.last)
    ])
}

fn refusals(collector: &Collector) -> Value {
    let mut refusals: Vec<_> = collector.refusals().collect();
    refusals.sort_unstable_by_key(|refusal| std::cmp::Reverse(refusal.last));
    let told = refusals.into_iter().take(REFUSALS).map(|refusal| {
        json!([
            refusal.last,
            refusal.count,
            refusal.address,
            refusal.kind,
            refusal.status,
            refusal.reason,
            refusal.method,
            refusal.identity
        ])
    });
    told.collect()
}

/// What to do about each kind of refusal that occurred: in words, commands for the host, and where
/// the host has more information.
fn remedies(collector: &Collector) -> BTreeMap<&str, (&str, &[&str], &str)> {
    let kinds = collector.refusals().map(|r| r.kind.as_str());
    kinds
        .filter_map(|kind| Some((kind, remedies::refusal(kind)?)))
        .map(|(kind, it)| (kind, (it.remedy, it.on_host, it.look)))
        .collect()
}

/// Texts that many hosts share are written once; hosts refer to them by number.
#[derive(Default)]
struct Texts(BTreeMap<String, usize>);

impl Texts {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let number = self.0.len();
        self.0.insert(text.to_owned(), number);
        number
    }

    fn in_order(&self) -> Vec<&str> {
        let mut texts: Vec<_> = self.0.iter().collect();
        texts.sort_unstable_by_key(|(_, number)| **number);
        texts.into_iter().map(|(text, _)| text.as_str()).collect()
    }
}

/// Of each relay: name, state, start, seconds since its last report, and whether it is this one.
fn relays(out: &mut Vec<u8>, now: Now, collector: &Collector) {
    let fleet = collector.fleet();
    let relays = fleet.into_iter().flat_map(|fleet| {
        let relays = fleet.relays(now.wall.into());
        relays.map(|relay| {
            let (life, is_own) = (relay.life().name(), relay.name == fleet.own());
            (relay.name, life, relay.started, relay.age, is_own)
        })
    });
    out.extend(b",\"relays\":");
    push_json(out, &relays.collect::<Vec<_>>());
}

fn hosts(out: &mut Vec<u8>, at: Moment, collector: &Collector) {
    let own = collector.fleet().map(Fleet::own);
    let overview = collector.overview();
    let hosts = overview.hosts();
    let mut hosts: Vec<_> = hosts.map(|host| (host.state(at), host)).collect();
    let counts = State::ALL.map(|state| {
        let count = hosts.iter().filter(|(of, _)| *of == state).count();
        (state.name(), count)
    });
    out.extend(b",\"states\":");
    push_json(out, &counts);
    let omitted = hosts.len().saturating_sub(HOSTS);
    if omitted > 0 {
        hosts.sort_unstable_by_key(|(state, _)| std::cmp::Reverse(*state));
        hosts.truncate(HOSTS);
    }
    let mut texts = Texts::default();
    out.extend(b",\"hosts\":[");
    for (index, (state, host)) in hosts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let relay = host.relay.as_deref().or(own);
        let relay = relay.map(|relay| texts.number(relay));
        push_json(out, &row(host, (*state, at), relay, &mut texts));
    }
    out.extend(b"],\"texts\":");
    push_json(out, &texts.in_order());
    out.extend(format!(",\"omitted\":{omitted}").bytes());
}

fn row<'h>(
    host: &'h Host,
    (state, at): (State, Moment),
    relay: Option<usize>,
    texts: &mut Texts,
) -> impl Serialize + 'h {
    let subscriptions = host.subscriptions.iter();
    let subscriptions: Vec<_> = subscriptions.map(|s| texts.number(&s.name)).collect();
    (
        &host.machine,
        &host.identity,
        host.address,
        state.name(),
        host.last_seen,
        host.last_event(),
        host.events(),
        host.lag(at.now),
        host.missing(),
        host.first_seen,
        texts.number(&host.method),
        subscriptions,
        host.why(at).map(|why| texts.number(&why)),
        relay,
    )
}

/// Seconds since 1970 with a fraction, which the page needs to compute rates.
fn moment(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
