//! The word before the colon: its settings and the form of its place.

use std::path::PathBuf;

use super::url_parameters::Choices;
use super::{Authority, Error, Target, kafka_topic};
use crate::protocol::otlp::export;

/// The word before the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
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
    /// All schemes, for error messages.
    pub(super) const WORDS: [&'static str; 12] = [
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

    pub(super) fn parse(word: &str) -> Result<Self, Error> {
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

    pub(super) fn is_secured(self) -> bool {
        matches!(
            self,
            Self::Tls | Self::RelpTls | Self::KafkaTls | Self::OtlpTls
        )
    }

    pub(super) fn is_otlp(self) -> bool {
        matches!(self, Self::Otlp | Self::OtlpTls)
    }

    /// The names of its settings.
    pub(super) fn settings(self) -> &'static [&'static str] {
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

    pub(super) fn target(self, place: &str, choices: &Choices) -> Result<Target, Error> {
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

/// `PATH` or `///PATH`; `//HOST/PATH` names another host and is rejected.
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
