//! The event's values under keys of CEF and LEEF.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::standard;
use crate::event::Event;
use crate::syslog::message::Message;

/// Keys that both layouts write themselves; a value of the event never gets one of them.
const OURS: [&str; 29] = [
    "Provider",
    "ExecutionProcessID",
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

/// Maximum length, in characters, of a key made from a name of the event, without its number.
const MAX_KEY: usize = 64;

/// A key of a layout, for values with this name and form.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The value's name in Windows.
    pub(super) name: &'static str,
    /// Its key.
    pub(super) key: &'static str,
    /// The form that the value must have.
    pub(super) form: ValueForm,
}

/// What receivers accept as a value of a key.
#[derive(Clone, Copy)]
pub(super) enum ValueForm {
    /// Any text but an empty one and `-`, which Windows writes for no value.
    Text,
    /// An IPv4 address, even if Windows writes it as an IPv6 address (`::ffff:192.0.2.1`).
    Ipv4,
    /// Any other IPv6 address.
    Ipv6,
    /// An IPv4 or IPv6 address.
    Address,
    /// A port number other than 0.
    Port,
}

impl Known {
    /// The value as receivers expect it under this key; `None` if it does not have the form.
    fn read(self, value: &str) -> Option<Cow<'_, str>> {
        let address = |wanted: fn(&IpAddr) -> bool| {
            let address = standard::address(value)?;
            let canonical = address.to_canonical();
            let text = if canonical == address {
                Cow::Borrowed(value)
            } else {
                Cow::Owned(canonical.to_string())
            };
            wanted(&canonical).then_some(text)
        };
        match self.form {
            ValueForm::Text => (!matches!(value, "" | "-")).then_some(value.into()),
            ValueForm::Ipv4 => address(IpAddr::is_ipv4),
            ValueForm::Ipv6 => address(IpAddr::is_ipv6),
            ValueForm::Address => address(|_| true),
            ValueForm::Port => {
                let port = value.parse::<u16>().ok();
                port.filter(|port| *port > 0).map(|_| value.into())
            }
        }
    }
}

/// The keys of a layout.
pub(super) struct Keys {
    known: &'static [Known],
    /// Keys with a meaning to receivers (case matters); no value gets one because of its name.
    standard: HashSet<&'static str>,
    /// Keys that the layout writes itself, in lower case: some receivers, such as rsyslog, compare
    /// keys without case and keep only one of two equal keys.
    ours: HashSet<String>,
}

impl Keys {
    /// `own` are the keys that the layout writes itself, `standard` those that it defines, both
    /// separated by blanks.
    pub(super) fn new(known: &'static [Known], own: &str, standard: &'static str) -> Self {
        let keys = known.iter().map(|known| known.key);
        let ours = keys.chain(OURS).chain(own.split_ascii_whitespace());
        Self {
            known,
            standard: standard.split_ascii_whitespace().collect(),
            ours: ours.map(str::to_ascii_lowercase).collect(),
        }
    }

    /// Calls `take` with the key and text of each value. The key is a known one if the value has
    /// its form and no earlier value has that key; else the value's name with `_` for characters
    /// other than ASCII letters and digits, numbered if the layout or an earlier value uses that
    /// key.
    pub(super) fn each(&self, event: &Event<'_>, mut take: impl FnMut(&str, &str)) {
        let mut numbers = Numbers::default();
        let mut given = HashSet::new();
        for (name, value) in event.extra.iter().chain(&event.data) {
            match self.known(name, value) {
                Some((key, value)) if given.insert(key) => take(key, &value),
                _ => take(&numbers.next(self, key_of(name)), value),
            }
        }
    }

    fn known<'v>(&self, name: &str, value: &'v str) -> Option<(&'static str, Cow<'v, str>)> {
        let mut known = self.known.iter().filter(|known| known.name == name);
        known.find_map(|known| Some((known.key, known.read(value)?)))
    }
}

/// Calls `take` with the facts about the source, some of them empty, and with `Uid`, by which
/// receivers recognize an event that was sent twice.
pub(super) fn each_of_source(message: &Message<'_, '_>, mut take: impl FnMut(&str, &str)) {
    let origin = message.origin;
    take("Uid", message.uid.as_str());
    take("SourceAddress", &origin.address.to_canonical().to_string());
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

/// Numbers keys that repeat, regardless of case: `Name`, `Name_2`, `Name_3`.
#[derive(Default)]
struct Numbers {
    /// Keys in use, in lower case.
    taken: HashSet<String>,
    /// The last number assigned to each key, in lower case.
    last: HashMap<String, u64>,
}

impl Numbers {
    fn next(&mut self, keys: &Keys, key: String) -> String {
        let lower = key.to_ascii_lowercase();
        let is_free = !keys.standard.contains(key.as_str()) && !keys.ours.contains(&lower);
        if is_free && self.taken.insert(lower.clone()) {
            return key;
        }
        let last = self.last.entry(lower.clone()).or_insert(1);
        loop {
            *last += 1;
            if self.taken.insert(format!("{lower}_{last}")) {
                return format!("{key}_{last}");
            }
        }
    }
}
