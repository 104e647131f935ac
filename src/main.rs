//! The `wecrelay` binary: parses arguments, starts the logger, runs a command, and returns
//! its exit code.

use std::process::ExitCode;

use wecrelay::cli::Verbosity;
use wecrelay::commands;
use wecrelay::config::file::{Arguments, Error};
use wecrelay::config::logging;
use wecrelay::output::own_log::OwnLog;
use wecrelay::system::logger::{self, Beside};

fn main() -> ExitCode {
    let (options, arguments) = match Arguments::parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(Error::Flags(error)) => error.exit(),
        Err(error) => {
            let logger = logger::start(logging(Verbosity::default()), None, false);
            logger.last_words(&error.to_string());
            return ExitCode::from(commands::USAGE);
        }
    };
    let is_relay = options.command.is_none();
    let own = (is_relay && options.relay.reports.log_to_outputs).then(OwnLog::default);
    let beside = own
        .clone()
        .map(|own| -> Beside { Box::new(move |line| own.note(line)) });
    let logger = logger::start(logging(options.verbosity), beside, is_relay);
    let code = match commands::run_command(&options, &arguments, own) {
        Ok(()) => 0,
        Err(failure) => {
            let placed = arguments.placed(failure.flag().as_ref(), &*failure);
            logger.last_words(&placed.to_string());
            failure.exit_code()
        }
    };
    logger.finish();
    ExitCode::from(code)
}
