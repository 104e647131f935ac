//! Detects the protocol of a port: RELP, TLS, HTTP, Kafka, or one in which the server waits
//! silently, such as syslog.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Timeout for a server's reaction to a request that is not in its protocol.
const ANSWER: Duration = Duration::from_millis(1500);

/// The beginning of an octet-counted message that is never completed. A syslog receiver
/// waits for the rest and discards it; servers of other protocols reject it.
const BEGUN: &[u8] = b"99 <6>1 -\r\n\r\n";
/// A RELP `open` request in the format of rsyslog's client.
const RELP: &[u8] = b"1 open 53 relp_version=0\nrelp_software=wecrelay\ncommands=syslog\n";
/// The beginning of a TLS record with a malformed handshake, which TLS servers reject
/// with an alert.
const TLS: &[u8] = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
const HTTP: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
/// A Kafka request for the supported versions (ApiVersions, version 0), with "wecr" as its
/// correlation ID.
const KAFKA: &[u8] = b"\0\0\0\x12\0\x12\0\0wecr\0\x08wecrelay";

/// The protocol of a server, as far as it can be detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// The server waits for the rest of a message, as a syslog receiver does.
    Waits,
    /// RELP, as rsyslog's imrelp.
    Relp,
    /// TLS, whatever is inside it.
    Tls,
    /// HTTP without TLS.
    Http,
    /// The protocol of Kafka without TLS.
    Kafka,
    /// The server closes the connection in all cases.
    Closes,
}

impl Speaks {
    /// Names the protocol and the URL scheme to use. `secured` is the output's scheme for
    /// TLS.
    pub(super) fn remedy(self, secured: &str) -> String {
        let told = match self {
            Self::Waits => "the receiver waits for messages, as syslog over TCP does: use tcp://",
            Self::Relp => "the receiver speaks RELP (rsyslog's imrelp): use relp://",
            Self::Tls => return format!("the receiver speaks TLS: use {secured}://"),
            Self::Http => "the receiver is a web server (HTTP): check the port",
            Self::Kafka => "the receiver is a Kafka broker without TLS: use kafka://",
            Self::Closes => "the receiver closes the connection: it may not allow this address",
        };
        told.to_owned()
    }
}

/// Detects the protocol, with one connection per attempt. `None` if no connection was made
/// within `time`.
pub(super) fn find(address: SocketAddr, time: Duration) -> Option<Speaks> {
    let begun = ask(address, time, BEGUN)?;
    let known = [Speaks::Tls, Speaks::Http, Speaks::Relp];
    let told = |said: &[u8]| known.into_iter().find(|speaks| speaks.says(said));
    match begun {
        Said::Bytes(bytes) => return told(&bytes).or(Some(Speaks::Closes)),
        Said::Nothing => return Some(Speaks::Waits),
        Said::Closed => {}
    }
    // The server is not a syslog receiver, so none of these requests can end up in a log as
    // a message.
    for (speaks, question) in [
        (Speaks::Relp, RELP),
        (Speaks::Tls, TLS),
        (Speaks::Http, HTTP),
    ] {
        if let Some(Said::Bytes(bytes)) = ask(address, time, question)
            && speaks.says(&bytes)
        {
            return Some(speaks);
        }
    }
    if is_broker(address, time) {
        Some(Speaks::Kafka)
    } else {
        Some(Speaks::Closes)
    }
}

/// Whether the server answers as a Kafka broker.
pub(super) fn is_broker(address: SocketAddr, time: Duration) -> bool {
    matches!(ask(address, time, KAFKA), Some(Said::Bytes(bytes)) if Speaks::Kafka.says(&bytes))
}

impl Speaks {
    /// Whether an answer begins like one in this protocol.
    fn says(self, answer: &[u8]) -> bool {
        match self {
            // An alert or handshake record of TLS 1.x.
            Self::Tls => matches!(answer, [0x15 | 0x16, 3, ..]),
            Self::Http => {
                let head = answer.get(..9.min(answer.len())).unwrap_or_default();
                head.starts_with(b"HTTP/")
                    || head.eq_ignore_ascii_case(b"<!DOCTYPE")
                    || head.starts_with(b"<html")
            }
            Self::Relp => {
                let answer = String::from_utf8_lossy(answer);
                let mut words = answer.split(' ').skip(1);
                words
                    .next()
                    .is_some_and(|word| word == "rsp" || word == "serverclose")
            }
            // The length of the answer, followed by the correlation ID of the request.
            Self::Kafka => matches!(answer, [0, _, _, _, b'w', b'e', b'c', b'r', ..]),
            Self::Waits | Self::Closes => false,
        }
    }
}

enum Said {
    Bytes(Vec<u8>),
    Nothing,
    Closed,
}

fn ask(address: SocketAddr, time: Duration, question: &[u8]) -> Option<Said> {
    let mut stream = TcpStream::connect_timeout(&address, time).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    stream.set_write_timeout(Some(ANSWER)).ok()?;
    if stream.write_all(question).is_err() {
        return Some(Said::Closed);
    }
    let mut buffer = [0; 1024];
    Some(match stream.read(&mut buffer) {
        Ok(0) => Said::Closed,
        Ok(count) => Said::Bytes(buffer.get(..count)?.to_vec()),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Said::Nothing,
        Err(_) => Said::Closed,
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Detects a server that answers the first bytes of each connection with `answer`: `None`
    /// closes the connection, an empty answer keeps it open.
    fn found(answer: fn(&[u8]) -> Option<Vec<u8>>) -> Option<Speaks> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut buffer = [0; 1024];
                let count = stream.read(&mut buffer).unwrap_or(0);
                match answer(&buffer[..count]) {
                    None => {}
                    Some(bytes) if bytes.is_empty() => {
                        let _ = stream.read(&mut buffer);
                    }
                    Some(bytes) => drop(stream.write_all(&bytes)),
                }
            }
        });
        find(address, Duration::from_secs(10))
    }

    #[test]
    fn protocols_are_told_apart_by_what_they_answer() {
        let relp = |asked: &[u8]| {
            asked
                .starts_with(b"1 open")
                .then(|| b"1 rsp 6 200 OK\n".to_vec())
        };
        assert_eq!(found(relp), Some(Speaks::Relp));
        assert_eq!(
            found(|_| Some(b"\x15\x03\x01\x00\x02\x02\x46".to_vec())),
            Some(Speaks::Tls)
        );
        let quiet_tls = |asked: &[u8]| {
            asked
                .starts_with(b"\x16")
                .then(|| b"\x15\x03\x03\x00\x02\x02\x32".to_vec())
        };
        assert_eq!(found(quiet_tls), Some(Speaks::Tls));
        assert_eq!(
            found(|_| Some(b"HTTP/1.1 400 Bad Request\r\n".to_vec())),
            Some(Speaks::Http)
        );
        let strict_http = |asked: &[u8]| {
            asked
                .starts_with(b"GET")
                .then(|| b"HTTP/1.0 200 OK\r\n".to_vec())
        };
        assert_eq!(found(strict_http), Some(Speaks::Http));
        let kafka = |asked: &[u8]| {
            asked
                .starts_with(b"\0\0\0\x12\0\x12")
                .then(|| b"\0\0\0\x0awecr\0\0\0\0\0\0".to_vec())
        };
        assert_eq!(found(kafka), Some(Speaks::Kafka));
        assert_eq!(found(|_| Some(Vec::new())), Some(Speaks::Waits));
        assert_eq!(found(|_| None), Some(Speaks::Closes));
    }
}
