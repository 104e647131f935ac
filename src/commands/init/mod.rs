//! `wecrelay init`: writes a first configuration, checks it, and prints the next steps.
#![expect(clippy::disallowed_methods, reason = "a command, not the loop")]

mod answers;
mod templates;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::{Failure, RUNNING, USAGE, check, windows};
use crate::cli::{Command, HostKind, RelayOptions, SetupOptions};
use crate::config::file::Arguments;
use crate::config::{self, Config, Environment};
use crate::files::subscriptions;
use answers::Answers;

/// Name of the configuration file in the target folder.
const FILE: &str = "wecrelay.toml";

/// Why `wecrelay init` fails.
#[derive(Debug)]
pub enum Error {
    /// This flag is required if there is no terminal for a prompt.
    Missing(&'static str),
    /// A value is invalid.
    Answer(String),
    /// The file already exists.
    Exists(PathBuf),
    /// A file cannot be written.
    Write(PathBuf, io::Error),
    /// The terminal cannot be read or written.
    Terminal(io::Error),
    /// The configuration cannot be read.
    File(config::file::Error),
    /// The subscription is not valid.
    Subscription(subscriptions::Error),
    /// The configuration is not valid.
    Config(config::Error),
    /// The check of the configuration has findings.
    Check(check::Error),
    /// The steps for the hosts cannot be printed.
    Windows(windows::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Write(..) | Self::Terminal(_) => RUNNING,
            Self::Check(error) => error.exit_code(),
            _ => USAGE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(flag) => write!(
                f,
                "{flag} is required, since standard input is not a terminal to ask on"
            ),
            Self::Answer(why) => f.write_str(why),
            Self::Exists(path) => write!(
                f,
                "{} exists: choose another folder, or replace it with --force",
                path.display()
            ),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Terminal(error) => write!(f, "cannot ask on the terminal: {error}"),
            Self::File(error) => error.fmt(f),
            Self::Subscription(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Check(error) => error.fmt(f),
            Self::Windows(error) => error.fmt(f),
        }
    }
}

// No `source`: the messages above already include the cause.
impl std::error::Error for Error {}

/// Prompts for missing values, writes the files, and checks them.
///
/// # Errors
/// A missing or invalid value, a file that exists or cannot be written, or findings in the
/// written configuration.
pub fn run(options: &SetupOptions) -> Result<(), Error> {
    let stdin = io::stdin();
    let answers = if stdin.is_terminal() {
        Answers::ask(options, &mut stdin.lock(), &mut io::stderr())?
    } else {
        Answers::of_flags(options)?
    };
    let folder = &options.folder;
    let file = folder.join(FILE);
    let subscription = folder.join("subscriptions/logs.xml");
    let (text, query) = (
        templates::configuration(&answers),
        templates::subscription(&answers),
    );
    // Checked before writing: an invalid file would block the next attempt, which does not
    // overwrite files.
    check_text(&text, folder)?;
    subscriptions::parse(&query, "subscriptions/logs.xml").map_err(Error::Subscription)?;
    if !options.force
        && let Some(path) = [&file, &subscription].into_iter().find(|it| it.exists())
    {
        return Err(Error::Exists(path.clone()));
    }
    for (path, text) in [(&file, &text), (&subscription, &query)] {
        write(path, text, options.force)?;
        print(&format!("wrote {}\n", path.display()))?;
    }
    let needed = templates::needed(&answers);
    if needed.iter().any(|name| !folder.join(name).exists()) {
        print(&templates::preparation(&answers, folder))?;
        print(&templates::receiver(&answers))?;
        return print(&templates::then(&answers, &file));
    }
    print("\n== check\n")?;
    let (config, command) = read(&["check"], &file)?;
    if let Command::Check(_) = command {
        check::run(&config, false).map_err(Error::Check)?;
    }
    print("\n== on the Windows hosts\n")?;
    let (config, command) = read(&["windows"], &file)?;
    if let Command::Windows(options) = command {
        windows::run(&config, &options).map_err(Error::Windows)?;
    }
    print(&templates::receiver(&answers))?;
    print(&templates::start(&answers, &file))
}

/// Checks a configuration as the relay does, before it is written to `folder`.
fn check_text(text: &str, folder: &Path) -> Result<(), Error> {
    let given = vec!["wecrelay".into(), "check".into()];
    let file = folder.join(FILE);
    let options = Arguments::of_text(given, &file, text).map_err(Error::File)?;
    let command = options.command.ok_or(Error::Missing("a command"))?;
    checked(&options.relay, &command).map(drop)
}

/// Parses a command with the flags of the written file.
fn read(command: &[&str], file: &Path) -> Result<(Config, Command), Error> {
    let mut given: Vec<OsString> = vec!["wecrelay".into()];
    given.extend(command.iter().map(OsString::from));
    given.extend(["--config".into(), file.as_os_str().to_owned()]);
    let (options, _) = Arguments::parse(given).map_err(Error::File)?;
    let command = options.command.ok_or(Error::Missing("a command"))?;
    Ok((checked(&options.relay, &command)?, command))
}

fn checked(relay: &RelayOptions, command: &Command) -> Result<Config, Error> {
    let environment = Environment {
        state_directory: std::env::var_os("STATE_DIRECTORY"),
        sockets: Vec::new(),
    };
    let relay = match command {
        Command::Check(check) => &check.relay,
        Command::Windows(windows) => &windows.relay,
        _ => relay,
    };
    Config::check(relay, &environment).map_err(Error::Config)
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Error> {
    let failed = |error| Error::Write(path.to_owned(), error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut open = std::fs::OpenOptions::new();
    if force {
        open.write(true).create(true).truncate(true)
    } else {
        open.write(true).create_new(true)
    };
    let mut file = open.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Exists(path.to_owned()),
        _ => failed(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn print(text: &str) -> Result<(), Error> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(Error::Terminal)
}

/// The value of `--for` for a kind of hosts.
fn name(kind: HostKind) -> &'static str {
    match kind {
        HostKind::Domain => "domain",
        HostKind::Certificate => "certificate",
        HostKind::Workgroup => "workgroup",
    }
}
