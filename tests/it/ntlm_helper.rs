//! Accounts that a helper verifies: Samba's `ntlm_auth`, here with a fixed password instead of
//! a domain; and misbehaving helpers.

use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::support::{Line, Relay, TempDir, lines_of, run, wait_for};

const PASSWORD: &str = "Correct-Horse-7";
/// Accepts this password for every account, without a domain.
const REAL: &str = "ntlm_auth --helper-protocol=ntlm-server-1 --password=Correct-Horse-7";

/// `ntlm_auth` must be installed: without it, these tests prove nothing.
fn real() -> &'static str {
    let found = Command::new("ntlm_auth").arg("--version").output();
    assert!(
        found.is_ok_and(|output| output.status.success()),
        "no ntlm_auth: scripts/peers installs it (Debian package winbind)"
    );
    REAL
}

/// A helper that answers the probe, and then runs `then` for each request.
fn script(dir: &TempDir, then: &str) -> String {
    let text = format!(
        "#!/bin/sh\nn=0\nwhile read -r line; do\n[ \"$line\" = . ] || {{ n=1; continue; }}\n\
         if [ $n = 0 ]; then printf 'Error: nothing asked\\n.\\n'; else\n{then}\nn=0; fi\ndone\n"
    );
    let path = dir.file("helper.sh");
    std::fs::write(&path, text).unwrap();
    format!("sh '{path}'")
}

fn start(dir: &TempDir, helper: &str, arguments: &[&str]) -> Relay {
    let output = format!("file:{}", dir.file("out"));
    let own = ["-v", "--ntlm-helper", helper, "--output", &output];
    Relay::start(dir, &[&own[..], arguments].concat())
}

