//! The paths of an authority's files.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::index::Kind;

/// The folder of an authority.
pub(super) struct Paths(PathBuf);

impl Paths {
    pub(super) fn of(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.join("ca.key")
    }

    pub(super) fn list(&self) -> PathBuf {
        self.0.join("crl.pem")
    }

    pub(super) fn index(&self) -> PathBuf {
        self.0.join("index.txt")
    }

    /// The path of an issued file: folder by kind, name, and extension.
    pub(super) fn issued(&self, kind: Kind, name: &str, ending: &str) -> PathBuf {
        let folder = match kind {
            Kind::Server => "servers",
            Kind::Host => "hosts",
        };
        // IPv6 addresses contain colons, which are not allowed in file names on Windows.
        let name = name.replace(':', "-");
        self.0.join(folder).join(format!("{name}.{ending}"))
    }

    /// Checks that the folder contains an authority.
    pub(super) fn need_authority(&self) -> Result<(), Error> {
        if self.index().exists() {
            return Ok(());
        }
        let dir = self.0.display();
        Err(Error::Refused(format!(
            "no authority in {dir}: create one with wecrelay ca init --dir {dir}, or name its \
             folder with --dir"
        )))
    }
}
