//! The settings after the `?` of an output URL.

use std::path::PathBuf;

use super::{
    Authority, Error, KAFKA_MAX, LEAST_MAX, MOST_REPLAY, Refused, Scheme, Target, Tls, UDP_MAX,
    is_host_name,
};
use crate::event::filter::{Effect, Rule};
use crate::protocol::kafka::{Compression, Mechanism};
use crate::protocol::relp;
use crate::syslog::framing::Framing;
use crate::syslog::{Escape, Header, MessageKind, StructuredData};

/// The settings that were given; `None` for those that were not.
#[derive(Default)]
pub(super) struct Choices {
    pub(super) data: Option<StructuredData>,
    /// Whether structured data contains the event's values.
    pub(super) values: Option<bool>,
    pub(super) escape: Option<Escape>,
    /// Rules may be given several times.
    pub(super) rules: Vec<Rule>,
    pub(super) framing: Option<Framing>,
    pub(super) header: Option<Header>,
    pub(super) max: Option<usize>,
    pub(super) message: Option<MessageKind>,
    pub(super) required: Option<bool>,
    pub(super) replay: Option<usize>,
    pub(super) stream: Option<bool>,
    pub(super) sync: Option<bool>,
    pub(super) refused: Option<Refused>,
    pub(super) cleartext: Option<bool>,
    pub(super) compression: Option<Compression>,
    pub(super) mechanism: Option<Mechanism>,
    pub(super) gzip: Option<bool>,
    pub(super) secret: Option<PathBuf>,
    name: Option<String>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Choices {
    /// Parses `name=value&name=value`; may be empty.
    pub(super) fn parse(scheme: Scheme, query: &str) -> Result<Self, Error> {
        let mut choices = Self::default();
        for setting in query.split('&').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            choices.set(scheme, name, value)?;
        }
        Ok(choices)
    }

    /// TLS settings for a connection to `target`.
    pub(super) fn tls(&self, target: &Target) -> Result<Tls, Error> {
        if self.key.is_some() && self.certificate.is_none() {
            return Err(Error::KeyAlone);
        }
        let host = match target {
            Target::Tcp { host, .. } | Target::Relp { host, .. } | Target::Otlp { host, .. } => {
                host.as_str()
            }
            _ => "",
        };
        // A zone matters only for the connection; certificates have none.
        let host = host.split_once('%').map_or(host, |(address, _)| address);
        Ok(Tls {
            name: self.name.clone().unwrap_or_else(|| host.to_owned()),
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        })
    }

    /// How much structured data such messages contain.
    pub(super) fn structured_data(
        &self,
        message: MessageKind,
        header: Header,
    ) -> Result<StructuredData, Error> {
        if self.data.is_some() && header != Header::Rfc5424 {
            return Err(Error::DataWithoutHeader);
        }
        let data = self.data.unwrap_or(message.default_data());
        let has_none = header != Header::Rfc5424 || data == StructuredData::None;
        match self.values {
            Some(_) if has_none => Err(Error::NoDataElement),
            _ => Ok(data),
        }
    }

    fn set(&mut self, scheme: Scheme, name: &str, value: &str) -> Result<(), Error> {
        let allowed = scheme.settings();
        let Some(name) = allowed.iter().copied().find(|known| *known == name) else {
            return Err(Error::setting(name, allowed));
        };
        let fresh = match name {
            "cleartext" => put(&mut self.cleartext, yes_or_no(name, value)?),
            "compress" if scheme.is_otlp() => put(&mut self.gzip, gzip(value)?),
            "compress" => put(&mut self.compression, compression(value)?),
            "login" => put(
                &mut self.secret,
                file(name, value, "the path of a file with user and password")?,
            ),
            "sasl" => put(&mut self.mechanism, mechanism(value)?),
            "data" => put(&mut self.values, yes_or_no(name, value)?),
            "drop" => self.add_rule(name, Effect::Drop, value)?,
            "only" => self.add_rule(name, Effect::Only, value)?,
            "escape" => put(&mut self.escape, escape(value)?),
            "framing" => put(&mut self.framing, framing(value)?),
            "header" => put(&mut self.header, header(value)?),
            "message" => put(&mut self.message, message(value)?),
            "max" => put(&mut self.max, max(scheme, value)?),
            "replay" => put(&mut self.replay, bytes(name, value, 0, Some(MOST_REPLAY))?),
            "required" => put(&mut self.required, yes_or_no(name, value)?),
            "refused" => put(&mut self.refused, refused(value)?),
            "sd" => put(&mut self.data, structured_data(value)?),
            "sync" => put(&mut self.sync, yes_or_no(name, value)?),
            "name" => put(&mut self.name, server_name(value)?),
            "ca" => put(&mut self.ca, file(name, value, "the path of a PEM file")?),
            "cert" => put(
                &mut self.certificate,
                file(name, value, "the path of a PEM file")?,
            ),
            "key" => put(&mut self.key, file(name, value, "the path of a PEM file")?),
            "headers" => put(
                &mut self.secret,
                file(name, value, "the path of a file with headers")?,
            ),
            _ => put(&mut self.stream, stream(value)?),
        };
        if fresh {
            Ok(())
        } else {
            Err(Error::Twice(name))
        }
    }
}

