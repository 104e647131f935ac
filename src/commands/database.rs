//! Opens the database of `--store`: reads its files and creates the first connection.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::commands::{Failure, USAGE};
use crate::files::secret;
use crate::server::{Database, MakeClient};
use crate::store::postgres::{self, Client, Place, Settings, TlsMode, passfile};
use crate::tls::{self, DatabaseFiles, DatabaseTls};

/// Why the database cannot be used.
#[derive(Debug)]
pub enum Error {
    /// The file of passwords cannot be used; path and reason.
    Passfile(PathBuf, String),
    /// A file of certificates or keys cannot be used.
    Tls(tls::Error),
    /// The connection or the database failed.
    Postgres(postgres::Failure),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passfile(path, why) => write!(f, "passfile {}: {why}", path.display()),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Postgres(failure) => write!(f, "{failure}"),
        }
    }
}

impl std::error::Error for Error {}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// Connects, and creates missing tables. `relay` is the name of this relay in the database;
/// by default the name of the machine.
///
/// # Errors
/// The files or the database cannot be used; the text includes a remedy.
pub(super) fn open(settings: &Settings, relay: Option<&str>) -> Result<Database, Error> {
    let make = make_client(settings)?;
    let machine = || {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    };
    let relay = relay.map_or_else(machine, str::to_owned);
    Database::open(make, connector(settings)?, relay).map_err(Error::Postgres)
}

/// Connects without creating tables, for commands that only read.
///
/// # Errors
/// The files or the database cannot be used; the text includes a remedy.
pub(super) fn look(settings: &Settings) -> Result<Database, Error> {
    let make = make_client(settings)?;
    Database::look(make, connector(settings)?, String::new()).map_err(Error::Postgres)
}

fn connector(settings: &Settings) -> Result<Option<DatabaseTls>, Error> {
    if settings.tls == TlsMode::Disable {
        return Ok(None);
    }
    let files = DatabaseFiles {
        authorities: settings.authorities.clone(),
        pair: settings.certificate.clone().zip(settings.key.clone()),
        is_verified: settings.tls != TlsMode::Require,
        is_name_verified: settings.tls == TlsMode::VerifyFull,
    };
    DatabaseTls::load(&files).map(Some).map_err(Error::Tls)
}

fn make_client(settings: &Settings) -> Result<MakeClient, Error> {
    let text = settings.passfile.as_deref().map(read).transpose()?;
    let variable = std::env::var("PGPASSWORD").ok().map(Zeroizing::new);
    let settings = settings.clone();
    Ok(Box::new(move |now| {
        let password = |place: &Place| {
            let found = text
                .as_ref()
                .and_then(|text| passfile::find(text, place, &settings));
            found.map(Zeroizing::new).or_else(|| variable.clone())
        };
        Client::new(now, settings.clone(), password)
    }))
}

/// Reads the file of passwords, which other users must not be able to read; libpq has the
/// same rule.
fn read(path: &Path) -> Result<Zeroizing<String>, Error> {
    let wrong = |why: String| Error::Passfile(path.to_owned(), why);
    let failed = |error: io::Error| wrong(error.to_string());
    if !secret::is_private(path).map_err(failed)? {
        let remedy =
            "other users can read it; run chmod 600 on it, and make the relay's user its owner";
        return Err(wrong(remedy.to_owned()));
    }
    secret::read_text(path, "it holds passwords").map_err(failed)
}
