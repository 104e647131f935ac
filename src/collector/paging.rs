//! Enumerations of several answers: where they go on, and which ones are over.
//!
//! A source has its place itself, as a [`Context`]. Nothing is remembered here but that an
//! enumeration is over, and that only so that one that was given back is gone as it should:
//! what drops out of that, or another relay does not know, brings an answer once more.

use super::access::Source;
use super::{Collector, Settings, seconds};
use crate::base::clock::Now;
use crate::protocol::wsman::{Context, Header, ListDigest, Subscription};
use rand::Rng;
use std::collections::VecDeque;
use uuid::Uuid;

/// Enumerations that are remembered as over.
const OVER: usize = 4096;

/// What outlives an answer.
#[derive(Debug)]
pub(super) struct Paging {
    /// What each subscription says to sources, in their order.
    versions: Vec<Uuid>,
    over: VecDeque<u64>,
}

impl Paging {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            versions: versions(settings),
            over: VecDeque::new(),
        }
    }

    pub(super) fn replace_settings(&mut self, settings: &Settings) {
        self.versions = versions(settings);
    }

    pub(super) fn end(&mut self, enumeration: u64) {
        self.over.truncate(OVER - 1);
        self.over.push_front(enumeration);
    }

    fn is_over(&self, enumeration: u64) -> bool {
        self.over.contains(&enumeration)
    }
}

fn versions(settings: &Settings) -> Vec<Uuid> {
    let nowhere = crate::protocol::wsman::Policy::default();
    let subscriptions = settings.subscriptions.iter();
    subscriptions.map(|s| s.version("", &nowhere)).collect()
}

/// An enumeration, and how far it is.
pub(super) struct Walk {
    /// The subscriptions for that source, by their places in the settings.
    pub(super) wanted: Vec<usize>,
    pub(super) position: usize,
    pub(super) enumeration: u64,
    list: ListDigest,
}

impl Walk {
    /// Where it goes on, unless that was all.
    pub(super) fn context(&self, now: Now) -> Option<Context> {
        let position = u32::try_from(self.position).unwrap_or(u32::MAX);
        let is_all = self.position >= self.wanted.len();
        let context = || Context::new(self.enumeration, position, seconds(now), &self.list);
        (!is_all).then(context)
    }
}

impl Collector {
    /// An enumeration of that source: from its beginning, or from where an earlier answer
    /// ended; then none if it is over, or its list is another one now.
    pub(super) fn walk(
        &mut self,
        now: Now,
        source: &Source,
        header: &Header,
        after: Option<Context>,
    ) -> Option<Walk> {
        let (wanted, list) = self.wanted(now, source, header);
        let Some(context) = after else {
            return Some(Walk {
                wanted,
                position: 0,
                enumeration: self.random.next_u64(),
                list,
            });
        };
        let is_over = context.is_expired(seconds(now)) || self.paging.is_over(context.enumeration);
        if is_over || !context.is_in(&list) {
            return None;
        }
        Some(Walk {
            wanted,
            position: usize::try_from(context.position).ok()?,
            enumeration: context.enumeration,
            list,
        })
    }

    /// The subscriptions that a host gets, and what names their list.
    fn wanted(&self, now: Now, source: &Source, header: &Header) -> (Vec<usize>, ListDigest) {
        let sender = source.sender(header);
        let is_settled = self.known.is_settled(now, &sender);
        let all = &self.settings.subscriptions;
        let is_for = |s: &Subscription| {
            s.expires.is_none_or(|at| now.wall < at)
                && (is_settled || !s.is_for_reports())
                && source.refusal_among(s, all).is_none()
        };
        let identity = sender.identity.unwrap_or_default();
        let mut list = ListDigest::of(&[&identity, &sender.machine]);
        let mut wanted = Vec::new();
        let versions = self.paging.versions.iter();
        for (place, (subscription, version)) in all.iter().zip(versions).enumerate() {
            if is_for(subscription) {
                list.add(version.as_bytes());
                wanted.push(place);
            }
        }
        (wanted, list)
    }
}
