//! Copies the files that the relay needs from the authority's folder to another one.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Error;
use super::files::{self, SECRET};
use super::index::{Index, Kind};
use super::paths::Paths;

/// Copies the authority's certificate, the revocation list, and the server certificates
/// with their keys, and returns a report for the user. The authority's own key is not
/// copied.
pub(super) fn install(dir: &Path, to: &Path, now: SystemTime) -> Result<String, Error> {
    let paths = Paths::of(dir);
    let _lock = files::lock(dir)?;
    if !to.is_dir() {
        let to = to.display();
        return Err(Error::Refused(format!(
            "--install {to}: no such folder: create it for the service's user, such as install -d \
             -o wecrelay -g wecrelay -m 700 {to}"
        )));
    }
    let mut said = String::new();
    for from in needed(&paths, now)? {
        let content = zeroize::Zeroizing::new(files::read(&from)?);
        let path = to.join(from.file_name().unwrap_or_default());
        files::replace(&path, SECRET, &content).map_err(|error| denied(to, error))?;
        let _ = writeln!(said, "installed {}", path.display());
    }
    said += "next: systemctl reload wecrelay, or send SIGHUP to the relay, so that it reads them\n";
    Ok(said)
}

fn needed(paths: &Paths, now: SystemTime) -> Result<Vec<PathBuf>, Error> {
    let index = Index::read(paths.index())?;
    let mut needed = vec![paths.certificate(), paths.list()];
    let servers = index.entries.iter();
    let servers = servers.filter(|entry| entry.kind == Kind::Server && entry.is_live(now));
    let mut names: Vec<_> = servers.filter_map(|entry| entry.names.first()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let endings = ["pem", "key"].iter();
        needed.extend(endings.map(|ending| paths.issued(Kind::Server, name, ending)));
    }
    Ok(needed)
}

/// Adds to a permission error which users have the permission.
fn denied(to: &Path, error: Error) -> Error {
    match error {
        Error::File(path, why) if why.kind() == std::io::ErrorKind::PermissionDenied => {
            let (path, to) = (path.display(), to.display());
            Error::Refused(format!(
                "{path}: {why}: --install {to} needs root (sudo), or the owner of that folder"
            ))
        }
        other => other,
    }
}
