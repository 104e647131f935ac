//! Converts the text of a configuration file to flags.

use std::ffi::OsString;
use std::path::Path;

use clap::error::ErrorKind;
use clap::{Arg, Command};
use toml::de::{DeTable, DeValue};

use super::keys::{self, Kind};
use super::{Error, Place};
use crate::output;

/// Maximum effective count of `verbose`.
const MOST_COUNT: usize = 9;
/// Minimum similarity of names for a suggestion (0 to 1).
const ALIKE: f64 = 0.75;

/// A flag that the file sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, which is the flag's name.
    pub name: String,
    /// Where the key stands.
    pub place: Place,
    /// The equivalent arguments, one for each occurrence of the flag.
    pub occurrences: Vec<Occurrence>,
}

/// One occurrence of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Where its value stands.
    pub place: Place,
    /// The argument, as on the command line.
    pub argument: OsString,
    /// The value as written in the file; `None` for a switch.
    pub value: Option<String>,
}

/// Parses the text of a file. Each value is validated as on the command line.
///
/// # Errors
/// The first error, with its line.
pub fn settings(text: &str, path: &Path) -> Result<Vec<Setting>, Error> {
    let table = DeTable::parse(text).map_err(|error| Error::Syntax {
        place: Place::at(path, text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let file = File {
        text,
        path,
        command: keys::command(),
    };
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let settings = entries.into_iter().map(|(key, value)| {
        let place = file.place(key.span().start);
        let name = key.get_ref().to_string();
        let arg = file.find(&name).ok_or_else(|| {
            let (place, key) = (place.clone(), name.clone());
            if matches!(value.get_ref(), DeValue::Table(_)) {
                return Error::Section { place, name: key };
            }
            let similar = file.similar(&name);
            Error::Unknown {
                place,
                key,
                similar,
            }
        })?;
        let occurrences = file.occurrences(arg, &name, value.span().start, value.get_ref())?;
        Ok(Setting {
            name,
            place,
            occurrences,
        })
    });
    settings.collect()
}

struct File<'a> {
    text: &'a str,
    path: &'a Path,
    command: Command,
}

impl File<'_> {
    fn place(&self, offset: usize) -> Place {
        Place::at(self.path, self.text, offset)
    }

    fn find(&self, name: &str) -> Option<&Arg> {
        keys::keys(&self.command).find(|arg| arg.get_long() == Some(name))
    }

    fn similar(&self, name: &str) -> Option<String> {
        let names = keys::keys(&self.command).filter_map(Arg::get_long);
        let rated = names.map(|known| (strsim::jaro_winkler(known, name), known));
        let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
        best.filter(|(likeness, _)| *likeness >= ALIKE)
            .map(|(_, known)| known.to_owned())
    }

    fn occurrences(
        &self,
        arg: &Arg,
        name: &str,
        offset: usize,
        value: &DeValue<'_>,
    ) -> Result<Vec<Occurrence>, Error> {
        let wrong = |offset, found| Error::Kind {
            place: self.place(offset),
            key: name.to_owned(),
            allowed: keys::allowed(arg),
            found,
        };
        let bare = || Occurrence {
            place: self.place(offset),
            argument: format!("--{name}").into(),
            value: None,
        };
        let is_bare = Kind::of(arg) == Kind::Switch || keys::has_optional_value(arg);
        match (Kind::of(arg), value) {
            (_, DeValue::Boolean(on)) if is_bare => Ok(vec![bare(); usize::from(*on)]),
            (Kind::Count, DeValue::Integer(_)) => {
                let count = number(value).and_then(|n| usize::try_from(n).ok());
                let count = count.ok_or_else(|| wrong(offset, "below zero"))?;
                Ok(vec![bare(); count.min(MOST_COUNT)])
            }
            (_, DeValue::Array(values)) if keys::is_repeatable(arg) => {
                let one = |(offset, value)| {
                    self.occurrence(arg, name, offset, value)
                        .unwrap_or_else(|| Err(wrong(offset, found(value))))
                };
                let values = values.iter().map(|v| (v.span().start, v.get_ref()));
                values.map(one).collect()
            }
            _ => {
                let one = self.occurrence(arg, name, offset, value);
                let one = one.unwrap_or_else(|| Err(wrong(offset, found(value))))?;
                Ok(vec![one])
            }
        }
    }

    /// One value; `None` if it has the wrong type.
    fn occurrence(
        &self,
        arg: &Arg,
        name: &str,
        offset: usize,
        value: &DeValue<'_>,
    ) -> Option<Result<Occurrence, Error>> {
        let text = match (Kind::of(arg), value) {
            (Kind::Number, DeValue::Integer(_)) => number(value)?.to_string(),
            (Kind::Path, DeValue::String(path)) => {
                let path = if path.is_empty() {
                    "".into()
                } else {
                    self.folder().join(path.as_ref())
                };
                path.to_string_lossy().into_owned()
            }
            (Kind::Text, DeValue::String(url)) if name == "output" => {
                output::anchored(url, self.folder())
            }
            (Kind::Text, DeValue::String(text)) => text.to_string(),
            _ => return None,
        };
        let place = self.place(offset);
        let argument: OsString = format!("--{name}={text}").into();
        if let Some(message) = self.refusal(&argument) {
            return Some(Err(Error::Value { place, message }));
        }
        Some(Ok(Occurrence {
            place,
            argument,
            value: Some(text),
        }))
    }

    /// Relative paths start at the folder of the file.
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Why clap rejects the value. Whether other flags are required does not matter here.
    fn refusal(&self, argument: &OsString) -> Option<String> {
        let arguments = [&OsString::from("wecrelay"), argument];
        let error = self.command.clone().try_get_matches_from(arguments).err()?;
        match error.kind() {
            ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::NoEquals
            | ErrorKind::TooFewValues
            | ErrorKind::TooManyValues
            | ErrorKind::WrongNumberOfValues => {}
            _ => return None,
        }
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let end = |line: &&str| !line.starts_with("For more") && !line.starts_with("Usage");
        let lines = text.lines().take_while(end).map(str::trim);
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        Some(lines.join(" "))
    }
}

fn number(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
