//! Host names: the one thread beside the event loop, which asks for their addresses,
//! since that has no non-blocking form, and wakes the loop when it has an answer.
//!
//! The system's resolver is asked, so that all it is set up for counts. A static glibc
//! would load the system's name service modules, and a second C library with them, which
//! need not fit; there `/etc/hosts` and the name servers of `/etc/resolv.conf` are asked.

mod hosts;
mod message;
mod stub;

#[cfg(test)]
mod tests;

pub use stub::Stub;

use mio::Waker;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// A question: who asks, the host name, the port.
type Question = (usize, String, u16);
/// An answer: who asked, the addresses in order of preference.
pub type Answer = (usize, io::Result<Vec<SocketAddr>>);

/// Why a name has no addresses.
#[derive(Debug)]
pub enum Error {
    /// Longer than DNS allows, or an empty label.
    BadName,
    /// All that was asked for does not exist.
    Unknown,
    /// It exists, but not with an address.
    NoAddress,
    /// No name server gave an answer; what the last one did.
    NoAnswer(SocketAddr, io::Error),
    /// The name servers cannot, or will not, tell.
    Refused(SocketAddr, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadName => f.write_str("not a host name"),
            Self::Unknown => f.write_str("neither /etc/hosts nor DNS know the name"),
            Self::NoAddress => f.write_str("DNS knows the name, but no address of it"),
            Self::NoAnswer(server, error) => write!(
                f,
                "no name server of /etc/resolv.conf answers; the last, {server}: {error}"
            ),
            Self::Refused(server, code) => write!(f, "name server {server} says {code}"),
        }
    }
}

impl std::error::Error for Error {}

/// The addresses of a host, in order of preference. Blocks.
///
/// # Errors
/// A name that is not known, or that nobody can be asked for.
pub fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if !cfg!(target_feature = "crt-static") {
        return (host, port).to_socket_addrs().map(Iterator::collect);
    }
    let found = stub::lookup(host).map_err(io::Error::other)?;
    let found = found.into_iter().map(|ip| SocketAddr::new(ip, port));
    Ok(stub::reachable_first(found.collect()))
}

/// The addresses of `HOST:PORT`, as [`lookup`] finds them.
///
/// # Errors
/// As [`lookup`], and where there is no port.
pub fn lookup_place(place: &str) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = place.parse() {
        return Ok(vec![address]);
    }
    let parts = place.rsplit_once(':');
    let parts = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or(io::ErrorKind::InvalidInput)?;
    lookup(host, port)
}

/// Resolves names in a thread of its own.
#[derive(Debug)]
pub struct Resolver {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
}

impl Resolver {
    /// Starts the thread; it ends with the resolver.
    pub fn start(waker: Arc<Waker>) -> io::Result<Self> {
        let (questions, asked) = mpsc::channel::<Question>();
        let (answering, answers) = mpsc::channel();
        let work = move || {
            for (who, host, port) in asked {
                let found = lookup(&host, port);
                if answering.send((who, found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("resolver".into()).spawn(work)?;
        Ok(Self { questions, answers })
    }

    /// Asks for the addresses of a host; [`Resolver::poll_answer`] has them after a wake-up.
    pub fn ask(&self, who: usize, host: &str, port: u16) {
        // Fails only when the thread has ended, which it does not before us.
        let _ = self.questions.send((who, host.to_owned(), port));
    }

    /// The next answer that has come.
    #[must_use]
    pub fn poll_answer(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}
