//! The receivers of the relay's messages.

use std::net::TcpListener;
use std::thread;

use crate::load::Output;
use crate::receivers::{self, Protocol};
use crate::support::{StreamSink, wait_for};

pub(crate) enum Sink {
    /// Octet counting over TCP.
    Tcp(StreamSink, Output),
    /// A receiver on this port that confirms messages.
    Confirming(Output, u16),
}

impl Sink {
    pub(crate) fn start(output: Output) -> Self {
        let protocol = match output {
            Output::Tcp | Output::TcpWithoutData => return Self::Tcp(StreamSink::tcp(), output),
            Output::Otlp => Protocol::Otlp,
            Output::Kafka => Protocol::Kafka,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || receivers::serve(&listener, protocol).unwrap());
        Self::Confirming(output, port)
    }

    /// The URL of an output to this sink.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(sink, output) => output.url(sink.port()),
            Self::Confirming(output, port) => output.url(*port),
        }
    }

    /// Waits for `count` messages over TCP, whose arrival is not confirmed.
    pub(crate) fn wait_for(&self, count: usize) {
        if let Self::Tcp(sink, _) = self {
            // Not all layouts can be parsed as RFC 5424.
            let arrived = || (sink.count() >= count).then_some(());
            wait_for(&format!("{count} messages"), arrived);
        }
    }
}
