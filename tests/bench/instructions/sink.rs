//! Where the relay sends its messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::load::Load;
use crate::support::StreamSink;

pub(crate) enum Sink {
    /// Octet counting over TCP.
    Tcp(StreamSink),
    /// OTLP over HTTP on this port: it takes whatever comes.
    Otlp(u16),
}

impl Sink {
    pub(crate) fn start(load: Load) -> Self {
        if load != Load::NtlmSldcOtlp {
            return Self::Tcp(StreamSink::tcp());
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // The relay ends it.
                thread::spawn(move || stream.and_then(|stream| serve(&stream)));
            }
        });
        Self::Otlp(port)
    }

    /// The output URL that leads here; without compression, as its cost is that of gzip.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(sink) => sink.url(),
            Self::Otlp(port) => format!("otlp+http://127.0.0.1:{port}?compress=none"),
        }
    }

    /// Waits for what is not confirmed to the host by its arrival.
    pub(crate) fn wait_for(&self, count: usize) {
        if let Self::Tcp(sink) = self {
            sink.wait_for(count);
        }
    }
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(stream), stream);
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(number) = line.strip_prefix("Content-Length: ") {
                length = number.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        from.read_exact(&mut body)?;
        to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