impl Choices {
    /// Adds a rule. Always true, because rules may be repeated.
    fn add_rule(&mut self, name: &'static str, effect: Effect, text: &str) -> Result<bool, Error> {
        let rule = Rule::parse(effect, text).map_err(|source| Error::Rule { name, source })?;
        self.rules.push(rule);
        Ok(true)
    }
}

/// Stores `value`; false if there was one already.
fn put<T>(slot: &mut Option<T>, value: T) -> bool {
    slot.replace(value).is_none()
}

fn framing(value: &str) -> Result<Framing, Error> {
    match value {
        "octet" => Ok(Framing::OctetCounting),
        "lf" => Ok(Framing::LineFeed),
        _ => Err(Error::value("framing", value, "octet or lf")),
    }
}

fn escape(value: &str) -> Result<Escape, Error> {
    match value {
        "reversible" => Ok(Escape::Reversible),
        "0.1" => Ok(Escape::Version01),
        _ => Err(Error::value("escape", value, "reversible or 0.1")),
    }
}

fn structured_data(value: &str) -> Result<StructuredData, Error> {
    match value {
        "bounded" => Ok(StructuredData::Bounded),
        "whole" => Ok(StructuredData::Whole),
        "none" => Ok(StructuredData::None),
        _ => Err(Error::value("sd", value, "bounded, whole or none")),
    }
}

fn message(value: &str) -> Result<MessageKind, Error> {
    let allowed = "text, xml, json, ecs, nxlog, snare, cef or leef";
    MessageKind::from_name(value).ok_or_else(|| Error::value("message", value, allowed))
}

fn header(value: &str) -> Result<Header, Error> {
    let allowed = "rfc5424, rfc3164 or none";
    Header::from_name(value).ok_or_else(|| Error::value("header", value, allowed))
}

fn compression(value: &str) -> Result<Compression, Error> {
    let mut names = Compression::NAMES.iter();
    let found = names.find_map(|(name, compression)| (*name == value).then_some(*compression));
    found.ok_or_else(|| Error::value("compress", value, "none, gzip, lz4 or zstd"))
}

fn mechanism(value: &str) -> Result<Mechanism, Error> {
    let mut names = Mechanism::NAMES.iter();
    let found = names.find_map(|(name, mechanism)| (*name == value).then_some(*mechanism));
    let allowed = "plain, scram-sha-256 or scram-sha-512";
    found.ok_or_else(|| Error::value("sasl", value, allowed))
}

fn stream(value: &str) -> Result<bool, Error> {
    match value {
        "stream" => Ok(true),
        "datagram" => Ok(false),
        _ => Err(Error::value("type", value, "datagram or stream")),
    }
}

fn refused(value: &str) -> Result<Refused, Error> {
    let path = value
        .strip_prefix("file:")
        .map(|path| path.strip_prefix("//").unwrap_or(path));
    match (value, path) {
        ("retry", _) => Ok(Refused::Retry),
        ("drop", _) => Ok(Refused::Drop),
        (_, Some(path)) if !path.is_empty() && !path.contains('\0') => {
            Ok(Refused::File(PathBuf::from(path)))
        }
        _ => Err(Error::value("refused", value, "retry, drop or file:PATH")),
    }
}

/// A host name or address, IPv6 with or without brackets.
fn server_name(value: &str) -> Result<String, Error> {
    let is_address = value.parse::<std::net::IpAddr>().is_ok();
    if is_address || is_host_name(value) {
        return Ok(value.to_owned());
    }
    match Authority::parse(value) {
        Ok(Authority { host, port: None }) => Ok(host),
        _ => Err(Error::value("name", value, "a host name or an address")),
    }
}

fn gzip(value: &str) -> Result<bool, Error> {
    match value {
        "gzip" => Ok(true),
        "none" => Ok(false),
        _ => Err(Error::value("compress", value, "gzip or none")),
    }
}

fn file(name: &'static str, value: &str, kind: &'static str) -> Result<PathBuf, Error> {
    if value.is_empty() || value.contains('\0') {
        return Err(Error::value(name, value, kind));
    }
    Ok(PathBuf::from(value))
}

fn yes_or_no(name: &'static str, value: &str) -> Result<bool, Error> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(Error::value(name, value, "yes or no")),
    }
}

fn max(scheme: Scheme, value: &str) -> Result<usize, Error> {
    let most = match scheme {
        Scheme::Udp => Some(UDP_MAX),
        Scheme::Relp | Scheme::RelpTls => Some(relp::DATA_MAX),
        Scheme::Kafka | Scheme::KafkaTls => Some(KAFKA_MAX),
        _ => None,
    };
    bytes("max", value, LEAST_MAX, most)
}

/// A number of bytes within these limits, optionally followed by `K` or `M` (powers of
/// 1024).
fn bytes(
    name: &'static str,
    value: &str,
    least: usize,
    most: Option<usize>,
) -> Result<usize, Error> {
    let size = size(value)
        .ok_or_else(|| Error::value(name, value, "a number of bytes, such as 8192, 8K or 1M"))?;
    match most {
        _ if size < least => Err(Error::TooSmall { name, least }),
        Some(most) if size > most => Err(Error::TooLarge { name, most }),
        _ => Ok(size),
    }
}

fn size(value: &str) -> Option<usize> {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value.strip_prefix(number)? {
        "" => 1,
        "k" | "K" => 1024,
        "m" | "M" => 1024 * 1024,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<usize>().ok()?.checked_mul(unit)
}
