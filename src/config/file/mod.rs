//! The configuration file of `--config`: flags in TOML.
//!
//! There is no second list of settings: each key is looked up in the clap definitions,
//! becomes the equivalent argument, and is parsed together with the command line. A flag on
//! the command line replaces all of its values in the file.

mod error;
mod keys;
mod settings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Parser};

use super::{Config, Environment, Flag};
use crate::cli::{Options, RelayOptions};

pub use error::{Error, Place, Placed};
pub use keys::{allowed, keys};
pub use settings::{Occurrence, Setting, settings};

/// Keys that are read again on SIGHUP; all others need a restart.
const RELOADED: [&str; 28] = [
    "allow-password-without-tls",
    "allow-unencrypted",
    "anonymous",
    "basic",
    "bom",
    "channel",
    "channel-bindings",
    "client-ca",
    "computer-exempt",
    "crl",
    "crl-partial",
    "digest",
    "enterprise",
    "facility",
    "forget-after",
    "hostname",
    "kerberos-rc4",
    "keytab",
    "no-self-reports",
    "no-tls-resume",
    "ntlmv1",
    "principal",
    "realm",
    "require-computer-match",
    "subscription",
    "tls-cert",
    "tls-key",
    "users",
];

/// The command line, and the file that it names.
#[derive(Clone, Debug)]
pub struct Arguments {
    given: Vec<OsString>,
    file: Option<(PathBuf, Vec<Setting>)>,
}

impl Arguments {
    /// Reads the file named by the command line, if any.
    ///
    /// # Errors
    /// What is wrong with either; also `--help` and `--version`, as in clap.
    pub fn parse(given: Vec<OsString>) -> Result<(Options, Self), Error> {
        let file = match config(&given) {
            Some(path) => Some((path.clone(), read(&path)?)),
            None => None,
        };
        let arguments = Self { given, file };
        Ok((arguments.options()?, arguments))
    }

    /// The same with the text of a file that need not exist yet: paths in it are relative to
    /// the folder of `path`.
    ///
    /// # Errors
    /// What is wrong with the command line or the text.
    pub fn of_text(given: Vec<OsString>, path: &Path, text: &str) -> Result<Options, Error> {
        let file = Some((path.to_owned(), settings(text, path)?));
        Self { given, file }.options()
    }

    /// The flags of both.
    fn options(&self) -> Result<Options, Error> {
        let mut all = self.given.clone();
        if let Some((_, settings)) = &self.file {
            // What follows "--" is not parsed as flags.
            let end = all.iter().position(|argument| argument == "--");
            let end = end.unwrap_or(all.len());
            all.splice(end..end, additions(&self.given, settings));
        }
        Options::try_parse_from(all).map_err(Error::Flags)
    }

    /// The line of the file that sets the flag; if it has several values, that of the one
    /// at fault.
    fn place(&self, flag: &Flag) -> Option<&Place> {
        let (_, settings) = self.file.as_ref()?;
        let setting = settings.iter().find(|it| flag.is_key(&it.name))?;
        let is_it = |o: &&Occurrence| o.value.as_deref().is_some_and(|it| flag.has_value(it));
        let occurrence = setting.occurrences.iter().find(is_it);
        Some(occurrence.map_or(&setting.place, |occurrence| &occurrence.place))
    }

    /// Adds the line of the file that is at fault to an error.
    pub fn placed<E>(&self, flag: Option<&Flag>, error: E) -> Placed<E> {
        let place = flag.and_then(|flag| self.place(flag)).cloned();
        Placed { place, error }
    }

    /// The configuration on SIGHUP: settings that need no restart from the current file,
    /// everything else from `started`. Also returns the arguments that it is made of. Logs
    /// what needs a restart.
    ///
    /// # Errors
    /// Anything that would prevent the relay from starting with the file.
    pub fn again(
        &self,
        started: &Config,
        environment: &Environment,
    ) -> Result<(Config, Self), Error> {
        let Some((path, before)) = &self.file else {
            return Ok((started.clone(), self.clone()));
        };
        let now = read(path)?;
        let waiting = waiting(before, &now);
        let fresh = Self {
            given: self.given.clone(),
            file: Some((path.clone(), now.clone())),
        };
        let mut options = fresh.options()?.relay;
        // The relay may no longer be root.
        (options.user, options.group) = (None, None);
        if !waiting.contains(&"listen") {
            keep_listeners(&mut options, started);
        }
        let config = Config::check(&options, environment)
            .map_err(|error| Error::Check(Box::new(fresh.placed(error.flag().as_ref(), error))))?;
        if !waiting.is_empty() {
            let (path, names) = (path.display(), waiting.join(", "));
            log::warn!("{path}: {names} changed: this requires a restart");
        }
        Ok((merged(config, started), fresh))
    }
}

