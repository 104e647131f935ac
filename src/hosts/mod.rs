//! The hosts that are known: who, from where, by which method, what they send and since
//! when not; and who was refused. Sans-IO: the caller says what has happened and when, and
//! stores what has changed.
//!
//! A host is found by what was proved and what is claimed, as its bookmarks are, so that
//! nobody moves the record of another. All is bounded: a batch costs one look-up.

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

use std::net::IpAddr;
use std::rc::Rc;

use uuid::Uuid;

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

/// What a host is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Who it proved to be, in lower case; `None` for a null session.
    pub identity: Option<String>,
    /// What it calls itself, in lower case.
    pub machine: String,
}

impl Key {
    /// The key of a host by its names, which Windows compares without case.
    #[must_use]
    pub fn new(identity: Option<&str>, machine: &str) -> Self {
        Self {
            identity: identity.map(str::to_lowercase),
            machine: machine.trim().to_lowercase(),
        }
    }

    /// The key of a host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        Self::new(host.identity.as_deref(), &host.machine)
    }
}

/// Who sends a message: what it proved to be, what it calls itself, and how it came.
#[derive(Clone, Debug)]
pub struct HostName {
    /// Who it proved to be; `None` for a null session.
    pub identity: Option<String>,
    /// What it calls itself.
    pub machine: String,
    /// Where it comes from.
    pub address: IpAddr,
    /// How it was authenticated.
    pub method: &'static str,
    /// The SID of its account in a domain.
    pub sid: Option<String>,
    /// Names by which earlier versions knew it.
    pub former: Rc<[String]>,
}

impl HostName {
    /// What the host is found by.
    #[must_use]
    pub fn key(&self) -> Key {
        Key::new(self.identity.as_deref(), &self.machine)
    }
}

/// A subscription as far as the table needs it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The subscription.
    pub id: Uuid,
    /// Its name.
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
