//! The protocols spoken on the network. Sans-IO: bytes in, values out, and back; no
//! sockets, files, or clocks.

pub mod http;
pub mod kafka;
pub mod kerberos;
pub mod ntlm;
pub mod otlp;
pub mod proxy;
pub mod relp;
pub mod sldc;
pub mod spnego;
pub mod wsman;
