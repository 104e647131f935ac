//! Bad flags: exit status 2 before anything listens, and a message that names the
//! flag and what it allows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code may panic and use the clock and sockets"
)]

mod support;

use support::{TempDir, run};

/// Arguments that are wrong, and what the complaint must name.
const BAD: &[(&[&str], &[&str])] = &[
    (&[], &["--anonymous", "--users"]),
    (
        &["--anonymous", "192.0.2.0/33"],
        &["--anonymous", "192.0.2.0/33"],
    ),
    (&["--anonymous", "example"], &["--anonymous", "example"]),
    (&["--no-such-flag"], &["--no-such-flag"]),
    (&["--listen", "ftp://127.0.0.1"], &["--listen", "http"]),
    (&["--listen", "https://127.0.0.1:0"], &["--listen", "https"]),
    (&["--listen", "http://127.0.0.1:99999"], &["--listen"]),
    (
        &["--output", "smtp://127.0.0.1"],
        &["--output", "smtp", "tcp"],
    ),
    (
        &["--output", "tcp://127.0.0.1?frame=lf"],
        &["--output", "frame"],
    ),
    (
        &["--output", "tcp://127.0.0.1?framing=nul"],
        &["--output", "framing"],
    ),
    (&["--output", "tcp://"], &["--output"]),
    (
        &["--output", "udp://127.0.0.1?max=10"],
        &["--output", "max"],
    ),
    (
        &["--output", "stdout:", "--output", "stdout:"],
        &["--output", "stdout:"],
    ),
    (
        &["--message", "yaml"],
        &["--message", "text", "xml", "json"],
    ),
    (&["--facility", "local9"], &["--facility"]),
    (
        &["--anonymous", "127.0.0.1", "--require-computer-match"],
        &["--require-computer-match=refuse", "--anonymous"],
    ),
    (&["--computer-exempt", "a"], &["--require-computer-match"]),
    (&["--users", "no-such-file"], &["--users", "no-such-file"]),
    (
        &["--subscription", "no-such-file"],
        &["--subscription", "no-such-file"],
    ),
    (&["--hostname", "not a name"], &["--hostname"]),
    (&["--enterprise", "none"], &["--enterprise"]),
];

#[test]
fn bad_flags_are_named_and_end_it_with_status_2() {
    for (arguments, named) in BAD {
        let text = refused(arguments);
        for word in *named {
            assert!(text.contains(word), "{arguments:?}: no {word} in {text}");
        }
    }
}

#[test]
fn a_bad_users_file_is_named_with_its_line() {
    let dir = TempDir::new();
    let path = dir.file("users");
    std::fs::write(&path, "# fine\nno colon or hash here\n").unwrap();
    let text = refused(&["--users", &path]);
    assert!(text.contains(&path) && text.contains('2'), "{text}");
}

#[test]
fn a_bad_subscription_file_is_named() {
    let dir = TempDir::new();
    let path = dir.file("broken.xml");
    std::fs::write(&path, "<Subscription><Query>").unwrap();
    let text = refused(&["--subscription", &path]);
    assert!(text.contains(&path), "{text}");
}

#[test]
fn a_taken_port_ends_it_with_an_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    let dir = TempDir::new();
    let state = dir.file("state");
    let arguments = [
        "--listen",
        &url,
        "--state",
        &state,
        "--anonymous",
        "127.0.0.1",
    ];
    let output = run(&arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{text}");
    assert!(text.contains(&url), "{text}");
}

#[test]
fn help_and_version_end_with_status_0() {
    for flag in ["--help", "--version"] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}

/// Runs it with `--anonymous` where no other method is on, so that only the given flag is wrong.
#[track_caller]
fn refused(arguments: &[&str]) -> String {
    let dir = TempDir::new();
    let state = dir.file("state");
    let mut all = vec!["--state", &state];
    all.extend(arguments);
    if !arguments.is_empty() && arguments[0] != "--anonymous" {
        all.extend(["--anonymous", "127.0.0.0/8"]);
    }
    if !arguments.contains(&"--listen") {
        all.extend(["--listen", "http://127.0.0.1:0"]);
    }
    let output = run(&all);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(!text.contains("listening on"), "{arguments:?}: {text}");
    text
}
