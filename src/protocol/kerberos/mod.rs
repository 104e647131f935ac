//! Kerberos 5, the service's side, in Rust only: no C library, no `krb5.conf`.
//!
//! A keytab is all that is needed: its keys decrypt the tickets that hosts present, so no
//! KDC is ever contacted.

pub mod crypto;
pub mod keytab;
pub mod messages;
pub mod pac;
pub mod wrap;

mod acceptor;
mod answer;
mod error;
mod gss;
mod principal;
mod replays;
mod ticket;

use std::time::Duration;

pub use self::acceptor::{Accepted, Keytabs, Refused, Rules, Service};
pub use self::error::{Error, OTHER_CONNECTION};
pub use self::gss::is_token;
pub use self::principal::Principal;
pub use self::replays::Replays;
pub use self::wrap::Session;

/// Maximum difference between clocks (RFC 4120 1.6); five minutes is also the default of
/// Windows.
pub const SKEW: Duration = Duration::from_secs(300);
