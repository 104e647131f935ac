//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Load generator for a Windows Event Collector, with a receiver and a check for losses.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate hosts that send batches of events, each after the Ack of the previous one
    Load(Load),
    /// Receive messages until SIGTERM, and count syslog messages
    Sink(Sink),
    /// Compare acknowledged events with those that arrived; exit with 1 if any are missing
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
    /// Kind of messages that the hosts send
    #[arg(long, value_enum, default_value = "events")]
    pub(crate) mode: Mode,
    /// Number of hosts
    #[arg(long, default_value = "100")]
    pub(crate) sources: usize,
    /// Events per batch
    #[arg(long, default_value = "50")]
    pub(crate) batch: usize,
    /// Compress bodies as Windows does
    #[arg(long)]
    pub(crate) sldc: bool,
    /// Seconds to measure; with --events, the maximum
    #[arg(long, default_value = "10")]
    pub(crate) duration: f64,
    /// Seconds of load before the measurement
    #[arg(long, default_value = "0")]
    pub(crate) warmup: f64,
    /// End after this number of acknowledged events (in complete batches)
    #[arg(long)]
    pub(crate) events: Option<u64>,
    /// Seconds between the messages of a host
    #[arg(long)]
    pub(crate) interval: Option<f64>,
    /// Messages per connection, after which a host reconnects
    #[arg(long)]
    pub(crate) reconnect: Option<u64>,
    /// Seconds until a host retries after a failure
    #[arg(long, default_value = "1")]
    pub(crate) retry: f64,
    /// Timeout for answers in seconds
    #[arg(long, default_value = "60")]
    pub(crate) timeout: f64,
    /// EventRecordID of each host's first event
    #[arg(long, default_value = "1000000000", value_parser = clap::value_parser!(u64).range(1_000_000_000..9_000_000_000))]
    pub(crate) first_record: u64,
    /// Process ID of the collector, for its CPU time and memory; repeatable, for the sum
    #[arg(long)]
    pub(crate) watch: Vec<u32>,
    /// Process ID of the database, for the CPU time of it and its child processes
    #[arg(long)]
    pub(crate) database: Option<u32>,
    /// Print the figures as JSON on one line
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the acknowledged records to this file
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
    /// Heartbeats, one after another
    Heartbeats,
    /// One heartbeat per host, then idle connections for the duration
    Hold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Speech {
    /// Syslog over TCP, octet-counted or line by line
    Syslog,
    /// OTLP over HTTP
    Otlp,
    /// A Kafka broker with any topic
    Kafka,
}

#[derive(Args, Debug)]
pub(crate) struct Sink {
    /// Address and port, such as 127.0.0.1:6514
    #[arg(long)]
    pub(crate) listen: String,
    /// Protocol; OTLP and Kafka are confirmed, but neither parsed nor counted
    #[arg(long, value_enum, default_value = "syslog")]
    pub(crate) speak: Speech,
    /// Write the records that arrived, by host, to this file at the end (syslog)
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Read rate in bytes per second (syslog)
    #[arg(long)]
    pub(crate) throttle: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// File written by `load --ledger`
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    /// File written by `sink --report`; repeatable
    #[arg(long, required = true)]
    pub(crate) report: Vec<PathBuf>,
}
