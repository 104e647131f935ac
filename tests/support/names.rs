//! The name server of one process: it answers that names ending in `.invalid` do not exist,
//! and does not answer other queries.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::TempDir;

/// How often its thread checks whether the test has ended.
const TICK: Duration = Duration::from_millis(100);

/// A private resolv.conf needs a mount namespace, and port 53 needs root.
pub(crate) struct NameServer {
    /// The resolv.conf with its address; `None` without root.
    file: Option<String>,
    /// The thread ends when this is dropped.
    _alive: Arc<()>,
}

impl NameServer {
    /// Without root, it prints a message, and the machine's own resolver is used.
    pub(crate) fn start(dir: &TempDir) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let process = std::process::id().to_le_bytes();
        let last = NEXT.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let address = Ipv4Addr::new(127, 53 ^ process[1], process[0], last);
        let alive = Arc::new(());
        let serves = may_mount() && serve(address, &alive);
        if !serves {
            println!(
                "NOTICE: no name server of its own: run this test as root; until then the \
                 machine's is asked, which need not be silent"
            );
        }
        let file = serves.then(|| {
            let file = dir.file("resolv.conf");
            std::fs::write(&file, format!("nameserver {address}\n")).unwrap();
            file
        });
        let _alive = alive;
        Self { file, _alive }
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.file.is_some()
    }

    /// Makes the process that `command` will start use this server, with the same process ID.
    pub(crate) fn rule(&self, command: Command) -> Command {
        let Some(file) = &self.file else {
            return command;
        };
        let mut ruled = Command::new("unshare");
        let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        ruled.args(["--mount", "sh", "-c", script, file]);
        ruled.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            ruled.current_dir(folder);
        }
        ruled.env_remove("RUST_LOG");
        ruled
    }
}

fn may_mount() -> bool {
    let script = "mount --bind /etc/hosts /etc/resolv.conf";
    let mounted = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .output();
    mounted.is_ok_and(|output| output.status.success())
}

/// Returns whether it could listen.
fn serve(address: Ipv4Addr, alive: &Arc<()>) -> bool {
    let Ok(socket) = UdpSocket::bind((address, 53)) else {
        return false;
    };
    socket.set_read_timeout(Some(TICK)).unwrap();
    let alive = Arc::downgrade(alive);
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while alive.strong_count() > 0 {
            let Ok((count, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let question = &mut buffer[..count];
            if question.windows(9).any(|part| part == b"\x07invalid\0") {
                // A response, without recursion: no such name (RFC 1035 4.1.1).
                question[2..4].copy_from_slice(&[0x81, 0x83]);
                let _ = socket.send_to(question, from);
            }
        }
    });
    true
}
