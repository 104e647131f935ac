//! Queries of `doctor` about this machine, and about servers that listen on a port.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};

use crate::system::resolver;
use crate::system::sys;

/// Timeout for connecting, and for each read and write.
const PATIENCE: Duration = Duration::from_secs(5);
/// Maximum number of bytes of an answer's head to read.
const HEAD: usize = 16 * 1024;

/// The answer of a server to a request without credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status line and headers of the answer.
    pub head: String,
}

impl Answer {
    /// Whether the server is wecrelay.
    #[must_use]
    pub fn is_relay(&self) -> bool {
        self.headers("Server").any(|server| server == "wecrelay")
    }

    /// The authentication schemes that it offers.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        let offers = self.headers("WWW-Authenticate");
        let words = offers.filter_map(|offer| offer.split_whitespace().next());
        words.map(str::to_owned).collect()
    }

    fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().filter_map(move |line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// Sends a request to the server that listens at an address. For the unspecified address it
/// connects to loopback.
///
/// # Errors
/// No connection, or no answer in HTTP.
pub fn ask(address: SocketAddr, secure: bool) -> io::Result<Answer> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let stream = TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = if secure {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        // The purpose is to identify the server, not to trust it.
        builder.set_verify(SslVerifyMode::NONE);
        let connector = builder
            .build()
            .configure()?
            .use_server_name_indication(false);
        let connected = connector
            .verify_hostname(false)
            .connect("localhost", stream);
        talk(&mut connected.map_err(|error| io::Error::other(error.to_string()))?)?
    } else {
        talk(&mut { stream })?
    };
    Ok(Answer { head })
}

fn talk(stream: &mut (impl Read + Write)) -> io::Result<String> {
    stream.write_all(
        b"POST /wsman/SubscriptionManager/WEC HTTP/1.1\r\nHost: localhost\r\n\
          Content-Length: 0\r\n\r\n",
    )?;
    let mut head = Vec::new();
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        head.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Resolves the addresses of a host.
///
/// # Errors
/// The name cannot be resolved.
pub fn addresses_of(host: &str) -> io::Result<Vec<IpAddr>> {
    let found = resolver::lookup(host, 0)?;
    let mut found: Vec<_> = found.iter().map(SocketAddr::ip).collect();
    found.dedup();
    Ok(found)
}

/// The name of an address in DNS or `/etc/hosts`; `None` if it has none or this build
/// cannot look it up.
#[must_use]
pub fn name_of(address: IpAddr) -> Option<String> {
    // The resolver of a static binary can only look up addresses.
    if cfg!(target_feature = "crt-static") {
        return None;
    }
    sys::name_of(SocketAddr::new(address, 0))
}

/// Whether an address belongs to this machine.
#[must_use]
pub fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether the kernel considers its clock synchronized (adjtimex(2)).
///
/// # Errors
/// The kernel does not report it.
pub fn is_clock_synchronised() -> io::Result<bool> {
    sys::is_clock_synchronised()
}
