//! What a source asks: Enumerate, Heartbeat, Events, SubscriptionEnd, End.

use super::batches::{Batch, Mark};
use super::sources::SourceName;
use super::{Collector, ConnId, Form};
use crate::auth::Identity;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::clock::Now;
use crate::connection::{Answer, Message, Refusal, RefusalKind};
use crate::event::{self, Event};
use crate::queue::Frames;
use crate::store::{self, Store};
use crate::syslog::{self, Origin, framing};
use crate::wsman::{
    self, Body, Fault, Header, Offer, Policy, Profile, RawEvent, Subcode, Subscription,
};
use rand::Rng;
use std::net::IpAddr;
use std::rc::Rc;
use uuid::Uuid;

/// Bytes that a message is longer than its event's XML, roughly: header and
/// structured data beside the XML. A guess that saves copying while frames grow.
const FRAME_OVERHEAD: usize = 1024;

/// Who a message is from.
struct Source {
    conn: ConnId,
    address: IpAddr,
    identity: Rc<Identity>,
}

impl Source {
    fn name(&self, header: &Header) -> SourceName {
        SourceName {
            identity: self.identity.name.clone(),
            machine: header
                .machine_id
                .clone()
                .unwrap_or_else(|| self.address.to_string()),
        }
    }

    fn describe(&self, header: &Header) -> String {
        let machine = header.machine_id.as_deref().unwrap_or("without MachineID");
        format!(
            "{machine} ({}, {})",
            self.address,
            self.identity.method.as_str()
        )
    }

    /// The key of a bookmark: what was proved counts, then what is claimed.
    fn key(&self, subscription: Uuid, header: &Header) -> Result<bookmark::Key, bookmark::Error> {
        let machine = header.machine_id.as_deref().unwrap_or_default();
        if self.identity.method.is_anonymous() {
            bookmark::Key::anonymous(subscription, machine)
        } else {
            bookmark::Key::authenticated(subscription, &self.identity.name, machine)
        }
    }
}

impl Collector {
    pub(super) fn handle_message(
        &mut self,
        now: Now,
        conn: ConnId,
        message: &Message,
        store: &mut dyn Store,
    ) {
        let Some(slot) = self.connections.get(&conn) else {
            return;
        };
        let Some(identity) = slot.connection.identity() else {
            return;
        };
        let address = slot.connection.address();
        let source = Source {
            conn,
            address,
            identity: Rc::clone(identity),
        };
        let parsed = match wsman::parse(&message.text) {
            Ok(parsed) => parsed,
            Err(error) => return self.fault(now, conn, None, subcode(&error), &error.to_string()),
        };
        let header = parsed.header;
        log::debug!("source {}: {}", source.describe(&header), header.action);
        match parsed.body {
            Body::Enumerate => self.handle_enumerate(now, &source, &header, message, store),
            Body::Heartbeat => self.handle_heartbeat(now, &source, &header, &message.target),
            Body::Events(events) => {
                self.handle_events(now, &source, header, &events, &message.target);
            }
            Body::SubscriptionEnd(end) => {
                log::info!(
                    "source {}: ended its subscription: {end}",
                    source.describe(&header)
                );
                let ack = wsman::ack(&header, self.new_uuid());
                self.answer(now, conn, &Answer::Envelope(200, &ack));
            }
            Body::End => self.answer(now, conn, &Answer::Empty(204)),
            Body::Unknown => {
                let reason = format!("action {:?} is none of a collector's", header.action);
                self.fault(
                    now,
                    conn,
                    Some(&header),
                    Subcode::ActionNotSupported,
                    &reason,
                );
            }
        }
    }

    fn fault(
        &mut self,
        now: Now,
        conn: ConnId,
        header: Option<&Header>,
        subcode: Subcode,
        reason: &str,
    ) {
        let machine = self.settings.hostname.as_deref().unwrap_or("wecrelay");
        let fault = Fault {
            subcode,
            reason,
            machine,
        };
        let text = wsman::fault(header, new_uuid(&mut self.random), &fault);
        self.note_refusal(
            now,
            conn,
            &Refusal::new(RefusalKind::Soap, subcode.status(), reason),
        );
        self.answer(now, conn, &Answer::Envelope(subcode.status(), &text));
    }

