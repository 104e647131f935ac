//! Interfaces to systemd: inherited sockets, notifications of startup, reload, and shutdown,
//! and watchdog messages.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{PATIENCE, Process, TempDir, run};

const BINARY: &str = env!("CARGO_BIN_EXE_wecrelay");

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Started by systemd's own tool like a socket unit: with the socket, on the first connection
/// to it.
fn activated(name: &str, dir: &TempDir, port: u16, arguments: &[&str]) -> Process {
    let tool = "systemd-socket-activate";
    assert!(
        Command::new(tool).arg("--version").output().is_ok(),
        "no {tool} here: apt-get install systemd, or run scripts/peers"
    );
    let mut command = Command::new(tool);
    command
        .arg(format!("--listen=127.0.0.1:{port}"))
        .arg(format!("--fdname={name}"))
        .arg(BINARY)
        .args(["--anonymous", "127.0.0.0/8", "--state", &dir.file("state")])
        .args(arguments)
        .current_dir(dir.path());
    let mut process = Process::start(command);
    process.wait_for_log("Listening on");
    process
}

#[test]
fn a_socket_from_systemd_is_served() {
    let dir = TempDir::new();
    let port = free_port();
    let out = format!("file:{}", dir.file("out"));
    let mut relay = activated("http", &dir, port, &["--output", &out]);
    let sent = run(&[
        "send",
        &format!("http://127.0.0.1:{port}/wsman/SubscriptionManager/WEC"),
    ]);
    assert!(sent.status.success(), "{sent:?}");
    let line = relay.wait_for_log("listening on");
    assert!(line.contains(&format!("http://127.0.0.1:{port}")), "{line}");
    assert!(std::fs::metadata(dir.file("out")).unwrap().len() > 0);
}

#[test]
fn a_socket_named_https_wants_a_certificate() {
    let dir = TempDir::new();
    let port = free_port();
    let mut relay = activated("https", &dir, port, &[]);
    drop(std::net::TcpStream::connect(("127.0.0.1", port)));
    let line = relay.wait_for_log("--tls-cert");
    assert!(
        line.contains(&format!("https://127.0.0.1:{port}")),
        "{line}"
    );
    assert_eq!(relay.wait().code(), Some(2));
}

/// The next message to the service manager.
fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("nothing was told");
    String::from_utf8(buffer.get(..length).unwrap().to_vec()).unwrap()
}

#[test]
fn systemd_is_told_of_start_reload_life_and_end() {
    let dir = TempDir::new();
    let manager = UnixDatagram::bind(dir.file("notify")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(BINARY);
    command
        .args(["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"])
        .args(["--state", &dir.file("state")])
        .env("NOTIFY_SOCKET", dir.file("notify"));
    let mut relay = Process::start(command);
    let ready = heard(&manager);
    assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
    relay.wait_for_log("listening on");

    relay.signal(Signal::HUP);
    let reloading = heard(&manager);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(heard(&manager).starts_with("READY=1"));

    relay.signal(Signal::TERM);
    assert!(heard(&manager).starts_with("STOPPING=1"));
    assert!(relay.wait().success());
}

#[test]
fn the_watchdog_hears_of_us_while_nothing_happens() {
    let dir = TempDir::new();
    let manager = UnixDatagram::bind(dir.file("notify")).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut command = Command::new(BINARY);
    command
        .args(["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"])
        .args(["--state", &dir.file("state")])
        .env("NOTIFY_SOCKET", dir.file("notify"))
        .env("WATCHDOG_USEC", "400000")
        .env_remove("WATCHDOG_PID");
    let _relay = Process::start(command);
    assert!(heard(&manager).starts_with("READY=1"));
    for _ in 0..3 {
        assert_eq!(heard(&manager).trim_end(), "WATCHDOG=1");
    }
}
