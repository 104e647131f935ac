//! A simulated output: the receiver's socket, and what it received.

use std::time::Duration;

use crate::protocol::relp;

/// How the receiver reacts to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Listening,
    Refusing,
    /// Neither accepts nor rejects it.
    Silent,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    Wrote(usize),
    Blocked,
    Failed,
}

/// A receiver with a limited rate. It does not keep what it received.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes per second.
    rate: f64,
    /// Number of bytes that it may still accept, up to those of one second; negative after a large
    /// message.
    credit: f64,
    /// Number of complete messages received.
    count: usize,
    /// Bytes that it has not read.
    unread: Vec<u8>,
}

impl Pace {
    pub(super) fn new(rate: f64) -> Self {
        Self {
            rate,
            credit: 0.0,
            count: 0,
            unread: Vec::new(),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.credit += self.rate * time.as_secs_f64();
        if self.unread.is_empty() {
            self.credit = 0.0;
        }
    }

    fn pay(&mut self, count: usize) {
        self.credit -= f64::from(u32::try_from(count).unwrap());
    }

    /// Reads from a stream of octet-counted frames. Returns the number of bytes.
    fn read_stream(&mut self, left: &mut usize) -> usize {
        let mut total = 0;
        while self.credit >= 1.0 && !self.unread.is_empty() {
            if *left == 0 {
                let space = self.unread.iter().position(|&byte| byte == b' ').unwrap();
                let length: usize = std::str::from_utf8(&self.unread[..space])
                    .unwrap()
                    .parse()
                    .unwrap();
                *left = space + 1 + length;
            }
            #[expect(clippy::as_conversions, reason = "whole bytes of a small number")]
            let credit = self.credit as usize;
            let count = credit.min(*left).min(self.unread.len());
            self.unread.drain(..count);
            *left -= count;
            self.count += usize::from(*left == 0);
            self.pay(count);
            total += count;
        }
        total
    }

    /// Reads RELP frames, and returns the answers.
    fn read_relp(&mut self) -> Vec<u8> {
        let mut answers = String::new();
        while self.credit >= 0.0
            && let Ok(Some((frame, length))) = relp::parse(&self.unread)
        {
            let number = frame.transaction;
            let text = match frame.command {
                b"open" => "200 OK\nrelp_version=0\ncommands=syslog",
                _ => "200 OK",
            };
            self.count += usize::from(frame.command == b"syslog");
            answers += &format!("{number} rsp {} {text}\n", text.len());
            self.unread.drain(..length);
            self.pay(length);
        }
        answers.into_bytes()
    }
}

#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) pace: Option<Pace>,
    /// Number of bytes of a message that it has not read yet.
    left: usize,
    pub(super) reach: Reach,
    /// Number of bytes that it still accepts.
    pub(super) room: usize,
    /// The connection fails after this many more bytes.
    pub(super) fails_after: Option<usize>,
    /// Whether its TCP acknowledges what was written.
    pub(super) acknowledges: bool,
    pub(super) is_open: bool,
    /// Number of attempts to open it.
    pub(super) tries: usize,
    /// Number of bytes that its TCP has acknowledged on the open connection.
    pub(super) acknowledged: usize,
    /// The bytes received on each connection.
    pub(super) connections: Vec<Vec<u8>>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            pace: None,
            left: 0,
            reach: Reach::Listening,
            room: usize::MAX,
            fails_after: None,
            acknowledges: true,
            is_open: false,
            tries: 0,
            acknowledged: 0,
            connections: Vec::new(),
        }
    }
}

impl Receiver {
    pub(super) fn open(&mut self) -> Reach {
        self.tries += 1;
        if self.reach == Reach::Listening {
            self.is_open = true;
            self.acknowledged = 0;
            self.left = 0;
            if let Some(pace) = &mut self.pace {
                pace.unread.clear();
            }
            self.connections.push(Vec::new());
        }
        self.reach
    }

    /// Ends the open connection; its application has read `bytes` of what was written.
    pub(super) fn end(&mut self, bytes: usize) {
        self.is_open = false;
        if let Some(connection) = self.connections.last_mut() {
            connection.truncate(bytes);
        }
    }

    /// Number of bytes written on the open connection.
    pub(super) fn written(&self) -> usize {
        self.connections.last().map_or(0, Vec::len)
    }

    pub(super) fn take(&mut self, bytes: &[u8]) -> Taking {
        if !self.is_open || self.room == 0 {
            return Taking::Blocked;
        }
        let lasts = self.fails_after.unwrap_or(usize::MAX);
        if lasts == 0 {
            self.fails_after = None;
            return Taking::Failed;
        }
        let count = bytes.len().min(self.room).min(lasts);
        if let Some(pace) = &mut self.pace {
            pace.unread.extend(bytes);
            return Taking::Wrote(bytes.len());
        }
        self.room -= if self.room == usize::MAX { 0 } else { count };
        self.fails_after = self.fails_after.map(|lasts| lasts - count);
        self.connections.last_mut().unwrap().extend(&bytes[..count]);
        Taking::Wrote(count)
    }

    /// Advances time for a receiver with a limited rate. Returns its RELP answers.
    pub(super) fn play(&mut self, time: Duration, is_relp: bool) -> Vec<u8> {
        let Some(pace) = &mut self.pace else {
            return Vec::new();
        };
        pace.pass(time);
        if is_relp {
            return pace.read_relp();
        }
        pace.read_stream(&mut self.left);
        Vec::new()
    }

    /// Number of complete messages that a receiver with a limited rate has received.
    pub(super) fn count(&self) -> usize {
        self.pace.as_ref().map_or(0, |pace| pace.count)
    }

    pub(super) fn unacknowledged(&mut self) -> usize {
        if let Some(pace) = &self.pace {
            return pace.unread.len();
        }
        if self.acknowledges {
            self.acknowledged = self.written();
        }
        self.written() - self.acknowledged
    }

    /// Host and record id of each message, on all connections.
    pub(super) fn messages(&self) -> Vec<(String, u64)> {
        self.connections.iter().flat_map(|c| read(c)).collect()
    }

    /// The record ids received on one connection.
    pub(super) fn records_of(&self, connection: usize) -> Vec<u64> {
        let messages = read(&self.connections[connection]);
        messages.into_iter().map(|(_, record)| record).collect()
    }

    /// The record ids received on all connections.
    pub(super) fn records(&self) -> Vec<u64> {
        let messages = self.messages().into_iter();
        messages.map(|(_, record)| record).collect()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.connections.concat()).unwrap()
    }
}

/// Octet-counted frames; an incomplete one is ignored.
fn read(mut bytes: &[u8]) -> Vec<(String, u64)> {
    let mut messages = Vec::new();
    while let Some(space) = bytes.iter().position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&bytes[..space]).unwrap();
        let length: usize = length.parse().unwrap();
        let Some(message) = bytes.get(space + 1..space + 1 + length) else {
            break;
        };
        messages.push(identify(std::str::from_utf8(message).unwrap()));
        bytes = &bytes[space + 1 + length..];
    }
    messages
}

/// HOSTNAME and record id; 0 if there is none.
fn identify(message: &str) -> (String, u64) {
    let host = message.split(' ').nth(2).unwrap_or_default();
    let record = message
        .split_once("EventRecordID=\"")
        .and_then(|(_, rest)| rest.split_once('"'));
    let record = record.map_or(0, |(record, _)| record.parse().unwrap());
    (host.to_owned(), record)
}