    fn handle_enumerate(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        message: &Message,
        store: &mut dyn Store,
    ) {
        let base = self.address_for(header, message);
        let unexpired = |s: &&Subscription| s.expires.is_none_or(|at| now.wall < at);
        let wanted: Vec<_> = self
            .settings
            .subscriptions
            .iter()
            .filter(unexpired)
            .collect();
        let found = wanted
            .iter()
            .map(|s| stored_bookmark(source, s, header, store));
        let bookmarks: Vec<_> = match found.collect() {
            Ok(bookmarks) => bookmarks,
            Err(error) => {
                log::error!("{error}");
                return self.answer(now, source.conn, &Answer::Empty(503));
            }
        };
        let answer = enumerate_response(header, &wanted, &bookmarks, &base, &mut self.random);
        if !answer.left_out.is_empty() {
            log::warn!(
                "source {}: takes only {} bytes, left out: {}; shorter queries are the remedy",
                source.describe(header),
                header.max_envelope_size.unwrap_or_default(),
                answer.left_out.join(", "),
            );
        }
        // A source that goes on from a bookmark may have nothing to say before its heartbeat.
        let goes_on = bookmarks.iter().any(Option::is_some);
        let heartbeat = wanted.iter().map(|s| s.heartbeat).min();
        let heartbeat = heartbeat.filter(|_| goes_on);
        self.counters.enumerations += 1;
        self.sources
            .note_enumerated(now, source.name(header), source.address, &base, heartbeat);
        self.answer(now, source.conn, &Answer::Envelope(200, &answer.xml));
    }

    /// Scheme, host and port by which this source reaches us.
    fn address_for(&self, header: &Header, message: &Message) -> String {
        let used = header
            .to
            .as_deref()
            .and_then(authority)
            .or(message.host.as_deref());
        let used = used.unwrap_or("localhost:5985");
        let Some(hostname) = &self.settings.hostname else {
            return format!("http://{used}");
        };
        let port = used.rsplit_once(':').map(|(_, port)| port);
        let port = port
            .filter(|port| port.parse::<u16>().is_ok())
            .unwrap_or("5985");
        format!("http://{hostname}:{port}")
    }

    fn handle_heartbeat(&mut self, now: Now, source: &Source, header: &Header, target: &str) {
        if self.subscription_of(header, target).is_none() {
            return self.refuse_unknown(now, source, header, target);
        }
        self.counters.heartbeats += 1;
        self.sources
            .note_posted(&source.name(header), source.address);
        let ack = wsman::ack(header, self.new_uuid());
        self.answer(now, source.conn, &Answer::Envelope(200, &ack));
    }

    fn refuse_unknown(&mut self, now: Now, source: &Source, header: &Header, target: &str) {
        let identifier = header.identifier.as_deref().unwrap_or("none");
        let reason = format!(
            "{}: unknown subscription (Identifier {identifier}, path {target}); \
             the source takes the current ones at its next refresh",
            source.describe(header)
        );
        self.note_refusal(
            now,
            source.conn,
            &Refusal::new(RefusalKind::Soap, 404, reason),
        );
        self.answer(now, source.conn, &Answer::Empty(404));
    }

    fn subscription_of(&self, header: &Header, target: &str) -> Option<&Subscription> {
        let by_header = header.identifier.as_deref();
        let by_path = target.rsplit('/').next();
        let ids = by_header.into_iter().chain(by_path);
        let mut ids = ids.filter_map(|id| Uuid::parse_str(id.trim()).ok());
        ids.find_map(|id| self.settings.subscriptions.iter().find(|s| s.id() == id))
    }

