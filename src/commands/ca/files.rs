//! Atomic file operations, and a lock against concurrent processes.
#![expect(clippy::disallowed_methods, reason = "these files are the task")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Error;

/// Permissions of secret files, and of all others.
pub(super) const SECRET: u32 = 0o600;
pub(super) const OPEN: u32 = 0o644;

/// Holds the lock of the folder until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Locks the folder; waits while another process holds the lock.
pub(super) fn lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let options = options.create(true).truncate(false).write(true);
    let file = options.mode(SECRET).open(&path);
    let file = file.map_err(Error::file(&path))?;
    flock(&file, FlockOperation::LockExclusive)
        .map_err(io::Error::from)
        .map_err(Error::file(&path))?;
    Ok(Lock { _file: file })
}

/// Creates a folder and its parents, accessible by the owner only, if it does not exist.
pub(super) fn folder(path: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path);
    made.map_err(Error::file(path))
}

/// Writes or replaces a file atomically and syncs it to disk. When run as root, it gives
/// the file to the owner of the folder, which can belong to an administrator or to the
/// service.
pub(super) fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // Left by a process that was killed. The lock rules out a concurrent one.
    remove(&new)?;
    let written = (|| {
        let mut options = OpenOptions::new();
        let mut file = options.create_new(true).write(true).mode(mode).open(&new)?;
        give_to_owner_of(path.parent(), &file)?;
        file.write_all(content)?;
        file.sync_all()
    })();
    written.map_err(Error::file(&new))?;
    std::fs::rename(&new, path).map_err(Error::file(path))?;
    sync_folder(path)
}

/// Only root can change the owner of a file; for other users this does nothing.
fn give_to_owner_of(folder: Option<&Path>, file: &File) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    let owner = std::fs::metadata(folder.unwrap_or(Path::new(".")))?;
    std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))
}

/// A rename is durable only after a sync of the folder.
fn sync_folder(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let folder = OpenOptions::new().read(true).open(parent);
    let synced = folder.and_then(|folder| folder.sync_all());
    synced.map_err(Error::file(parent))
}

/// Removes a file if it exists.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(Error::file(path))
}
