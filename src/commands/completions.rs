//! `wecrelay completions`: scripts that let shells complete the command line.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::{CompletionsOptions, Options, ShellKind};

/// Prints the script for a shell.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(options: &CompletionsOptions) -> io::Result<()> {
    io::stdout().write_all(&script(options.shell))
}

/// Generates the script for a shell from the definitions of the flags.
#[must_use]
pub fn script(shell: ShellKind) -> Vec<u8> {
    let shell = match shell {
        ShellKind::Bash => Shell::Bash,
        ShellKind::Zsh => Shell::Zsh,
        ShellKind::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    let mut command = Options::command();
    generate(shell, &mut command, "wecrelay", &mut script);
    script
}
