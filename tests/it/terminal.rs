//! Colors and progress on a terminal, but not in a pipe; `script` (bsdutils) provides the terminal.

use std::process::{Command, Stdio};

use crate::support::{Relay, TempDir, numbered_file, wait_for};

const BINARY: &str = env!("CARGO_BIN_EXE_wecrelay");
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const BOLD: &str = "\x1b[1m";
const ERASE: &str = "\r\x1b[K";

/// The command's output to a terminal, both streams together.
fn on_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let words = std::iter::once(BINARY).chain(arguments.iter().copied());
    let words = words.map(|word| format!("'{word}'"));
    let line = words.collect::<Vec<_>>().join(" ");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::null())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("RUST_LOG");
    command.envs(variables.iter().copied());
    let output = command.output().expect("script of bsdutils");
    String::from_utf8(output.stdout).unwrap()
}

/// The command's output to pipes, both streams.
fn in_pipe(arguments: &[&str]) -> String {
    let output = crate::support::run(arguments);
    let both = [output.stdout, output.stderr].concat();
    String::from_utf8(both).unwrap()
}

#[track_caller]
fn assert_plain(text: &str) {
    assert!(!text.is_empty() && !text.contains('\x1b'), "{text:?}");
}

#[track_caller]
fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text:?}");
    }
}

#[test]
fn check_has_colors_and_progress_on_a_terminal_only() {
    let dir = TempDir::new();
    let output = "unix:/nonexistent/socket";
    let state = dir.file("state");
    let arguments = [
        "check",
        "--probe",
        "--anonymous",
        "192.0.2.1",
        "--listen",
        "http://127.0.0.1:0",
        "--state",
        &state,
        "--output",
        output,
    ];
    let text = on_terminal(&arguments, &[]);
    let finding = format!("{RED}finding:");
    let heading = format!("{BOLD}sends to:");
    let probing = format!("{ERASE}probing {output}");
    assert_has(&text, &[&finding, &heading, &probing]);
    assert_plain(&in_pipe(&arguments));
    assert_plain(&on_terminal(&arguments, &[("TERM", "dumb")]));
    let text = on_terminal(&arguments, &[("NO_COLOR", "1")]);
    assert_has(&text, &[&probing, "finding:"]);
    assert!(!text.contains(BOLD) && !text.contains(RED), "{text:?}");
    let text = on_terminal(&arguments, &[("NO_COLOR", "")]);
    assert_has(&text, &[&finding]);
}

#[test]
fn send_hosts_and_store_copy_have_colors_and_progress_on_a_terminal_only() {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", &format!("file:{}", dir.file("out"))]);
    let url = relay.url();
    let events = numbered_file(&dir, 10);
    let arguments = ["send", &url, "--events", &events, "--count", "200"];
    let text = on_terminal(&arguments, &[]);
    assert_has(
        &text,
        &[
            &format!("{GREEN}acknowledged:"),
            &format!("{ERASE}50 of 200 events acknowledged"),
        ],
    );
    assert_plain(&in_pipe(&arguments));
    let state = dir.file("state");
    let hosts = ["hosts", "--state", &state];
    wait_for("the host in the state folder", || {
        in_pipe(&hosts).contains("active").then_some(())
    });
    let text = on_terminal(&hosts, &[]);
    assert_has(&text, &[&format!("{GREEN}active"), &format!("{BOLD}HOST")]);
    assert_plain(&in_pipe(&hosts));
    assert_plain(&on_terminal(&hosts, &[("NO_COLOR", "1")]));
    drop(relay);
    let (first, second) = (dir.file("copy"), dir.file("copy-2"));
    let text = on_terminal(&["store", "copy", &state, &first], &[]);
    assert_has(
        &text,
        &[
            &format!("{GREEN}copied\x1b[0m 1 bookmark and 1 host"),
            &format!("{ERASE}copying 1 host"),
        ],
    );
    assert_plain(&in_pipe(&["store", "copy", &state, &second]));
}
