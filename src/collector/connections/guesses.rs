//! How often passwords may be guessed: a number of failures per minute for one account from one
//! address, for one address, for one account, and in total. An account that is held back stays open
//! for addresses that have authenticated as it before, so nobody can lock out hosts by guessing
//! from elsewhere.
//!
//! A question that a domain has not answered yet counts as a failure, and further ones wait
//! for it. Nothing is forgotten within the minute to make room, so a flood cannot reset
//! what is known about a guesser; instead the total number of failures is limited.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::ConnId;
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;

/// The period for which failures are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// Maximum for one address, and for one account from one address; a misconfigured host
/// fails less often.
const OF_ADDRESS: u32 = 10;
/// Maximum for one account from all addresses that have not authenticated as it; several
/// hosts may share an account and be misconfigured together.
const OF_ACCOUNT: u32 = 30;
/// Maximum in total. It stops guessers with many addresses, and limits memory.
const OF_ALL: u32 = 10_000;
/// Maximum number of remembered authentications (account and address).
const PROVEN: usize = 100_000;
/// Number of characters of an account's name that are compared; a name may be as long as a
/// token.
const NAME: usize = 256;

/// An attempt at an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Guess {
    account: Rc<str>,
    address: IpAddr,
}

impl Guess {
    /// `address` is reduced as by [`super::neighbourhood`]. The domain is omitted, because
    /// a guesser could use another one each time.
    pub(super) fn new(account: &str, address: IpAddr) -> Self {
        let user = account.rsplit('\\').next().unwrap_or_default();
        let user = user.split('@').next().unwrap_or_default();
        let user: String = user.trim().to_lowercase().chars().take(NAME).collect();
        Self {
            account: user.into(),
            address,
        }
    }
}

/// Whether an attempt may proceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    Granted,
    /// Not before some of the pending ones are answered.
    Waiting,
    /// Not before the minute is over.
    Held,
}

/// Failure counts by account, by address, by both, and in total.
#[derive(Debug, Default)]
struct Counts {
    pairs: HashMap<Guess, u32>,
    addresses: HashMap<IpAddr, u32>,
    accounts: HashMap<Rc<str>, u32>,
    all: u32,
}

impl Counts {
    fn add(&mut self, guess: &Guess) {
        *self.pairs.entry(guess.clone()).or_default() += 1;
        *self.addresses.entry(guess.address).or_default() += 1;
        *self.accounts.entry(Rc::clone(&guess.account)).or_default() += 1;
        self.all += 1;
    }

    fn take(&mut self, guess: &Guess) {
        take(&mut self.pairs, guess);
        take(&mut self.addresses, &guess.address);
        take(&mut self.accounts, &guess.account);
        self.all = self.all.saturating_sub(1);
    }

    /// For each count that applies to this attempt: its value and its limit.
    fn against(&self, guess: &Guess, is_proven: bool) -> [(u32, u32); 4] {
        let pair = self.pairs.get(guess).copied().unwrap_or(0);
        if is_proven {
            return [(pair, OF_ADDRESS), (0, 1), (0, 1), (0, 1)];
        }
        let address = self.addresses.get(&guess.address).copied();
        let account = self.accounts.get(&guess.account).copied();
        [
            (pair, OF_ADDRESS),
            (address.unwrap_or(0), OF_ADDRESS),
            (account.unwrap_or(0), OF_ACCOUNT),
            (self.all, OF_ALL),
        ]
    }
}

fn take<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Recent failures, pending questions, and addresses that have authenticated.
#[derive(Debug)]
pub(super) struct Guesses {
    since: Instant,
    failed: Counts,
    asking: Counts,
    /// Attempts of connections that wait for a domain's answer, including closed ones.
    asked: QuickMap<ConnId, Guess>,
    /// Attempts that may not be asked about yet, oldest first.
    waiting: BTreeMap<ConnId, Guess>,
    proven: Proven,
}

impl Guesses {
    pub(super) fn new(now: Now) -> Self {
        Self {
            since: now.monotonic,
            failed: Counts::default(),
            asking: Counts::default(),
            asked: QuickMap::default(),
            waiting: BTreeMap::new(),
            proven: Proven::new(PROVEN),
        }
    }

