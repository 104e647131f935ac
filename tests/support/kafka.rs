//! Kafka: a real broker (tansu with its storage in memory), a proxy in front of it that
//! authenticates users with scramp, librdkafka's mock cluster, and librdkafka's consumer.
//! `scripts/peers` installs them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::{Process, TempDir, free_port, wait_for};

const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/kafka");
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/kafka_peer.py");
const LOGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/kafka_login.py");

fn program(name: &str) -> PathBuf {
    let path = PathBuf::from(PEERS).join("bin").join(name);
    let is_there = path.exists();
    assert!(is_there, "no {}: run scripts/peers", path.display());
    path
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("python"));
    command.arg(PEER).args(arguments);
    command
}

#[track_caller]
fn wait_until_listening(process: &mut Process, port: u16) {
    wait_for("a listener of Kafka", || {
        assert!(process.is_running(), "it ended: {}", process.log());
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

fn url(port: u16) -> String {
    format!("tcp://127.0.0.1:{port}")
}

/// A broker with one topic, `events`.
pub(crate) struct Tansu {
    port: u16,
    process: Process,
}

impl Tansu {
    /// Starts a broker that advertises its own port.
    pub(crate) fn start(partitions: usize, arguments: &[&str]) -> Self {
        let port = free_port();
        Self::start_behind(port, port, partitions, arguments)
    }

    /// Starts a broker that advertises the port `front`.
    pub(crate) fn start_behind(
        port: u16,
        front: u16,
        partitions: usize,
        arguments: &[&str],
    ) -> Self {
        let mut command = Command::new(program("tansu"));
        command.args(["--listener-url", &url(port)]);
        command.args(["--advertised-listener-url", &url(front)]);
        command.args(arguments);
        let mut process = Process::start(command);
        wait_until_listening(&mut process, port);
        let broker = Self { port, process };
        if partitions > 0 {
            let partitions = partitions.to_string();
            broker.administer(&["topic", "create", "events", "--partitions", &partitions]);
        }
        broker
    }

    #[track_caller]
    pub(crate) fn administer(&self, arguments: &[&str]) {
        let mut command = Command::new(program("tansu"));
        command.args(arguments).args(["--broker", &url(self.port)]);
        let output = command.output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }
}

/// A proxy that advertises its own address instead of the broker's.
pub(crate) struct TansuProxy {
    port: u16,
    _process: Process,
}

impl TansuProxy {
    pub(crate) fn start(broker: &Tansu) -> Self {
        let port = free_port();
        let mut command = Command::new(program("tansu"));
        command.args(["proxy", "--listener-url", &url(port)]);
        command.args(["--advertised-listener-url", &url(port)]);
        command.args(["--origin-url", &url(broker.port)]);
        let mut process = Process::start(command);
        wait_until_listening(&mut process, port);
        Self {
            port,
            _process: process,
        }
    }

    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The number of records in the topic.
    #[track_caller]
    pub(crate) fn count_records(&self) -> usize {
        let output = script(&["count", &self.brokers(), "events"]).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = text.trim().parse();
        count.unwrap_or_else(|_| panic!("no count: {output:?}"))
    }
}

/// A proxy that authenticates users, in front of a broker that accepts all clients.
pub(crate) struct LoginListener {
    port: u16,
    broker: u16,
    process: Process,
    dir: TempDir,
}

impl LoginListener {
    /// Listens on `port`, in front of the broker on port `broker`.
    pub(crate) fn start(port: u16, broker: u16, user: &str, password: &str) -> Self {
        let dir = TempDir::new();
        let process = Self::serve(&dir, port, broker, user, password);
        Self {
            port,
            broker,
            process,
            dir,
        }
    }

    fn serve(dir: &TempDir, port: u16, broker: u16, user: &str, password: &str) -> Process {
        let users = serde_json::json!({ user: password });
        std::fs::write(dir.file("users"), users.to_string()).unwrap();
        let mut command = Command::new(program("python"));
        command
            .arg(LOGIN)
            .args([port, broker].map(|port| port.to_string()));
        command.arg(dir.file("users"));
        let mut process = Process::start(command);
        wait_until_listening(&mut process, port);
        process
    }

    /// Closes all connections; from now on only this user can authenticate.
    pub(crate) fn restart_with(&mut self, user: &str, password: &str) {
        self.process.kill();
        self.process = Self::serve(&self.dir, self.port, self.broker, user, password);
    }
}

/// Brokers simulated by librdkafka, with one topic, `events`.
pub(crate) struct MockCluster {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    brokers: String,
}

impl MockCluster {
    pub(crate) fn start(brokers: usize, partitions: usize) -> Self {
        let (brokers, partitions) = (brokers.to_string(), partitions.to_string());
        let mut command = script(&["mock", &brokers, "events", &partitions]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut brokers = String::new();
        answers.read_line(&mut brokers).unwrap();
        assert!(!brokers.is_empty(), "no mock cluster: run scripts/peers");
        Self {
            commands: child.stdin.take().unwrap(),
            child,
            answers,
            brokers: brokers.trim().to_owned(),
        }
    }

    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// See `kafka_peer.py`.
    #[track_caller]
    pub(crate) fn command(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "done", "{command}");
    }
}

impl Drop for MockCluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One record of a topic.
#[derive(Debug)]
pub(crate) struct KafkaRecord {
    pub(crate) partition: i64,
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl KafkaRecord {
    fn parse(line: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(line).ok()?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let headers = record["headers"].as_object()?.iter();
        Some(Self {
            partition: record["partition"].as_i64()?,
            key: text(&record["key"]),
            value: text(&record["value"]),
            headers: headers
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        })
    }
}

/// Reads all records of a topic as they arrive.
pub(crate) struct KafkaReader {
    process: Process,
}

impl KafkaReader {
    pub(crate) fn start(brokers: &str, settings: &[&str]) -> Self {
        let arguments = [&["read", brokers, "events"], settings].concat();
        let process = Process::start(script(&arguments));
        Self { process }
    }

    pub(crate) fn records(&self) -> Vec<KafkaRecord> {
        let output = String::from_utf8(self.process.output()).unwrap();
        let whole = output.rfind('\n').map_or("", |end| &output[..end]);
        whole.lines().filter_map(KafkaRecord::parse).collect()
    }

    pub(crate) fn values(&self) -> Vec<String> {
        let records = self.records().into_iter();
        records.map(|record| record.value).collect()
    }

    /// Waits for at least `count` records, and returns all that have arrived.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<KafkaRecord> {
        wait_for(&format!("{count} records"), || {
            let records = self.records();
            (records.len() >= count).then_some(records)
        })
    }
}
