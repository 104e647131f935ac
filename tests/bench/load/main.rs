//! The load generator of the benchmarks: many Windows hosts, a receiver, and a check that no
//! acknowledged event is missing. It connects only to loopback addresses.
//!
//! `cargo build --release --example wecload` builds it, which `scripts/bench` and
//! `scripts/loss-test` do automatically.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::as_conversions,
    reason = "a measurement has sockets, files and a clock"
)]

mod batch;
mod connection;
mod host;
mod load;
mod options;
mod process;
mod ranges;
#[path = "../receivers/mod.rs"]
mod receivers;
mod sink;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use options::{Command, Options};

/// An error that ends the program, with a readable text.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let ended = match Options::parse().command {
        Command::Load(options) => load::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Sink(options) => sink::run(&options).map(|()| ExitCode::SUCCESS),
        Command::Verify(options) => verify::run(&options),
    };
    ended.unwrap_or_else(|why| {
        eprintln!("wecload: {why}");
        ExitCode::from(2)
    })
}
