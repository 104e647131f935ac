//! Reads files that contain secrets: keys, hashes, passwords.
#![expect(clippy::disallowed_methods, reason = "these files are the task")]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

/// Any permission for users other than the owner and the group. Group permissions are
/// accepted, because a service gets files that it must not write in this way.
const EVERYONE: u32 = 0o007;
/// Any permission for anyone but the owner.
const OTHERS: u32 = 0o077;

/// Reads a file. Logs a warning if everyone on this machine can read it; `why` states the
/// consequence.
///
/// # Errors
/// The file cannot be read.
pub fn read(path: &Path, why: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let mode = fs::metadata(path)?.mode();
    if let Some(notice) = notice(path, mode, why) {
        log::warn!("{notice}");
    }
    fs::read(path).map(Zeroizing::new)
}

/// The same for UTF-8 text.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_text(path: &Path, why: &str) -> io::Result<Zeroizing<String>> {
    let bytes = read(path, why)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Whether only the owner has access, as some formats require.
///
/// # Errors
/// There is no such file.
pub fn is_private(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & OTHERS == 0)
}

/// Whether not everyone on this machine has access.
///
/// # Errors
/// There is no such file.
pub fn is_closed(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & EVERYONE == 0)
}

fn notice(path: &Path, mode: u32, why: &str) -> Option<String> {
    let file = path.display();
    let is_open = mode & EVERYONE != 0;
    is_open.then(|| {
        format!("{file} can be read by every user of this machine, and {why}: chmod o= {file}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_open_to_everyone_is_worth_a_notice() {
        let notice = |mode| notice(Path::new("users"), mode, "that is bad");
        assert_eq!(notice(0o100_600), None);
        assert_eq!(notice(0o100_640), None);
        let said = notice(0o100_644).unwrap();
        assert!(said.ends_with("that is bad: chmod o= users"), "{said}");
    }
}
