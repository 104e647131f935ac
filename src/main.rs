//! The `wecrelay` binary: arguments, logger, run, exit code.

mod logger;

use std::error::Error;
use std::net::TcpListener;
use std::process::ExitCode;

use logger::Logger;
use wecrelay::cli::{Command, Options, RelayOptions, Verbosity};
use wecrelay::commands;
use wecrelay::config::file::{self, Arguments};
use wecrelay::config::{self, Config, Environment};
use wecrelay::output::own_log::OwnLog;
use wecrelay::system::systemd;

/// Why it ended: what was asked for could not be understood, or could not be done.
enum Failure {
    /// Bad flags or files: exit code 2.
    Usage(Box<dyn Error>),
    /// Failed while running: exit code 1.
    Running(Box<dyn Error>),
}

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
        Err(failure) => end(failure, &arguments, &logger),
    };
    logger.finish();
    ExitCode::from(code)
}

/// Says why it ends; gives the exit code.
fn end(failure: Failure, arguments: &Arguments, logger: &Logger) -> u8 {
    let (code, error) = match failure {
        Failure::Usage(error) => (2, error),
        Failure::Running(error) => (1, error),
    };
    let error = chain(error.as_ref());
    let error = match arguments.place(&error) {
        Some(place) => format!("{place}: {error}"),
        None => error,
    };
    logger.last_words(&error);
    code
}

/// `own`: where the logger puts what is for the outputs.
fn run(options: &Options, arguments: &Arguments, own: Option<OwnLog>) -> Result<(), Failure> {
    match &options.command {
        Some(Command::Check(check)) => {
            let Started { config, .. } = configuration(&check.relay)?;
            commands::check::run(&config, check.probe).map_err(|error| match error.exit_code() {
                2 => Failure::Usage(error.into()),
                _ => Failure::Running(error.into()),
            })
        }
        Some(Command::Doctor(doctor)) => match &doctor.explain {
            Some(what) => commands::doctor::explain(what),
            None => {
                let Started { config, .. } = configuration(&doctor.relay)?;
                commands::doctor::run(&config, doctor)
            }
        }
        .map_err(|error| match error.exit_code() {
            2 => Failure::Usage(error.into()),
            _ => Failure::Running(error.into()),
        }),
        Some(Command::Windows(windows)) => {
            let Started { config, .. } = configuration(&windows.relay)?;
            commands::windows::run(&config, windows).map_err(|error| match error.exit_code() {
                2 => Failure::Usage(error.into()),
                _ => Failure::Running(error.into()),
            })
        }
        Some(Command::Sources(sources)) => {
            commands::sources::run(sources).map_err(|error| match error.exit_code() {
                2 => Failure::Usage(error.into()),
                _ => Failure::Running(error.into()),
            })
        }
        Some(Command::Send(send)) => {
            commands::send::run(send).map_err(|error| match error.exit_code() {
                2 => Failure::Usage(error.into()),
                _ => Failure::Running(error.into()),
            })
        }
        Some(Command::Ca(ca)) => commands::ca::run(ca).map_err(|error| match error.exit_code() {
            2 => Failure::Usage(error.into()),
            _ => Failure::Running(error.into()),
        }),
        Some(Command::Passwd(passwd)) => {
            commands::passwd::run(passwd).map_err(|error| match error.exit_code() {
                2 => Failure::Usage(error.into()),
                _ => Failure::Running(error.into()),
            })
        }
        Some(Command::Completions(options)) => {
            commands::completions::run(options).map_err(|error| Failure::Running(error.into()))
        }
        None => {
            let Started {
                config,
                sockets,
                environment,
            } = configuration(&options.relay)?;
            let (started, arguments) = (config.clone(), arguments.clone());
            let again = move || arguments.again(&started, &environment);
            commands::run::run(&config, sockets, own, again).map_err(|error| {
                match error.is_usage() {
                    true => Failure::Usage(error.into()),
                    false => Failure::Running(error.into()),
                }
            })
        }
    }
}

/// What the relay starts with.
struct Started {
    config: Config,
    /// Those that the service manager has bound.
    sockets: Vec<TcpListener>,
    environment: Environment,
}

/// The flags, checked.
fn configuration(options: &RelayOptions) -> Result<Started, Failure> {
    let sockets = systemd::sockets().map_err(|error| Failure::Usage(error.into()))?;
    let (names, sockets) = sockets.into_iter().map(split).unzip();
    let environment = Environment {
        state_directory: std::env::var_os("STATE_DIRECTORY"),
        sockets: names,
    };
    let config = Config::check(options, &environment);
    let config = config.map_err(|error| Failure::Usage(error.into()))?;
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
