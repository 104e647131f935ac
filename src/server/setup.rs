//! What the loop needs to start, and the errors that end it.

use std::fmt;
use std::io;
use std::time::Duration;

use signal_hook_mio::v1_0::Signals;

use super::{Listener, Opened};
use crate::auth::ntlm_helper;
use crate::collector::Settings;
use crate::output::own_log::OwnLog;
use crate::output::{self, Secret};
use crate::syslog::Sender;
use crate::tls::{self, Connector};

/// Why the loop ended other than by a signal.
#[derive(Debug)]
pub enum Error {
    /// A system call failed that the loop cannot work without.
    System {
        /// The subject of the call, such as `poll`.
        what: &'static str,
        /// The system's error.
        cause: io::Error,
    },
    /// The reader of standard output has closed it.
    StdoutClosed,
}

impl Error {
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { what, cause } => write!(f, "{what}: {cause}"),
            Self::StdoutClosed => write!(f, "standard output was closed by its reader"),
        }
    }
}

impl std::error::Error for Error {}

/// The result of a reload.
pub struct Reloaded {
    /// The collector's new settings.
    pub settings: Settings,
    /// Keys and certificates for new handshakes; `None` without https listeners.
    pub tls: Option<tls::Acceptor>,
    /// The outputs' secrets, such as passwords: one item per output, in order.
    pub secrets: Vec<Secret>,
}

/// Reads the files again; an error means that nothing changes.
pub type Reload = Box<dyn FnMut() -> Result<Reloaded, Box<dyn std::error::Error>>>;

/// What the loop needs to start.
pub struct Setup {
    /// From [`catch_signals`](super::catch_signals).
    pub signals: Signals,
    /// The listeners for hosts.
    pub listeners: Vec<Listener>,
    /// The outputs, in the order of [`OutputId`](crate::collector::OutputId).
    pub outputs: Vec<output::Settings>,
    /// The listener for monitoring; `None` without `--metrics`.
    pub status: Option<std::net::TcpListener>,
    /// How each output is secured, in order; see [`tls::connectors`].
    pub connectors: Vec<Option<Connector>>,
    /// The outputs' secrets, such as passwords: one item per output, in order.
    pub secrets: Vec<Secret>,
    /// The collector's settings.
    pub settings: Settings,
    /// Keys and certificates for handshakes; `None` without https listeners.
    pub tls: Option<tls::Acceptor>,
    /// The processes that check accounts of the domain; `None` without `--ntlm-helper`.
    pub helper: Option<ntlm_helper::Settings>,
    /// The store of bookmarks and hosts.
    pub store: Opened,
    /// The relay's own log and its sender; `None` if outputs do not get the log.
    pub own: Option<(OwnLog, Sender)>,
    /// Called after SIGHUP.
    pub reload: Reload,
    /// How long to continue after SIGTERM so that load balancers notice the end; see
    /// `--drain-delay`.
    pub drain_delay: Duration,
}
