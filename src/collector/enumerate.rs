//! The answer to Enumerate: which subscriptions a source gets, where to deliver
//! them, and from which bookmark on.

use super::known::Known;
use super::questions::Question;
use super::requests::new_uuid;
use super::who::Source;
use super::{Collector, Settings, known, seconds, sources};
use crate::base::clock::Now;
use crate::bookmark::Key;
use crate::connection::{Answer, Message};
use crate::protocol::wsman::{self, Header, Offer, Policy, Subscription};
use rand::Rng;

impl Collector {
    /// Where the bookmarks of these stand.
    pub(super) fn bookmark_keys(&self, now: Now, source: &Source, header: &Header) -> Vec<Key> {
        let wanted = wanted(&self.settings, &self.known, now, (source, header));
        let keys = wanted
            .into_iter()
            .map(|subscription| source.key(subscription.id(), header));
        keys.flatten().collect()
    }

    /// Answers a host whose bookmarks are known.
    pub(super) fn answer_enumerate(&mut self, now: Now, question: &Question) {
        let Question {
            source,
            header,
            base,
            found,
            ..
        } = question;
        let mut wanted = wanted(&self.settings, &self.known, now, (source, header));
        // What a reload has brought since it asked comes with its next question.
        wanted.retain(|s| match source.key(s.id(), header) {
            Ok(key) => found.contains_key(&key),
            Err(_) => true,
        });
        let bookmark = |subscription: &&Subscription| {
            let key = source.key(subscription.id(), header).ok()?;
            let stored = found.get(&key)?.as_ref()?;
            stored.offer(subscription.read_existing)
        };
        let bookmarks: Vec<_> = wanted.iter().map(bookmark).collect();
        let address = (base.as_str(), &source.policy());
        let answer = enumerate_response(header, &wanted, &bookmarks, address, &mut self.random);
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
        if wanted.is_empty() {
            self.explain_refusal(now, source, header);
            if !source.is_admitted {
                return self.answer(now, source.conn, &Answer::Empty(403));
            }
        } else {
            let offered: Vec<_> = wanted.iter().map(|s| known::asked(s)).collect();
            let patience = sources::patience(heartbeat);
            self.known.hosts.note_enumerated(
                seconds(now),
                &source.sender(header),
                &offered,
                patience,
            );
            let (name, address, sid) = (source.name(header), source.address, source.identity.sid());
            self.sources
                .note_enumerated(now, name, (address, sid), base, heartbeat);
        }
        self.answer(now, source.conn, &Answer::Envelope(200, &answer.xml));
    }

    /// Says once why a source gets nothing at all.
    fn explain_refusal(&mut self, now: Now, source: &Source, header: &Header) {
        let subscriptions = &self.settings.subscriptions;
        let refused = subscriptions.iter().filter(|s| !known::is_for_reports(s));
        let refused = refused.filter_map(|subscription| {
            let why = source.refusal(subscription)?;
            Some(format!("{:?} ({why})", subscription.name))
        });
        let refused: Vec<_> = refused.collect();
        if refused.is_empty() {
            return;
        }
        let reason = format!("no subscription is for it: {}", refused.join(", "));
        self.known
            .hosts
            .note_refused(seconds(now), &source.sender(header), &reason);
        if self
            .sources
            .note_refused(source.name(header), source.address)
        {
            log::warn!(
                "source {}: may have no subscription; {}, {}; refused: {}",
                source.describe(header),
                source.identity.name,
                source.account(),
                refused.join(", "),
            );
        }
    }

    /// Scheme, host and port by which this source reaches us.
    pub(super) fn address_for(
        &self,
        source: &Source,
        header: &Header,
        message: &Message,
    ) -> String {
        let (scheme, usual) = if source.is_secure {
            ("https", "5986")
        } else {
            ("http", "5985")
        };
        let used = header.to.as_deref().and_then(authority);
        let used = used.or(message.host.as_deref()).unwrap_or("localhost");
        let Some(hostname) = &self.settings.hostname else {
            return format!("{scheme}://{used}");
        };
        let port = used.rsplit_once(':').map(|(_, port)| port);
        let port = port
            .filter(|port| port.parse::<u16>().is_ok())
            .unwrap_or(usual);
        format!("{scheme}://{hostname}:{port}")
    }
}

/// The subscriptions that a host gets.
fn wanted<'s>(
    settings: &'s Settings,
    known: &Known,
    now: Now,
    (source, header): (&Source, &Header),
) -> Vec<&'s Subscription> {
    let current = |s: &&Subscription| s.expires.is_none_or(|at| now.wall < at);
    let all = &settings.subscriptions;
    let is_settled = known.is_settled(now, &source.sender(header));
    let offered = all.iter().filter(current);
    offered
        .filter(|s| is_settled || !known::is_for_reports(s))
        .filter(|s| source.refusal_among(s, all).is_none())
        .collect()
}

fn enumerate_response(
    header: &Header,
    wanted: &[&Subscription],
    bookmarks: &[Option<String>],
    (base, policy): (&str, &Policy),
    random: &mut impl Rng,
) -> wsman::Answer {
    let url = |s: &&Subscription| format!("{base}/wsman/subscriptions/{}", s.id());
    let urls: Vec<_> = wanted.iter().map(url).collect();
    let parts = wanted.iter().zip(&urls).zip(bookmarks);
    let offers: Vec<_> = parts
        .map(|((subscription, url), bookmark)| Offer {
            subscription,
            url,
            policy,
            bookmark: bookmark.as_deref(),
        })
        .collect();
    wsman::enumerate_response(header, &offers, &mut || new_uuid(random))
}

/// The host and port of an http URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!authority.is_empty() && authority.chars().all(fits)).then_some(authority)
}
