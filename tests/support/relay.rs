//! The binary under test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{Clock, NameServer, PATIENCE, Process, Source, TempDir};

const BINARY: &str = env!("CARGO_BIN_EXE_wecrelay");
/// The events that `wecrelay send` sends in these tests.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/events.xml");

/// A running relay, open to null sessions from loopback.
pub(crate) struct Relay {
    pub(crate) process: Process,
    port: u16,
    /// The port of the https listener, if there is one.
    secure_port: u16,
}

impl Relay {
    /// Starts it on a free port with its state in `dir`, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(dir: &TempDir, arguments: &[&str]) -> Self {
        Self::start_on(0, dir, arguments)
    }

    /// Starts it on https, with only the authentication methods in `arguments`.
    #[track_caller]
    pub(crate) fn start_secure(dir: &TempDir, arguments: &[&str]) -> Self {
        Self::started_secure(secure_command(dir, arguments))
    }

    /// The same with a private clock.
    #[track_caller]
    pub(crate) fn start_secure_by(clock: &Clock, dir: &TempDir, arguments: &[&str]) -> Self {
        let mut command = secure_command(dir, arguments);
        clock.rule(&mut command);
        Self::started_secure(command)
    }

    #[track_caller]
    fn started_secure(command: Command) -> Self {
        let mut process = Process::start(command);
        let line = process.wait_for_log("listening on https://127.0.0.1:");
        let port = port_in(&line);
        Self {
            process,
            port,
            secure_port: port,
        }
    }

    /// Starts it on http and https, with a private clock and name server.
    #[track_caller]
    pub(crate) fn start_on_both(
        [port, secure_port]: [u16; 2],
        dir: &TempDir,
        arguments: &[&str],
        (clock, names): (&Clock, &NameServer),
    ) -> Self {
        let secure = format!("https://127.0.0.1:{secure_port}");
        let mut command = open_command(port, dir, arguments);
        command.args(["--listen", &secure]);
        let mut command = names.rule(command);
        clock.rule(&mut command);
        let mut process = Process::start(command);
        let line = process.wait_for_log("listening on http://127.0.0.1:");
        let secure_line = process.wait_for_log("listening on https://127.0.0.1:");
        Self {
            process,
            port: port_in(&line),
            secure_port: port_in(&secure_line),
        }
    }

    /// The same on a given port, so that sources find it again after a restart.
    #[track_caller]
    pub(crate) fn start_on(port: u16, dir: &TempDir, arguments: &[&str]) -> Self {
        Self::started(open_command(port, dir, arguments))
    }

    /// Starts it on a free port with a private clock.
    #[track_caller]
    pub(crate) fn start_by(clock: &Clock, dir: &TempDir, arguments: &[&str]) -> Self {
        let mut command = open_command(0, dir, arguments);
        clock.rule(&mut command);
        Self::started(command)
    }

    /// The same with a limit of open files from the start.
    #[track_caller]
    pub(crate) fn start_with_files(limit: u32, dir: &TempDir, arguments: &[&str]) -> Self {
        let relay = open_command(0, dir, arguments);
        let mut command = Command::new("prlimit");
        command
            .arg(format!("--nofile={limit}:{limit}"))
            .arg(relay.get_program())
            .args(relay.get_args())
            .current_dir(dir.path())
            .env_remove("RUST_LOG");
        Self::started(command)
    }

    /// Starts it on a free port with an environment variable.
    #[track_caller]
    pub(crate) fn start_with(
        dir: &TempDir,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = open_command(0, dir, arguments);
        command.envs(environment.iter().copied());
        Self::started(command)
    }

    #[track_caller]
    fn started(command: Command) -> Self {
        let mut process = Process::start(command);
        let line = process.wait_for_log("listening on http://127.0.0.1:");
        let port = port_in(&line);
        Self {
            process,
            port,
            secure_port: 0,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn secure_port(&self) -> u16 {
        self.secure_port
    }

    /// The port of `--metrics`.
    #[track_caller]
    pub(crate) fn metrics_port(&mut self) -> u16 {
        let line = self.process.wait_for_log("metrics on http://127.0.0.1:");
        line.rsplit([':', '/']).nth(1).unwrap().parse().unwrap()
    }

    /// The complete answer to a GET request at this port.
    pub(crate) fn get(port: u16, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/wsman/SubscriptionManager/WEC",
            self.port
        )
    }

    /// Resident memory in kB.
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    }

    /// Sets a limit of the running process, and returns the previous one.
    pub(crate) fn limit(&self, resource: Resource, current: Option<u64>) -> Option<u64> {
        let pid = Pid::from_raw(i32::try_from(self.process.pid()).unwrap());
        let maximum = getrlimit(resource).maximum;
        let limit = Rlimit { current, maximum };
        prlimit(pid, resource, limit).unwrap().current
    }

    /// A source for it, which has not connected yet.
    pub(crate) fn source(&self, machine: &str) -> Source {
        Source::new(self.port, machine)
    }
}

/// The command that starts it on https, with only the methods in `arguments`.
fn secure_command(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["--listen", "https://127.0.0.1:0"])
        .args(["--state", &dir.file("state")])
        .args(arguments)
        .current_dir(dir.path())
        .env_remove("RUST_LOG");
    command
}

/// A relay on http, open to null sessions.
fn open_command(port: u16, dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(["--listen", &format!("http://127.0.0.1:{port}")])
        .args(["--state", &dir.file("state")])
        .args(["--anonymous", "127.0.0.0/8"])
        .args(arguments)
        .current_dir(dir.path())
        .env_remove("RUST_LOG");
    command
}

#[track_caller]
fn port_in(line: &str) -> u16 {
    let port = line.rsplit(':').next().and_then(|p| p.trim().parse().ok());
    port.unwrap_or_else(|| panic!("no port in {line:?}"))
}

/// Runs the binary until it exits.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("STATE_DIRECTORY")
        .output()
        .unwrap()
}

/// Runs `wecrelay send` with a file of events; panics if it fails.
#[track_caller]
pub(crate) fn send(relay: &Relay, file: &str, count: usize, machine: &str) {
    let count = count.to_string();
    let output = run(&[
        "send",
        &relay.url(),
        "--events",
        file,
        "--count",
        &count,
        "--machine",
        machine,
    ]);
    assert!(
        output.status.success(),
        "send failed: {}\nthe relay says: {}",
        String::from_utf8_lossy(&output.stderr),
        relay.process.log()
    );
}

/// Sends the sample events, each once.
#[track_caller]
pub(crate) fn send_samples(relay: &Relay) {
    let samples = super::samples();
    send(relay, SAMPLES, samples.len(), samples[0].computer);
}
