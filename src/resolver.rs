//! The one thread beside the event loop: it resolves host names, which has no
//! non-blocking form, and wakes the loop when it has an answer.

use mio::Waker;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

/// A question: who asks, the host name, the port.
type Question = (usize, String, u16);
/// An answer: who asked, the addresses in order of preference.
pub type Answer = (usize, io::Result<Vec<SocketAddr>>);

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
                let found = (host.as_str(), port)
                    .to_socket_addrs()
                    .map(Iterator::collect);
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
