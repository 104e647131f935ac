//! Against a real name server, dnsmasq.

#![allow(
    clippy::disallowed_methods,
    reason = "a test may use files and sockets"
)]

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use super::{Answer, Error, Resolver, Stub};

/// So many addresses do not fit into 512 bytes.
const MANY: u8 = 60;

struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = own.local_addr().unwrap();
        drop(own);
        let mut command = Command::new("dnsmasq");
        command
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--bind-interfaces",
                "--local=/test/",
            ])
            .args(["--listen-address=127.0.0.1", "--log-facility=/dev/null"])
            .arg(format!("--port={}", address.port()))
            .arg("--host-record=both.test,192.0.2.1,2001:db8::1")
            .arg("--host-record=log.sub.test,192.0.2.2")
            .arg("--cname=alias.test,both.test")
            .arg("--txt-record=words.test,no address")
            .args((1..=MANY).map(|n| format!("--host-record=many.test,198.51.100.{n}")));
        let process = command.stderr(Stdio::null()).spawn();
        let process = process.expect("no dnsmasq here: run scripts/peers");
        Self { process, address }
    }

    /// A stub for this server, after others that are dead.
    fn stub(&self, text: &str, dead: &[SocketAddr]) -> Stub {
        let servers = [dead, &[self.address]].concat();
        let stub = Stub::read(text.as_bytes()).with_servers(servers);
        let deadline = Instant::now() + Duration::from_secs(20);
        while matches!(stub.lookup("both.test"), Err(Error::NoAnswer(..))) {
            assert!(Instant::now() < deadline, "dnsmasq does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        stub
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_name_server_is_asked_for_both_families_and_over_tcp() {
    let server = Server::start();
    let stub = server.stub("", &[]);
    let both = addresses(&["2001:db8::1", "192.0.2.1"]);
    assert_eq!(stub.lookup("Both.test").unwrap(), both);
    assert_eq!(stub.lookup("alias.test.").unwrap(), both);
    // Too many for a datagram.
    assert_eq!(stub.lookup("many.test").unwrap().len(), usize::from(MANY));
    let by_tcp = server.stub("options use-vc no-aaaa\n", &[]);
    assert_eq!(by_tcp.lookup("both.test").unwrap(), both[1..]);
}

#[test]
fn domains_are_searched() {
    let server = Server::start();
    let stub = server.stub("search none.test sub.test\n", &[]);
    assert_eq!(stub.lookup("log").unwrap(), addresses(&["192.0.2.2"]));
    assert!(stub.lookup("log.").is_err());
}

#[test]
fn what_is_not_there_is_told_apart() {
    let server = Server::start();
    let stub = server.stub("", &[]);
    let unknown = stub.lookup("nobody.test").unwrap_err();
    assert!(matches!(unknown, Error::Unknown), "{unknown}");
    let words = stub.lookup("words.test").unwrap_err();
    assert!(matches!(words, Error::NoAddress), "{words}");
    let label = stub.lookup(&"a".repeat(64)).unwrap_err();
    assert!(matches!(label, Error::BadName), "{label}");
    // dnsmasq has nobody to ask for other domains.
    let refused = stub.lookup("example.com").unwrap_err();
    assert!(refused.to_string().contains("REFUSED"), "{refused}");
}

#[test]
fn a_dead_server_is_passed_over() {
    let server = Server::start();
    // One that nobody listens on, one that never answers.
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = [closed, silent.local_addr().unwrap()];
    let stub = server.stub("options timeout:1 attempts:1\n", &dead);
    assert_eq!(stub.lookup("both.test").unwrap().len(), 2);
    let alone = Stub::read(b"options timeout:1 attempts:1\n").with_servers(dead.to_vec());
    let error = alone.lookup("both.test").unwrap_err();
    assert!(
        matches!(error, Error::NoAnswer(last, _) if last == dead[1]),
        "{error}"
    );
}

/// Asks the servers whose ports the name has: silent ones first, as
/// `silent-PORT.good-PORT` or `good-PORT`.
fn by_ports(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let servers = host.split('.').map(|part| {
        let (_, port) = part.split_once('-').unwrap();
        SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
    });
    let stub = Stub::read(b"options timeout:1 attempts:1\n").with_servers(servers.collect());
    let found = stub.lookup("both.test").map_err(io::Error::other)?;
    Ok(found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

#[test]
fn a_silent_name_server_is_waited_for_by_its_asker_only() {
    let server = Server::start();
    server.stub("", &[]);
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let mut resolver = Resolver::with(waker, by_ports);
    let (silent, good) = (silent.local_addr().unwrap().port(), server.address.port());
    resolver.ask(0, &format!("silent-{silent}"), 1);
    resolver.ask(1, &format!("silent-{silent}.good-{good}"), 2);
    resolver.ask(2, &format!("good-{good}"), 3);
    let mut answers: Vec<Answer> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    while answers.len() < 3 {
        assert!(Instant::now() < deadline, "{answers:?}");
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_secs(1)))
            .unwrap();
        answers.extend(std::iter::from_fn(|| resolver.poll_answer()));
    }
    // Who asked last, and waited behind nobody, has its answer first.
    assert_eq!(answers[0].0, 2);
    answers.sort_by_key(|(who, _)| *who);
    assert!(answers[0].1.is_err());
    for (who, port) in [(1, 2), (2, 3)] {
        let found = answers[who].1.as_ref().unwrap();
        assert_eq!((found.len(), found[0].port()), (2, port));
    }
}
