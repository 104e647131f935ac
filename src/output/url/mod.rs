//! What one `--output` URL says: where messages go and how.
//!
//! ```
//! use wecrelay::output::{Settings, Target};
//!
//! let settings = Settings::parse("udp://192.0.2.1?required=no")?;
//! assert_eq!(settings.target, Target::Udp { host: "192.0.2.1".into(), port: 514 });
//! assert!(!settings.required);
//! # Ok::<(), wecrelay::output::Error>(())
//! ```

mod authority;
mod error;
mod kafka_topic;
mod relative_path;
mod scheme;
mod url_parameters;

use std::path::PathBuf;

use crate::event::filter::Filter;
use crate::output::kafka;
use crate::protocol::otlp::endpoint::Endpoint;
use crate::record;
use crate::syslog::framing::Framing;
use crate::syslog::{Escape, Header, MessageKind, StructuredData, Style};
use scheme::Scheme;
use url_parameters::Choices;

pub use authority::{Authority, is_host_name};
pub use error::Error;
pub use relative_path::anchored;

/// Smallest `max=`, in bytes: every receiver must accept this much (RFC 5424 6.1).
pub const LEAST_MAX: usize = 480;
/// Largest message over UDP, in bytes: 65535 less the IPv4 and UDP headers. Also the
/// default there.
pub const UDP_MAX: usize = 65_507;
/// Default `max=` of a datagram `unix:` output, in bytes: well under Linux's default
/// send buffer of 208 KiB, which a longer datagram would never fit into.
pub const UNIX_DATAGRAM_MAX: usize = 128 * 1024;
/// Default `max=` over RELP, in bytes: more ends the session at receivers that were not
/// told otherwise.
pub const RELP_MAX: usize = 128 * 1024;
/// Default and largest `max=` of `kafka:`, in bytes: with its key and headers a message of this
/// size is within the default of brokers (`message.max.bytes`, 1,048,588).
pub const KAFKA_MAX: usize = 1_000_000;
/// Default `replay=` of `tcp:` and `tls:`, in bytes: more than a receiver's socket buffer holds
/// unread (Linux grows it to 6 MiB by itself).
pub const REPLAY: usize = 8 * 1024 * 1024;
/// Largest `replay=`, in bytes: it is kept in memory.
pub const MOST_REPLAY: usize = 1024 * 1024 * 1024;

/// One output, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where messages go.
    pub target: Target,
    /// What is sent instead of syslog messages, if it is something else.
    pub record: Option<record::Kind>,
    /// How messages are told apart there.
    pub framing: Framing,
    /// Longest message in bytes, without framing; longer ones are cut.
    pub max: Option<usize>,
    /// What MSG holds.
    pub message: MessageKind,
    /// What stands before MSG.
    pub header: Header,
    /// The form of MSG where control characters are concerned.
    pub escape: Escape,
    /// How much structured data a message may have.
    pub data: StructuredData,
    /// Whether the element `data@` is left out.
    pub without_values: bool,
    /// Whether a batch waits for this output before it is acknowledged.
    pub required: bool,
    /// Bytes of frames kept to be sent again after an unclean end; 0 for none.
    pub replay: usize,
    /// What becomes of messages that the receiver refuses for good; of RELP only.
    pub refused: Refused,
    /// How the connection is secured, if it is.
    pub tls: Option<Tls>,
    /// A file with what the receiver wants to know us by, if it wants that.
    pub secret: Option<PathBuf>,
    /// Which events it gets.
    pub filter: Filter,
    /// The URL as given, for logs.
    pub label: String,
}

/// What becomes of a message that the receiver refuses for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// Its host keeps it and its batch, and comes again.
    #[default]
    Retry,
    /// It counts as delivered.
    Drop,
    /// It is appended to this file, and counts as delivered once it is on disk.
    File(PathBuf),
}

/// How a connection is secured. The files are PEM and not read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Name or address that the receiver's certificate must be for.
    pub name: String,
    /// The authorities that may have signed it; `None` for those the system trusts.
    pub ca: Option<PathBuf>,
    /// Our own certificate with its chain, if the receiver wants one.
    pub certificate: Option<PathBuf>,
    /// Its private key; `None` if that stands in the same file.
    pub key: Option<PathBuf>,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Datagrams to a host (RFC 5426).
    Udp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, not 0.
        port: u16,
    },
    /// A TCP connection (RFC 6587), or one with TLS (RFC 5425).
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, not 0.
        port: u16,
    },
    /// RELP, over TCP or TLS.
    Relp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, not 0.
        port: u16,
    },
    /// A topic of a Kafka cluster, over TCP or TLS.
    Kafka(kafka::Settings),
    /// OTLP over HTTP/1.1, plain or with TLS.
    Otlp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, not 0.
        port: u16,
        /// The path of logs.
        path: String,
        /// Whether requests are compressed by gzip.
        gzip: bool,
    },
    /// A Unix domain socket.
    Unix {
        /// The socket, made by the receiver.
        path: PathBuf,
        /// A stream socket, else a datagram socket.
        stream: bool,
    },
    /// A file that is appended to.
    File {
        /// The file, created if missing.
        path: PathBuf,
        /// Delivered means on disk (fdatasync), else in the kernel's cache.
        sync: bool,
    },
    /// Standard output.
    Stdout,
}

