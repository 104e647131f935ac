//! The `wecrelay` binary: arguments, logger, run, exit code.

mod logger;

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;

use wecrelay::cli::{Command, Options, RelayOptions, Verbosity};
use wecrelay::commands::{self, Failure};
use wecrelay::config::file::{self, Arguments};
use wecrelay::config::{self, Config, Environment};
use wecrelay::output::own_log::OwnLog;
use wecrelay::system::systemd;

use logger::Logger;

fn main() -> ExitCode {
    let (options, arguments) = match Arguments::parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(file::Error::Flags(error)) => error.exit(),
        Err(error) => {
            let logger = logger::start(Verbosity::default(), None, false);
            logger.last_words(&error.to_string());
            return ExitCode::from(2);
        }
    };
    let is_relay = options.command.is_none();
    let own = (is_relay && options.relay.reports.log_to_outputs).then(OwnLog::default);
    let logger = logger::start(options.verbosity, own.clone(), is_relay);
    let code = match run(&options, &arguments, own) {
        Ok(()) => 0,
        Err(failure) => end(failure.as_ref(), &arguments, &logger),
    };
    logger.finish();
    ExitCode::from(code)
}

/// Says why it ends; gives the exit code.
fn end(failure: &(dyn Failure + 'static), arguments: &Arguments, logger: &Logger) -> u8 {
    let error = chain(failure);
    let error = match arguments.place(&error) {
        Some(place) => format!("{place}: {error}"),
        None => error,
    };
    logger.last_words(&error);
    failure.exit_code()
}

/// `own`: where the logger puts what is for the outputs.
fn run(
    options: &Options,
    arguments: &Arguments,
    own: Option<OwnLog>,
) -> Result<(), Box<dyn Failure>> {
    match &options.command {
        Some(Command::Init(setup)) => commands::init::run(setup)?,
        Some(Command::Check(check)) => {
            let Started { config, .. } = configuration(&check.relay)?;
            commands::check::run(&config, check.probe)?;
        }
        Some(Command::Doctor(doctor)) => match &doctor.explain {
            Some(what) => commands::doctor::explain(what)?,
            None => {
                let Started { config, .. } = configuration(&doctor.relay)?;
                commands::doctor::run(&config, doctor)?;
            }
        },
        Some(Command::Windows(windows)) => {
            let Started { config, .. } = configuration(&windows.relay)?;
            commands::windows::run(&config, windows)?;
        }
        Some(Command::Hosts(hosts)) => commands::hosts::run(hosts)?,
        Some(Command::Health(health)) => commands::health::run(health)?,
        Some(Command::Send(send)) => commands::send::run(send)?,
        Some(Command::Ca(ca)) => commands::ca::run(ca)?,
        Some(Command::Store(store)) => commands::store::run(store)?,
        Some(Command::Passwd(passwd)) => commands::passwd::run(passwd)?,
        Some(Command::Completions(options)) => commands::completions::run(options)?,
        None => {
            let Started {
                config,
                sockets,
                environment,
            } = configuration(&options.relay)?;
            let (started, arguments) = (config.clone(), arguments.clone());
            let again = move || arguments.again(&started, &environment);
            commands::run::run(&config, sockets, own, again)?;
        }
    }
    Ok(())
}

/// What the relay starts with.
struct Started {
    config: Config,
    /// Those that the service manager has bound.
    sockets: Vec<TcpListener>,
    environment: Environment,
}

/// The flags, checked.
fn configuration(options: &RelayOptions) -> Result<Started, Box<dyn Failure>> {
    let sockets = systemd::sockets()?;
    let (names, sockets) = sockets.into_iter().map(split).unzip();
    let environment = Environment {
        state_directory: std::env::var_os("STATE_DIRECTORY"),
        sockets: names,
    };
    let config = Config::check(options, &environment)?;
    Ok(Started {
        config,
        sockets,
        environment,
    })
}

fn split(socket: systemd::Inherited) -> (config::Inherited, TcpListener) {
    let systemd::Inherited {
        name,
        address,
        listener,
    } = socket;
    (config::Inherited { name, address }, listener)
}

/// The error and its causes, joined by colons.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
