//! How many bookmarks one sender may leave behind.
//!
//! A name (MachineID) is only a claim. Without a limit, one client could invent names until
//! the disk is full. So the bookmarks of each identity, of each network of sources without
//! identity, and of all together are counted. Existing rows are always updated. At a limit
//! only new rows are not stored, which costs their hosts repeats or a later start.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::bookmark::Key;

/// The owner that a bookmark is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An identity, as returned by [`Key::identity`].
    Identity(String),
    /// The network of a source without identity: an IPv4 address or an IPv6 /64. `None` if
    /// it was stored by a version that did not record it.
    Network(Option<IpAddr>),
}

impl Owner {
    /// The owner of the bookmark of `key` that comes from `address`.
    #[must_use]
    pub fn of(key: &Key, address: IpAddr) -> Self {
        match key.identity() {
            Some(identity) => Self::Identity(identity.to_owned()),
            None => Self::Network(Some(network(address))),
        }
    }
}

/// The network of an address. Whoever has one address of an IPv6 /64 has all of them.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// Number and size of bookmarks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of bookmarks.
    pub rows: u64,
    /// Size in bytes of the lists for sources; the database stores up to three such texts.
    pub bytes: u64,
}

impl Usage {
    fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.bytes += more.bytes;
    }

    fn fits(self, bound: Self) -> bool {
        self.rows <= bound.rows && self.bytes <= bound.bytes
    }
}

/// Maximum for one identity. One account may serve a whole site, with several subscriptions
/// for each host; usual lists have some hundred bytes.
pub const OF_IDENTITY: Usage = Usage {
    rows: 100_000,
    bytes: 64 << 20,
};
/// Maximum for one network without identity. Behind a NAT or a balancer it may be a whole
/// site, but nothing proves that its names are hosts.
pub const OF_NETWORK: Usage = Usage {
    rows: 20_000,
    bytes: 8 << 20,
};
/// Maximum number of names from one network, since the start, whose batches contain neither
/// an event nor event 111. Windows sends no such batches.
pub const WITHOUT_EVENTS: u64 = 100;
/// Maximum in total: [`crate::hosts::MOST_HOSTS`] with five subscriptions each.
pub const OF_ALL: Usage = Usage {
    rows: 1_000_000,
    bytes: 512 << 20,
};

/// Counts what is stored, by owner.
#[derive(Clone, Debug, Default)]
pub struct Room {
    owners: HashMap<Owner, Usage>,
    all: Usage,
    without_events: HashMap<Owner, u64>,
    refused: u64,
}

impl Room {
    /// From what the store has counted.
    #[must_use]
    pub fn new(stored: Vec<(Owner, Usage)>) -> Self {
        let mut room = Self::default();
        for (owner, usage) in stored {
            room.note(owner, usage);
        }
        room
    }

    /// Whether an owner may store this much more. Rows of older versions, which have no
    /// owner, count only for the total.
    #[must_use]
    pub fn has(&self, owner: &Owner, more: Usage) -> bool {
        let bound = match owner {
            Owner::Identity(_) => OF_IDENTITY,
            Owner::Network(Some(_)) => OF_NETWORK,
            Owner::Network(None) => OF_ALL,
        };
        let mut own = self.owners.get(owner).copied().unwrap_or_default();
        let mut all = self.all;
        own.add(more);
        all.add(more);
        own.fits(bound) && all.fits(OF_ALL)
    }

    /// Whether an owner may store another name's bookmark that comes without an event;
    /// counts it.
    pub fn takes_without_events(&mut self, owner: &Owner) -> bool {
        if matches!(owner, Owner::Identity(_)) {
            return true;
        }
        let count = self.without_events.entry(owner.clone()).or_default();
        *count += 1;
        *count <= WITHOUT_EVENTS
    }

    /// Counts what has been stored.
    pub fn note(&mut self, owner: Owner, more: Usage) {
        self.owners.entry(owner).or_default().add(more);
        self.all.add(more);
    }

    /// Counts what has not been stored. Returns whether to log it: the first time, and then
    /// less and less often.
    pub fn note_refused(&mut self) -> bool {
        self.refused += 1;
        self.refused.is_power_of_two()
    }

    /// What is stored in total.
    #[must_use]
    pub fn all(&self) -> Usage {
        self.all
    }

    /// Number of bookmarks that were not stored.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
