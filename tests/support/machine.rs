//! The relay's machine: its wall clock, and the file system of its state.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::TempDir;

/// The wall clock of one process, set by libfaketime without affecting the machine's
/// clock. `CLOCK_MONOTONIC` is not changed, as when an administrator or NTP sets the
/// clock.
pub(crate) struct Clock {
    file: String,
}

impl Clock {
    /// A clock that is correct at first.
    pub(crate) fn new(dir: &TempDir) -> Self {
        let clock = Self {
            file: dir.file("clock"),
        };
        clock.set(0);
        clock
    }

    /// Sets the clock's error in seconds; processes see it within a second.
    pub(crate) fn set(&self, seconds: i64) {
        let next = format!("{}.next", self.file);
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(next, &self.file).unwrap();
    }

    /// Makes the process that `command` will start use this clock.
    pub(crate) fn rule(&self, command: &mut Command) {
        sweep();
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_CACHE_DURATION", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        sweep();
    }
}

/// Removes libfaketime's shared memory and semaphores of killed processes. A later process
/// with the same ID would wait for that semaphore forever.
fn sweep() {
    let folder = Path::new("/dev/shm");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|n| n.rsplit_once("faketime_")?.1.get(4..))
        else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let mut installed = libraries.filter(|path| path.exists());
    installed
        .next()
        .expect("libfaketime is not installed: run scripts/peers")
}

/// A small file system that can be filled: a tmpfs, which only root can mount.
pub(crate) struct SmallDisk {
    folder: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    /// Mounts one over a new folder. Without root it prints a message, and is never full.
    pub(crate) fn mount(folder: &str) -> Self {
        std::fs::create_dir(folder).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "wecrelay-test", folder])
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            println!(
                "NOTICE: no small tmpfs for the state: run this test as root (CAP_SYS_ADMIN), \
                 or as `unshare -Urm cargo test --test chaos`; until then its disk is full only \
                 by RLIMIT_FSIZE"
            );
        }
        Self {
            folder: folder.into(),
            mounted,
        }
    }

    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted
    }

    /// Fills all free space.
    pub(crate) fn fill(&self) {
        if self.mounted {
            fill(&self.filler());
        }
    }

    /// Frees the space.
    pub(crate) fn free(&self) {
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

fn fill(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65536, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
        }
    }
}
