//! The answers to Enumerate and Pull: which subscriptions a source gets, where to deliver,
//! and from which bookmark to resume.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use rand::Rng;
use uuid::Uuid;

use super::access::Source;
use super::batches::time_of;
use super::paging::Walk;
use super::questions::{Question, Wants};
use super::{Collector, access, new_uuid, seconds};
use crate::base::clock::Now;
use crate::bookmark::Key;
use crate::connection::{Answer, Message, Refusal, RefusalKind};
use crate::hosts::Asked;
use crate::protocol::wsman::pages::{self, Fit, Page, Portion};
use crate::protocol::wsman::subscribe::{EARLIEST, Name};
use crate::protocol::wsman::{Context, Draft, Header, Subcode, Subscription};

/// An answer with some of the subscriptions of a source.
struct Filled {
    page: Page,
    /// The shortest heartbeat interval of the subscriptions, if the source resumes from a bookmark;
    /// it may have nothing to send before that.
    heartbeat: Option<Duration>,
}

/// Why an answer holds no subscription though there are some.
enum Unfilled {
    /// `MaxEnvelopeSize`, which has no room for this.
    Envelope(u32, &'static str),
    /// `MaxCharacters` has no room for the subscription of this name.
    Characters(Name),
}

impl fmt::Display for Unfilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(limit, what) => {
                write!(f, "MaxEnvelopeSize {limit} is too small for {what}")
            }
            Self::Characters(name) => write!(f, "MaxCharacters is too small for {name:?}"),
        }
    }
}

impl Collector {
    /// Handles a request for subscriptions; their bookmarks are read first.
    pub(super) fn handle_enumerate(
        &mut self,
        now: Now,
        source: Source,
        header: Header,
        message: &Message,
        wants: Wants,
    ) {
        let Some(walk) = self.walk(now, &source, &header, wants.after) else {
            return self.refuse_context(now, &source, &header);
        };
        let base = self.address_for(&source, &header, message);
        let (_, until) = time_of(now, message.began, &header);
        let keys = self.bookmark_keys(&walk, (&source, &header), wants.portion);
        let want = |key: Key| {
            let former = || access::former_keys(&source.identity, &key);
            let ticket = self.ledger.want(&key, former);
            (key, ticket)
        };
        let missing: HashMap<_, _> = keys.into_iter().map(want).collect();
        let question = Question {
            source,
            header,
            wants,
            base,
            until,
            missing,
            found: HashMap::new(),
        };
        if question.missing.is_empty() {
            return self.answer_enumerate(now, &question);
        }
        self.questions.add(question);
        self.ledger.read();
    }

    /// See [`super::paging::Paging::walk`].
    fn walk(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        after: Option<Context>,
    ) -> Option<Walk> {
        let name = source.host_name(header);
        let is_settled = self.hosts.is_settled(now, &name);
        let new = self.random.next_u64();
        let which = (new, after);
        self.paging.walk(now, (source, &name), is_settled, which)
    }

    /// The keys of the bookmarks that the answer may need.
    fn bookmark_keys(
        &self,
        walk: &Walk,
        (source, header): (&Source, &Header),
        portion: Portion,
    ) -> Vec<Key> {
        let mut room = pages::room(header, portion);
        let rest = walk.wanted.iter().skip(walk.position);
        let subscriptions = rest.filter_map(|place| self.settings.subscriptions.get(*place));
        let fitting = subscriptions.take_while(|subscription| room.takes(subscription));
        let keys = fitting.map(|subscription| source.key(subscription.id(), header));
        keys.flatten().collect()
    }

