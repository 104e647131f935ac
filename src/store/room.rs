//! How many bookmarks one sender may leave behind.
//!
//! A name (MachineID) is only claimed. Without a bound, one client could invent names until
//! the disk is full. So the bookmarks of each identity, and of each network of sources
//! without one, are counted, and those of all together. What is there is always updated: at a
//! bound only what is new is not stored, which costs its host repeats or a later beginning.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use crate::bookmark::Key;

/// Who answers for a bookmark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An identity, as in [`Key::identity`].
    Identity(String),
    /// The network of a source without identity: an IPv4 address or an IPv6 /64. `None`: it
    /// was stored by a version that did not tell.
    Network(Option<IpAddr>),
}

impl Owner {
    /// Who answers for the bookmark of `key` that comes from `address`.
    #[must_use]
    pub fn of(key: &Key, address: IpAddr) -> Self {
        match key.identity() {
            Some(identity) => Self::Identity(identity.to_owned()),
            None => Self::Network(Some(network(address))),
        }
    }
}

/// The network of an address: who has one address of an IPv6 /64 has them all.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

/// Bookmarks, and the bytes of their lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many bookmarks.
    pub rows: u64,
    /// Bytes of the lists that are handed out; the database keeps up to three such texts.
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

/// Bookmarks of one identity. One account may serve a whole site, with several subscriptions
/// of each host; usual lists have some hundred bytes.
pub const OF_IDENTITY: Usage = Usage {
    rows: 100_000,
    bytes: 64 << 20,
};
/// Bookmarks of one network without identity: behind a NAT or a balancer it may be a site,
/// but nobody has proved that its names are hosts.
pub const OF_NETWORK: Usage = Usage {
    rows: 20_000,
    bytes: 8 << 20,
};
/// Bookmarks of names that one network brought since the start with neither an event nor event
/// 111. Windows sends no such batch.
pub const WITHOUT_EVENTS: u64 = 100;
/// All bookmarks: [`crate::hosts::MOST_HOSTS`] with five subscriptions each.
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
    /// Takes what the store holds.
    #[must_use]
    pub fn new(stored: Vec<(Owner, Usage)>) -> Self {
        let mut room = Self::default();
        for (owner, usage) in stored {
            room.note(owner, usage);
        }
        room
    }

    /// Whether an owner may store that much more. Nobody answers for what older versions
    /// have stored but all together.
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

    /// Whether an owner may store the bookmark of one more name that comes without an event;
    /// counts it.
    pub fn takes_without_events(&mut self, owner: &Owner) -> bool {
        if matches!(owner, Owner::Identity(_)) {
            return true;
        }
        let count = self.without_events.entry(owner.clone()).or_default();
        *count += 1;
        *count <= WITHOUT_EVENTS
    }

    /// That much was stored.
    pub fn note(&mut self, owner: Owner, more: Usage) {
        self.owners.entry(owner).or_default().add(more);
        self.all.add(more);
    }

    /// Something was not stored. Answers whether an administrator should hear of it: the
    /// first time, and then ever more seldom.
    pub fn note_refused(&mut self) -> bool {
        self.refused += 1;
        self.refused.is_power_of_two()
    }

    /// All that is stored.
    #[must_use]
    pub fn all(&self) -> Usage {
        self.all
    }

    /// How often something was not stored.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
