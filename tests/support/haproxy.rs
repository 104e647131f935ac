//! A real HAProxy that forwards TCP connections to the relay.

use std::fmt::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::{Pair, Process, TempDir, free_port, wait_for};

const PROGRAM: &str = "/usr/sbin/haproxy";

/// A running HAProxy; each of its listeners forwards to one port of the relay.
pub(crate) struct Haproxy {
    pub(crate) process: Process,
    ports: Vec<u16>,
    // Removed after the process has ended.
    _dir: TempDir,
}

impl Haproxy {
    /// Connects to the relay from `address`; each port has its own options of `server`.
    #[track_caller]
    pub(crate) fn start(address: &str, servers: &[(u16, &str)]) -> Self {
        let installed = Path::new(PROGRAM).exists();
        assert!(installed, "haproxy is not installed: run scripts/peers");
        let dir = TempDir::new();
        let mut config =
            "global\n    maxconn 100\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
                          timeout client 60s\n    timeout server 60s\n"
                .to_owned();
        let mut ports = Vec::new();
        for (to, options) in servers {
            let port = free_port();
            let name = ports.len();
            write!(
                config,
                "listen way{name}\n    bind 127.0.0.1:{port}\n    source {address}\n    \
                 server relay 127.0.0.1:{to} {options}\n"
            )
            .unwrap();
            ports.push(port);
        }
        Self::run(dir, &config, ports)
    }

    /// Terminates TLS on the port `front`, and forwards the plaintext.
    #[track_caller]
    pub(crate) fn take_tls_off(front: u16, to: u16, own: &Pair) -> Self {
        let installed = Path::new(PROGRAM).exists();
        assert!(installed, "haproxy is not installed: run scripts/peers");
        let dir = TempDir::new();
        let pem = [&own.certificate, &own.key].map(|file| std::fs::read_to_string(file).unwrap());
        std::fs::write(dir.file("own.pem"), pem.concat()).unwrap();
        let config = format!(
            "global\n    maxconn 100\ndefaults\n    mode tcp\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\nlisten way\n    \
             bind 127.0.0.1:{front} ssl crt {}\n    server receiver 127.0.0.1:{to}\n",
            dir.file("own.pem")
        );
        Self::run(dir, &config, vec![front])
    }

    /// Distributes connections in turn among the relays that are up.
    #[track_caller]
    pub(crate) fn balance(relays: &[u16]) -> Self {
        Self::spread(relays.iter().map(|relay| format!("127.0.0.1:{relay}")), "")
    }

    /// The same, but only among relays whose `/readyz` succeeds: ports for hosts and metrics.
    #[track_caller]
    pub(crate) fn balance_ready(relays: &[(u16, u16)]) -> Self {
        let servers = relays.iter().map(|(relay, metrics)| {
            format!("127.0.0.1:{relay} check port {metrics} inter 500ms fall 2 rise 1")
        });
        Self::spread(servers, "    option httpchk GET /readyz\n")
    }

    #[track_caller]
    fn spread(servers: impl Iterator<Item = String>, options: &str) -> Self {
        let installed = Path::new(PROGRAM).exists();
        assert!(installed, "haproxy is not installed: run scripts/peers");
        let port = free_port();
        let mut config = format!(
            "global\n    maxconn 2000\ndefaults\n    mode tcp\n    timeout connect 1s\n    \
             timeout client 60s\n    timeout server 60s\n    retries 5\n    option redispatch 1\n\
             listen relays\n    bind 127.0.0.1:{port}\n    balance roundrobin\n{options}"
        );
        for (number, server) in servers.enumerate() {
            writeln!(config, "    server relay{number} {server}").unwrap();
        }
        Self::run(TempDir::new(), &config, vec![port])
    }

    #[track_caller]
    fn run(dir: TempDir, config: &str, ports: Vec<u16>) -> Self {
        std::fs::write(dir.file("haproxy.cfg"), config).unwrap();
        let mut command = Command::new(PROGRAM);
        command.args(["-db", "-f", &dir.file("haproxy.cfg")]);
        let mut process = Process::start(command);
        for port in &ports {
            wait_for("the port of HAProxy", || {
                assert!(process.is_running(), "HAProxy ended: {}", process.log());
                TcpStream::connect(("127.0.0.1", *port)).ok()
            });
        }
        Self {
            process,
            ports,
            _dir: dir,
        }
    }

    /// The port that it listens on, in the order of the servers.
    pub(crate) fn port(&self, index: usize) -> u16 {
        self.ports[index]
    }
}
