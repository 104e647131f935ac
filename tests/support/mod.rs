//! Shared code of the tests of the real binary: processes that end with their test,
//! waiting with a deadline, receivers, and a small Windows source.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "test code may panic, and each test file uses a part of this"
)]

mod certificates;
mod haproxy;
mod hard;
mod kafka;
mod kdc;
mod machine;
mod manual;
mod names;
mod otlp;
mod peers;
mod pki;
mod player;
mod postgres;
mod process;
mod prometheus;
mod proxy;
mod random;
mod relay;
mod relp;
mod rfc5424;
mod samples;
mod sinks;
mod source;
mod story;
mod tally;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

pub(crate) use certificates::{Authority, KeyForm, Pair};
pub(crate) use haproxy::Haproxy;
pub(crate) use hard::{Hard, MICROSECONDS, hard_events};
pub(crate) use kafka::{KafkaReader, KafkaRecord, LoginListener, MockCluster, Tansu, TansuProxy};
pub(crate) use kdc::{Kdc, SERVICE};
pub(crate) use machine::{Clock, SmallDisk};
pub(crate) use manual::manual;
pub(crate) use names::NameServer;
pub(crate) use otlp::{OtlpReceiver, Rotel};
pub(crate) use peers::{Record, Rsyslog, Server, SyslogNg};
pub(crate) use pki::{Issued, Use};
pub(crate) use player::{COLLECTOR, Ledger, Player, Talk, host_name};
pub(crate) use postgres::{Pgbouncer, Postgres};
pub(crate) use process::Process;
pub(crate) use prometheus::{Prometheus, promtool};
pub(crate) use proxy::{Fault, Plan, Proxy};
pub(crate) use random::Random;
pub(crate) use relay::{Relay, run, send, send_samples};
pub(crate) use relp::{RelpSink, Verdict};
pub(crate) use rfc5424::{Line, parse_line, read_line};
pub(crate) use samples::{
    LineEnds, Sample, assert_samples, numbered_event, numbered_file, samples,
};
pub(crate) use sinks::{DatagramSink, StreamSink, lines_of, small_listener};
pub(crate) use source::{Offer, Reply, Source, read_reply};
pub(crate) use story::Story;
pub(crate) use tally::{Receiver, Tally, wait_for_all};

/// Maximum time that a test waits for something that normally takes milliseconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The same, multiplied for runs at the lowest priority, which get little processor time.
fn patience() -> Duration {
    let factor = std::env::var("WECRELAY_TEST_PATIENCE");
    PATIENCE * factor.map_or(1, |text| text.parse::<u32>().unwrap())
}

/// Calls `attempt` until it returns a value; panics if that takes too long.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let patience = patience();
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The same for operations that take long on a busy machine; `None` after two minutes.
pub(crate) fn wait_for_long<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + 4 * patience();
    while Instant::now() < deadline {
        if let Some(value) = attempt() {
            return Some(value);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("waited {:?} in vain for {what}", 4 * patience());
    None
}

/// A folder that is removed with its contents at the end of the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("wecrelay-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file or folder in it, as text for a command line.
    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port on loopback that is currently unused in both TCP and UDP.
pub(crate) fn free_port() -> u16 {
    wait_for("a free port", || {
        let tcp = TcpListener::bind("127.0.0.1:0").ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind(("127.0.0.1", port)).ok()?;
        Some(port)
    })
}

/// A connection to a port on loopback from another loopback address.
pub(crate) fn connect_from(address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::from((address, 0))))?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&SockAddr::from(to))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
