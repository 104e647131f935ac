//! `wecrelay health`: queries the health of a running relay, for container images without a
//! shell.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::cli::HealthOptions;
use crate::commands::{Failure, RUNNING, USAGE};

/// Timeout for connecting, and for each read and write. A relay answers within one
/// iteration of its loop.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum size of an answer in bytes. `/readyz` has one line for each output and for the
/// store.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Why the relay is not healthy.
#[derive(Debug)]
pub enum Error {
    /// The argument is not a valid address.
    Address(String, io::Error),
    /// No connection, or no answer.
    Unreachable(String, io::Error),
    /// The server is not a relay.
    Foreign(String),
    /// The relay is not ready: status code, and reasons, one per line.
    Unhealthy(u16, String),
    /// Standard output cannot be written.
    Print(io::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Address(..) => USAGE,
            _ => RUNNING,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address, error) => {
                write!(f, "{address:?} is not an ADDRESS:PORT: {error}")
            }
            Self::Unreachable(address, error) => write!(
                f,
                "no relay answers at {address}: {error}; it must run with --metrics {address}"
            ),
            Self::Foreign(address) => write!(f, "the server at {address} is not a relay"),
            Self::Unhealthy(code, reasons) => {
                let reasons: Vec<_> = reasons.lines().collect();
                write!(f, "not ready ({code}): {}", reasons.join("; "))
            }
            Self::Print(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Prints the relay's answer.
///
/// # Errors
/// The relay does not answer within 3 s or is not ready, the address is invalid, or
/// standard output cannot be written.
pub fn run(options: &HealthOptions) -> Result<(), Error> {
    let address = &options.address;
    let addresses = address.to_socket_addrs();
    let addresses = addresses.map_err(|error| Error::Address(address.clone(), error))?;
    let path = if options.ready { "/readyz" } else { "/healthz" };
    let unreachable = |error| Error::Unreachable(address.clone(), error);
    let answer = ask(addresses, address, path).map_err(unreachable)?;
    let foreign = || Error::Foreign(address.clone());
    let (code, body) = parse(&answer).ok_or_else(foreign)?;
    match code {
        200 => io::stdout()
            .write_all(body.as_bytes())
            .map_err(Error::Print),
        503 => Err(Error::Unhealthy(code, body.to_owned())),
        _ => Err(foreign()),
    }
}

/// Sends the request to the first address that accepts a connection.
fn ask(addresses: impl Iterator<Item = SocketAddr>, host: &str, path: &str) -> io::Result<String> {
    let mut failed = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return exchange(stream, host, path),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn exchange(mut stream: TcpStream, host: &str, path: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Splits an answer into status code and body; `None` if it is not HTTP/1.1.
fn parse(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.lines().next()?.strip_prefix("HTTP/1.1 ")?;
    let code = status.split(' ').next()?.parse().ok()?;
    Some((code, body))
}
