//! Bad flags: exit code 2 before the relay listens, and a message with the flag and its
//! allowed values.

use crate::support::{TempDir, run};

/// Invalid arguments, and the words that the message must contain.
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

/// Runs it with `--anonymous` unless another method is enabled, so that only the given flag is wrong.
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

/// Completions in bash for a line, from the function that the script registers.
fn completed(dir: &TempDir, words: &[&str]) -> Vec<String> {
    let script = run(&["completions", "bash"]);
    assert!(script.status.success());
    std::fs::write(dir.file("completions"), script.stdout).unwrap();
    let asked = r#"
        . "$1"; shift
        complete -p wecrelay | grep -q -- '-F _wecrelay ' || exit 9
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        _wecrelay "$1" "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let bash = std::process::Command::new("bash")
        .args(["-c", asked, "bash", &dir.file("completions"), "wecrelay"])
        .args(words)
        .output()
        .unwrap();
    assert!(bash.status.success(), "{bash:?}");
    let offered = String::from_utf8(bash.stdout).unwrap();
    offered.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let dir = TempDir::new();
    assert_eq!(completed(&dir, &["che"]), ["check"]);
    assert_eq!(completed(&dir, &["--anon"]), ["--anonymous"]);
    let kinds = completed(&dir, &["--message", ""]);
    let all = [
        "text", "xml", "json", "ecs", "nxlog", "snare", "cef", "leef",
    ];
    assert_eq!(kinds, all);
    assert_eq!(completed(&dir, &["ca", "revo"]), ["revoke"]);
    assert_eq!(completed(&dir, &["send", "--sub"]), ["--subscription"]);
}

#[test]
fn fish_and_zsh_take_their_completions() {
    let dir = TempDir::new();
    for shell in ["fish", "zsh"] {
        let script = run(&["completions", shell]);
        assert!(script.status.success());
        std::fs::write(dir.file(shell), script.stdout).unwrap();
    }
    let ask = |shell: &str, asked: &str| {
        let mut command = std::process::Command::new(shell);
        command
            .env("HOME", dir.path())
            .env("XDG_CONFIG_HOME", dir.path());
        let output = command.args(["-c", asked, &dir.file(shell)]).output();
        let output = output.unwrap_or_else(|_| panic!("no {shell} here: run scripts/peers"));
        assert!(output.status.success(), "{shell}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let offered = ask("fish", "source $argv[1]; complete -C 'wecrelay --anon'");
    assert!(offered.starts_with("--anonymous"), "{offered}");
    let registered = "autoload -Uz compinit; compinit -D -u; . $0; print $_comps[wecrelay]";
    assert_eq!(ask("zsh", registered).trim(), "_wecrelay");
}
