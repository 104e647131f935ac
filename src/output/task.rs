//! What an output asks of its socket.

use std::net::SocketAddr;

/// A task of the event loop for an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Ask for the addresses of its name, then report [`Link::handle_resolved`](super::link::Link::handle_resolved), once.
    LookUp,
    /// Open it, then report [`Link::handle_opened`](super::link::Link::handle_opened) or [`Link::handle_failed`](super::link::Link::handle_failed).
    Open,
    /// The same for a receiver at this address; [`Link::handle_reached`](super::link::Link::handle_reached) comes between.
    Connect(SocketAddr),
    /// Close immediately; the link does not wait for a report.
    Close,
    /// Tell [`Link::handle_measured`](super::link::Link::handle_measured) how many bytes the peer has not acknowledged.
    Measure,
}
