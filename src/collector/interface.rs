//! What goes into the collector, and what comes out.

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

/// Names a source's connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Names an output: its index in the list given at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub usize);

/// What the collector is told to do; replaced as a whole on reload.
#[derive(Debug)]
pub struct Settings {
    /// Who may come in, and bounds.
    pub rules: Rules,
    /// The load balancers whose connections begin with a PROXY header.
    pub balancers: Vec<IpNet>,
    /// What sources are asked for.
    pub subscriptions: Vec<Subscription>,
    /// How events become syslog messages.
    pub mapping: Mapping,
    /// The host by which sources reach us; `None` takes what they used.
    pub hostname: Option<String>,
    /// Whether Computer must be the authenticated host; `None` compares nothing.
    pub computers: Option<ComputerRule>,
    /// Who comes with a Kerberos ticket beside machines.
    pub principals: PrincipalRule,
    /// Forget hosts and bookmarks that were not heard of while relays ran so long; `None`:
    /// never.
    pub forget_after: Option<Duration>,
}

/// What has happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A source has connected from that address.
    Accepted(ConnId, IpAddr),
    /// A load balancer has said where that connection of its comes from, if it knows.
    Proxied(ConnId, Option<IpAddr>),
    /// A source's TLS handshake is done.
    Secured(ConnId, &'a Secured),
    /// A source's TLS handshake failed, or its PROXY header; its connection is gone.
    Refused(ConnId, RefusalKind, &'a str),
    /// Bytes came from a source.
    Received(ConnId, &'a [u8]),
    /// That many bytes of [`super::Collector::outgoing`] were written.
    Sent(ConnId, usize),
    /// A source's connection is gone.
    Ended(ConnId),
    /// What the domain says to [`super::Collector::question`].
    Judged(ConnId, &'a Verdict),
    /// The addresses of an output's name, or why there are none.
    Resolved(OutputId, Result<&'a [SocketAddr], &'a str>),
    /// An output's receiver has accepted the connection, and TLS begins on it.
    Reached(OutputId),
    /// An output is open.
    Opened(OutputId),
    /// An output could not be opened, or has ended.
    Failed(OutputId, &'a str),
    /// Bytes came from an output's receiver.
    Replied(OutputId, &'a [u8]),
    /// That many bytes of what the output's link offered were written.
    Written(OutputId, usize),
    /// The output's peer has yet to acknowledge that many of the written bytes.
    Measured(OutputId, usize),
    /// Something has happened on an output's connection to a broker.
    Broker(OutputId, BrokerId, Event<'a>),
    /// What the output's link wanted in its file of refused messages is on disk, or why not.
    Filed(OutputId, Option<&'a str>),
    /// Nothing but time has passed.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// [`super::Collector::outgoing`] has something for this source.
    Send(ConnId),
    /// Shut the sending side down, read on until the peer closes.
    Shutdown(ConnId),
    /// Close the connection; the collector has forgotten it.
    Close(ConnId),
    /// Ask the domain [`super::Collector::question`] of this source, and bring one
    /// [`Input::Judged`] for each such output.
    Ask(ConnId),
    /// Something to do for an output.
    Link(OutputId, Task),
    /// Something to do for an output's connection to a broker.
    Broker(OutputId, BrokerId, Task),
}
