//! The files of `--keytab`, read again when they change.
//!
//! The files are checked when a ticket arrives, so the event loop never wakes up for it. A
//! new key is thus known before the first ticket under it could be rejected, and an old key
//! disappears together with its file.
#![expect(clippy::disallowed_methods, reason = "these files are the task")]

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::auth::collector_host;
use crate::files::secret;
use crate::protocol::kerberos::crypto::Enctype;
use crate::protocol::kerberos::keytab::{self, Entry, Keytab};
use crate::protocol::kerberos::{self};

/// Maximum size of a keytab in bytes: some thousand keys.
const LARGEST: u64 = 1 << 20;

/// Keys from files.
#[derive(Debug)]
pub struct Keytabs {
    files: Vec<PathBuf>,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    keytab: Rc<Keytab>,
    /// The state of the files when they were read, in their order.
    stamps: Vec<Option<Stamp>>,
}

/// What reveals that a file has changed. A replaced file has another inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    /// Change time (ctime), which programs cannot set back.
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Keytabs {
    /// Reads all files. Logs a warning for each one that other users of this machine can
    /// read.
    ///
    /// # Errors
    /// A file cannot be read, is not a keytab, or has no usable key.
    pub fn load(files: &[PathBuf]) -> Result<Self, Error> {
        let stamps = files.iter().map(|file| Stamp::of(file)).collect();
        let keytab = Rc::new(read(files)?);
        log::info!("keytab: {keytab}");
        Ok(Self {
            files: files.to_vec(),
            state: RefCell::new(State { keytab, stamps }),
        })
    }

    /// Reads files that have changed. If one is invalid, the old keys remain in use.
    fn look(&self, state: &mut State) {
        let stamps: Vec<_> = self.files.iter().map(|file| Stamp::of(file)).collect();
        if stamps == state.stamps {
            return;
        }
        state.stamps = stamps;
        match read(&self.files) {
            Ok(keytab) => {
                log::info!("keytab has changed: {keytab}");
                state.keytab = Rc::new(keytab);
            }
            Err(why) => log::error!("--keytab {why}; the previous keys stay in use"),
        }
    }
}

impl kerberos::Keytabs for Keytabs {
    fn current(&self) -> Rc<Keytab> {
        let mut state = self.state.borrow_mut();
        self.look(&mut state);
        Rc::clone(&state.keytab)
    }
}

/// All keys of these files. Logs a warning for each file that other users of this machine
/// can read.
///
/// # Errors
/// A file cannot be read, is not a keytab, or has no usable key.
pub fn read(files: &[PathBuf]) -> Result<Keytab, Error> {
    let mut all = Keytab::default();
    for path in files {
        let error = |reason| Error {
            file: path.clone(),
            reason,
        };
        let metadata = fs::metadata(path).map_err(|why| error(Reason::Read(why)))?;
        if metadata.size() > LARGEST {
            return Err(error(Reason::TooLarge(metadata.size())));
        }
        let bytes = secret::read(path, "its keys decrypt everything");
        let bytes = bytes.map_err(|why| error(Reason::Read(why)))?;
        let keytab = Keytab::parse(&bytes).map_err(|why| error(Reason::Parse(why)))?;
        if keytab.is_empty() {
            return Err(error(Reason::Empty));
        }
        all.extend(keytab);
    }
    Ok(all)
}

/// Why no host could authenticate with these keys, with the remedy; `None` if some could.
/// `rc4` is whether RC4 is allowed.
#[must_use]
pub fn weakness(keytab: &Keytab, rc4: bool) -> Option<&'static str> {
    let is_rc4 = |entry: &Entry| entry.key.enctype() == Enctype::Rc4Hmac;
    let is_asked_for = |entry: &Entry| collector_host(&entry.principal).is_some();
    if !rc4 && keytab.entries.iter().all(is_rc4) {
        Some(
            "it has RC4 keys only, and RC4 tickets are rejected; enable AES for the account \
             (msDS-SupportedEncryptionTypes 24, new password) and export its keys again (ktpass \
             -crypto All), or use --kerberos-rc4",
        )
    } else if !keytab.entries.iter().any(is_asked_for) {
        Some(
            "it has no key of HTTP/NAME, which is what hosts use; export that key (ktpass \
             -princ HTTP/NAME@REALM, msktutil --service HTTP, or net ads keytab add HTTP)",
        )
    } else {
        None
    }
}

/// Whether a principal is a service of this host that its account has for collectors. A domain
/// gives a host with `HOST/NAME` tickets for `HTTP/NAME` under the same key.
#[must_use]
pub fn is_for(principal: &str, name: &str) -> bool {
    collector_host(principal).is_some_and(|host| host.eq_ignore_ascii_case(name))
}

/// Why a keytab cannot be used.
#[derive(Debug)]
pub struct Error {
    file: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    Read(io::Error),
    TooLarge(u64),
    Parse(keytab::Error),
    Empty,
}

impl Error {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.reason {
            Reason::Read(error) if error.kind() == io::ErrorKind::NotFound => write!(
                f,
                "{file}: no such file; export the key of HTTP/NAME-OF-THIS-COLLECTOR to it \
                 (ktpass, msktutil or net ads keytab)"
            ),
            Reason::Read(error) if error.kind() == io::ErrorKind::PermissionDenied => write!(
                f,
                "{file}: {error}; make it readable by the user that the relay runs as, and by no \
                 other user"
            ),
            Reason::Read(error) => write!(f, "{file}: {error}"),
            Reason::TooLarge(size) => {
                write!(
                    f,
                    "{file}: {size} bytes, a keytab may have at most {LARGEST}"
                )
            }
            Reason::Parse(error) => write!(f, "{file}: {error}"),
            Reason::Empty => write!(
                f,
                "{file}: no usable key; export the key of HTTP/NAME-OF-THIS-COLLECTOR with AES to \
                 it"
            ),
        }
    }
}

// No `source`: the text above says all, for logs that print only that.
impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_of_a_host_are_those_of_its_name() {
        let name = "wec.example.com";
        for principal in [
            "HTTP/wec.example.com@EXAMPLE.COM",
            "host/WEC.example.com@EXAMPLE.COM",
            "wsman/wec.example.com",
        ] {
            assert!(is_for(principal, name), "{principal}");
        }
        for principal in [
            "WEC$@EXAMPLE.COM",
            "cifs/wec.example.com@EXAMPLE.COM",
            "HTTP/wec@EXAMPLE.COM",
            "HTTP@EXAMPLE.COM",
            "HTTP/wec.example.com.other@EXAMPLE.COM",
        ] {
            assert!(!is_for(principal, name), "{principal}");
        }
    }
}
