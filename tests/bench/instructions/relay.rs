//! The relay under callgrind.

use std::path::Path;
use std::process::Command;

use crate::load::Load;
use crate::profile::Costs;
use crate::sink::Sink;
use crate::support::{Process, TempDir};

/// Runs `binary` with `batches` batches of the load, and reads their costs.
pub(crate) fn run(binary: &str, load: &Load, batches: usize) -> Costs {
    let dir = TempDir::new();
    let profile = dir.file("callgrind.out");
    let sink = Sink::start(load.output);
    let mut command = Command::new("valgrind");
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={profile}"))
        .arg(std::fs::canonicalize(binary).unwrap_or_else(|why| panic!("{binary}: {why}")))
        .args(load.flags(&dir))
        .args(["--state", &dir.file("state"), "--no-self-reports"])
        .args(["--message", load.message, "--output", &sink.url()])
        .args(
            std::env::var("FLAGS")
                .unwrap_or_default()
                .split_whitespace(),
        )
        .current_dir(dir.path())
        .env_remove("RUST_LOG");
    let mut relay = Process::start(command);
    let line = relay.wait_for_log("listening on http");
    let port = line
        .trim()
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    load.send(
        &dir,
        port.unwrap_or_else(|| panic!("no port in {line:?}")),
        batches,
    );
    sink.wait_for(batches * load.batch);
    let status = relay.terminate();
    assert!(status.success(), "{status}: {}", relay.log());
    let text = std::fs::read_to_string(&profile).unwrap();
    let profiles = std::env::var("PROFILES").unwrap_or_default();
    if !profiles.is_empty() {
        let name = Path::new(binary).file_name().unwrap().to_string_lossy();
        let kept = format!("{name}, {}, {batches} batches", load.name);
        std::fs::copy(&profile, Path::new(&profiles).join(kept)).unwrap();
    }
    Costs::read(&text, binary)
}
