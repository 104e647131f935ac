//! The event's values under keys of CEF and LEEF.

use std::collections::{HashMap, HashSet};

use super::standard;
use crate::event::Event;
use crate::syslog::message::{Message, push_address};

/// Keys of ours that the layouts have in common: an event cannot bring one itself.
const OURS: [&str; 29] = [
    "Provider",
    "ProcessID",
    "RecordID",
    "outcome",
    "msg",
    "Truncated",
    "Malformed",
    "Level",
    "Version",
    "Task",
    "Opcode",
    "Keywords",
    "Qualifiers",
    "ThreadID",
    "UserID",
    "ActivityID",
    "RelatedActivityID",
    "ProviderGuid",
    "EventSourceName",
    "DataName",
    "UserDataName",
    "Uid",
    "SourceAddress",
    "MachineID",
    "Subscription",
    "Identity",
    "AccountSid",
    "Auth",
    "ComputerMismatch",
];

/// Longest key of ours for a name of the event.
const MAX_KEY: usize = 64;

/// A key that a value has in a layout, where it is of this form.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The value's name in Windows.
    pub(super) name: &'static str,
    /// Its key.
    pub(super) key: &'static str,
    /// What the value must be.
    pub(super) form: ValueForm,
}

/// What receivers take for a value of a key.
#[derive(Clone, Copy)]
pub(super) enum ValueForm {
    /// Any text but `-`, which Windows writes for none.
    Text,
    /// An IP address.
    Address,
    /// A port number other than 0.
    Port,
}

impl Known {
    fn fits(self, value: &str) -> bool {
        match self.form {
            ValueForm::Text => !matches!(value, "" | "-"),
            ValueForm::Address => standard::address(value).is_some(),
            ValueForm::Port => value.parse::<u16>().is_ok_and(|port| port > 0),
        }
    }
}

/// Gives each value of the event with its key: one of `known` where it fits, else its own
/// name with `_` for what is no letter or digit, numbered where that is taken. Keys of
/// `reserved` are none.
pub(super) fn each(
    event: &Event<'_>,
    known: &[Known],
    reserved: &[&str],
    mut take: impl FnMut(&str, &str),
) {
    let mut keys = Keys::default();
    let ours = known.iter().map(|known| known.key);
    let ours = ours.chain(OURS).chain(reserved.iter().copied());
    keys.taken.extend(ours.map(str::to_owned));
    let mut given = HashSet::new();
    for (name, value) in event.extra.iter().chain(&event.data) {
        let found = known
            .iter()
            .find(|known| known.name == name && known.fits(value));
        match found {
            Some(known) if given.insert(known.key) => take(known.key, value),
            _ => take(&keys.next(key_of(name)), value),
        }
    }
}

/// Gives facts of the source, and the number by which a repeat is known.
pub(super) fn each_of_source(message: &Message<'_, '_>, mut take: impl FnMut(&str, &str)) {
    let origin = message.origin;
    let mut address = Vec::new();
    push_address(&mut address, origin.address);
    take("Uid", message.uid.as_str());
    take("SourceAddress", &String::from_utf8_lossy(&address));
    take("MachineID", origin.machine_id);
    take("Subscription", origin.subscription);
    take("Identity", origin.identity);
    take("AccountSid", origin.account_sid);
    take("Auth", origin.auth);
    take("ComputerMismatch", origin.computer_mismatch);
}

fn key_of(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let key: String = name.chars().take(MAX_KEY).map(letter).collect();
    match key.as_str() {
        "" => "_".to_owned(),
        _ => key,
    }
}

/// Numbers keys that repeat: `Name`, `Name_2`, `Name_3`.
#[derive(Default)]
struct Keys {
    taken: HashSet<String>,
    /// The last number that a key got.
    last: HashMap<String, u64>,
}

impl Keys {
    fn next(&mut self, key: String) -> String {
        if self.taken.insert(key.clone()) {
            return key;
        }
        let last = self.last.entry(key.clone()).or_insert(1);
        loop {
            *last += 1;
            let numbered = format!("{key}_{last}");
            if self.taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}
