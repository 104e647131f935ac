//! The inputs and outputs of the collector.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::computer::ComputerRule;
use super::principals::PrincipalRule;
use crate::auth::{Secured, Verdict};
use crate::connection::{RefusalKind, Rules};
use crate::output::Task;
use crate::output::kafka::{BrokerId, Event};
use crate::protocol::wsman::Subscription;
use crate::syslog::Mapping;

/// Identifies a source's connection; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Identifies an output: its index in the list given at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub usize);

/// The configuration of the collector; replaced as a whole on reload.
#[derive(Debug)]
pub struct Settings {
    /// Authentication policy and limits.
    pub rules: Rules,
    /// Load balancers whose connections start with a PROXY header.
    pub balancers: Vec<IpNet>,
    /// The subscriptions to offer.
    pub subscriptions: Vec<Subscription>,
    /// How events become syslog messages.
    pub mapping: Mapping,
    /// The host name under which sources reach the relay; `None` repeats the name that they
    /// used.
    pub hostname: Option<String>,
    /// Whether Computer must be the authenticated host; `None` disables the check.
    pub computers: Option<ComputerRule>,
    /// Which Kerberos principals besides machines are admitted.
    pub principals: PrincipalRule,
    /// How long after a host's last sign of life, counted while relays were running, the host and
    /// its bookmarks are deleted; `None` for never.
    pub forget_after: Option<Duration>,
}

/// An event for the collector.
#[derive(Debug)]
pub enum Input<'a> {
    /// A source has connected from this address.
    Accepted(ConnId, IpAddr),
    /// A load balancer has stated the origin of its connection; `None` if it did not name one.
    Proxied(ConnId, Option<IpAddr>),
    /// A source has completed its TLS handshake.
    Secured(ConnId, &'a Secured),
    /// A source's TLS handshake or PROXY header failed, for this reason. After a failed handshake
    /// the connection is still open, so that the alert arrives; otherwise it is closed.
    Refused(ConnId, RefusalKind, &'a str),
    /// Bytes from a source.
    Received(ConnId, &'a [u8]),
    /// This many bytes of [`super::Collector::outgoing`] have been written.
    Sent(ConnId, usize),
    /// A source's connection is closed.
    Ended(ConnId),
    /// The domain's answer to [`super::Collector::question`].
    Judged(ConnId, &'a Verdict),
    /// The addresses for an output's host name, or why there are none.
    Resolved(OutputId, Result<&'a [SocketAddr], &'a str>),
    /// An output's receiver has accepted the TCP connection; the TLS handshake starts.
    Reached(OutputId),
    /// An output is open.
    Opened(OutputId),
    /// An output could not be opened, or its connection has ended; the reason.
    Failed(OutputId, &'a str),
    /// Bytes from an output's receiver.
    Replied(OutputId, &'a [u8]),
    /// This many bytes of what the output's link offered have been written.
    Written(OutputId, usize),
    /// This many written bytes have not been acknowledged by the TCP of the output's peer; 0 for a
    /// file that has been synced to disk.
    Measured(OutputId, usize),
    /// An event on an output's connection to a broker.
    Broker(OutputId, BrokerId, Event<'a>),
    /// The output's refused messages have been written to its file, or why not.
    Filed(OutputId, Option<&'a str>),
    /// Time has passed; a deadline may be due.
    Timeout,
}

/// A task for the event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write [`super::Collector::outgoing`] to this source.
    Send(ConnId),
    /// Shut down the sending side; keep reading until the peer closes.
    Shutdown(ConnId),
    /// Close the connection; the collector has forgotten it.
    Close(ConnId),
    /// Ask the domain [`super::Collector::question`] about this source, and return exactly
    /// one [`Input::Judged`].
    Ask(ConnId),
    /// A task for an output.
    Link(OutputId, Task),
    /// A task for an output's connection to a broker.
    Broker(OutputId, BrokerId, Task),
}
