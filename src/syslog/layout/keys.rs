//! The event's values under keys of CEF and LEEF.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write;
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
                _ => take(numbers.next(self, name), value),
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

/// Writes the key that a name of the event becomes.
fn write_key(name: &str, key: &mut String) {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    key.clear();
    key.extend(name.chars().take(MAX_KEY).map(letter));
    if key.is_empty() {
        key.push('_');
    }
}

/// Numbers keys that repeat, regardless of case: `Name`, `Name_2`, `Name_3`.
#[derive(Default)]
struct Numbers {
    /// Keys in use, in lower case.
    taken: HashSet<Box<str>>,
    /// The last number assigned to each key, in lower case.
    last: HashMap<Box<str>, u64>,
    /// The last key, and the same in lower case: kept, since an event may have thousands.
    key: String,
    lower: String,
    /// How many numbers were tried, so that tests can bound the work.
    #[cfg(test)]
    tried: usize,
}

impl Numbers {
    /// The key for a value with this name.
    fn next(&mut self, keys: &Keys, name: &str) -> &str {
        write_key(name, &mut self.key);
        fold(&self.key, &mut self.lower);
        let is_free = !keys.standard.contains(self.key.as_str())
            && !keys.ours.contains(&self.lower)
            && !self.taken.contains(self.lower.as_str());
        if is_free {
            self.taken.insert(self.lower.as_str().into());
        } else {
            self.number();
        }
        &self.key
    }

    /// Appends the next free number to the key.
    fn number(&mut self) {
        let length = self.key.len();
        let last = match self.last.get_mut(self.lower.as_str()) {
            Some(last) => last,
            None => self.last.entry(self.lower.as_str().into()).or_insert(1),
        };
        loop {
            *last += 1;
            #[cfg(test)]
            {
                self.tried += 1;
            }
            self.key.truncate(length);
            // Writing into a string cannot fail.
            let _ = write!(self.key, "_{last}");
            fold(&self.key, &mut self.lower);
            if !self.taken.contains(self.lower.as_str()) {
                self.taken.insert(self.lower.as_str().into());
                return;
            }
        }
    }
}

/// Writes a key in lower case.
fn fold(key: &str, lower: &mut String) {
    lower.clear();
    lower.push_str(key);
    lower.make_ascii_lowercase();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_numbers_are_tried_whatever_the_names() {
        let keys = Keys::new(&[], "", "n");
        let shapes: [&dyn Fn(usize) -> String; 3] = [
            &|_| "N".to_owned(),
            &|number| format!("{}{number}", "n".repeat(MAX_KEY)),
            &|number| ["n".to_owned(), format!("n_{number}")][number % 2].clone(),
        ];
        for shape in shapes {
            let mut numbers = Numbers::default();
            let mut unique = HashSet::new();
            for number in 0..8000 {
                let key = numbers.next(&keys, &shape(number));
                assert!(key != "n" && unique.insert(key.to_ascii_lowercase()));
            }
            assert!(numbers.tried < 20_000, "{}: {}", shape(1), numbers.tried);
        }
    }
}
