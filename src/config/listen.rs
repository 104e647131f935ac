//! The addresses to listen on.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Error;
use crate::output::Authority;
use crate::system::resolver;

/// Default port of WS-Management over HTTP (MS-WSMV 2.1).
pub const PORT: u16 = 5985;
/// Default port of WS-Management over HTTPS (MS-WSMV 2.1).
const SECURE_PORT: u16 = 5986;

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address; an IPv6 one is bound for IPv6 only. Port 0 means any free port.
    pub address: SocketAddr,
    /// Whether it is skipped if the system has no IPv6: it was not requested explicitly,
    /// but accompanies an IPv4 address.
    pub optional: bool,
    /// Whether it uses TLS.
    pub secure: bool,
    /// Index of the socket bound by the service manager; `None` if the relay binds it.
    pub inherited: Option<usize>,
}

/// A socket bound by the service manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Its name there; `https` turns TLS on, as does port 5986.
    pub name: String,
    /// What it is bound to.
    pub address: SocketAddr,
}

/// All listeners of `--listen` and of the service manager, or the default ones.
pub(super) fn listeners(urls: &[String], inherited: &[Inherited]) -> Result<Vec<Listener>, Error> {
    let mut listeners: Vec<Listener> = inherited
        .iter()
        .enumerate()
        .map(|(index, socket)| Listener {
            address: socket.address,
            optional: false,
            secure: socket.name == "https" || socket.address.port() == SECURE_PORT,
            inherited: Some(index),
        })
        .collect();
    if urls.is_empty() && listeners.is_empty() {
        return Ok(mark(
            vec![
                (Ipv4Addr::UNSPECIFIED, PORT).into(),
                (Ipv6Addr::UNSPECIFIED, PORT).into(),
            ],
            false,
        ));
    }
    for url in urls {
        let (secure, authority) = parse(url)?;
        let found = mark(resolve(url, &authority, secure)?, secure);
        let taken = |new: &Listener| new.address.port() != 0 && listeners.contains(new);
        if found.iter().any(taken) {
            return Err(Error::Twice {
                flag: "--listen",
                value: url.clone(),
            });
        }
        listeners.extend(found);
    }
    Ok(listeners)
}

fn mark(addresses: Vec<SocketAddr>, secure: bool) -> Vec<Listener> {
    let beside = addresses.iter().any(SocketAddr::is_ipv4);
    let listener = |address: SocketAddr| Listener {
        address,
        optional: beside && address.is_ipv6(),
        secure,
        inherited: None,
    };
    addresses.into_iter().map(listener).collect()
}

fn parse(url: &str) -> Result<(bool, Authority), Error> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| no_scheme(url))?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(no_scheme(url)),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('/') {
        return Err(Error::ListenPath(url.to_owned()));
    }
    let authority = Authority::parse(authority).map_err(|source| Error::Listen {
        url: url.to_owned(),
        source,
    })?;
    Ok((secure, authority))
}

fn no_scheme(url: &str) -> Error {
    Error::ListenScheme(url.to_owned())
}

fn resolve(url: &str, authority: &Authority, secure: bool) -> Result<Vec<SocketAddr>, Error> {
    let usual = if secure { SECURE_PORT } else { PORT };
    let port = authority.port.unwrap_or(usual);
    let found = resolver::lookup(&authority.host, port).map_err(|source| Error::Resolve {
        url: url.to_owned(),
        source,
    })?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// A port alone would be open to everyone, so the address is required.
pub(super) fn metrics(text: Option<&str>) -> Result<Option<SocketAddr>, Error> {
    let parse = |text: &str| text.parse().map_err(|_| Error::Metrics(text.to_owned()));
    text.map(parse).transpose()
}
