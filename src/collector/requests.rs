//! What a source asks: Enumerate, Pull, Heartbeat, Events, SubscriptionEnd, End.

use super::access::{Source, subscription_of};
use super::batches::{Batch, Mark, Outputs, time_of};
use super::questions::Wants;
use super::{Collector, ConnId, Encoding, Mismatch, bounds, known, new_uuid, seconds, setbacks};
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::connection::{Answer, Message, Refusal, RefusalKind};
use crate::event::{self, Event};
use crate::hosts;
use crate::output::queue::Frames;
use crate::protocol::wsman::{self, Body, Fault, Header, RawEvent, Subcode};
use crate::record;
use crate::store;
use crate::syslog::{self, Origin, framing};
use std::rc::Rc;
use uuid::Uuid;

/// Why a batch was not written as messages.
enum Unformatted {
    /// It is not for us.
    Refused(Refusal),
    /// It is over a limit of [`bounds`].
    TooLarge(String),
}

impl From<String> for Unformatted {
    fn from(why: String) -> Self {
        Self::TooLarge(why)
    }
}

impl Collector {
    pub(super) fn handle_message(&mut self, now: Now, conn: ConnId, message: &Message) {
        let Some(slot) = self.connections.get(&conn) else {
            return;
        };
        let Some(identity) = slot.connection.identity() else {
            return;
        };
        let address = slot.connection.address();
        let source = Source {
            conn,
            since: slot.since,
            address,
            is_admitted: self.settings.principals.admits(identity),
            identity: Rc::clone(identity),
            is_secure: slot.connection.is_secure(),
            certificate: slot.connection.certificate().cloned(),
        };
        let parsed = match wsman::parse(&message.text) {
            Ok(parsed) => parsed,
            Err(error) => return self.fault(now, conn, None, subcode(&error), &error.to_string()),
        };
        let header = parsed.header;
        log::debug!("source {}: {}", source.describe(&header), header.action);
        match parsed.body {
            Body::Enumerate(portion) => {
                let wants = Wants {
                    after: None,
                    portion,
                };
                self.handle_enumerate(now, source, header, message, wants);
            }
            Body::Pull(Some(context), portion) => {
                let after = Some(context);
                self.handle_enumerate(now, source, header, message, Wants { after, portion });
            }
            Body::Pull(None, _) => self.refuse_context(now, &source, &header),
            Body::Release(context) => self.handle_release(now, &source, &header, context),
            Body::Heartbeat => self.handle_heartbeat(now, &source, &header, &message.target),
            Body::Events(events) => {
                self.handle_events(now, &source, header, &events, message);
            }
            Body::SubscriptionEnd(end) => {
                log::info!(
                    "source {}: ended its subscription: {end}",
                    source.describe(&header)
                );
                self.note_ended(now, &source, &header, &message.target, &end);
                // As Windows' own collector answers, though an Ack is asked for.
                self.answer(now, conn, &Answer::Empty(204));
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

    pub(super) fn fault(
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

    fn handle_heartbeat(&mut self, now: Now, source: &Source, header: &Header, target: &str) {
        let subscription =
            match subscription_of(&self.settings.subscriptions, source, header, target) {
                Ok(subscription) => subscription,
                Err(refusal) => return self.turn_away(now, source, &refusal),
            };
        let is_report = subscription.is_for_reports();
        let asked = known::asked(subscription);
        self.known
            .hosts
            .note_heartbeat(seconds(now), &source.sender(header), &asked);
        self.counters.heartbeats += 1;
        if !is_report {
            self.sources
                .note_posted(&source.name(header), source.address);
        }
        let ack = wsman::ack(header, self.new_uuid());
        self.answer(now, source.conn, &Answer::Envelope(200, &ack));
    }

    fn turn_away(&mut self, now: Now, source: &Source, refusal: &Refusal) {
        self.note_refusal(now, source.conn, refusal);
        self.answer(now, source.conn, &Answer::Empty(refusal.status));
    }

    fn handle_events(
        &mut self,
        now: Now,
        source: &Source,
        header: Header,
        events: &[RawEvent<'_>],
        message: &Message,
    ) {
        let subscription = match subscription_of(
            &self.settings.subscriptions,
            source,
            &header,
            &message.target,
        ) {
            Ok(subscription) => subscription,
            Err(refusal) => return self.turn_away(now, source, &refusal),
        };
        let (id, name) = (subscription.id(), subscription.name.clone());
        let asked = known::asked(subscription);
        let is_report = subscription.is_for_reports();
        let reads_existing = subscription.read_existing;
        let sender = source.sender(&header);
        let host = self.known.hosts.note_events(seconds(now), &sender, &asked);
        if !is_report {
            self.sources
                .note_posted(&source.name(&header), source.address);
        }
        let own_key = || Rc::new(hosts::Key::new(sender.identity.as_deref(), &sender.machine));
        let whose = (host.clone().unwrap_or_else(own_key), id);
        let host = host.map(|host| (host, id));
        let who = setbacks::who(host.as_ref(), source.address);
        if self.setbacks.holds(now, who.as_ref()) {
            self.counters.unavailable += 1;
            return self.answer(now, source.conn, &Answer::Empty(503));
        }
        let (timeout, until) = time_of(now, message.began, &header);
        if self.would_shed(now, &whose, message.text.len(), until) {
            return self.shed_on_arrival(now, source.conn, &whose, until);
        }
        let (frames, facts) = match self.format_batch(now, source, id, &header, events) {
            Ok(formatted) => formatted,
            Err(Unformatted::Refused(refusal)) => return self.turn_away(now, source, &refusal),
            Err(Unformatted::TooLarge(why)) => {
                let limit = Subcode::EncodingLimit;
                return self.fault(now, source.conn, Some(&header), limit, &why);
            }
        };
        if let Some((host, id)) = &host {
            self.note_reports((host, *id), header.machine_id.as_deref(), events);
        }
        let mark = self.mark_of(now, source, (id, reads_existing), &header, facts);
        let batch = Batch {
            conn: source.conn,
            header,
            mark,
            events: events.len(),
            since: source.since,
            subscription: name,
            host,
            address: source.address,
            began: message.began,
            whose,
            frames: frames.into_iter().map(Rc::new).collect(),
            place: None,
            waiting: 0,
            had_by: Outputs::default(),
            timeout,
            until,
        };
        self.start_batch(now, batch);
    }

    /// The bookmark of a batch, if it has one that can be used. A bad one costs
    /// repeats later, not events, so that the batch goes on without it.
    fn mark_of(
        &mut self,
        now: Now,
        source: &Source,
        (subscription, reads_existing): (Uuid, bool),
        header: &Header,
        facts: BatchFacts,
    ) -> Option<Mark> {
        let xml = header.bookmark.as_deref()?;
        let parsed = Bookmark::parse(xml)
            .and_then(|bookmark| Ok((bookmark, source.key(subscription, header)?)));
        match parsed {
            Ok((bookmark, key)) => Some(Mark {
                key,
                identity: Rc::clone(&source.identity),
                bookmark,
                may_be_late: false,
                facts,
                rules: bookmark::Rules {
                    is_proved: !source.identity.method.is_anonymous(),
                    reads_existing,
                },
                network: store::network(source.address),
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

    /// Writes all events of a batch in every encoding that an output wants. Refuses one with
    /// events of other hosts where that is asked for.
    fn format_batch(
        &mut self,
        now: Now,
        source: &Source,
        subscription: Uuid,
        header: &Header,
        events: &[RawEvent<'_>],
    ) -> Result<(Vec<Frames>, BatchFacts), Unformatted> {
        let size = bounds::expected_size(events)?;
        let name = self
            .settings
            .subscriptions
            .iter()
            .find(|s| s.id() == subscription);
        let account_sid = source.identity.sid();
        let account_sid = account_sid.map_or_else(String::new, |sid| sid.to_string());
        let origin = Origin {
            address: source.address,
            machine_id: header.machine_id.as_deref().unwrap_or_default(),
            identity: &source.identity.name,
            account_sid: &account_sid,
            auth: source.identity.method.as_str(),
            subscription: name.map_or("", |s| &s.name),
            computer_mismatch: "",
            repaired: false,
            received: now.wall,
        };
        let rule = self.settings.computers.as_ref();
        let rule = rule.and_then(|rule| Some((rule.mismatch, rule.host(&source.identity)?)));
        let expected = rule.map(|(_, host)| host.to_string()).unwrap_or_default();
        let mut facts = BatchFacts::new();
        let empty = |_: &Encoding| Frames {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(events.len()),
        };
        let mut frames: Vec<_> = self.encodings.iter().map(empty).collect();
        for raw in events {
            let event = event::parse(&raw.xml);
            let mut origin = origin;
            origin.repaired = raw.repaired;
            match &event {
                Ok(event) if event.is_bookmark_event() => {
                    facts.note_bookmark_event();
                    self.counters.bookmark_events += 1;
                    continue;
                }
                Ok(event) => note_event(&mut facts, event),
                Err(malformed) => {
                    self.counters.malformed += 1;
                    log::debug!("source {}: malformed event: {malformed}", origin.machine_id);
                    note_event(&mut facts, &malformed.system);
                }
            }
            let computer = computer_of(&event);
            if let Some((mismatch, host)) = rule
                && computer.is_some_and(|computer| !host.is(computer))
            {
                self.counters.mismatches += 1;
                if mismatch == Mismatch::Refuse {
                    let computer = computer.unwrap_or_default();
                    let refusal = not_its_own(source, header, &expected, computer);
                    return Err(Unformatted::Refused(refusal));
                }
                origin.computer_mismatch = &expected;
            }
            for (encoding, frames) in self.encodings.iter_mut().zip(&mut frames) {
                if encoding.keeps(&event) {
                    continue;
                }
                let cut = push_message(
                    &self.settings.mapping,
                    encoding,
                    &raw.xml,
                    &event,
                    &origin,
                    frames,
                );
                self.counters.truncated += u64::from(cut);
                bounds::check_size(frames.bytes.len())?;
            }
        }
        // They may stay for long, in the replay window.
        frames.iter_mut().for_each(|f| f.bytes.shrink_to_fit());
        Ok((frames, facts))
    }

    pub(super) fn new_uuid(&mut self) -> Uuid {
        new_uuid(&mut self.random)
    }
}

/// The source keeps the batch and sends it again until someone looks after it.
fn not_its_own(source: &Source, header: &Header, expected: &str, computer: &str) -> Refusal {
    let who = source.describe(header);
    let computer: String = computer.chars().take(255).collect();
    let reason = format!(
        "{who}: an event of Computer {computer:?}, but the source is {} ({expected}); it keeps \
         the batch; name it with --computer-exempt if it may forward events of others, or give \
         --require-computer-match=mark",
        source.identity.name
    );
    Refusal::new(RefusalKind::Computer, 403, reason)
}

fn push_message(
    mapping: &syslog::Mapping,
    encoding: &Encoding,
    raw: &str,
    event: &Result<Event<'_>, event::Malformed>,
    origin: &Origin<'_>,
    frames: &mut Frames,
) -> bool {
    let (framing, style) = (encoding.framing, &encoding.style);
    let out = &mut frames.bytes;
    let written = match encoding.record {
        None => framing::write_frame(framing, out, |out| {
            syslog::write_message(mapping, raw, event, origin, style, out)
        }),
        Some(kind) => record::write_event(kind, mapping, raw, event, origin, style, out),
    };
    frames.ends.push(frames.bytes.len());
    written.truncated > 0
}

/// The host that an event names; none where it could not be read so far.
fn computer_of<'e>(event: &'e Result<Event<'_>, event::Malformed>) -> Option<&'e str> {
    match event {
        Ok(event) => Some(&event.computer),
        Err(malformed) => Some(&*malformed.system.computer).filter(|name| !name.is_empty()),
    }
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

fn subcode(error: &wsman::Error) -> Subcode {
    match error {
        wsman::Error::Missing("Action" | "MessageID") => Subcode::InvalidMessageInformationHeader,
        wsman::Error::Xml(error) if error.is_limit() => Subcode::EncodingLimit,
        wsman::Error::HeaderTooLong(_) => Subcode::EncodingLimit,
        _ => Subcode::SchemaValidationError,
    }
}
