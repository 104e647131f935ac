//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Load for a Windows Event Collector, and what belongs to it.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Play hosts that send batches of events, each after the Ack of the last
    Load(Load),
    /// Receive messages until SIGTERM, and count those of syslog over TCP
    Sink(Sink),
    /// Compare what was acknowledged with what arrived; exit with 1 if something is missing
    Verify(Verify),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// Subscription manager: http:// uses NTLM, https:// a client certificate
    #[arg(long)]
    pub(crate) url: String,
    /// How the hosts log on to http://; only null sessions over NTLM
    #[arg(long, value_enum, default_value = "ntlm")]
    pub(crate) auth: Auth,
    /// Certificate authority of the collector (PEM)
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// Certificate and key of all hosts (PEM, one file)
    #[arg(long)]
    pub(crate) certs: Option<PathBuf>,
    /// Offer TLS 1.2 at most
    #[arg(long)]
    pub(crate) tls12: bool,
    /// What the hosts send
    #[arg(long, value_enum, default_value = "events")]
    pub(crate) mode: Mode,
    /// Number of hosts
    #[arg(long, default_value = "100")]
    pub(crate) sources: usize,
    /// Events of a batch
    #[arg(long, default_value = "50")]
    pub(crate) batch: usize,
    /// Compress bodies as Windows does
    #[arg(long)]
    pub(crate) sldc: bool,
    /// Seconds to measure; with --events at most
    #[arg(long, default_value = "10")]
    pub(crate) duration: f64,
    /// Seconds before that
    #[arg(long, default_value = "0")]
    pub(crate) warmup: f64,
    /// End after so many acknowledged events (in whole batches)
    #[arg(long)]
    pub(crate) events: Option<u64>,
    /// Seconds from one message of a host to its next
    #[arg(long)]
    pub(crate) interval: Option<f64>,
    /// Messages of a host on one connection; then it connects anew
    #[arg(long)]
    pub(crate) reconnect: Option<u64>,
    /// Seconds until a host tries again after a failure
    #[arg(long, default_value = "1")]
    pub(crate) retry: f64,
    /// Seconds that an answer may take
    #[arg(long, default_value = "60")]
    pub(crate) timeout: f64,
    /// EventRecordID of each host's first event
    #[arg(long, default_value = "1000000000", value_parser = clap::value_parser!(u64).range(1_000_000_000..9_000_000_000))]
    pub(crate) first_record: u64,
    /// Process of the collector, for its CPU time and memory; may be repeated, for their sum
    #[arg(long)]
    pub(crate) watch: Vec<u32>,
    /// Process of their database, for the CPU time of it and of all that it has started
    #[arg(long)]
    pub(crate) database: Option<u32>,
    /// Print the figures as JSON on one line, not for people
    #[arg(long)]
    pub(crate) json: bool,
    /// Write what was acknowledged to this file
    #[arg(long)]
    pub(crate) ledger: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    Ntlm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Batches of events
    Events,
    /// Heartbeats, one after the other
    Heartbeats,
    /// One heartbeat for each host, then quiet connections for the duration
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speech {
    /// Over TCP, octets counted or line by line
    Syslog,
    /// OTLP over HTTP
    Otlp,
    /// A broker with any topic
    Kafka,
}

#[derive(Args, Debug)]
pub(crate) struct Sink {
    /// Address and port, such as 127.0.0.1:6514
    #[arg(long)]
    pub(crate) listen: String,
    /// What it receives: OTLP and Kafka are confirmed, and neither looked at nor counted
    #[arg(long, value_enum, default_value = "syslog")]
    pub(crate) speak: Speech,
    /// Write which records of which host arrived to this file, at the end (syslog)
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Bytes per second that it reads (syslog)
    #[arg(long)]
    pub(crate) throttle: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// File that `load --ledger` wrote
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// File that `sink --report` wrote; may be repeated
    #[arg(long, required = true)]
    pub(crate) report: Vec<PathBuf>,
}