impl Target {
    /// Host and port of a receiver that has an address.
    #[must_use]
    pub fn place(&self) -> Option<(&str, u16)> {
        match self {
            Self::Udp { host, port }
            | Self::Tcp { host, port }
            | Self::Relp { host, port }
            | Self::Otlp { host, port, .. } => Some((host, *port)),
            Self::Kafka(_) | Self::Unix { .. } | Self::File { .. } | Self::Stdout => None,
        }
    }
}

impl Target {
    /// Where requests go, if that is how it is spoken to.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Otlp { path, gzip, .. } => Some(Endpoint::new(&self.authority()?, path, *gzip)),
            _ => None,
        }
    }

    /// Host and port as the header `Host` has them (RFC 9110 7.2): no zone, brackets around
    /// an IPv6 address.
    fn authority(&self) -> Option<String> {
        let (host, port) = self.place()?;
        let host = host.split_once('%').map_or(host, |(address, _)| address);
        Some(if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        })
    }
}

impl Settings {
    /// Reads a URL of `--output` with the settings after its `?`.
    ///
    /// # Errors
    /// Whatever is not understood, with what is allowed; nothing is guessed.
    pub fn parse(url: &str) -> Result<Self, Error> {
        Self::parse_with(url, MessageKind::default())
    }

    /// The same; MSG holds `message` unless the URL says otherwise.
    ///
    /// # Errors
    /// Whatever is not understood, with what is allowed; nothing is guessed.
    pub fn parse_with(url: &str, message: MessageKind) -> Result<Self, Error> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| Error::scheme(url))?;
        let scheme = Scheme::parse(scheme)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let choices = Choices::parse(scheme, query)?;
        let target = scheme.target(place, &choices)?;
        let record = record(&target);
        // Whoever reads a topic wants all of an event.
        let message = match record {
            Some(record::Kind::Kafka) => choices.message.unwrap_or(MessageKind::Json),
            Some(record::Kind::Otlp) | None => choices.message.unwrap_or(message),
        };
        // And no header of syslog, as in any record.
        let header = choices.header.unwrap_or(match record {
            Some(_) => Header::None,
            None => message.default_header(),
        });
        let data = choices.structured_data(message, header)?;
        let mut filter = Filter::default();
        filter.add(&choices.rules);
        Ok(Self {
            filter,
            message,
            header,
            framing: framing(&target, &choices)?,
            max: choices.max.or_else(|| default_max(&target)),
            escape: choices.escape.unwrap_or_default(),
            data,
            without_values: choices.values == Some(false),
            required: choices.required.unwrap_or(true),
            replay: choices.replay.unwrap_or_else(|| default_replay(&target)),
            tls: scheme
                .is_secured()
                .then(|| choices.tls(&target))
                .transpose()?,
            refused: choices.refused.unwrap_or_default(),
            record,
            secret: choices.secret.clone(),
            target,
            label: url.to_owned(),
        })
    }

    /// How messages are written for it.
    #[must_use]
    pub fn style(&self) -> Style {
        Style {
            message: self.message,
            header: self.header,
            control: self.framing.control_characters(),
            escape: self.escape,
            data: self.data,
            without_values: self.without_values,
            max: self.max,
        }
    }
}

/// What its protocol has instead of syslog messages.
fn record(target: &Target) -> Option<record::Kind> {
    match target {
        Target::Otlp { .. } => Some(record::Kind::Otlp),
        Target::Kafka(_) => Some(record::Kind::Kafka),
        _ => None,
    }
}

fn framing(target: &Target, choices: &Choices) -> Result<Framing, Error> {
    let default = match target {
        Target::Udp { .. } | Target::Unix { stream: false, .. } => {
            return match choices.framing {
                Some(_) => Err(Error::DatagramFraming),
                None => Ok(Framing::Datagram),
            };
        }
        // These have frames of their own around them.
        Target::Relp { .. } | Target::Kafka(_) | Target::Otlp { .. } => Framing::Datagram,
        Target::Tcp { .. } => Framing::OctetCounting,
        Target::Unix { .. } | Target::File { .. } | Target::Stdout => Framing::LineFeed,
    };
    Ok(choices.framing.unwrap_or(default))
}

fn default_max(target: &Target) -> Option<usize> {
    match target {
        Target::Udp { .. } => Some(UDP_MAX),
        Target::Relp { .. } => Some(RELP_MAX),
        Target::Kafka(_) => Some(KAFKA_MAX),
        Target::Unix { stream: false, .. } => Some(UNIX_DATAGRAM_MAX),
        _ => None,
    }
}

fn default_replay(target: &Target) -> usize {
    match target {
        Target::Tcp { .. } => REPLAY,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
