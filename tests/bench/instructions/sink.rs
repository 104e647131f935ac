//! Where the relay sends its messages.

use std::net::TcpListener;
use std::thread;

use crate::load::{Load, Way};
use crate::receivers::{self, Protocol};
use crate::support::StreamSink;

pub(crate) enum Sink {
    /// Octet counting over TCP.
    Tcp(StreamSink),
    /// A receiver that confirms, on this port.
    Confirming(Protocol, u16),
}

impl Sink {
    pub(crate) fn start(load: Load) -> Self {
        let protocol = match load.way() {
            Way::Tcp => return Self::Tcp(StreamSink::tcp()),
            Way::Otlp => Protocol::Otlp,
            Way::Kafka => Protocol::Kafka,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || receivers::serve(&listener, protocol).unwrap());
        Self::Confirming(protocol, port)
    }

    /// The output URL that leads here; without compression, as its cost is that of gzip.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(sink) => sink.url(),
            Self::Confirming(Protocol::Otlp, port) => {
                format!("otlp+http://127.0.0.1:{port}?compress=none")
            }
            Self::Confirming(Protocol::Kafka, port) => format!("kafka://127.0.0.1:{port}/events"),
        }
    }

    /// Waits for what is not confirmed to the host by its arrival.
    pub(crate) fn wait_for(&self, count: usize) {
        if let Self::Tcp(sink) = self {
            sink.wait_for(count);
        }
    }
}