    fn handle_events(
        &mut self,
        now: Now,
        source: &Source,
        header: Header,
        events: &[RawEvent<'_>],
        target: &str,
    ) {
        let Some(subscription) = self.subscription_of(&header, target) else {
            return self.refuse_unknown(now, source, &header, target);
        };
        let id = subscription.id();
        self.sources
            .note_posted(&source.name(&header), source.address);
        if self.is_full() {
            self.counters.unavailable += 1;
            return self.answer(now, source.conn, &Answer::Empty(503));
        }
        let (frames, facts) = self.format_batch(source, id, &header, events);
        let mark = self.mark_of(now, source, id, &header, facts);
        let batch = Batch::new(source.conn, header, mark, events.len());
        self.start_batch(now, batch, frames);
    }

    /// The bookmark of a batch, if it has one that can be used. A bad one costs
    /// repeats later, not events, so that the batch goes on without it.
    fn mark_of(
        &mut self,
        now: Now,
        source: &Source,
        subscription: Uuid,
        header: &Header,
        facts: BatchFacts,
    ) -> Option<Mark> {
        let xml = header.bookmark.as_deref()?;
        let parsed = Bookmark::parse(xml)
            .and_then(|bookmark| Ok((bookmark, source.key(subscription, header)?)));
        match parsed {
            Ok((bookmark, key)) => Some(Mark {
                key,
                bookmark,
                facts,
                source: source.describe(header),
            }),
            Err(error) => {
                let reason = format!("bookmark not stored: {error}");
                let refusal = Refusal::new(RefusalKind::Soap, 200, reason);
                self.note_refusal(now, source.conn, &refusal);
                None
            }
        }
    }

    /// Writes all events of a batch in every form that an output wants.
    fn format_batch(
        &mut self,
        source: &Source,
        subscription: Uuid,
        header: &Header,
        events: &[RawEvent<'_>],
    ) -> (Vec<Frames>, BatchFacts) {
        let name = self
            .settings
            .subscriptions
            .iter()
            .find(|s| s.id() == subscription);
        let origin = Origin {
            address: source.address,
            machine_id: header.machine_id.as_deref().unwrap_or_default(),
            identity: &source.identity.name,
            auth: source.identity.method.as_str(),
            subscription: name.map_or("", |s| &s.name),
        };
        let mut facts = BatchFacts::new();
        let size = events
            .iter()
            .map(|raw| raw.xml.len() + FRAME_OVERHEAD)
            .sum();
        let empty = |_: &Form| Frames {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(events.len()),
        };
        let mut frames: Vec<_> = self.forms.iter().map(empty).collect();
        for raw in events {
            let event = event::parse(&raw.xml);
            match &event {
                Ok(event) if event.is_bookmark_event() => {
                    facts.note_bookmark_event();
                    self.counters.bookmark_events += 1;
                    continue;
                }
                Ok(event) => note_event(&mut facts, event),
                Err(error) => {
                    self.counters.malformed += 1;
                    log::debug!("source {}: malformed event: {error}", origin.machine_id);
                }
            }
            for (form, frames) in self.forms.iter().zip(&mut frames) {
                let cut = push_message(
                    &self.settings.mapping,
                    *form,
                    &raw.xml,
                    &event,
                    &origin,
                    frames,
                );
                self.counters.truncated += u64::from(cut);
            }
        }
        // They may stay for long, in the replay window.
        frames.iter_mut().for_each(|f| f.bytes.shrink_to_fit());
        (frames, facts)
    }

    pub(super) fn new_uuid(&mut self) -> Uuid {
        new_uuid(&mut self.random)
    }
}

fn push_message(
    mapping: &syslog::Mapping,
    form: Form,
    raw: &str,
    event: &Result<Event<'_>, event::Error>,
    origin: &Origin<'_>,
    frames: &mut Frames,
) -> bool {
    let control = form.framing.control_characters();
    let written = framing::write_frame(form.framing, &mut frames.bytes, |out| {
        syslog::write_message(mapping, raw, event, origin, form.max, control, out)
    });
    frames.ends.push(frames.bytes.len());
    written.truncated > 0
}

fn note_event(facts: &mut BatchFacts, event: &Event<'_>) {
    if let Ok(record) = event.record_id.parse() {
        facts.note(
            &event.channel,
            record,
            bookmark::event_time(&event.time_created),
        );
    }
}

fn enumerate_response(
    header: &Header,
    wanted: &[&Subscription],
    bookmarks: &[Option<String>],
    base: &str,
    random: &mut impl Rng,
) -> wsman::Answer {
    let policy = Policy {
        profiles: vec![Profile::HttpSpnegoKerberos],
    };
    let url = |s: &&Subscription| format!("{base}/wsman/subscriptions/{}", s.id());
    let urls: Vec<_> = wanted.iter().map(url).collect();
    let parts = wanted.iter().zip(&urls).zip(bookmarks);
    let offers: Vec<_> = parts
        .map(|((subscription, url), bookmark)| Offer {
            subscription,
            url,
            policy: &policy,
            bookmark: bookmark.as_deref(),
        })
        .collect();
    wsman::enumerate_response(header, &offers, &mut || new_uuid(random))
}

fn stored_bookmark(
    source: &Source,
    subscription: &Subscription,
    header: &Header,
    store: &mut dyn Store,
) -> Result<Option<String>, store::Error> {
    let Ok(key) = source.key(subscription.id(), header) else {
        return Ok(None);
    };
    Ok(store
        .bookmark(&key)?
        .map(|stored| stored.bookmark.xml().to_owned()))
}

fn subcode(error: &wsman::Error) -> Subcode {
    match error {
        wsman::Error::Missing("Action" | "MessageID") => Subcode::InvalidMessageInformationHeader,
        wsman::Error::Depth { .. }
        | wsman::Error::Attributes { .. }
        | wsman::Error::Namespaces { .. }
        | wsman::Error::Markup
        | wsman::Error::HeaderTooLong(_) => Subcode::EncodingLimit,
        _ => Subcode::SchemaValidationError,
    }
}

/// The host and port of an http URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!authority.is_empty() && authority.chars().all(fits)).then_some(authority)
}

fn new_uuid(random: &mut impl Rng) -> Uuid {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}
