//! Receivers that confirm whatever comes, as fast as it comes: OTLP over HTTP, and a Kafka
//! broker. What they cost is little beside what a real one does.

mod kafka;
mod otlp;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// What a receiver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Otlp,
    Kafka,
}

/// Answers all connections, each on a thread of its own, as long as the program runs.
pub(crate) fn serve(listener: &TcpListener, protocol: Protocol) -> io::Result<()> {
    let own = listener.local_addr()?;
    for stream in listener.incoming() {
        let stream = stream?;
        // The relay ends it, and what went wrong shows there.
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
