//! The receivers of the relay's messages.

use std::io::{self, BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::load::{Output, PATIENCE};
use crate::receivers::{self, Protocol};

pub(crate) enum Sink {
    /// Octet counting over TCP: the number of messages, whatever their layout, and the port.
    Tcp(Arc<AtomicUsize>, Output, u16),
    /// A receiver on this port that confirms messages.
    Confirming(Output, u16),
}

impl Sink {
    pub(crate) fn start(output: Output) -> Self {
        let protocol = match output {
            Output::Tcp | Output::TcpWithoutData => return Self::counting(output),
            Output::Otlp => Protocol::Otlp,
            Output::Kafka => Protocol::Kafka,
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || receivers::serve(&listener, protocol).unwrap());
        Self::Confirming(output, port)
    }

    fn counting(output: Output) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&count);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count_frames(stream.unwrap(), &theirs).unwrap();
            }
        });
        Self::Tcp(count, output, port)
    }

    /// The URL of an output to this sink.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Tcp(_, output, port) | Self::Confirming(output, port) => output.url(*port),
        }
    }

    /// Waits for `count` messages over TCP, whose arrival is not confirmed.
    pub(crate) fn wait_for(&self, count: usize) {
        if let Self::Tcp(received, ..) = self {
            let until = Instant::now() + PATIENCE;
            while received.load(Ordering::Relaxed) < count {
                assert!(Instant::now() < until, "messages do not arrive");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Counts messages that are preceded by their length (RFC 6587 3.4.1).
fn count_frames(stream: TcpStream, count: &AtomicUsize) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = Vec::new();
    while reader.read_until(b' ', &mut length)? > 0 {
        let digits = str::from_utf8(&length).unwrap().trim_end();
        let message = digits.parse().unwrap();
        let copied = io::copy(&mut reader.by_ref().take(message), &mut io::sink())?;
        assert_eq!(copied, message, "a message is cut");
        count.fetch_add(1, Ordering::Relaxed);
        length.clear();
    }
    Ok(())
}
