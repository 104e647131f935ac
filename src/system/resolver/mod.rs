//! Name resolution, which has no non-blocking form: threads beside the event loop look up
//! addresses, and wake the loop when they have an answer. Each asker has its own thread, so
//! that a slow name server delays only that output.
//!
//! The system's resolver is used, with everything that is configured for it. A static glibc
//! would load the system's name service modules, and with them a second C library that may
//! not fit; there, `/etc/hosts` and the name servers of `/etc/resolv.conf` are used.

mod hosts;
mod message;
mod stub;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use mio::Waker;

pub use stub::Stub;

/// A question: host name and port.
type Question = (String, u16);
/// An answer: the asker, and the addresses in order of preference.
pub type Answer = (usize, io::Result<Vec<SocketAddr>>);

/// Why a name has no addresses.
#[derive(Debug)]
pub enum Error {
    /// Longer than DNS allows, or with an empty label.
    BadName,
    /// The name does not exist.
    Unknown,
    /// The name exists, but has no address.
    NoAddress,
    /// No name server answered; the last one, and its error.
    NoAnswer(SocketAddr, io::Error),
    /// The name servers failed or refused.
    Refused(SocketAddr, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => f.write_str("not a host name"),
            Self::Unknown => f.write_str("the name is neither in /etc/hosts nor in DNS"),
            Self::NoAddress => f.write_str("the name is in DNS, but has no address"),
            Self::NoAnswer(server, error) => write!(
                f,
                "no name server of /etc/resolv.conf answers; the last, {server}: {error}"
            ),
            Self::Refused(server, code) => write!(f, "name server {server} answers {code}"),
        }
    }
}

impl std::error::Error for Error {}

/// The addresses of a host, in order of preference. Blocks.
///
/// # Errors
/// The name is unknown, or no name server answers.
pub fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if !cfg!(target_feature = "crt-static") {
        return (host, port).to_socket_addrs().map(Iterator::collect);
    }
    let found = stub::lookup(host).map_err(io::Error::other)?;
    let found = found.into_iter().map(|ip| SocketAddr::new(ip, port));
    Ok(stub::reachable_first(found.collect()))
}

/// The same, waiting at most `time`.
///
/// # Errors
/// As for [`lookup`], or no answer in time.
pub fn lookup_within(host: &str, port: u16, time: Duration) -> io::Result<Vec<SocketAddr>> {
    let (answering, answer) = mpsc::channel();
    let name = host.to_owned();
    let work = move || drop(answering.send(lookup(&name, port)));
    thread::Builder::new().name("resolver".into()).spawn(work)?;
    let late = |_| {
        let text = format!("no answer from the name server within {} s", time.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    };
    answer.recv_timeout(time).unwrap_or_else(late)
}

/// The addresses of `HOST:PORT`, like [`lookup`].
///
/// # Errors
/// As for [`lookup`], or a missing port.
pub fn lookup_place(place: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = place.parse() {
        return Ok(vec![address]);
    }
    let parts = place.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    lookup(host, port)
}

/// The function that looks up a name; replaced in tests.
type Lookup = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

/// Resolves names, each asker's in its own thread.
#[derive(Debug)]
pub struct Resolver {
    lookup: Lookup,
    waker: Arc<Waker>,
    /// The threads by asker. They end when this is dropped.
    threads: HashMap<usize, Sender<Question>>,
    answering: Sender<Answer>,
    answers: Receiver<Answer>,
}

impl Resolver {
    /// Wakes the loop through `waker` for each answer.
    #[must_use]
    pub fn new(waker: Arc<Waker>) -> Self {
        Self::with(waker, lookup)
    }

    fn with(waker: Arc<Waker>, lookup: Lookup) -> Self {
        let (answering, answers) = mpsc::channel();
        Self {
            lookup,
            waker,
            threads: HashMap::new(),
            answering,
            answers,
        }
    }

    /// Looks up a host; [`Resolver::poll_answer`] returns the answer after a wake-up. Each
    /// question gets exactly one answer, however late.
    pub fn ask(&mut self, who: usize, host: &str, port: u16) {
        let question = (host.to_owned(), port);
        if let Some(thread) = self.threads.get(&who)
            && thread.send(question.clone()).is_ok()
        {
            return;
        }
        match self.start(who) {
            Ok(thread) => {
                // The thread has just been started and is listening.
                let _ = thread.send(question);
                self.threads.insert(who, thread);
            }
            Err(error) => {
                let _ = self.answering.send((who, Err(error)));
                let _ = self.waker.wake();
            }
        }
    }

    fn start(&self, who: usize) -> io::Result<Sender<Question>> {
        let (questions, asked) = mpsc::channel::<Question>();
        let (lookup, waker, answering) =
            (self.lookup, Arc::clone(&self.waker), self.answering.clone());
        let work = move || {
            for (host, port) in asked {
                let found = lookup(&host, port);
                if answering.send((who, found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("resolver".into()).spawn(work)?;
        Ok(questions)
    }

    /// The next answer, if there is one.
    #[must_use]
    pub fn poll_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}
