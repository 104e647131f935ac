//! A stub resolver (RFC 1034 5.3.1): asks the name servers of `/etc/resolv.conf` one after
//! the other, over UDP, and over TCP if the answer is too long for a datagram.
#![expect(
    clippy::disallowed_methods,
    reason = "it has sockets, files and deadlines; it runs in the resolver's thread"
)]

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use rand::TryRng;
use rand::rngs::SysRng;
use resolv_conf::{Config, ScopedIp};
use simple_dns::TYPE;

use super::message::{self, Reply};
use super::{Error, hosts};

const HOSTS: &str = "/etc/hosts";
const RESOLV_CONF: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// Maximum number of name servers, as in resolv.conf(5).
const MOST_SERVERS: usize = 3;
const LONGEST_TIMEOUT: u32 = 30;
const MOST_ATTEMPTS: u32 = 5;

/// The addresses of a host from `/etc/hosts`, or else from DNS.
pub(super) fn lookup(host: &str) -> Result<Vec<IpAddr>, Error> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let text = fs::read(HOSTS).unwrap_or_default();
    let found = hosts::find(&String::from_utf8_lossy(&text), host.trim_end_matches('.'));
    if !found.is_empty() {
        return Ok(found);
    }
    if let Some(own) = hosts::localhost(host.trim_end_matches('.')) {
        return Ok(own);
    }
    // Read each time, because a network that was started or changed rewrites it.
    Stub::read(&fs::read(RESOLV_CONF).unwrap_or_default()).lookup(host)
}

/// Asks name servers.
#[derive(Clone, Debug)]
pub struct Stub {
    servers: Vec<SocketAddr>,
    settings: Config,
}

impl Stub {
    /// Parses the text of a `resolv.conf`; ignores what it does not understand.
    #[must_use]
    pub fn read(text: &[u8]) -> Self {
        let (settings, _) = Config::parse_with_errors(text);
        let servers = settings.get_nameservers_or_local();
        let servers = servers.into_iter().take(MOST_SERVERS).map(server);
        Self {
            servers: servers.collect(),
            settings,
        }
    }

    /// The same settings with other servers or ports.
    #[must_use]
    pub fn with_servers(self, servers: Vec<SocketAddr>) -> Self {
        Self { servers, ..self }
    }

    /// The addresses of a host, IPv6 first.
    ///
    /// # Errors
    /// The name does not exist or has no address, or no name server answers.
    pub fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let mut exists = false;
        for name in self.candidates(host) {
            match self.ask(&name)? {
                Some(found) if !found.is_empty() => return Ok(found),
                Some(_) => exists = true,
                None => {}
            }
        }
        if exists {
            Err(Error::NoAddress)
        } else {
            Err(Error::Unknown)
        }
    }

    /// The names to try: the name itself, and with the domains of `search`, in the order
    /// that `ndots` determines.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let search = self.settings.get_last_search_or_domain();
        let mut names: Vec<_> = search
            .map(|domain| domain.trim_matches('.'))
            .filter(|domain| !domain.is_empty())
            .map(|domain| format!("{host}.{domain}"))
            .collect();
        let dots = host.bytes().filter(|&byte| byte == b'.').count();
        let whole_first = u32::try_from(dots).is_ok_and(|dots| dots >= self.settings.ndots);
        names.insert(if whole_first { 0 } else { names.len() }, host.to_owned());
        names
    }

    /// The addresses of a fully qualified name; `None` if it does not exist.
    fn ask(&self, name: &str) -> Result<Option<Vec<IpAddr>>, Error> {
        let mut trouble = Error::Unknown;
        for _ in 0..self.settings.attempts.clamp(1, MOST_ATTEMPTS) {
            for &server in &self.servers {
                match self.ask_server(server, name) {
                    Ok(found) => return Ok(found),
                    Err(Error::BadName) => return Err(Error::BadName),
                    Err(error) => trouble = error,
                }
            }
        }
        Err(trouble)
    }

    fn ask_server(&self, server: SocketAddr, name: &str) -> Result<Option<Vec<IpAddr>>, Error> {
        // A first, because every server knows that type: one that does not answer it is
        // down.
        let Some(v4) = self.exchange(server, name, TYPE::A)? else {
            return Ok(None);
        };
        if self.settings.no_aaaa {
            return Ok(Some(v4));
        }
        match self.exchange(server, name, TYPE::AAAA) {
            Ok(v6) => Ok(Some([v6.unwrap_or_default(), v4].concat())),
            // Some servers fail for AAAA if there is none.
            Err(_) if !v4.is_empty() => Ok(Some(v4)),
            Err(error) => Err(error),
        }
    }

    fn exchange(
        &self,
        server: SocketAddr,
        name: &str,
        kind: TYPE,
    ) -> Result<Option<Vec<IpAddr>>, Error> {
        let silent = |error| Error::NoAnswer(server, error);
        let mut id = [0; 2];
        let random = SysRng.try_fill_bytes(&mut id);
        random.map_err(|error| silent(io::Error::other(error)))?;
        let id = u16::from_ne_bytes(id);
        let question = message::question(id, name, kind)?;
        let accept = |bytes: &[u8]| message::reply(bytes, id, name, kind);
        let timeout = self.settings.timeout.clamp(1, LONGEST_TIMEOUT);
        let timeout = Duration::from_secs(timeout.into());
        let mut reply = Reply::Truncated;
        if !self.settings.use_vc {
            reply = over_udp(server, &question, timeout, accept).map_err(silent)?;
        }
        if reply == Reply::Truncated {
            reply = over_tcp(server, &question, timeout, accept).map_err(silent)?;
        }
        match reply {
            Reply::Addresses(found) => Ok(Some(found)),
            Reply::Unknown => Ok(None),
            Reply::Truncated => Err(silent(io::Error::other("a truncated answer over TCP"))),
            Reply::Failed(code) => Err(Error::Refused(server, code)),
        }
    }
}