/// The file named by the command line. Other flags may be wrong, or lack what the file
/// sets; that is reported later.
fn config(given: &[OsString]) -> Option<PathBuf> {
    let matches = lenient(given)?;
    let (matches, _) = innermost(&matches, keys::command());
    let path = matches.try_get_one::<PathBuf>("config").ok().flatten();
    path.cloned()
}

fn lenient(given: &[OsString]) -> Option<ArgMatches> {
    let command = Options::command().ignore_errors(true);
    command.try_get_matches_from(given).ok()
}

/// The subcommand that runs, and its arguments.
fn innermost(mut matches: &ArgMatches, mut command: Command) -> (&ArgMatches, Command) {
    while let Some((name, inner)) = matches.subcommand() {
        let Some(subcommand) = command.find_subcommand(name).cloned() else {
            break;
        };
        (matches, command) = (inner, subcommand);
    }
    (matches, command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "flags are read before the loop begins"
)]
fn read(path: &Path) -> Result<Vec<Setting>, Error> {
    let failed = |error| Error::Read(path.to_owned(), error);
    let text = std::fs::read_to_string(path).map_err(failed)?;
    settings(&text, path)
}

/// What the file adds to the command line: flags of the subcommand, unless they or
/// contradicting ones are given.
fn additions(given: &[OsString], settings: &[Setting]) -> Vec<OsString> {
    let Some(matches) = lenient(given) else {
        return Vec::new();
    };
    let (matches, command) = innermost(&matches, keys::command());
    let is_given =
        |arg: &Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let given: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| is_given(arg))
        .collect();
    let mut additions = Vec::new();
    for setting in settings {
        let named = |arg: &&Arg| arg.get_long() == Some(&setting.name);
        let Some(arg) = command.get_arguments().find(named) else {
            continue;
        };
        let is_over = |other: &&Arg| {
            other.get_id() == arg.get_id()
                || conflict(&command, arg, other)
                || conflict(&command, other, arg)
        };
        if !given.iter().any(is_over) {
            additions.extend(setting.occurrences.iter().map(|o| o.argument.clone()));
        }
    }
    additions
}

/// Whether `a` is declared to conflict with `b`.
fn conflict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let others = command.get_arg_conflicts_with(a);
    others.iter().any(|other| other.get_id() == b.get_id())
}

/// Settings that differ between the two and need a restart.
fn waiting<'a>(before: &'a [Setting], now: &'a [Setting]) -> Vec<&'a str> {
    let arguments = |settings: &'a [Setting], name: &str| {
        let setting = settings.iter().find(|setting| setting.name == name);
        let occurrences = setting.into_iter().flat_map(|s| &s.occurrences);
        let arguments = occurrences.map(|o| &o.argument);
        arguments.collect::<Vec<_>>()
    };
    let mut names: Vec<_> = before.iter().chain(now).map(|s| s.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
        .retain(|name| !RELOADED.contains(name) && arguments(before, name) != arguments(now, name));
    names
}

/// Names in `--listen` are not resolved again, which could take long.
fn keep_listeners(options: &mut RelayOptions, started: &Config) {
    if options.listen.is_empty() {
        return;
    }
    let own = started.listeners.iter().filter(|l| l.inherited.is_none());
    let url = |listener: &super::Listener| {
        let scheme = if listener.secure { "https" } else { "http" };
        format!("{scheme}://{}", listener.address)
    };
    options.listen = own.map(url).collect();
}

fn merged(fresh: Config, started: &Config) -> Config {
    let started = started.clone();
    Config {
        listeners: started.listeners,
        outputs: started.outputs,
        state: started.state,
        metrics: started.metrics,
        account: started.account,
        ntlm_helper: started.ntlm_helper,
        // The https listeners stay, and need certificates.
        tls: match (started.tls, fresh.tls) {
            (Some(started), None) => Some(started),
            (started, fresh) => started.and(fresh),
        },
        ..fresh
    }
}

#[cfg(test)]
mod tests;