    /// Answers a host whose bookmarks are known.
    pub(super) fn answer_enumerate(&mut self, now: Now, question: &Question) {
        let Question { source, header, .. } = question;
        let after = question.wants.after;
        let Some(mut walk) = self.walk(now, source, header, after) else {
            return self.refuse_context(now, source, header);
        };
        let filled = self.fill(now, question, &mut walk);
        if after.is_some() {
            if filled.is_ok() && walk.context(now).is_none() {
                self.paging.end(walk.enumeration);
            }
            return self.answer_page(now, question, &walk, filled);
        }
        self.counters.enumerations += 1;
        if walk.wanted.is_empty() {
            self.explain_refusal(now, source, header);
            if !source.is_admitted {
                return self.answer(now, source.conn, &Answer::Empty(403));
            }
        } else if let Ok(filled) = &filled {
            self.note_enumerated(now, question, &walk, filled.heartbeat);
        }
        self.answer_page(now, question, &walk, filled);
    }

    pub(super) fn handle_release(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        context: Option<Context>,
    ) {
        let walk = context.and_then(|context| self.walk(now, source, header, Some(context)));
        let Some(walk) = walk else {
            return self.refuse_context(now, source, header);
        };
        self.paging.end(walk.enumeration);
        let answer = pages::release_response(header, self.new_uuid());
        self.answer(now, source.conn, &Answer::Envelope(200, &answer));
    }

    pub(super) fn refuse_context(&mut self, now: Now, source: &Source, header: &Header) {
        let who = source.describe(header);
        let reason = format!(
            "{who}: continues an enumeration that is complete, too old, or of subscriptions that \
             have changed since; it starts over automatically"
        );
        let subcode = Subcode::InvalidEnumerationContext;
        self.fault(now, source.conn, Some(header), subcode, &reason);
    }

    /// Adds as many subscriptions to an answer as it may contain. If none fits although
    /// there are some, the error has the reason: an empty list would end everything for the
    /// source.
    fn fill(&mut self, now: Now, question: &Question, walk: &mut Walk) -> Result<Filled, Unfilled> {
        let limit = question.header.max_envelope_size.unwrap_or_default();
        let page = Page::new(&question.header, question.wants.portion, self.new_uuid());
        let too_small = |what| Unfilled::Envelope(limit, what);
        let mut page = page.ok_or_else(|| too_small("any answer"))?;
        let policy = question.source.policy();
        let (mut too_large, mut heartbeat, mut goes_on) = (Vec::new(), None, false);
        while let Some(&place) = walk.wanted.get(walk.position) {
            let Some(subscription) = self.settings.subscriptions.get(place) else {
                break;
            };
            // Subscriptions that a reload added after the question come with the next Pull.
            let Some(bookmark) = stored_bookmark(question, subscription) else {
                break;
            };
            let way = (&question.base, &policy);
            let draft = self.drafts.get(place, subscription, way);
            let mut new_id = || new_uuid(&mut self.random);
            match push(&mut page, &draft, bookmark.as_deref(), &mut new_id) {
                Fit::Taken => {
                    goes_on |= bookmark.is_some();
                    let shortest = heartbeat.unwrap_or(subscription.heartbeat);
                    heartbeat = Some(shortest.min(subscription.heartbeat));
                }
                Fit::Full => break,
                Fit::TooLarge(octets) => too_large.push((subscription.name.to_string(), octets)),
                Fit::TooLong => {
                    return Err(Unfilled::Characters(subscription.name.clone()));
                }
            }
            walk.position += 1;
        }
        for (name, octets) in &too_large {
            self.note_too_large(now, question, name, *octets);
        }
        if page.is_empty() && !too_large.is_empty() && too_large.len() == walk.wanted.len() {
            return Err(too_small("every subscription"));
        }
        let heartbeat = heartbeat.filter(|_| goes_on);
        Ok(Filled { page, heartbeat })
    }

    fn note_too_large(&mut self, now: Now, question: &Question, name: &str, octets: usize) {
        let who = question.source.describe(&question.header);
        let reason = format!(
            "{who}: subscription {name:?} takes {octets} bytes, more than the MaxEnvelopeSize of \
             the host; split its query"
        );
        let refusal = Refusal::new(RefusalKind::Soap, 200, reason);
        let conn = question.source.conn;
        self.connections.note_refusal(now, conn, refusal);
    }

