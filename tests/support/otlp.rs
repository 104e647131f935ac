//! Receivers of OTLP/HTTP logs: one that parses with opentelemetry-proto, and rotel, a real
//! collector, which forwards to the first.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Authority, Pair, Process, Server, TempDir, free_port, wait_for};

/// Where `scripts/peers` installs both.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/otlp");
const RECEIVER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/support/otlp_receiver.py"
);

fn installed(program: &str) -> PathBuf {
    let path = Path::new(FOLDER).join("bin").join(program);
    let found = path.exists();
    assert!(found, "{program} is not installed: run scripts/peers");
    path
}

/// The receiver that parses with opentelemetry-proto and writes confirmed records to a file.
pub(crate) struct OtlpReceiver;

impl OtlpReceiver {
    pub(crate) fn start() -> Server {
        Self::with(&json!({}))
    }

    /// With TLS; clients must have a certificate of `authority`.
    pub(crate) fn tls(authority: &Authority, own: &Pair) -> Server {
        Self::with(&json!({
            "certificate": own.certificate, "key": own.key, "authority": authority.file(),
        }))
    }

    fn with(more: &Value) -> Server {
        Server::start(
            |dir, port| {
                let mut config = more.clone();
                config["port"] = port.into();
                config["records"] = dir.file("records").into();
                config["mode"] = dir.file("mode").into();
                config.to_string()
            },
            |dir| {
                let mut command = Command::new(installed("python"));
                command.args([RECEIVER, &dir.file("conf")]);
                command
            },
        )
    }
}

impl Server {
    /// Sets how the OTLP receiver answers from now on; see `otlp_receiver.py`.
    pub(crate) fn set_mode(&self, mode: &Value) {
        let (new, file) = (self.file("mode.new"), self.file("mode"));
        std::fs::write(&new, mode.to_string()).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// The URL of an output to the OTLP receiver.
    pub(crate) fn otlp_url(&self, settings: &str) -> String {
        format!("otlp+http://127.0.0.1:{}{settings}", self.port())
    }
}

/// rotel: a real collector.
pub(crate) struct Rotel {
    pub(crate) process: Process,
    port: u16,
    _dir: TempDir,
}

impl Rotel {
    /// Forwards to a receiver.
    pub(crate) fn to(receiver: &Server) -> Self {
        let dir = TempDir::new();
        let (port, grpc) = (free_port(), free_port());
        let mut command = Command::new(installed("rotel-agent"));
        command.args(["start", "--exporter", "otlp"]);
        command.args(["--otlp-exporter-protocol", "http"]);
        let target = format!("http://127.0.0.1:{}", receiver.port());
        command.args(["--otlp-exporter-endpoint", &target]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args([
            "--pid-file",
            &dir.file("pid"),
            "--log-file",
            &dir.file("log"),
        ]);
        let mut rotel = Self {
            process: Process::start(command),
            port,
            _dir: dir,
        };
        wait_for("rotel", || {
            let running = rotel.process.is_running();
            assert!(running, "rotel ended: {}", rotel.process.log());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        rotel
    }

    pub(crate) fn url(&self) -> String {
        format!("otlp+http://127.0.0.1:{}", self.port)
    }
}
