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
mod url_parameters;

use std::path::PathBuf;

use crate::event::filter::Filter;
use crate::output::kafka;
use crate::protocol::otlp::endpoint::Endpoint;
use crate::protocol::otlp::export;
use crate::record;
use crate::syslog::framing::Framing;
use crate::syslog::{Escape, Header, MessageKind, StructuredData, Style};

pub use authority::{Authority, is_host_name};
pub use error::Error;
pub use relative_path::anchored;
use url_parameters::Choices;

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
        Some(match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
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

/// The word before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Udp,
    Tcp,
    Tls,
    Relp,
    RelpTls,
    Kafka,
    KafkaTls,
    Otlp,
    OtlpTls,
    Unix,
    File,
    Stdout,
}

impl Scheme {
    /// All of them, for messages.
    const WORDS: [&'static str; 12] = [
        "udp",
        "tcp",
        "tls",
        "relp",
        "relp+tls",
        "kafka",
        "kafka+tls",
        "otlp+http",
        "otlp+https",
        "unix",
        "file",
        "stdout",
    ];

    fn parse(word: &str) -> Result<Self, Error> {
        match word.to_ascii_lowercase().as_str() {
            "udp" => Ok(Self::Udp),
            "tcp" => Ok(Self::Tcp),
            "tls" => Ok(Self::Tls),
            "relp" => Ok(Self::Relp),
            "relp+tls" => Ok(Self::RelpTls),
            "kafka" => Ok(Self::Kafka),
            "kafka+tls" => Ok(Self::KafkaTls),
            "otlp+http" => Ok(Self::Otlp),
            "otlp+https" => Ok(Self::OtlpTls),
            "unix" => Ok(Self::Unix),
            "file" => Ok(Self::File),
            "stdout" => Ok(Self::Stdout),
            _ => Err(Error::scheme(word)),
        }
    }

    fn is_secured(self) -> bool {
        matches!(
            self,
            Self::Tls | Self::RelpTls | Self::KafkaTls | Self::OtlpTls
        )
    }

    fn is_otlp(self) -> bool {
        matches!(self, Self::Otlp | Self::OtlpTls)
    }

    /// The names of the settings it knows.
    fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Udp | Self::Stdout => &[
                "data", "drop", "escape", "header", "max", "message", "only", "required", "sd",
            ],
            Self::Relp => &[
                "data", "drop", "escape", "header", "max", "message", "only", "refused",
                "required", "sd",
            ],
            Self::Tcp => &[
                "data", "drop", "escape", "framing", "header", "max", "message", "only", "replay",
                "required", "sd",
            ],
            Self::Tls => &[
                "ca", "cert", "data", "drop", "escape", "header", "key", "max", "message", "name",
                "only", "replay", "required", "sd",
            ],
            Self::RelpTls => &[
                "ca", "cert", "data", "drop", "escape", "header", "key", "max", "message", "name",
                "only", "refused", "required", "sd",
            ],
            Self::Otlp => &[
                "compress", "drop", "headers", "message", "only", "refused", "required",
            ],
            Self::OtlpTls => &[
                "ca", "cert", "compress", "drop", "headers", "key", "message", "name", "only",
                "refused", "required",
            ],
            Self::Unix => &[
                "data", "drop", "escape", "framing", "header", "max", "message", "only",
                "required", "sd", "type",
            ],
            Self::File => &[
                "data", "drop", "escape", "header", "max", "message", "only", "required", "sd",
                "sync",
            ],
            Self::Kafka => &[
                "cleartext",
                "compress",
                "data",
                "drop",
                "escape",
                "header",
                "login",
                "max",
                "message",
                "only",
                "refused",
                "required",
                "sasl",
                "sd",
            ],
            Self::KafkaTls => &[
                "ca", "cert", "compress", "data", "drop", "escape", "header", "key", "login",
                "max", "message", "name", "only", "refused", "required", "sasl", "sd",
            ],
        }
    }

    fn target(self, place: &str, choices: &Choices) -> Result<Target, Error> {
        match self {
            Self::Udp => host_and_port(place, 514).map(|(host, port)| Target::Udp { host, port }),
            Self::Tcp => host_and_port(place, 601).map(|(host, port)| Target::Tcp { host, port }),
            Self::Tls => host_and_port(place, 6514).map(|(host, port)| Target::Tcp { host, port }),
            Self::Relp | Self::RelpTls => {
                host_and_port(place, 2514).map(|(host, port)| Target::Relp { host, port })
            }
            Self::Kafka | Self::KafkaTls => {
                kafka_topic::settings(place, choices, self == Self::KafkaTls).map(Target::Kafka)
            }
            Self::Otlp | Self::OtlpTls => otlp(place, choices),
            Self::Unix => Ok(Target::Unix {
                path: path("unix", place)?,
                stream: choices.stream.unwrap_or(false),
            }),
            Self::File => Ok(Target::File {
                path: path("file", place)?,
                sync: choices.sync.unwrap_or(false),
            }),
            Self::Stdout if place.is_empty() => Ok(Target::Stdout),
            Self::Stdout => Err(Error::StdoutPlace(place.to_owned())),
        }
    }
}

fn host_and_port(place: &str, default: u16) -> Result<(String, u16), Error> {
    let place = place.strip_prefix("//").ok_or(Error::Slashes)?;
    let authority = Authority::parse(place.strip_suffix('/').unwrap_or(place))?;
    match authority.port {
        Some(0) => Err(Error::Port("0".to_owned())),
        port => Ok((authority.host, port.unwrap_or(default))),
    }
}

/// `//HOST[:PORT][/PATH]`.
fn otlp(place: &str, choices: &Choices) -> Result<Target, Error> {
    let rest = place.strip_prefix("//").ok_or(Error::Slashes)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (host, port) = host_and_port(&format!("//{authority}"), 4318)?;
    let is_fit = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.bytes().all(is_fit) {
        return Err(Error::UrlPath(path.to_owned()));
    }
    Ok(Target::Otlp {
        host,
        port,
        path: match path {
            "" | "/" => export::PATH.to_owned(),
            path => path.to_owned(),
        },
        gzip: choices.gzip.unwrap_or(true),
    })
}

/// What its protocol has instead of syslog messages.
fn record(target: &Target) -> Option<record::Kind> {
    match target {
        Target::Otlp { .. } => Some(record::Kind::Otlp),
        Target::Kafka(_) => Some(record::Kind::Kafka),
        _ => None,
    }
}

/// `PATH` or `///PATH`; `//HOST/PATH` names another host and is refused.
fn path(scheme: &'static str, place: &str) -> Result<PathBuf, Error> {
    let path = match place.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(Error::Path(scheme)),
        None => place,
    };
    if path.is_empty() || path.contains('\0') {
        return Err(Error::Path(scheme));
    }
    Ok(PathBuf::from(path))
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
