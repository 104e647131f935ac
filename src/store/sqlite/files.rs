//! The files in the state folder: only one relay writes them, and it notices if they are no
//! longer those that it has open.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of a database beside SQLite"
)]

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::store::Error;

/// Device and inode, which identify a file whatever its name.
type Id = (u64, u64);

/// The folder and the files in it that a relay has open.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Both are locked: the folder as well, so that no second relay can use it after the lock file
    /// was deleted.
    opened: File,
    lock: File,
    known: Vec<(PathBuf, Id)>,
}

/// Which of the files are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Only the lock file.
    Lock,
    /// A file that SQLite keeps beside the database.
    Beside,
    /// The database, or the folder with everything in it.
    Database,
    /// Another database or folder has taken its name.
    Replaced,
}

impl Files {
    /// Creates the folder if missing, for the relay's user only, and locks it.
    pub(super) fn lock(folder: &Path) -> Result<Self, Error> {
        create_folder(folder)?;
        let opened = OpenOptions::new().read(true).open(folder);
        let opened = opened.map_err(|error| refused(folder, error))?;
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(locked(folder)),
            // Some file systems cannot lock folders; then the lock file must suffice.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let lock = lock_file(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            opened,
            lock,
            known: Vec::new(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn database(&self) -> PathBuf {
        self.folder.join(DATABASE)
    }

    /// Remembers the files as they are now; the database is open.
    pub(super) fn remember(&mut self) {
        let names = [DATABASE, "wecrelay.db-wal", "wecrelay.db-shm"];
        let known = names.iter().filter_map(|name| {
            let path = self.folder.join(name);
            let id = id(&path)?;
            Some((path, id))
        });
        self.known = known.collect();
    }

    /// Whether the files are still those that were opened.
    pub(super) fn missing(&self) -> Option<Missing> {
        let mut known = self.known.iter();
        let (database, is) = known.next()?;
        match id(database) {
            None => return Some(Missing::Database),
            Some(found) if found != *is => return Some(Missing::Replaced),
            Some(_) => {}
        }
        if known.any(|(path, is)| id(path) != Some(*is)) {
            return Some(Missing::Beside);
        }
        let lock = self
            .lock
            .metadata()
            .ok()
            .map(|file| (file.dev(), file.ino()));
        (id(&self.folder.join(LOCK)) != lock).then_some(Missing::Lock)
    }

    /// The folder again, which may have been deleted and recreated.
    pub(super) fn again(&self) -> Result<Self, Error> {
        let is = |file: &File| file.metadata().ok().map(|file| (file.dev(), file.ino()));
        match id(&self.folder) {
            // Still the one that is locked.
            Some(found) if Some(found) == is(&self.opened) => Ok(Self {
                folder: self.folder.clone(),
                opened: self
                    .opened
                    .try_clone()
                    .map_err(|e| refused(&self.folder, e))?,
                lock: if id(&self.folder.join(LOCK)) == is(&self.lock) {
                    self.lock
                        .try_clone()
                        .map_err(|e| refused(&self.folder, e))?
                } else {
                    lock_file(&self.folder)?
                },
                known: Vec::new(),
            }),
            _ => Self::lock(&self.folder),
        }
    }

    /// Deletes the files beside the database if they are those of this relay.
    pub(super) fn forget_beside(&self) -> Result<(), Error> {
        for (path, is) in self.known.iter().skip(1) {
            if id(path) == Some(*is) {
                std::fs::remove_file(path).map_err(|error| refused(path, error))?;
            }
        }
        Ok(())
    }

    /// Recreates a deleted lock file and locks it.
    pub(super) fn lock_again(&mut self) -> Result<(), Error> {
        self.lock = lock_file(&self.folder)?;
        Ok(())
    }
}

const DATABASE: &str = "wecrelay.db";
const LOCK: &str = "wecrelay.lock";

fn id(path: &Path) -> Option<Id> {
    let file = path.symlink_metadata().ok()?;
    let file = if file.is_symlink() {
        path.metadata().ok()?
    } else {
        file
    };
    Some((file.dev(), file.ino()))
}

fn create_folder(folder: &Path) -> Result<(), Error> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| Error::Folder {
        path: folder.to_owned(),
        error,
    })
}

/// Takes the lock that excludes a second relay, until the file is dropped.
fn lock_file(folder: &Path) -> Result<File, Error> {
    let path = folder.join(LOCK);
    let file = private_file(&path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(locked(folder)),
        Err(TryLockError::Error(error)) => Err(Error::Folder { path, error }),
    }
}

fn locked(folder: &Path) -> Error {
    Error::Locked {
        folder: folder.to_owned(),
    }
}

/// Opens or creates a file that only the relay's user can read. SQLite gives its other
/// files the same mode.
pub(super) fn private_file(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    options.open(path).map_err(|error| refused(path, error))
}

/// Atomically replaces a file by a new one.
pub(super) fn replace(new: &Path, file: &Path) -> Result<(), Error> {
    std::fs::rename(new, file).map_err(|error| refused(file, error))
}

pub(super) fn refused(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull => Error::Full {
            file: path.to_owned(),
        },
        io::ErrorKind::ReadOnlyFilesystem => Error::ReadOnly {
            file: path.to_owned(),
        },
        _ => Error::Folder {
            path: path.to_owned(),
            error,
        },
    }
}
