//! What the loop runs with, and what ends it.

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
    /// A system call that nothing works without.
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// Standard output has no reader any more.
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

/// What a reload brings.
pub struct Reloaded {
    /// What the collector is told to do from now on.
    pub settings: Settings,
    /// What handshakes are done with from now on.
    pub tls: Option<tls::Acceptor>,
    /// What outputs make themselves known by, an item for each.
    pub secrets: Vec<Secret>,
}

/// Reads the files anew, or says why the old ones stay.
pub type Reload = Box<dyn FnMut() -> Result<Reloaded, Box<dyn std::error::Error>>>;

/// What the loop runs with.
pub struct Setup {
    /// From [`catch_signals`](super::catch_signals).
    pub signals: Signals,
    /// Where sources come in.
    pub listeners: Vec<Listener>,
    /// Where events go.
    pub outputs: Vec<output::Settings>,
    /// Where those who watch come in.
    pub status: Option<std::net::TcpListener>,
    /// How each of them is secured, see [`tls::connectors`].
    pub connectors: Vec<Option<Connector>>,
    /// What they make themselves known by, an item for each.
    pub secrets: Vec<Secret>,
    /// What the collector is told to do.
    pub settings: Settings,
    /// What handshakes of https listeners are done with.
    pub tls: Option<tls::Acceptor>,
    /// Who is asked about accounts of the domain.
    pub helper: Option<ntlm_helper::Settings>,
    /// Where bookmarks are kept.
    pub store: Opened,
    /// What is logged, if it goes to the outputs too, and who says it.
    pub own: Option<(OwnLog, Sender)>,
    /// What SIGHUP does.
    pub reload: Reload,
    /// How long balancers have to notice that the relay ends.
    pub drain_delay: Duration,
}
