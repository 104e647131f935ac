//! Receivers that immediately confirm everything that arrives: OTLP over HTTP, and a Kafka
//! broker. They cost little compared with real ones.

mod kafka;
mod otlp;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// The protocol of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Otlp,
    Kafka,
}

/// Answers all connections, each on its own thread, as long as the program runs.
pub(crate) fn serve(listener: &TcpListener, protocol: Protocol) -> io::Result<()> {
    let own = listener.local_addr()?;
    for stream in listener.incoming() {
        let stream = stream?;
        // The relay closes it, and reports any error.
        thread::spawn(move || answer(protocol, &stream, own));
    }
    Ok(())
}

fn answer(protocol: Protocol, stream: &TcpStream, own: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match protocol {
        Protocol::Otlp => otlp::serve(stream),
        Protocol::Kafka => kafka::serve(stream, own),
    }
}
