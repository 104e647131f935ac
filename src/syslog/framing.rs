//! How messages are told apart on a transport.

/// What surrounds each message on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One message a datagram, nothing around it (RFC 5426 3.1).
    Datagram,
    /// The message's length in bytes and a space before it (RFC 6587 3.4.1).
    OctetCounting,
    /// A line feed after it (RFC 6587 3.4.2).
    LineFeed,
}
