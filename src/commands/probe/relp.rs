//! Probes a receiver of RELP: opens a session, sends no message, and closes it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::time::Instant;

use super::{Line, took};
use crate::base::visible::visible;
use crate::protocol::relp::{self, Answer, Client};

/// Why a session cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The receiver closes the connection instead of answering.
    Closed,
    /// The receiver does not answer in time.
    Silent,
    /// The connection fails.
    Io(io::Error),
    /// The answer is not RELP, or rejects the session.
    Answer(relp::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(
                f,
                "the receiver closed the connection instead of answering: is this port RELP \
                 (imrelp), and does it accept this relay's certificate?"
            ),
            Self::Silent => write!(f, "no answer in RELP: is this port RELP (imrelp)?"),
            Self::Io(error) => write!(f, "{error}"),
            Self::Answer(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Opens a session, records what the receiver offers, and closes it.
pub(super) fn greet(mut line: Line, facts: &mut Vec<String>) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut client = Client::new();
    write(&mut line, &mut client)?;
    let (mut received, mut answers) = (Vec::new(), Vec::new());
    while !answers.contains(&Answer::Opened) {
        let mut buffer = [0; 4096];
        let count = match line.read(&mut buffer) {
            Ok(0) => return Err(Failure::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Silent),
            Err(error) => return Err(Failure::Io(error)),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        received.extend_from_slice(bytes);
        client
            .handle(bytes, &mut answers)
            .map_err(Failure::Answer)?;
    }
    facts.push(format!("RELP: {} ({})", offers(&received), took(begun)));
    client.close();
    write(&mut line, &mut client)?;
    match line {
        Line::Plain(stream) => drop(stream.shutdown(Shutdown::Write)),
        Line::Tls(mut secured, _) => secured.finish(),
    }
    Ok(())
}

fn write(line: &mut Line, client: &mut Client) -> Result<(), Failure> {
    while !client.outgoing().is_empty() {
        let count = line.write(client.outgoing()).map_err(Failure::Io)?;
        client.handle_written(count);
    }
    Ok(())
}

/// The offers in the answer to `open`, without control characters.
fn offers(received: &[u8]) -> String {
    let Ok(Some((frame, _))) = relp::parse(received) else {
        return String::new();
    };
    let text = String::from_utf8_lossy(frame.data);
    let lines = text.lines().skip(1).filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.collect();
    visible(&lines.join(", ")).into_owned()
}
