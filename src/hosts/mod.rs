//! The known hosts: who, from where, by which method, what they send, and since when they
//! do not; and who was rejected. Sans-IO: the caller reports events with their times, and
//! stores what has changed.
//!
//! A host is identified by what it proved and what it claims, like its bookmarks, so that
//! nobody can alter the record of another host. Everything is bounded; a batch costs one
//! lookup.

mod cause;
mod explain;
mod fleet;
mod forgetting;
mod meeting;
mod merge;
mod record;
mod refusals;
mod registry;
mod reports;
mod running;
mod saved;
mod saving;
mod state;
mod subscribed;
mod table;
mod times;
mod unsaved;
mod watch;

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::rc::Rc;

use uuid::Uuid;

use crate::base::hashing::Carried;
use crate::protocol::wsman::Subscription;

pub use cause::cause;
pub use explain::Cause;
pub use fleet::{Fleet, Inquiry, Life, Met, Overview, Peer, gather};
pub use forgetting::Walked;
pub use record::{Clones, Ended, Followed, Gaps, Host, Refused, Reported};
pub use refusals::{MOST_REFUSALS, Refusal};
pub use registry::{Delivered, Registry};
pub use reports::{CHANNEL, Report};
pub use saved::{Changes, Pulse, Saved};
pub use state::{Moment, State};
pub use table::{MOST_HOSTS, Table};

/// What identifies a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    identity: Option<Box<str>>,
    machine: Box<str>,
    /// The hash of both.
    hash: Carried,
}

impl Key {
    /// The key of a host. Windows compares names ignoring case.
    #[must_use]
    pub fn new(identity: Option<&str>, machine: &str) -> Self {
        let identity = identity.map(str::to_lowercase);
        Self::stored(identity, machine.trim().to_lowercase())
    }

    /// The key with exactly these names, which are those of another key.
    #[must_use]
    pub fn stored(identity: Option<String>, machine: String) -> Self {
        let hash = Carried::of(&(&identity, &machine));
        Self {
            identity: identity.map(String::into_boxed_str),
            machine: machine.into_boxed_str(),
            hash,
        }
    }

    /// The proved identity, in lower case; `None` for a null session.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// The claimed name, in lower case.
    #[must_use]
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// The key of this host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self::new(host.identity.as_deref(), &host.machine)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// The sender of a message: what it proved, what it claims, and how it connected.
#[derive(Clone, Debug)]
pub struct HostName {
    /// The proved identity; `None` for a null session.
    pub identity: Option<String>,
    /// The claimed name.
    pub machine: String,
    /// The address that it connects from.
    pub address: IpAddr,
    /// The authentication method.
    pub method: &'static str,
    /// The SID of its domain account, if known.
    pub sid: Option<String>,
    /// Names under which earlier versions knew it.
    pub former: Rc<[String]>,
}

impl HostName {
    /// The key that identifies the host.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(self.identity.as_deref(), &self.machine)
    }
}

/// The parts of a subscription that the table needs.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its id, derived from its name.
    pub id: Uuid,
    /// Its name, for tables and logs.
    pub name: &'a str,
    /// Its heartbeat interval in seconds.
    pub heartbeat: u32,
}

impl<'a> From<&'a Subscription> for Asked<'a> {
    fn from(subscription: &'a Subscription) -> Self {
        Self {
            id: subscription.id(),
            name: &subscription.name,
            heartbeat: u32::try_from(subscription.heartbeat.as_secs()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
