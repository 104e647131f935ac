//! The answer to Enumerate: which subscriptions a source gets, where to deliver
//! them, and from which bookmark on.

use super::requests::new_uuid;
use super::who::Source;
use super::{Collector, known, seconds, sources, who};
use crate::base::clock::Now;
use crate::connection::{Answer, Message};
use crate::protocol::wsman::{self, Header, Offer, Policy, Subscription};
use crate::store::{self, Store};
use rand::Rng;

impl Collector {
    pub(super) fn handle_enumerate(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        message: &Message,
        store: &mut dyn Store,
    ) {
        let base = self.address_for(source, header, message);
        let current = |s: &&Subscription| s.expires.is_none_or(|at| now.wall < at);
        let all = &self.settings.subscriptions;
        let is_settled = self.known.is_settled(now, &source.sender(header));
        let wanted: Vec<_> = all
            .iter()
            .filter(current)
            .filter(|s| is_settled || !known::is_for_reports(s))
            .filter(|s| source.refusal_among(s, all).is_none())
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
                .note_enumerated(now, name, (address, sid), &base, heartbeat);
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
    fn address_for(&self, source: &Source, header: &Header, message: &Message) -> String {
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

fn stored_bookmark(
    source: &Source,
    subscription: &Subscription,
    header: &Header,
    store: &mut dyn Store,
) -> Result<Option<String>, store::Error> {
    let Ok(key) = source.key(subscription.id(), header) else {
        return Ok(None);
    };
    let former = who::former_keys(&source.identity, &key);
    let stored = store::find(store, &key, former)?;
    Ok(stored.and_then(|stored| stored.offer(subscription.read_existing)))
}

/// The host and port of an http URL.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!authority.is_empty() && authority.chars().all(fits)).then_some(authority)
}
