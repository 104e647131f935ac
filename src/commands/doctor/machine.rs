//! Checks of this machine: clock, state folder, limits.
#![expect(clippy::disallowed_methods, reason = "a command, not the loop")]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};

use super::{Finding, Report};
use crate::commands::probe::ask;
use crate::config::Config;

/// Free space in MiB below which the state folder is nearly full.
const LITTLE: u64 = 64;

/// Kerberos tolerates a difference of five minutes, and certificates have validity dates.
pub(super) fn clock(config: &Config, report: &mut Report) {
    match ask::is_clock_synchronised() {
        Ok(true) => report.say("synchronized, according to the kernel"),
        Ok(false) if !config.keytabs.is_empty() => {
            let on_host = report.typed(&["w32tm /query /status"]);
            report.find(Finding {
                what: "the clock is not synchronized".to_owned(),
                why: "Kerberos rejects tickets when clocks differ by more than five minutes"
                    .to_owned(),
                remedy: "synchronize with the domain's servers by systemd-timesyncd or chrony: timedatectl set-ntp true"
                    .to_owned(),
                on_host,
                look: "System, source Security-Kerberos, event 4 or 5",
                ..Finding::default()
            });
        }
        Ok(false) => report.say(
            "not synchronized, according to the kernel (a container or virtual machine may get its \
             time elsewhere); certificates depend on it",
        ),
        Err(error) => report.say(format_args!("the kernel does not report it: {error}")),
    }
}

/// Checks the state folder, because bookmarks must be stored before a batch is
/// acknowledged, and reports the limit of file descriptors.
pub(super) fn state(config: &Config, report: &mut Report) {
    if config.store.is_none() {
        folder(&config.state, report);
    }
    let limit = getrlimit(Resource::Nofile).maximum;
    report.say(format_args!(
        "limit of file descriptors: {}; a connected host uses one or two",
        limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string())
    ));
}

fn folder(folder: &Path, report: &mut Report) {
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => examine(folder, found.uid(), report),
        Ok(_) => report.find(Finding {
            stops: true,
            what: format!("--state {} is not a folder", folder.display()),
            why: "without bookmarks nothing can be acknowledged".to_owned(),
            remedy: "name another one with --state".to_owned(),
            ..Finding::default()
        }),
        Err(error) => report.say(format_args!(
            "{}: {error}; the relay creates it at startup",
            folder.display()
        )),
    }
}

fn examine(folder: &Path, owner: u32, report: &mut Report) {
    let name = folder.display();
    let database = folder.join("wecrelay.db");
    let target = if database.exists() {
        database.as_path()
    } else {
        folder
    };
    // For root this fails only on a read-only file system.
    if let Err(error) = rustix::fs::access(target, Access::WRITE_OK) {
        report.find(Finding {
            stops: true,
            what: format!(
                "--state {}: cannot be written by this user: {error}",
                target.display()
            ),
            why: "no batch is acknowledged before its bookmark is stored".to_owned(),
            remedy: format!(
                "run this command as the relay's user; if you did, chown -R USER {name} (its owner \
                 is user id {owner})"
            ),
            ..Finding::default()
        });
        return;
    }
    match rustix::fs::statvfs(folder) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
            if free < LITTLE {
                report.find(Finding {
                    stops: free == 0,
                    what: format!("--state {name}: {free} MiB are free there"),
                    why: "when it is full no bookmark can be stored, and hosts get 503".to_owned(),
                    remedy: "free some space, or name another folder with --state".to_owned(),
                    ..Finding::default()
                });
            } else {
                report.say(format_args!("{name}: writable, {free} MiB free"));
            }
        }
        Err(error) => report.say(format_args!("{name}: free space is not known: {error}")),
    }
}
