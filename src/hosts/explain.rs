//! What error codes and states mean, and what to do about them.

use super::record::{Clones, Ended, Refused, Reported};
use crate::windows::remedies;

/// Likely causes if a host fetches its subscriptions and sends nothing.
const SILENT: &str = "it got its subscriptions and has sent nothing since: it cannot reach the address in them (name, port, firewall; see --hostname), or NETWORK SERVICE cannot read its logs (group Event Log Readers, then a reboot)";
/// The same if it is no longer seen.
const LOST: &str = "not seen: off, without network, or its WinRM service is stopped";

/// Why a host is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause<'h> {
    /// No subscription is for it.
    Refused(&'h Refused),
    /// Two hosts have its name.
    Clones(&'h Clones),
    /// It ended a subscription.
    Ended(&'h Ended),
    /// It has reported a problem itself.
    Reported(&'h Reported),
    /// It fetches its subscriptions, but sends nothing.
    Silent,
    /// It has not been heard of for a while.
    Lost,
}

/// Describes why a host is not well.
pub(super) fn cause(cause: Cause<'_>) -> String {
    match cause {
        Cause::Refused(refused) => refused.reason.clone(),
        Cause::Clones(clones) => {
            let [first, second] = clones.addresses;
            format!(
                "two hosts have this name, from {first} and {second}: their record ids alternate; \
                 rename one of them (sysprep /generalize)"
            )
        }
        Cause::Ended(end) => ended(end),
        Cause::Reported(report) => reported(report),
        Cause::Silent => SILENT.to_owned(),
        Cause::Lost => LOST.to_owned(),
    }
}

/// What a Windows error code means, and what to do; `None` for an unknown code.
fn code(code: u32) -> Option<String> {
    remedies::code(code).map(|it| match it.remedy {
        "" => it.meaning.to_owned(),
        remedy => format!("{}: {remedy}", it.meaning),
    })
}

fn ended(end: &Ended) -> String {
    match end.code.and_then(code) {
        Some(meaning) => format!("it canceled its subscription ({}): {meaning}", end.text),
        None => format!("it canceled its subscription: {}", end.text),
    }
}

fn reported(report: &Reported) -> String {
    let Reported { event, subject, .. } = report;
    let what = match event {
        101 => "channels of its subscription cannot be read",
        102 => "it cannot create its subscription",
        105 => "it cannot communicate with the collector",
        _ => "it cannot use its policy",
    };
    let times = match report.count {
        1 => String::new(),
        count => format!(", {count} times"),
    };
    let code = report.code.map(|code| match code {
        0x8000_0000.. => format!(", error {code:#X}"),
        _ => format!(", error {code}"),
    });
    let code_text = code.unwrap_or_default();
    let meaning = report.code.and_then(self::code);
    let meaning = meaning.unwrap_or_else(|| report.text.clone());
    format!("it reports that {what} {subject:?} (event {event}{times}{code_text}): {meaning}")
        .replace(" \"\"", "")
}
