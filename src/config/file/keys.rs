//! The keys of the file and the types of their values, derived from the clap definitions.

use std::any::TypeId;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::cli::Options;

/// Flags that only the command line may have.
const NOT_KEYS: [&str; 3] = ["config", "help", "version"];

/// The complete command of the relay.
pub(super) fn command() -> Command {
    let mut command = Options::command();
    command.build();
    command
}

/// The flags of `command` that the file may set; [`Arg::get_long`] is the key.
pub fn keys(command: &Command) -> impl Iterator<Item = &Arg> {
    let is_key = |arg: &&Arg| arg.get_long().is_some_and(|name| !NOT_KEYS.contains(&name));
    command.get_arguments().filter(is_key)
}

/// The type of a flag's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// None: on or off.
    Switch,
    /// None: the number of occurrences counts.
    Count,
    /// A number.
    Number,
    /// The path of a file or folder.
    Path,
    /// Any other text.
    Text,
}

impl Kind {
    pub(super) fn of(arg: &Arg) -> Self {
        match arg.get_action() {
            ArgAction::SetTrue | ArgAction::SetFalse => return Self::Switch,
            ArgAction::Count => return Self::Count,
            _ => {}
        }
        let kind = arg.get_value_parser().type_id();
        let numbers = [
            TypeId::of::<u8>(),
            TypeId::of::<u16>(),
            TypeId::of::<u32>(),
            TypeId::of::<u64>(),
            TypeId::of::<usize>(),
            TypeId::of::<NonZeroU16>(),
            TypeId::of::<NonZeroU32>(),
            TypeId::of::<NonZeroU64>(),
        ];
        if numbers.iter().any(|number| kind == *number) {
            Self::Number
        } else if kind == TypeId::of::<PathBuf>() {
            Self::Path
        } else {
            Self::Text
        }
    }
}

pub(super) fn is_repeatable(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

/// Whether the value of the flag is optional.
pub(super) fn has_optional_value(arg: &Arg) -> bool {
    let least = arg.get_num_args().map(|range| range.min_values());
    least == Some(0) && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

/// Description of the allowed values, for messages.
#[must_use]
pub fn allowed(arg: &Arg) -> String {
    let one = match Kind::of(arg) {
        Kind::Switch => return "true or false".to_owned(),
        Kind::Count | Kind::Number => "a number",
        Kind::Path | Kind::Text => "a string",
    };
    let many = if is_repeatable(arg) {
        format!("{one}, or an array with one item for each time that the flag would be given")
    } else {
        one.to_owned()
    };
    if has_optional_value(arg) {
        format!("{many}, or true")
    } else {
        many
    }
}
