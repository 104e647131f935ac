//! What people do around the relay: the subcommands.

pub mod ca;
pub mod check;
pub mod completions;
pub mod database;
pub mod doctor;
pub mod health;
pub mod hosts;
pub mod init;
pub mod passwd;
pub mod probe;
pub mod run;
pub mod send;
pub mod store;
pub mod windows;

mod terminal;
mod words;

use std::error::Error;
use std::io;

use crate::config;
use crate::system::systemd;

/// Bad flags or files, found before anything was done.
const USAGE: u8 = 2;
/// It could not be done, or what was found is no success.
const RUNNING: u8 = 1;

/// Why a command ended other than well.
pub trait Failure: Error {
    /// The exit code of the process.
    fn exit_code(&self) -> u8;
}

impl<E: Failure + 'static> From<E> for Box<dyn Failure> {
    fn from(error: E) -> Self {
        Box::<E>::new(error)
    }
}

impl Failure for config::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

impl Failure for systemd::Error {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}

/// A result that cannot be printed.
impl Failure for io::Error {
    fn exit_code(&self) -> u8 {
        RUNNING
    }
}
