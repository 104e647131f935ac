//! The binary under test.

use super::{Process, Source, TempDir};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_wecrelay");
/// The file that `wecrelay send` sends in these tests.
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/events.xml");

/// A running relay, open to null sessions from loopback.
pub(crate) struct Relay {
    pub(crate) process: Process,
    port: u16,
}

impl Relay {
    /// Starts it on a free port with its state in `dir`, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(dir: &TempDir, arguments: &[&str]) -> Self {
        Self::start_on(0, dir, arguments)
    }

    /// Starts it on https, with nothing but `arguments` to let anyone in.
    #[track_caller]
    pub(crate) fn start_secure(dir: &TempDir, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command
            .args([
                "--listen",
                "https://127.0.0.1:0",
                "--state",
                &dir.file("state"),
            ])
            .args(arguments)
            .current_dir(dir.path())
            .env_remove("RUST_LOG");
        let mut process = Process::start(command);
        let line = process.wait_for_log("listening on https://127.0.0.1:");
        let port = line
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok());
        let port = port.unwrap_or_else(|| panic!("no port in {line:?}"));
        Self { process, port }
    }

    /// The same on a given port, to come back where sources look for it.
    #[track_caller]
    pub(crate) fn start_on(port: u16, dir: &TempDir, arguments: &[&str]) -> Self {
        Self::start_as(Command::new(BINARY), port, dir, arguments)
    }

    /// The same with its clock ahead by so many seconds, behind if negative.
    #[track_caller]
    pub(crate) fn start_ahead(seconds: i32, dir: &TempDir, arguments: &[&str]) -> Self {
        // The program faketime would stay between us and the relay, so only its library.
        let mut folders = std::fs::read_dir("/usr/lib").unwrap();
        let library = folders
            .find_map(|folder| {
                Some(folder.ok()?.path().join("faketime/libfaketime.so.1"))
                    .filter(|file| file.exists())
            })
            .unwrap_or_else(|| panic!("no libfaketime here: run scripts/peers"));
        let mut command = Command::new(BINARY);
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME", format!("{seconds:+}s"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Self::start_as(command, 0, dir, arguments)
    }

    #[track_caller]
    fn start_as(mut command: Command, port: u16, dir: &TempDir, arguments: &[&str]) -> Self {
        command
            .args(["--listen", &format!("http://127.0.0.1:{port}")])
            .args(["--state", &dir.file("state")])
            .args(["--anonymous", "127.0.0.0/8"])
            .args(arguments)
            .current_dir(dir.path())
            .env_remove("RUST_LOG");
        let mut process = Process::start(command);
        let line = process.wait_for_log("listening on http://127.0.0.1:");
        let port = line
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok());
        Self {
            process,
            port: port.unwrap_or_else(|| panic!("no port in {line:?}")),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
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

    /// Sets a limit of the running process, and gives the one before.
    pub(crate) fn limit(&self, resource: Resource, current: Option<u64>) -> Option<u64> {
        let pid = Pid::from_raw(i32::try_from(self.process.pid()).unwrap());
        let maximum = getrlimit(resource).maximum;
        let limit = Rlimit { current, maximum };
        prlimit(pid, resource, limit).unwrap().current
    }

    /// A connection of a source to it, not yet authenticated.
    pub(crate) fn source(&self, machine: &str) -> Source {
        Source::new(self.port, machine)
    }
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("STATE_DIRECTORY")
        .output()
        .unwrap()
}

/// `wecrelay send` with a file of events; panics when it fails.
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
