//! The interface to systemd: sockets that it has bound, and notifications about the relay's
//! state (sd_listen_fds(3), sd_notify(3)). Without systemd all of it does nothing.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::base::clock::Now;

/// A socket bound by systemd.
#[derive(Debug)]
pub struct Inherited {
    /// Its `FileDescriptorName=`, or else the name of its unit.
    pub name: String,
    /// The address that it is bound to.
    pub address: SocketAddr,
    /// The socket.
    pub listener: TcpListener,
}

/// A socket passed by systemd that cannot be used.
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

/// The sockets bound by systemd, in the order of its unit.
///
/// # Errors
/// One that is not a listening TCP socket.
pub fn sockets() -> Result<Vec<Inherited>, Error> {
    let names: Vec<_> = match sd_notify::listen_fds_with_names() {
        Ok(sockets) => sockets.map(|(_, name)| name).collect(),
        // Without names none has one; listenfd knows their number.
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

/// Notifies systemd of state changes, and of being alive.
#[derive(Debug)]
pub struct Notifier {
    /// Interval of watchdog notifications: half of `WatchdogSec=`.
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

    /// Everything is open: units that wait for the relay may start.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready, NotifyState::Status("collecting")]);
    }

    /// Files are being reloaded; [`Notifier::ready`] ends this state.
    pub fn reloading(&self) {
        // Required by `Type=notify-reload`.
        match NotifyState::monotonic_usec_now() {
            Ok(when) => notify(&[NotifyState::Reloading, when]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// The relay is stopping, which takes at most this long, whatever `TimeoutStopSec=` is.
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

    /// The event loop is running; notifies systemd when that is due.
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
    // Without systemd nobody listens; a manager that is gone cannot be notified.
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd could not be notified: {error}");
    }
}
