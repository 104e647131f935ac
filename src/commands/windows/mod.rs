//! `wecrelay windows`: prints what Windows hosts need in order to forward to a relay with
//! these flags.

mod deployment;
mod error;
mod overview;
mod quote;
mod scripts;
mod target;

use std::io::{self, Write};
use std::path::Path;

use crate::cli::{HostKind, WindowsForm, WindowsOptions};
use crate::config::Config;
use target::{Facts, Target};

pub use error::Error;

/// PowerShell functions for the policy and for access to the logs.
pub(super) const POLICY: &str = include_str!("parts/policy.ps1");
/// PowerShell functions for the private keys of certificates.
pub(super) const KEYS: &str = include_str!("parts/keys.ps1");

/// Prints what the hosts need, or writes it to a file.
///
/// # Errors
/// The flags are not sufficient, or a file cannot be read or written.
pub fn run(config: &Config, options: &WindowsOptions) -> Result<(), Error> {
    let facts = Facts::gather(config, &options.relay)?;
    let text = match options.form {
        WindowsForm::Overview => overview(&facts, options)?,
        form => {
            let target = Target::new(&facts, kind(&facts, options)?, options)?;
            for note in target.notes() {
                log::warn!("{note}");
            }
            render(form, &target)
        }
    };
    match &options.out {
        Some(path) => write(path, options.form, &text),
        None => {
            // If standard output is closed, the failure cannot be reported.
            drop(io::stdout().write_all(text.as_bytes()));
            Ok(())
        }
    }
}

fn render(form: WindowsForm, target: &Target) -> String {
    match form {
        WindowsForm::Overview => overview::describe(target),
        WindowsForm::Policy => format!("{}\n", target.manager()),
        WindowsForm::Reg => deployment::reg(target),
        WindowsForm::Powershell => scripts::setup(target),
        WindowsForm::Intune => deployment::intune(target),
        WindowsForm::Ansible => deployment::ansible(target),
        WindowsForm::Undo => scripts::undo(target),
    }
}

/// The instructions for each kind of hosts that the flags allow.
fn overview(facts: &Facts<'_>, options: &WindowsOptions) -> Result<String, Error> {
    let kinds = match options.hosts {
        Some(_) => vec![kind(facts, options)?],
        None => facts.kinds(),
    };
    let targets = kinds
        .into_iter()
        .map(|kind| Target::new(facts, kind, options));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let parts: Vec<_> = targets.iter().map(overview::describe).collect();
    Ok(parts.join("\n"))
}

/// The kind of hosts for outputs that are for one kind only.
fn kind(facts: &Facts<'_>, options: &WindowsOptions) -> Result<HostKind, Error> {
    let kinds = facts.kinds();
    match (options.hosts, kinds.as_slice()) {
        (Some(asked), kinds) if kinds.contains(&asked) => Ok(asked),
        (Some(asked), _) => Err(Error::NotLetIn(asked)),
        (None, [only]) => Ok(*only),
        (None, _) => Err(Error::Several(kinds)),
    }
}

fn write(path: &Path, form: WindowsForm, text: &str) -> Result<(), Error> {
    let bytes = match form {
        // Registry files of version 5.00 are UTF-16 with a byte order mark, as regedit
        // exports them.
        WindowsForm::Reg => std::iter::once(0xFEFF)
            .chain(lines(text).encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect(),
        WindowsForm::Powershell | WindowsForm::Undo => lines(text).into_bytes(),
        _ => text.as_bytes().to_vec(),
    };
    #[expect(clippy::disallowed_methods, reason = "--out writes this file")]
    std::fs::write(path, bytes).map_err(|error| Error::Write(path.to_owned(), error))
}

/// Converts line ends to CR LF. PowerShell accepts both; Notepad on older versions of
/// Windows accepts only CR LF.
pub(super) fn lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

/// The beginning of a subscription manager's value, which distinguishes it from the host's
/// other collectors.
pub(super) fn server(secure: bool, name: &str, port: u16) -> String {
    let scheme = if secure { "https" } else { "http" };
    format!("Server={scheme}://{name}:{port}/")
}

/// The value for the policy "Configure target Subscription Manager". `refresh` is in
/// seconds.
pub(super) fn manager(server: &str, refresh: u32, issuer: Option<&str>) -> String {
    let issuer = issuer.map(|issuer| format!(",IssuerCA={issuer}"));
    let issuer = issuer.unwrap_or_default();
    format!("{server}wsman/SubscriptionManager/WEC,Refresh={refresh}{issuer}")
}

#[cfg(test)]
mod tests;