    fn answer_page(
        &mut self,
        now: Now,
        question: &Question,
        walk: &Walk,
        filled: Result<Filled, Unfilled>,
    ) {
        let Question { source, header, .. } = question;
        match filled {
            Ok(filled) => {
                let xml = filled.page.finish(walk.context(now).as_ref());
                self.answer(now, source.conn, &Answer::Envelope(200, &xml));
            }
            Err(why) => {
                let reason = format!("{}: {why}", source.describe(header));
                let limit = Subcode::EncodingLimit;
                self.fault(now, source.conn, Some(header), limit, &reason);
            }
        }
    }

    fn note_enumerated(
        &mut self,
        now: Now,
        question: &Question,
        walk: &Walk,
        heartbeat: Option<Duration>,
    ) {
        let Question { source, header, .. } = question;
        let all = &self.settings.subscriptions;
        let wanted = walk.wanted.iter().filter_map(|place| all.get(*place));
        let offered: Vec<_> = wanted.map(Asked::from).collect();
        let name = source.host_name(header);
        let how = (&*question.base, heartbeat);
        let hosts = self.hosts.table_mut();
        hosts.note_enumerated(seconds(now), &name, &offered, how);
    }

    /// Logs once why a source gets no subscription at all.
    fn explain_refusal(&mut self, now: Now, source: &Source, header: &Header) {
        let subscriptions = &self.settings.subscriptions;
        let refused = subscriptions.iter().filter(|s| !s.is_for_reports());
        let refused = refused.filter_map(|subscription| {
            let why = source.refusal(subscription)?;
            Some(format!("{:?} ({why})", subscription.name))
        });
        let refused: Vec<_> = refused.collect();
        if refused.is_empty() {
            return;
        }
        let reason = format!("no subscription is for it: {}", refused.join(", "));
        let name = source.host_name(header);
        let hosts = self.hosts.table_mut();
        if hosts.note_refused(seconds(now), &name, &reason) {
            log::warn!(
                "host {}: no subscription is for it; {}, {}; refused: {}",
                source.describe(header),
                source.identity.name,
                source.account(),
                refused.join(", "),
            );
        }
    }

    /// Scheme, host, and port under which this source reaches the relay.
    fn address_for(&self, source: &Source, header: &Header, message: &Message) -> Rc<str> {
        let (scheme, usual) = if source.is_secure {
            ("https", "5986")
        } else {
            ("http", "5985")
        };
        let used = header.to.as_deref().and_then(authority);
        let used = used.or(message.host.as_deref()).unwrap_or("localhost");
        let Some(hostname) = &self.settings.hostname else {
            return format!("{scheme}://{used}").into();
        };
        let port = used.rsplit_once(':').map(|(_, port)| port);
        let port = port
            .filter(|port| port.parse::<u16>().is_ok())
            .unwrap_or(usual);
        format!("{scheme}://{hostname}:{port}").into()
    }
}

/// Adds a subscription to an answer if there is room.
fn push(
    page: &mut Page,
    draft: &Draft,
    bookmark: Option<&str>,
    new_id: &mut dyn FnMut() -> Uuid,
) -> Fit {
    match page.push_draft(draft, bookmark, new_id) {
        // Its bookmark has grown too large. A host that has its own bookmark is unaffected;
        // for one that has lost it, repeats are better than nothing.
        Fit::TooLarge(_) if bookmark.is_some() => page.push_draft(draft, Some(EARLIEST), new_id),
        fit => fit,
    }
}

/// The bookmark to resume from; the outer `None` if it has not been read for this question.
fn stored_bookmark(question: &Question, subscription: &Subscription) -> Option<Option<String>> {
    let Ok(key) = question.source.key(subscription.id(), &question.header) else {
        return Some(None);
    };
    let stored = question.found.get(&key)?.as_ref();
    Some(stored.and_then(|stored| stored.offer(subscription.read_existing)))
}

/// Host and port of an `http` or `https` URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!authority.is_empty() && authority.chars().all(fits)).then_some(authority)
}
