//! `HOST[:PORT]` of a URL (RFC 3986 3.2, without user information).

use std::net::Ipv6Addr;

use super::Error;

/// Maximum length of a host name in characters (RFC 1035 2.3.4).
const LONGEST_NAME: usize = 253;

/// A host and perhaps a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// The port, if one was given.
    pub port: Option<u16>,
}

impl Authority {
    /// Parses `HOST`, `HOST:PORT`, `[IPV6]`, or `[IPV6]:PORT`.
    ///
    /// # Errors
    /// [`Error::Host`], [`Error::Port`], or [`Error::Brackets`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => bracketed(text, rest)?,
            None => plain(text)?,
        };
        let port = port.map(parse_port).transpose()?;
        Ok(Self { host, port })
    }
}

/// Whether `text` can be a host name or an IPv4 address: labels of letters, digits,
/// hyphens and underscores (Windows has those).
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    let in_label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.chars().all(in_label)
    };
    text.len() <= LONGEST_NAME && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

fn bracketed<'a>(text: &str, rest: &'a str) -> Result<(String, Option<&'a str>), Error> {
    let wrong = || Error::Host(text.to_owned());
    let (address, after) = rest.split_once(']').ok_or_else(wrong)?;
    // A link-local address may include its interface, as in fe80::1%eth0.
    let bare = address.split_once('%').map_or(address, |(bare, _)| bare);
    bare.parse::<Ipv6Addr>().map_err(|_| wrong())?;
    match (after, after.strip_prefix(':')) {
        ("", _) => Ok((address.to_owned(), None)),
        (_, Some(port)) => Ok((address.to_owned(), Some(port))),
        _ => Err(wrong()),
    }
}

fn plain(text: &str) -> Result<(String, Option<&str>), Error> {
    if text.matches(':').count() > 1 {
        return Err(Error::Brackets(text.to_owned()));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if !is_host_name(host) {
        return Err(Error::Host(host.to_owned()));
    }
    Ok((host.to_owned(), port))
}

fn parse_port(text: &str) -> Result<u16, Error> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| digits);
    port.ok_or_else(|| Error::Port(text.to_owned()))
}
