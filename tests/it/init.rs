//! `wecrelay init` writes a configuration with which the relay starts and to which a host can
//! forward.

use std::process::{Command, Output, Stdio};

use crate::support::{Process, StreamSink, TempDir, free_port, run};

/// Exit code, standard output, standard error.
fn init(arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = run(&[&["init"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_workgroup_forwards_to_what_was_written() {
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let (folder, url) = (dir.file("new/etc"), sink.url());
    let flags = ["--for", "workgroup", "--hostname", "localhost"];
    let more = ["--anonymous", "127.0.0.0/8", "--channel", "Security,Setup"];
    let to = ["--output", &*url, &*folder];
    let all = [&flags[..], &more[..], &to[..]].concat();
    let (code, printed, error) = init(&all);
    assert_eq!(code, 0, "{error}");
    for part in [
        "== check",
        "== on the Windows hosts",
        "TrustedHosts",
        "== start",
    ] {
        assert!(printed.contains(part), "no {part} in {printed}");
    }
    let file = format!("{folder}/wecrelay.toml");
    assert!(printed.contains(&file), "{printed}");

    let (code, _, error) = init(&all);
    assert!(code == 2 && error.contains("--force"), "{error}");
    let (code, ..) = init(&[&["--force"], &all[..]].concat());
    assert_eq!(code, 0);

    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
    command
        .args(["--config", &file, "--metrics", "127.0.0.1:0"])
        .args(["--state", &dir.file("state")])
        .args(["--listen", &format!("http://127.0.0.1:{port}")]);
    let mut relay = Process::start(command);
    relay.wait_for_log("listening on");
    let target = format!("http://localhost:{port}/wsman/SubscriptionManager/WEC");
    let sent = run(&["send", &target, "--count", "3"]);
    assert!(sent.status.success(), "{sent:?}");
    sink.wait_for(3);
}

#[test]
fn a_domain_is_checked_once_its_keytab_is_there() {
    let dir = TempDir::new();
    let folder = dir.file("etc");
    let flags = [
        "--for",
        "domain",
        "--hostname",
        "collector.example.com",
        &folder,
    ];
    let (code, printed, error) = init(&flags);
    assert_eq!(code, 0, "{error}");
    assert!(
        printed.contains("setspn -S HTTP/collector.example.com"),
        "{printed}"
    );
    assert!(!printed.contains("== check"), "{printed}");
    // Without a name in DNS, and without a ticket.
    let test = "--hostname 127.0.0.1 --anonymous 127.0.0.1";
    assert!(printed.contains(test), "{printed}");
    // The next step that it prints fails while there is no key.
    let check = run(&["check", "--config", &format!("{folder}/wecrelay.toml")]);
    assert_eq!(check.status.code(), Some(2));
}

#[test]
fn certificates_are_made_by_the_steps_that_it_prints() {
    let dir = TempDir::new();
    let folder = dir.file("etc");
    let flags = [
        "--for",
        "certificate",
        "--hostname",
        "collector.example.com",
    ];
    let sink = StreamSink::tcp();
    let url = sink.url();
    let all = [&flags[..], &["--output", &url, &folder]].concat();
    let (code, printed, error) = init(&all);
    assert_eq!(code, 0, "{error}");
    let is_step = |line: &&str| line.starts_with("mkdir") || line.starts_with("wecrelay ca");
    let steps: Vec<_> = printed.lines().filter(is_step).collect();
    assert_eq!(steps.len(), 5, "{printed}");
    for step in steps {
        let step = step.replace("HOST...", "ws1.example.com");
        let binary = env!("CARGO_BIN_EXE_wecrelay");
        let ended = Command::new("sh")
            .args(["-c", &step.replace("wecrelay ca", &format!("{binary} ca"))])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(ended.status.success(), "{step}: {ended:?}");
    }
    let (code, printed, error) = init(&[&["--force"], &all[..]].concat());
    assert_eq!(code, 0, "{error}");
    assert!(printed.contains("IssuerCA="), "{printed}");
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let dir = TempDir::new();
    let folder = dir.file("etc");
    for (flags, missing) in [
        (&["--hostname", "a.example.com"][..], "--for"),
        (&["--for", "domain"], "--hostname"),
        (
            &["--for", "workgroup", "--hostname", "a.example.com"],
            "--anonymous",
        ),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wecrelay"));
        command.arg("init").args(flags).arg(&folder);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(missing), "{error}");
        assert!(!std::path::Path::new(&folder).exists());
    }
}

#[test]
fn a_bad_value_leaves_nothing_behind() {
    let dir = TempDir::new();
    let folder = dir.file("etc");
    for (kind, more, reason) in [
        (
            "domain",
            &["--hostname", "https://wec:5985/"][..],
            "--hostname https://wec:5985/",
        ),
        ("certificate", &["--hostname", "a b"], "--hostname a b"),
        (
            "domain",
            &["--hostname", "wec.example.com", "--output", "nonsense"],
            "--output nonsense",
        ),
        (
            "workgroup",
            &["--hostname", "localhost", "--anonymous", "10.0.0.0/99"],
            "10.0.0.0/99",
        ),
    ] {
        let all = [&["--for", kind, &folder], more].concat();
        let (code, _, error) = init(&all);
        assert_eq!(code, 2, "{all:?}: {error}");
        assert!(error.contains(reason), "{error}");
        assert!(!std::path::Path::new(&folder).exists(), "{all:?}");
    }
    // An existing file is not overwritten either.
    std::fs::create_dir_all(format!("{folder}/subscriptions")).unwrap();
    let theirs = format!("{folder}/subscriptions/logs.xml");
    std::fs::write(&theirs, "theirs").unwrap();
    let (code, _, error) = init(&["--for", "domain", "--hostname", "wec.example.com", &folder]);
    assert!(code == 2 && error.contains("logs.xml exists"), "{error}");
    assert!(!std::path::Path::new(&folder).join("wecrelay.toml").exists());
    assert_eq!(std::fs::read_to_string(theirs).unwrap(), "theirs");
}
