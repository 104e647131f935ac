//! What systemd gives and wants: sockets that it has bound, and word of how we are
//! (sd_listen_fds(3), sd_notify(3)). Without systemd all of it does nothing.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::base::clock::Now;

/// A socket that was bound for us.
#[derive(Debug)]
pub struct Inherited {
    /// Its `FileDescriptorName=`; else the name of its unit.
    pub name: String,
    /// What it is bound to.
    pub address: SocketAddr,
    /// The socket.
    pub listener: TcpListener,
}

/// A socket that was handed to us and is of no use.
#[derive(Debug)]
pub struct Error {
    name: String,
    cause: io::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(
            f,
            "socket {name:?} from systemd: {}: it must be a listening TCP socket (ListenStream= \
             with a port)",
            self.cause
        )
    }
}

impl std::error::Error for Error {}

/// The sockets that systemd has bound for us, in the order of its unit.
///
/// # Errors
/// One that is no listening TCP socket.
pub fn sockets() -> Result<Vec<Inherited>, Error> {
    let names: Vec<_> = match sd_notify::listen_fds_with_names() {
        Ok(sockets) => sockets.map(|(_, name)| name).collect(),
        // Without names there are none to be named; how many is what listenfd knows.
        Err(_) => Vec::new(),
    };
    let mut passed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::new();
    for index in 0..passed.len() {
        let name = names.get(index).cloned().unwrap_or_default();
        let wrong = |cause| Error {
            name: name.clone(),
            cause,
        };
        if let Some(listener) = passed.take_tcp_listener(index).map_err(wrong)? {
            listener.set_nonblocking(true).map_err(wrong)?;
            sockets.push(Inherited {
                address: listener.local_addr().map_err(wrong)?,
                listener,
                name,
            });
        }
    }
    Ok(sockets)
}

/// Tells systemd how we are, and often enough that we are.
#[derive(Debug)]
pub struct Notifier {
    /// How often we say that we are alive: twice within `WatchdogSec=`.
    every: Option<Duration>,
    due: Instant,
}

impl Notifier {
    /// From the environment.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Self {
            every: sd_notify::watchdog_enabled().map(|limit| limit / 2),
            due: now.monotonic,
        }
    }

    /// All is open: units that wait for us may start.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready, NotifyState::Status("collecting")]);
    }

    /// Files are being read anew; [`Notifier::ready`] ends it.
    pub fn reloading(&self) {
        // `Type=notify-reload` wants to know when.
        match NotifyState::monotonic_usec_now() {
            Ok(when) => notify(&[NotifyState::Reloading, when]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// The end has begun, and takes at most so long, whatever `TimeoutStopSec=` says.
    pub fn stopping(&self, longest: Duration) {
        let longest = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
        notify(&[
            NotifyState::Stopping,
            NotifyState::ExtendTimeoutUsec(longest),
            NotifyState::Status("finishing batches in flight"),
        ]);
    }

    /// When [`Notifier::alive`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.every.map(|_| self.due)
    }

    /// The loop turns; said when it is due.
    pub fn alive(&mut self, now: Now) {
        if let Some(every) = self.every
            && now.monotonic >= self.due
        {
            self.due = now.monotonic + every;
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Nobody to tell is the usual case; a manager that is gone cannot be told.
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd could not be notified: {error}");
    }
}