    /// Whether attempts like this are answered without verification for the rest of the
    /// minute.
    pub(super) fn is_held(&self, guess: &Guess) -> bool {
        let counts = self.failed.against(guess, self.proven.has(guess));
        counts.iter().any(|(count, limit)| count >= limit)
    }

    fn leave(&self, guess: &Guess) -> Leave {
        if self.is_held(guess) {
            return Leave::Held;
        }
        let is_proven = self.proven.has(guess);
        let failed = self.failed.against(guess, is_proven);
        let asking = self.asking.against(guess, is_proven);
        let mut both = failed.iter().zip(asking);
        if both.any(|((failed, limit), (asking, _))| failed + asking >= *limit) {
            Leave::Waiting
        } else {
            Leave::Granted
        }
    }

    /// Whether the account of a connection may be verified now. If it has to wait,
    /// [`Guesses::next`] returns it later.
    pub(super) fn ask(&mut self, id: ConnId, guess: Guess) -> Leave {
        let leave = self.leave(&guess);
        match leave {
            Leave::Granted => self.begin(id, guess),
            Leave::Waiting => {
                self.waiting.insert(id, guess);
            }
            Leave::Held => {}
        }
        leave
    }

    fn begin(&mut self, id: ConnId, guess: Guess) {
        self.asking.add(&guess);
        self.asked.insert(id, guess);
    }

    /// The domain has answered; returns the attempt that it was about.
    pub(super) fn answered(&mut self, id: ConnId) -> Option<Guess> {
        let guess = self.asked.remove(&id)?;
        self.asking.take(&guess);
        Some(guess)
    }

    /// A connection that need not wait any longer.
    pub(super) fn next(&mut self) -> Option<(ConnId, Leave)> {
        let mut waiting = self.waiting.iter();
        let (id, leave) = waiting.find_map(|(id, guess)| match self.leave(guess) {
            Leave::Waiting => None,
            leave => Some((*id, leave)),
        })?;
        if let Some(guess) = self.waiting.remove(&id)
            && leave == Leave::Granted
        {
            self.begin(id, guess);
        }
        Some((id, leave))
    }

    /// A connection has closed, so it need not be asked about.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.waiting.remove(&id);
    }

    pub(super) fn fail(&mut self, guess: &Guess) {
        // Failures of addresses that have authenticated are limited by their number.
        if self.failed.all < OF_ALL || self.proven.has(guess) {
            self.failed.add(guess);
        }
    }

    pub(super) fn prove(&mut self, guess: Guess) {
        self.proven.add(guess);
    }

    /// Starts a new minute when the last one is over.
    pub(super) fn sweep(&mut self, now: Now) {
        if now.monotonic >= self.since + MINUTE {
            self.failed = Counts::default();
            self.since = now.monotonic;
        }
    }
}

/// Which addresses have authenticated as which account. When it is full, the account with
/// the most addresses loses its oldest one, so one account cannot displace others.
#[derive(Debug)]
struct Proven {
    most: usize,
    count: usize,
    accounts: HashMap<Rc<str>, VecDeque<IpAddr>>,
    pairs: HashSet<Guess>,
}

impl Proven {
    fn new(most: usize) -> Self {
        Self {
            most,
            count: 0,
            accounts: HashMap::new(),
            pairs: HashSet::new(),
        }
    }

    fn has(&self, guess: &Guess) -> bool {
        self.pairs.contains(guess)
    }

    fn add(&mut self, guess: Guess) {
        if self.has(&guess) {
            return;
        }
        if self.count == self.most {
            self.make_room();
        }
        let account = Rc::clone(&guess.account);
        let addresses = self.accounts.entry(account).or_default();
        addresses.push_back(guess.address);
        self.pairs.insert(guess);
        self.count += 1;
    }

    fn make_room(&mut self) {
        let mut accounts = self.accounts.iter();
        let widest = accounts.next().map(|first| {
            accounts.fold(first, |widest, account| {
                if account.1.len() > widest.1.len() {
                    account
                } else {
                    widest
                }
            })
        });
        let Some(account) = widest.map(|(account, _)| Rc::clone(account)) else {
            return;
        };
        if let Some(addresses) = self.accounts.get_mut(&account)
            && let Some(address) = addresses.pop_front()
        {
            if addresses.is_empty() {
                self.accounts.remove(&account);
            }
            self.pairs.remove(&Guess { account, address });
            self.count -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
