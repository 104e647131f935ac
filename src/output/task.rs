//! The tasks of the event loop for outputs.

use std::net::SocketAddr;

/// A task of the event loop for an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Look up the addresses of the receiver's name, then report
    /// [`Link::handle_resolved`](super::link::Link::handle_resolved) once.
    LookUp,
    /// Open the output, then report [`Link::handle_opened`](super::link::Link::handle_opened) or
    /// [`Link::handle_failed`](super::link::Link::handle_failed).
    Open,
    /// Connect to this address, then report as for [`Task::Open`]; with TLS, report
    /// [`Link::handle_reached`](super::link::Link::handle_reached) before the handshake.
    Connect(SocketAddr),
    /// Close immediately; the link does not wait for a report.
    Close,
    /// Measure how many written bytes the peer has not acknowledged (sync a file), then report
    /// [`Link::handle_measured`](super::link::Link::handle_measured).
    Measure,
}
