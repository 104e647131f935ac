//! Where the relay sends its messages.

use std::net::TcpListener;
use std::thread;

use crate::load::Output;
use crate::receivers::{self, Protocol};
use crate::support::StreamSink;

pub(crate) enum Sink {
    /// Octet counting over TCP.
    Tcp(StreamSink, Output),
    /// A receiver that confirms, on this port.
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

    /// The output URL that leads here.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(sink, output) => output.url(sink.port()),
            Self::Confirming(output, port) => output.url(*port),
        }
    }

    /// Waits for what is not confirmed to the host by its arrival.
    pub(crate) fn wait_for(&self, count: usize) {
        if let Self::Tcp(sink, _) = self {
            sink.wait_for(count);
        }
    }
}
