//! Drops root privileges after the ports are bound: `--user` and `--group`, for starting
//! without a service manager that does it.
//!
//! A static glibc would load the system's name service modules for users, and with them a
//! second C library; there, only `/etc/passwd` and `/etc/group` are used.
#![expect(
    clippy::disallowed_methods,
    reason = "the folder is made before the loop begins"
)]

mod files;

use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

/// Whether the system's name service can be used.
const NAME_SERVICE: bool = !cfg!(target_feature = "crt-static");

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    name: String,
    uid: Uid,
    gid: Gid,
}

/// The account to switch to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    user: Option<Person>,
    group: Gid,
}

/// Why the account cannot be used.
#[derive(Debug)]
pub enum Error {
    /// No such user or group.
    Unknown(&'static str, String),
    /// The user database could not be queried.
    Lookup(&'static str, String, io::Error),
    /// The process is not root, so it cannot switch accounts.
    NotRoot,
    /// The system call failed.
    Change(&'static str, io::Error),
    /// The state folder cannot be created or given to the account.
    State(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(flag, name) => write!(f, "{flag} {name:?}: does not exist"),
            Self::Lookup(flag, name, error) => write!(f, "{flag} {name:?}: {error}"),
            Self::NotRoot => write!(f, "--user, --group: only root can change users; omit them"),
            Self::Change(what, error) => write!(f, "--user, --group: {what}: {error}"),
            Self::State(error) => write!(f, "--state: for --user: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl Account {
    /// Looks up the names; numbers are not accepted. `None` if neither is given.
    ///
    /// # Errors
    /// An unknown name, or the process is not root.
    pub fn find(user: Option<&str>, group: Option<&str>) -> Result<Option<Self>, Error> {
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let user = user.map(find_user).transpose()?;
        let group = group.map(find_group).transpose()?;
        let Some(group) = group.or_else(|| user.as_ref().map(|user| user.gid)) else {
            return Ok(None);
        };
        if !nix::unistd::geteuid().is_root() {
            return Err(Error::NotRoot);
        }
        Ok(Some(Self { user, group }))
    }

    /// Creates the folder if it is missing, so that the account can write to it.
    ///
    /// # Errors
    /// The system's error; an existing folder is left as it is.
    pub fn prepare(&self, state: &Path) -> Result<(), Error> {
        if state.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(state).map_err(Error::State)?;
        let user = self.user.as_ref().map(|user| user.uid.as_raw());
        std::os::unix::fs::chown(state, user, Some(self.group.as_raw())).map_err(Error::State)
    }

    /// Switches to the account, irrevocably.
    ///
    /// # Errors
    /// The system call that failed; the process must not continue then.
    pub fn drop_privileges(&self) -> Result<(), Error> {
        let change = |what| move |errno: nix::Error| Error::Change(what, errno.into());
        // Groups first, because an ordinary user may not change them.
        match &self.user {
            Some(user) if NAME_SERVICE => {
                let name = CString::new(user.name.as_str()).unwrap_or_default();
                nix::unistd::initgroups(&name, self.group).map_err(change("initgroups"))?;
            }
            Some(user) => {
                let groups = files::groups_with(&files::read_groups(), &user.name, self.group);
                nix::unistd::setgroups(&groups).map_err(change("setgroups"))?;
            }
            None => nix::unistd::setgroups(&[]).map_err(change("setgroups"))?,
        }
        nix::unistd::setgid(self.group).map_err(change("setgid"))?;
        if let Some(user) = &self.user {
            nix::unistd::setuid(user.uid).map_err(change("setuid"))?;
            // If root privileges can be regained, they have not been dropped.
            if !user.uid.is_root() && nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
                return Err(Error::Change("setuid", io::Error::other("not for good")));
            }
        }
        log::info!("running as {self}");
        Ok(())
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "user {}, ", user.name)?;
        }
        write!(f, "group {}", self.group)
    }
}

fn find_user(name: &str) -> Result<Person, Error> {
    let found = if NAME_SERVICE {
        User::from_name(name)
            .map(|found| found.map(Person::from))
            .map_err(|errno| Error::Lookup("--user", name.to_owned(), errno.into()))?
    } else {
        files::user(&files::read_users(), name)
    };
    found.ok_or_else(|| Error::Unknown("--user", name.to_owned()))
}

fn find_group(name: &str) -> Result<Gid, Error> {
    let found = if NAME_SERVICE {
        Group::from_name(name)
            .map(|found| found.map(|group| group.gid))
            .map_err(|errno| Error::Lookup("--group", name.to_owned(), errno.into()))?
    } else {
        files::group(&files::read_groups(), name)
    };
    found.ok_or_else(|| Error::Unknown("--group", name.to_owned()))
}

impl From<User> for Person {
    fn from(user: User) -> Self {
        let User { name, uid, gid, .. } = user;
        Self { name, uid, gid }
    }
}