fn send(dir: &TempDir, relay: &Relay, account: &str, password: &str) -> Output {
    let file = dir.file("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
    command.args(["send", &relay.url(), "--user", account]);
    command.args(["--password-file", &file]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn written(dir: &TempDir) -> Vec<Line> {
    lines_of(&std::fs::read(dir.file("out")).unwrap_or_default())
}

/// The relay's child processes, according to the kernel.
fn children(relay: &Relay) -> Vec<String> {
    let pid = relay.process.pid();
    let path = PathBuf::from(format!("/proc/{pid}/task/{pid}/children"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

fn command_of(pid: &str) -> Option<String> {
    let text = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&text).replace('\0', " "))
}

#[test]
fn the_real_program_lets_an_account_in_and_its_key_seals() {
    let dir = TempDir::new();
    let mut relay = start(&dir, real(), &[]);
    // Names with any characters pass through the protocol.
    for account in ["WINDOMAIN\\WIN10$", "Grün AG\\Zähler 1$"] {
        let output = send(&dir, &relay, account, PASSWORD);
        assert!(output.status.success(), "{}", said(&output));
    }
    let lines = written(&dir);
    assert_eq!(lines.len(), 8);
    // In line-based output, a backslash in a value is doubled.
    for (line, account) in lines.iter().zip(["WINDOMAIN\\\\WIN10$"; 4]) {
        assert_eq!(line.value("event", "Auth"), "ntlm-domain", "{line:?}");
        assert_eq!(line.value("event", "Identity"), account, "{line:?}");
    }
    relay
        .process
        .wait_for_log("host 127.0.0.1: WINDOMAIN\\WIN10$ by ntlm-domain");
}

#[test]
fn the_real_program_refuses_a_wrong_password() {
    let dir = TempDir::new();
    let mut relay = start(&dir, real(), &[]);
    for _ in 0..3 {
        // Its answer ends with two dots, which must not affect the next one.
        let output = send(&dir, &relay, "WINDOMAIN\\WIN10$", "wrong");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("rejects the logon with 401"));
    }
    assert!(
        send(&dir, &relay, "WINDOMAIN\\WIN10$", PASSWORD)
            .status
            .success()
    );
    relay.process.wait_for_log(
        "the domain rejects account 'WINDOMAIN\\WIN10$', workstation 'SENDER': wrong password",
    );
    relay.process.terminate();
    let log = relay.process.log();
    assert!(
        log.contains("accepted-ntlm-domain=2 refused-ntlm-domain=3"),
        "{log}"
    );
}

#[test]
fn accounts_of_the_file_are_not_asked_for() {
    let dir = TempDir::new();
    let users = dir.file("users");
    std::fs::write(&users, "ACME\\host:{NT}8846f7eaee8fb117ad06bdd830b7586c\n").unwrap();
    let relay = start(&dir, real(), &["--users", &users]);
    // The helper would accept it with another password, but is not used.
    let output = send(&dir, &relay, "acme\\HOST", PASSWORD);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        send(&dir, &relay, "acme\\HOST", "password")
            .status
            .success()
    );
    assert_eq!(written(&dir)[0].value("event", "Auth"), "ntlm");
}

/// winbindd is not running, so the real program cannot verify accounts.
#[test]
fn an_outage_is_one_clear_line_and_a_401() {
    real();
    let dir = TempDir::new();
    let helper = "ntlm_auth --helper-protocol=ntlm-server-1";
    // Also on a machine with a running winbindd.
    let nowhere = dir.file("nowhere");
    let configuration = dir.file("smb.conf");
    let text = format!("[global]\nwinbindd socket directory = {nowhere}\n");
    std::fs::write(&configuration, text).unwrap();
    let helper = format!("{helper} --configfile={configuration}");
    let mut relay = start(&dir, &helper, &[]);
    for _ in 0..3 {
        let output = send(&dir, &relay, "WINDOMAIN\\WIN10$", PASSWORD);
        assert!(
            said(&output).contains("rejects the logon with 401"),
            "{}",
            said(&output)
        );
    }
    relay.process.terminate();
    let log = relay.process.log();
    let line = "error: accounts of the domain cannot be verified: Reading winbind reply failed!";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert!(!log.contains("warning: host"), "{log}");
    assert!(log.contains("unavailable-ntlm-domain=3"), "{log}");
}

#[test]
fn a_reload_replaces_the_processes_and_the_end_leaves_none() {
    let dir = TempDir::new();
    let mut relay = start(&dir, real(), &["--ntlm-helpers", "3"]);
    let running = |relay: &Relay| {
        let all = children(relay);
        let all: Vec<_> = all
            .into_iter()
            .filter(|pid| command_of(pid).is_some_and(|c| c.starts_with("ntlm_auth")))
            .collect();
        (all.len() == 3).then_some(all)
    };
    let before = wait_for("three processes", || running(&relay));
    relay.process.signal(Signal::HUP);
    let after = wait_for("three new processes", || {
        running(&relay).filter(|now| now.iter().all(|pid| !before.contains(pid)))
    });
    assert!(send(&dir, &relay, "D\\u", PASSWORD).status.success());
    relay.process.terminate();
    for pid in before.iter().chain(&after) {
        let command = command_of(pid).unwrap_or_default();
        assert!(
            !command.starts_with("ntlm_auth"),
            "{pid} is left: {command}"
        );
    }
}

#[test]
fn a_process_that_dies_is_started_again() {
    let dir = TempDir::new();
    let once = dir.file("once");
    // The first request ends the process, whichever it is.
    let then = format!(
        "if mkdir '{once}' 2>/dev/null; then echo its last words >&2; exit 3; fi\n\
         printf 'Authenticated: No\\nAuthentication-Error: Account locked out\\n.\\n'"
    );
    let mut relay = start(&dir, &script(&dir, &then), &["--ntlm-helpers", "1"]);
    let output = send(&dir, &relay, "D\\u", PASSWORD);
    assert!(
        said(&output).contains("rejects the logon with 401"),
        "{}",
        said(&output)
    );
    relay.process.wait_for_log("--ntlm-helper: its last words");
    relay
        .process
        .wait_for_log("--ntlm-helper: process 0 has ended");
    // The request was repeated.
    relay
        .process
        .wait_for_log("the domain rejects account 'D\\u'");
    relay
        .process
        .wait_for_log("--ntlm-helper: processes are answering again");
}

#[test]
fn a_process_that_never_answers_is_killed() {
    let dir = TempDir::new();
    let pid = dir.file("pid");
    let then = format!("sleep 1000 & echo $! > '{pid}'; wait");
    let mut relay = start(&dir, &script(&dir, &then), &["--ntlm-helpers", "1"]);
    let output = send(&dir, &relay, "D\\u", PASSWORD);
    assert!(
        said(&output).contains("rejects the logon with 401"),
        "{}",
        said(&output)
    );
    relay
        .process
        .wait_for_log("process 0 has not answered within 10 s");
    // Including its own child processes.
    let pid = std::fs::read_to_string(pid).unwrap();
    wait_for("the end of its child", || {
        let command = command_of(pid.trim()).unwrap_or_default();
        (!command.starts_with("sleep")).then_some(())
    });
}

#[test]
fn lies_and_garbage_open_nothing() {
    for (then, line) in [
        (
            "printf 'Authenticated: Yes\\nUser-Session-Key: 000102030405060708090A0B0C0D0E0F\\n.\\n'",
            "bad MIC",
        ),
        (
            "printf 'Authenticated: Yes\\n.\\n'",
            "returned no user session key",
        ),
        (
            "printf 'Authenticated: Yes\\nAuthenticated: No\\n.\\n'",
            "does not speak ntlm-server-1",
        ),
        ("yes boom", "does not speak ntlm-server-1"),
        ("yes .", "does not speak ntlm-server-1"),
    ] {
        let dir = TempDir::new();
        let mut relay = start(&dir, &script(&dir, then), &["--ntlm-helpers", "1"]);
        let output = send(&dir, &relay, "D\\u", PASSWORD);
        assert!(
            said(&output).contains("rejects the logon with 401"),
            "{then}: {}",
            said(&output)
        );
        relay.process.wait_for_log(line);
        assert!(written(&dir).is_empty());
    }
}

#[test]
fn what_is_no_helper_is_refused_at_the_start() {
    let dir = TempDir::new();
    let state = dir.file("state");
    for (command, named) in [
        ("no-such-program", "no such program"),
        ("/etc/passwd", "cannot be run: Permission denied"),
        ("true", "exits at once"),
        ("echo hello", "a line that is not"),
        ("yes", "a line that is not"),
        ("ntlm_auth 'x", "not a command"),
    ] {
        let arguments = ["--ntlm-helper", command, "--state", &state];
        let output = run(&[&arguments[..], &["--listen", "http://127.0.0.1:0"]].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{command}: {text}");
        assert!(text.contains("--ntlm-helper"), "{text}");
        assert!(text.contains(command) && text.contains(named), "{text}");
    }
}
