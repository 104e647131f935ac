//! How much is logged: `-v` and `-q` over `RUST_LOG` over info.

use log::LevelFilter;

use crate::cli::{LogFormat, Verbosity};
use crate::system::logger::{Form, Settings};

/// What the flags of logging mean.
#[must_use]
pub fn logging(verbosity: Verbosity) -> Settings {
    Settings {
        level: level(verbosity.verbose, verbosity.quiet),
        form: verbosity.log_format.map(|form| match form {
            LogFormat::Text => Form::Text,
            LogFormat::Json => Form::Json,
            LogFormat::Journal => Form::Journal,
        }),
    }
}

fn level(verbose: u8, quiet: u8) -> Option<LevelFilter> {
    match (verbose, quiet) {
        (0, 0) => None,
        (0, 1) => Some(LevelFilter::Warn),
        (0, _) => Some(LevelFilter::Error),
        (1, _) => Some(LevelFilter::Debug),
        (_, _) => Some(LevelFilter::Trace),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_over_the_environment() {
        assert_eq!(level(0, 0), None);
        assert_eq!(level(0, 1), Some(LevelFilter::Warn));
        assert_eq!(level(0, 9), Some(LevelFilter::Error));
        assert_eq!(level(1, 0), Some(LevelFilter::Debug));
        assert_eq!(level(9, 0), Some(LevelFilter::Trace));
    }
}
