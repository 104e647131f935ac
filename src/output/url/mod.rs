//! The settings of one `--output` URL: where messages go and how.
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

/// Minimum of `max=` in bytes: every receiver must accept this much (RFC 5424 6.1).
pub const LEAST_MAX: usize = 480;
/// Maximum size of a message over UDP in bytes: 65,535 minus the IPv4 and UDP headers. Also
/// the default.
pub const UDP_MAX: usize = 65_507;
/// Default of `max=` for datagrams to `unix:`, in bytes: well below Linux's default send
/// buffer of 208 KiB, into which a longer datagram would never fit.
pub const UNIX_DATAGRAM_MAX: usize = 128 * 1024;
/// Default of `max=` over RELP, in bytes: a longer message ends the session with receivers
/// that are not configured for it.
pub const RELP_MAX: usize = 128 * 1024;
/// Default and maximum of `max=` for `kafka:`, in bytes. With key and headers, a message of
/// this size is within the default limit of brokers (`message.max.bytes`, 1,048,588).
pub const KAFKA_MAX: usize = 1_000_000;
/// Default of `replay=` for `tcp:` and `tls:`, in bytes: more than a receiver's socket
/// buffer holds unread (Linux grows it to 6 MiB by itself).
pub const REPLAY: usize = 8 * 1024 * 1024;
/// Maximum of `replay=` in bytes, because the window is in memory.
pub const MOST_REPLAY: usize = 1024 * 1024 * 1024;

/// The configuration of one output, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where messages are sent.
    pub target: Target,
    /// The kind of record that is sent instead of syslog messages, if any.
    pub record: Option<record::Kind>,
    /// How messages are separated in a stream.
    pub framing: Framing,
    /// Maximum size of a message in bytes, without framing; longer ones are truncated.
    pub max: Option<usize>,
    /// The content of MSG.
    pub message: MessageKind,
    /// The header before MSG.
    pub header: Header,
    /// How control characters in MSG are escaped.
    pub escape: Escape,
    /// The limits of structured data.
    pub data: StructuredData,
    /// Whether the element `data@` is omitted.
    pub without_values: bool,
    /// Whether a batch is acknowledged only after this output has delivered it.
    pub required: bool,
    /// Size in bytes of the frames kept for repetition after an unclean end; 0 for none.
    pub replay: usize,
    /// What happens to permanently rejected messages; only where the receiver confirms.
    pub refused: Refused,
    /// TLS settings; `None` without TLS.
    pub tls: Option<Tls>,
    /// The file with the output's credentials, if it needs any.
    pub secret: Option<PathBuf>,
    /// Which events are sent.
    pub filter: Filter,
    /// The URL as given, for logs.
    pub label: String,
}

/// What happens to a message that the receiver rejects permanently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// Its host keeps it, with its batch, and retries.
    #[default]
    Retry,
    /// It counts as delivered and is lost.
    Drop,
    /// It is appended to this file, and counts as delivered once it is on disk.
    File(PathBuf),
}

/// TLS settings. The files are PEM and have not been read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Name or address that the receiver's certificate must have; if empty, as by default for
    /// Kafka, the host name of each broker.
    pub name: String,
    /// CA certificates that may have issued it; `None` for those that the system trusts.
    pub ca: Option<PathBuf>,
    /// The client certificate with its chain, if the receiver requires one.
    pub certificate: Option<PathBuf>,
    /// Its private key; `None` if it is in the same file.
    pub key: Option<PathBuf>,
}

/// Where messages are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Datagrams to a host (RFC 5426).
    Udp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port, not 0.
        port: u16,
    },
    /// A TCP connection (RFC 6587), or with TLS (RFC 5425).
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
        /// Path of the request, `/v1/logs` by default.
        path: String,
        /// Whether requests are compressed by gzip.
        gzip: bool,
    },
    /// A Unix domain socket.
    Unix {
        /// Path of the socket, which the receiver creates.
        path: PathBuf,
        /// Whether it is a stream socket rather than a datagram socket.
        stream: bool,
    },
    /// A file to append to.
    File {
        /// Path of the file, which is created if missing.
        path: PathBuf,
        /// Whether delivered means on disk (fdatasync) rather than in the kernel's cache.
        sync: bool,
    },
    /// Standard output.
    Stdout,
}

impl Target {
    /// Host and port of the receiver; `None` for sockets, files, and standard output.
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
    /// The HTTP target for OTLP; `None` for other outputs.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Otlp { path, gzip, .. } => Some(Endpoint::new(&self.authority()?, path, *gzip)),
            _ => None,
        }
    }

    /// Host and port in the form of a `Host` header (RFC 9110 7.2): without zone, and with
    /// brackets around an IPv6 address.
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
    /// Parses a URL of `--output` with the settings after its `?`.
    ///
    /// # Errors
    /// Anything unknown or invalid, with what is allowed; nothing is guessed.
    pub fn parse(url: &str) -> Result<Self, Error> {
        Self::parse_with(url, MessageKind::default())
    }

    /// The same, with `message` as the default content of MSG.
    ///
    /// # Errors
    /// Anything unknown or invalid, with what is allowed; nothing is guessed.
    pub fn parse_with(url: &str, message: MessageKind) -> Result<Self, Error> {
        let (scheme, rest) = url.split_once(':').ok_or_else(|| Error::scheme(url))?;
        let scheme = Scheme::parse(scheme)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let choices = Choices::parse(scheme, query)?;
        let target = scheme.target(place, &choices)?;
        let record = record(&target);
        // Consumers of a topic need the complete event.
        let message = match record {
            Some(record::Kind::Kafka) => choices.message.unwrap_or(MessageKind::Json),
            Some(record::Kind::Otlp) | None => choices.message.unwrap_or(message),
        };
        // As in any record, no syslog header.
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

    /// How messages are formatted for it.
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

/// The kind of record that its protocol uses instead of syslog messages.
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
        // Their protocols have framing of their own.
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
