//! A real Prometheus with the rules of `contrib`, which scrapes one relay.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use serde_json::Value;

use super::{Process, TempDir, free_port, wait_for};

/// The server, and the port of its API.
pub(crate) struct Prometheus {
    _process: Process,
    port: u16,
    // Removed after the process has ended.
    _dir: TempDir,
}

impl Prometheus {
    /// Scrapes the metrics at this port on loopback five times per second.
    pub(crate) fn start(scraped: u16) -> Self {
        let dir = TempDir::new();
        let port = free_port();
        let rules = format!(
            "{}/contrib/prometheus/alerts.yml",
            env!("CARGO_MANIFEST_DIR")
        );
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 500ms}}\n\
             rule_files: [{rules:?}]\n\
             scrape_configs:\n\
             - job_name: wecrelay\n  static_configs: [{{targets: [\"127.0.0.1:{scraped}\"]}}]\n"
        );
        std::fs::write(dir.file("prometheus.yml"), config).unwrap();
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", dir.file("prometheus.yml")))
            .arg(format!("--storage.tsdb.path={}", dir.file("data")))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        require("prometheus");
        let mut process = Process::start(command);
        process.wait_for_log("Server is ready");
        let prometheus = Self {
            _process: process,
            port,
            _dir: dir,
        };
        wait_for("two scrapes", || {
            let up = prometheus.query("count_over_time(up[1m]) >= 2 and up == 1");
            (up.len() == 1).then_some(())
        });
        prometheus
    }

    /// The current result of an expression; panics if the expression is invalid.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let encoded: String = expression
            .bytes()
            .map(|byte| {
                if plain(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The loaded rules.
    pub(crate) fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules");
        answer["data"]["groups"][0]["rules"]
            .as_array()
            .unwrap()
            .clone()
    }

    fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

/// Runs `promtool` with an input, and returns its output; panics if it reports an error.
#[track_caller]
pub(crate) fn promtool(arguments: &[&str], input: &str) -> String {
    require("promtool");
    let dir = TempDir::new();
    std::fs::write(dir.file("input"), input).unwrap();
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(format!("{}/contrib/prometheus", env!("CARGO_MANIFEST_DIR")))
        .stdin(std::fs::File::open(dir.file("input")).unwrap())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

fn require(program: &str) {
    let found = Command::new(program).arg("--version").output();
    assert!(found.is_ok(), "no {program}: run scripts/peers");
}
