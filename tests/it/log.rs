//! The log on standard error: if it is not read, the relay is not delayed; its lines contain
//! the time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Source, TempDir, free_port, numbered_event, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_wecrelay");

/// A relay whose standard error is read only on request.
struct Unread {
    child: Child,
    port: u16,
    metrics: u16,
}

impl Unread {
    fn start(dir: &TempDir, arguments: &[&str]) -> Self {
        let (port, metrics) = (free_port(), free_port());
        let child = Command::new(BINARY)
            .args(["--listen", &format!("http://127.0.0.1:{port}")])
            .args(["--metrics", &format!("127.0.0.1:{metrics}")])
            .args(["--state", &dir.file("state"), "--allow-unencrypted"])
            .args(["--anonymous", "127.0.0.0/8", "--no-self-reports"])
            .args(["--output", &format!("file:{}", dir.file("out"))])
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for("the relay", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self {
            child,
            port,
            metrics,
        }
    }

    /// The counter of dropped lines.
    fn dropped(&self) -> u64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).unwrap();
        let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask.as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let mut lines = page.lines();
        let count = lines.find_map(|line| line.strip_prefix("wecrelay_log_lines_dropped_total "));
        count.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Starts reading the log.
    fn read(&mut self) -> Arc<Mutex<String>> {
        let log = Arc::<Mutex<String>>::default();
        let (into, stderr) = (Arc::clone(&log), self.child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines() {
                *into.lock().unwrap() += &(line.unwrap() + "\n");
            }
        });
        log
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Delivers until lines are dropped.
fn flood(relay: &Unread) {
    let mut source = Source::new(relay.port, "ws1.example.com");
    let offer = source.subscribe();
    let (deadline, mut record) = (Instant::now() + Duration::from_secs(120), 0_usize);
    while relay.dropped() == 0 {
        assert!(Instant::now() < deadline, "nothing is dropped");
        for _ in 0..50 {
            record += 1;
            let events = [numbered_event(record)];
            assert!(
                source.deliver(&offer, &events, record as u64),
                "not acknowledged"
            );
        }
    }
}

#[test]
fn batches_are_acknowledged_while_nobody_reads_the_log() {
    let dir = TempDir::new();
    let mut relay = Unread::start(&dir, &["-vv"]);
    flood(&relay);
    // Now it is read again: it contains a line about the gap, and the last line at its end.
    let log = relay.read();
    wait_for("the gap", || {
        let log = log.lock().unwrap();
        log.contains(" lines of this log are missing here")
            .then_some(())
    });
    relay.signal(Signal::TERM);
    assert!(relay.child.wait().unwrap().success());
    wait_for("the last words", || {
        let log = log.lock().unwrap();
        log.lines()
            .last()?
            .contains("info: stopped: ")
            .then_some(())
    });
}

#[test]
fn the_end_does_not_wait_for_ever_for_somebody_to_read() {
    let dir = TempDir::new();
    let mut relay = Unread::start(&dir, &["-vv"]);
    flood(&relay);
    relay.signal(Signal::TERM);
    let status = wait_for("the end", || relay.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
}

/// The log of a failed start, in a file.
fn log_in_file(dir: &TempDir, arguments: &[&str], is_journal: bool) -> String {
    let path = dir.file("log");
    let file = File::create(&path).unwrap();
    let found = file.metadata().unwrap();
    let stream = if is_journal {
        format!("{}:{}", found.dev(), found.ino())
    } else {
        "1:2".to_owned()
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let status = Command::new(BINARY)
        .args([
            "--listen",
            &format!("http://{}", taken.local_addr().unwrap()),
        ])
        .args(["--anonymous", "127.0.0.1", "--state", &dir.file("state")])
        .args(arguments)
        .env_remove("RUST_LOG")
        .env("JOURNAL_STREAM", stream)
        .stderr(file)
        .status()
        .unwrap();
    assert!(!status.success());
    let log = std::fs::read_to_string(path).unwrap();
    let lines = log.lines();
    lines
        .filter(|line| !line.starts_with("wecrelay: "))
        .collect()
}

#[test]
fn a_line_has_time_and_level_unless_the_journal_adds_them() {
    let dir = TempDir::new();
    let arguments = ["--metrics", "127.0.0.1:0"];
    let with = |format: &'static str| [&arguments[..], &["--log-format", format]].concat();
    let plain = log_in_file(&dir, &arguments, false);
    let (time, rest) = plain.split_once(' ').unwrap_or_else(|| panic!("{plain:?}"));
    assert!(humantime::parse_rfc3339(time).is_ok(), "{plain}");
    assert!(rest.starts_with("info: "), "{plain}");
    let journal = log_in_file(&dir, &arguments, true);
    assert!(journal.starts_with("<6>"), "{journal}");
    let text = log_in_file(&dir, &with("text"), true);
    assert!(text.starts_with("info: "), "{text}");
    let json = log_in_file(&dir, &with("json"), false);
    assert!(json.starts_with("{\"time\":\""), "{json}");
}
