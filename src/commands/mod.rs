//! The subcommands, including `run`, the relay itself.

pub mod ca;
pub mod check;
pub mod completions;
pub mod database;
pub mod doctor;
pub mod health;
pub mod hosts;
pub mod init;
pub mod passwd;
pub mod probe;
pub mod run;
pub mod send;
pub mod store;
pub mod windows;

mod terminal;
mod words;

use std::error::Error;
use std::io;
use std::net::TcpListener;

use crate::cli::{Command, Options, RelayOptions};
use crate::config::file::Arguments;
use crate::config::{self, Config, Environment, Flag};
use crate::output::own_log::OwnLog;
use crate::system::systemd;

/// Exit code for invalid flags or files, found before anything was changed.
pub const USAGE: u8 = 2;
/// Exit code for a failure at run time, or for findings.
const RUNNING: u8 = 1;

/// The error of a command, with what `main` needs to report it.
pub trait Failure: Error {
    /// The exit code of the process.
    fn exit_code(&self) -> u8;

    /// The flag that caused the error, if a single one did.
    fn flag(&self) -> Option<Flag> {
        None
    }
}

impl<E: Failure + 'static> From<E> for Box<dyn Failure> {
    fn from(error: E) -> Self {
        Box::<E>::new(error)
    }
}

impl Failure for config::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }

    fn flag(&self) -> Option<Flag> {
        self.flag()
    }
}

impl Failure for config::file::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

impl Failure for systemd::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// Standard output could not be written.
impl Failure for io::Error {
    fn exit_code(&self) -> u8 {
        RUNNING
    }
}

/// Runs the command that the command line selects; without a subcommand, the relay. `own`
/// is the buffer into which the logger copies lines for the outputs (`--log-to-outputs`).
///
/// # Errors
/// The error of the command.
pub fn run_command(
    options: &Options,
    arguments: &Arguments,
    own: Option<OwnLog>,
) -> Result<(), Box<dyn Failure>> {
    match &options.command {
        None => relay(&options.relay, arguments, own)?,
        Some(Command::Init(setup)) => init::run(setup)?,
        Some(Command::Check(options)) => {
            check::run(&Started::with(&options.relay)?.config, options.probe)?;
        }
        Some(Command::Doctor(options)) => match &options.explain {
            Some(what) => doctor::explain(what)?,
            None => doctor::run(&Started::with(&options.relay)?.config, options)?,
        },
        Some(Command::Windows(options)) => {
            windows::run(&Started::with(&options.relay)?.config, options)?;
        }
        Some(Command::Hosts(options)) => hosts::run(options)?,
        Some(Command::Health(options)) => health::run(options)?,
        Some(Command::Send(options)) => send::run(options)?,
        Some(Command::Ca(options)) => ca::run(options)?,
        Some(Command::Store(options)) => store::run(options)?,
        Some(Command::Passwd(options)) => passwd::run(options)?,
        Some(Command::Completions(options)) => completions::run(options)?,
    }
    Ok(())
}

fn relay(
    options: &RelayOptions,
    arguments: &Arguments,
    own: Option<OwnLog>,
) -> Result<(), Box<dyn Failure>> {
    let Started {
        config,
        sockets,
        environment,
    } = Started::with(options)?;
    let (started, arguments) = (config.clone(), arguments.clone());
    let again = move || arguments.again(&started, &environment);
    Ok(run::run(&config, sockets, own, again)?)
}

/// The checked configuration, and what it was derived from.
struct Started {
    config: Config,
    /// Listening sockets that the service manager passed (systemd socket activation).
    sockets: Vec<TcpListener>,
    environment: Environment,
}

impl Started {
    /// Checks the flags.
    fn with(options: &RelayOptions) -> Result<Self, Box<dyn Failure>> {
        let sockets = systemd::sockets()?.into_iter();
        let split = |socket: systemd::Inherited| {
            let (name, address) = (socket.name, socket.address);
            (config::Inherited { name, address }, socket.listener)
        };
        let (names, sockets) = sockets.map(split).unzip();
        let environment = Environment {
            state_directory: std::env::var_os("STATE_DIRECTORY"),
            sockets: names,
        };
        let config = Config::check(options, &environment)?;
        Ok(Self {
            config,
            sockets,
            environment,
        })
    }
}
