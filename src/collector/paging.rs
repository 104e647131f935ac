//! Enumerations with several answers: where they continue, and which are over.
//!
//! A source keeps its own position, as a [`Context`]. Only finished and released enumerations are
//! remembered here, so that their contexts become invalid. If one is forgotten, or unknown to
//! another relay, the source merely gets an answer once more.

use std::collections::VecDeque;
use std::rc::Rc;

use uuid::Uuid;

use super::access::Source;
use super::{Settings, seconds};
use crate::base::clock::Now;
use crate::hosts::HostName;
use crate::protocol::wsman::{Context, ListDigest, Subscription};

/// Maximum number of finished enumerations to remember.
const OVER: usize = 4096;

/// What outlives an answer.
#[derive(Debug)]
pub(super) struct Paging {
    settings: Rc<Settings>,
    /// The version of each subscription, in their order.
    versions: Vec<Uuid>,
    over: VecDeque<u64>,
}

impl Paging {
    pub(super) fn new(settings: Rc<Settings>) -> Self {
        Self {
            versions: versions(&settings),
            over: VecDeque::new(),
            settings,
        }
    }

    pub(super) fn replace_settings(&mut self, settings: Rc<Settings>) {
        self.versions = versions(&settings);
        self.settings = settings;
    }

    /// An enumeration of this source: from the start, as number `new`, or from where an earlier
    /// answer ended. `None` if that enumeration is finished or too old, or its list has changed.
    pub(super) fn walk(
        &self,
        now: Now,
        (source, name): (&Source, &HostName),
        is_settled: bool,
        (new, after): (u64, Option<Context>),
    ) -> Option<Walk> {
        let (wanted, list) = self.wanted(now, source, name, is_settled);
        let Some(context) = after else {
            return Some(Walk {
                wanted,
                position: 0,
                enumeration: new,
                list,
            });
        };
        let is_over = context.is_expired(seconds(now)) || self.is_over(context.enumeration);
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

    /// The subscriptions for a host, and the digest of their list. A host that has just
    /// appeared is not `is_settled`, and does not get the subscription for reports.
    fn wanted(
        &self,
        now: Now,
        source: &Source,
        name: &HostName,
        is_settled: bool,
    ) -> (Vec<usize>, ListDigest) {
        let all = &self.settings.subscriptions;
        let is_for = |s: &Subscription| {
            s.expires.is_none_or(|at| now.wall < at)
                && (is_settled || !s.is_for_reports())
                && source.refusal_among(s, all).is_none()
        };
        let identity = name.identity.as_deref().unwrap_or_default();
        let mut list = ListDigest::of(&[identity, &name.machine]);
        let mut wanted = Vec::new();
        let versions = self.versions.iter();
        for (place, (subscription, version)) in all.iter().zip(versions).enumerate() {
            if is_for(subscription) {
                list.add(version.as_bytes());
                wanted.push(place);
            }
        }
        (wanted, list)
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

/// An enumeration and its position.
pub(super) struct Walk {
    /// The subscriptions for this source, by index in the settings.
    pub(super) wanted: Vec<usize>,
    pub(super) position: usize,
    pub(super) enumeration: u64,
    list: ListDigest,
}

impl Walk {
    /// Where it continues; `None` at the end.
    pub(super) fn context(&self, now: Now) -> Option<Context> {
        let position = u32::try_from(self.position).unwrap_or(u32::MAX);
        let is_all = self.position >= self.wanted.len();
        let context = || Context::new(self.enumeration, position, seconds(now), &self.list);
        (!is_all).then(context)
    }
}