/// Sends one datagram and waits for its answer. The source port differs each time, and only
/// datagrams from the server are received.
fn over_udp(
    server: SocketAddr,
    question: &[u8],
    timeout: Duration,
    accept: impl Fn(&[u8]) -> Option<Reply>,
) -> io::Result<Reply> {
    let socket = UdpSocket::bind(any(server))?;
    socket.connect(server)?;
    socket.send(question)?;
    let deadline = Instant::now() + timeout;
    let mut buffer = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = match socket.recv(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            length => length?,
        };
        if let Some(reply) = buffer.get(..length).and_then(&accept) {
            return Ok(reply);
        }
    }
}

/// Over TCP each message is preceded by its length (RFC 1035 4.2.2).
fn over_tcp(
    server: SocketAddr,
    question: &[u8],
    timeout: Duration,
    accept: impl Fn(&[u8]) -> Option<Reply>,
) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes)?;
    accept(&bytes).ok_or_else(|| io::Error::other("not an answer to our question"))
}

/// Puts addresses to which the machine has a route before others (RFC 6724 6, rule 1),
/// otherwise in their order.
pub(super) fn reachable_first(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    // Connecting a datagram socket sends nothing.
    let no_way = |to: &SocketAddr| UdpSocket::bind(any(*to)).and_then(|own| own.connect(to));
    addresses.sort_by_cached_key(|to| no_way(to).is_err());
    addresses
}

/// The unspecified address of the same family.
fn any(other: SocketAddr) -> SocketAddr {
    match other {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

fn server(address: ScopedIp) -> SocketAddr {
    match address {
        ScopedIp::V4(address) => (address, PORT).into(),
        ScopedIp::V6(address, scope) => {
            let scope = scope.as_deref().and_then(interface).unwrap_or_default();
            SocketAddrV6::new(address, PORT, 0, scope).into()
        }
    }
}

/// The index of an interface that may be given by name.
fn interface(scope: &str) -> Option<u32> {
    let by_name = || fs::read_to_string(format!("/sys/class/net/{scope}/ifindex"));
    let number = scope.parse().ok();
    number.or_else(|| by_name().ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndots_decides_what_is_tried_first() {
        let stub = Stub::read(b"search a.example b.example.\noptions ndots:2\n");
        let with_domains = ["log.x.a.example", "log.x.b.example", "log.x"];
        assert_eq!(stub.candidates("log.x"), with_domains);
        let as_it_is = ["log.x.y", "log.x.y.a.example", "log.x.y.b.example"];
        assert_eq!(stub.candidates("log.x.y"), as_it_is);
        assert_eq!(stub.candidates("log."), ["log."]);
    }

    #[test]
    fn without_the_file_this_machine_is_asked() {
        let stub = Stub::read(b"");
        assert_eq!(stub.servers.first().unwrap().port(), 53);
        assert!(stub.servers.iter().all(|server| server.ip().is_loopback()));
    }

    #[test]
    fn a_server_of_one_link_keeps_its_scope() {
        let stub = Stub::read(b"nameserver fe80::1%3\nnonsense\n");
        let SocketAddr::V6(server) = stub.servers[0] else {
            panic!("{stub:?}");
        };
        assert_eq!((server.scope_id(), server.port()), (3, 53));
    }
}
