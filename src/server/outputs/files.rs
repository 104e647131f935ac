//! Files, named pipes, and standard output as outputs.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// An opened output.
#[derive(Debug)]
pub(super) enum Opened {
    /// A pipe or terminal, non-blocking.
    Pipe(File),
    /// A regular file or device: always ready.
    Regular(File),
}

/// Opens for appending; creates a file with mode 0640 (less the umask). A line that a full disk
/// left incomplete is ended first, so that the next one starts on its own line.
///
/// # Errors
/// The path is neither a regular file nor a named pipe with a reader, or cannot be opened.
pub(super) fn open(path: &Path) -> io::Result<Opened> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .read(true)
        .append(true)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK);
    let is_pipe = std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    if is_pipe {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        return Ok(Opened::Pipe(file));
    }
    let mut file = options.open(path)?;
    if !file.metadata()?.file_type().is_file() {
        return Err(io::Error::other("neither a regular file nor a named pipe"));
    }
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(Opened::Regular(file))
}

/// Appends lines to a file. Returns when they are on disk, and the file's name as well.
pub(super) fn append(path: &Path, lines: &[u8]) -> io::Result<()> {
    match open(path)? {
        Opened::Regular(mut file) => {
            file.write_all(lines)?;
            file.sync_all()?;
            sync_name(path)
        }
        Opened::Pipe(_) => Err(io::Error::other("a pipe does not keep data; name a file")),
    }
}

/// Syncs the folder: without that, a new file may be missing after a power failure.
fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Not every file system supports this, and a folder may be writable but not readable.
        Err(error)
            if [ErrorKind::InvalidInput, ErrorKind::PermissionDenied].contains(&error.kind()) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Standard output. A pipe or terminal is opened again, because `O_NONBLOCK` on the inherited
/// descriptor would also affect other processes that share it; if opening fails, it is set there.
pub(super) fn open_stdout() -> io::Result<Opened> {
    let given = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let kind = given.metadata()?.file_type();
    if kind.is_file() || (kind.is_char_device() && !rustix::termios::isatty(&given)) {
        return Ok(Opened::Regular(given));
    }
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    match options.open("/proc/self/fd/1") {
        Ok(file) => Ok(Opened::Pipe(file)),
        Err(_) => {
            rustix::io::ioctl_fionbio(&given, true)?;
            Ok(Opened::Pipe(given))
        }
    }
}
