//! The requests of sources: Enumerate, Pull, Heartbeat, Events, SubscriptionEnd, End.

use std::rc::Rc;
use std::time::Instant;

use uuid::Uuid;

use super::access::{self, Source, subscription_of};
use super::batches::{Batch, Mark, OutputSet, Whose, time_of};
use super::formatting::Unformatted;
use super::questions::Wants;
use super::{Collector, ConnId, formatting, seconds};
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::connection::{Answer, Message, Refusal, RefusalKind};
use crate::hosts::Asked;
use crate::output::queue::Frames;
use crate::protocol::wsman::{
    self, Body, Fault, Header, RawEvent, Subcode, Subscription, SubscriptionEnd,
};
use crate::store;

impl Collector {
    pub(super) fn handle_message(&mut self, now: Now, conn: ConnId, message: &Message) {
        let Some(source) = self.connections.source(conn) else {
            return;
        };
        let parsed = match wsman::parse_known(&message.text, message.is_plain) {
            Ok(parsed) => parsed,
            Err(error) => return self.fault(now, conn, None, subcode(&error), &error.to_string()),
        };
        let header = parsed.header;
        log::debug!("host {}: {}", source.describe(&header), header.action);
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
                    "host {}: canceled its subscription: {end}",
                    source.describe(&header)
                );
                self.note_ended(now, &source, &header, (&message.target, &end));
                // As the collector of Windows answers, although an Ack is requested.
                self.answer(now, conn, &Answer::Empty(204));
            }
            Body::End => self.answer(now, conn, &Answer::Empty(204)),
            Body::Unknown => {
                let reason = format!("action {:?} is not supported by a collector", header.action);
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
        let settings = Rc::clone(&self.settings);
        let machine = settings.hostname.as_deref().unwrap_or("wecrelay");
        let fault = Fault {
            subcode,
            reason,
            machine,
        };
        let text = wsman::fault(header, self.new_uuid(), &fault);
        let refusal = Refusal::new(RefusalKind::Soap, subcode.status(), reason);
        self.connections.note_refusal(now, conn, refusal);
        self.answer(now, conn, &Answer::Envelope(subcode.status(), &text));
    }

    fn note_ended(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        (target, end): (&str, &SubscriptionEnd),
    ) {
        let all = &self.settings.subscriptions;
        let asked = subscription_of(all, source, header, target).ok();
        let asked = asked.map(Asked::from);
        let name = source.host_name(header);
        let why = (end.code, &*end.to_string());
        let hosts = self.hosts.table_mut();
        hosts.note_ended(seconds(now), &name, asked.as_ref(), why);
    }

    fn handle_heartbeat(&mut self, now: Now, source: &Source, header: &Header, target: &str) {
        let subscription =
            match subscription_of(&self.settings.subscriptions, source, header, target) {
                Ok(subscription) => subscription,
                Err(refusal) => return self.turn_away(now, source, refusal),
            };
        let (name, asked) = (source.host_name(header), Asked::from(subscription));
        let hosts = self.hosts.table_mut();
        hosts.note_heartbeat(seconds(now), &name, &asked);
        self.counters.heartbeats += 1;
        let ack = wsman::ack(header, self.new_uuid());
        self.answer(now, source.conn, &Answer::Envelope(200, &ack));
    }

    fn turn_away(&mut self, now: Now, source: &Source, refusal: Refusal) {
        let status = refusal.status;
        self.connections.note_refusal(now, source.conn, refusal);
        self.answer(now, source.conn, &Answer::Empty(status));
    }

    fn handle_events(
        &mut self,
        now: Now,
        source: &Source,
        header: Header,
        events: &[RawEvent<'_>],
        message: &Message,
    ) {
        let settings = Rc::clone(&self.settings);
        let subscription =
            match subscription_of(&settings.subscriptions, source, &header, &message.target) {
                Ok(subscription) => subscription,
                Err(refusal) => return self.turn_away(now, source, refusal),
            };
        let id = subscription.id();
        let (name, asked) = (source.host_name(&header), Asked::from(subscription));
        let hosts = self.hosts.table_mut();
        let known = hosts.note_events(seconds(now), &name, &asked);
        let is_known = known.is_some();
        let whose = (known.unwrap_or_else(|| Rc::new(name.key())), id);
        let (timeout, until) = time_of(now, message.began, &header);
        let need = (message.text.len(), until);
        if self.hands_back_early(now, source, (&whose, is_known), need) {
            return;
        }
        let whole = (source, subscription, &header);
        let Some((frames, facts)) = self.format_events(now, whole, events) else {
            return;
        };
        if is_known {
            let machine = header.machine_id.as_deref();
            self.hosts.note_reports(&whose.0, id, machine, events);
        }
        let reads_existing = subscription.read_existing;
        let mark = self.mark_of(now, source, (id, reads_existing), &header, facts);
        let batch = Batch {
            conn: source.conn,
            header,
            mark,
            events: events.len(),
            since: source.since,
            subscription: subscription.name.clone(),
            is_known,
            address: source.address,
            began: message.began,
            whose,
            frames,
            place: None,
            waiting: 0,
            had_by: OutputSet::default(),
            timeout,
            until,
        };
        self.start_batch(now, batch);
    }

    /// Whether a batch is handed back before any of it is formatted. `size`: its bytes, and
    /// when its source must have its answer.
    fn hands_back_early(
        &mut self,
        now: Now,
        source: &Source,
        (whose, is_known): (&Whose, bool),
        (size, until): (usize, Instant),
    ) -> bool {
        let host = is_known.then_some(whose);
        if self.batches.holds(now, host, source.address) {
            self.batches.hand_back_unread(source.conn);
            return true;
        }
        let is_too_much = self.batches.would_shed(now, whose, (size, until));
        if is_too_much {
            self.batches
                .shed_on_arrival(now, source.conn, (whose, until));
        }
        is_too_much
    }

    /// Formats a batch as messages; answers the source if that fails.
    fn format_events(
        &mut self,
        now: Now,
        (source, subscription, header): (&Source, &Subscription, &Header),
        events: &[RawEvent<'_>],
    ) -> Option<(Vec<Rc<Frames>>, BatchFacts)> {
        let whole = (source, subscription, header);
        let encodings = self.batches.outputs_mut().encodings();
        let formatted = formatting::format(now, &self.settings, encodings, whole, events);
        self.counters += &formatted.counters;
        match formatted.frames {
            Ok(frames) => {
                let frames = frames.into_iter().map(Rc::new);
                return Some((frames.collect(), formatted.facts));
            }
            Err(Unformatted::Refused(refusal)) => self.turn_away(now, source, refusal),
            Err(Unformatted::TooLarge(why)) => {
                let limit = Subcode::EncodingLimit;
                self.fault(now, source.conn, Some(header), limit, &why.to_string());
            }
        }
        None
    }

    /// Passes a batch to the outputs. Its row is read while they deliver it.
    fn start_batch(&mut self, now: Now, batch: Batch) {
        if let Some(mark) = &batch.mark {
            let former = || access::former_keys(&mark.identity, &mark.key);
            self.ledger.want_since(&mark.key, batch.since, former);
            self.ledger.read();
        }
        self.batches.start(now, batch);
    }

    /// The bookmark of a batch, if it has a usable one. A bad bookmark costs repeats later,
    /// not events, so the batch continues without it.
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
                self.connections.note_refusal(now, source.conn, refusal);
                None
            }
        }
    }
}

fn subcode(error: &wsman::Error) -> Subcode {
    match error {
        wsman::Error::Missing("Action" | "MessageID") => Subcode::InvalidMessageInformationHeader,
        wsman::Error::Xml(error) if error.is_limit() => Subcode::EncodingLimit,
        wsman::Error::HeaderTooLong(_) | wsman::Error::Repeated { .. } => Subcode::EncodingLimit,
        _ => Subcode::SchemaValidationError,
    }
}
