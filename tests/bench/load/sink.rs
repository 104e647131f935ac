//! The receiver: counts messages, and records their record numbers.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use memchr::memmem;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::Result;
use crate::options::{Sink, Speech};
use crate::ranges::{self, ByHost};
use crate::receivers::{self, Protocol};

/// How often threads check whether to end.
const TICK: Duration = Duration::from_millis(20);
/// Size of a read in bytes.
const BUFFER: usize = 256 << 10;

struct Shared {
    messages: AtomicU64,
    without_record: AtomicU64,
    repeats: AtomicU64,
    records: Option<Mutex<ByHost>>,
    throttle: Option<Mutex<Throttle>>,
}

/// Limits the bytes read per time.
struct Throttle {
    rate: u64,
    free_at: Instant,
}

impl Throttle {
    /// Counts `bytes`; returns how long to wait before the next read.
    fn take(&mut self, bytes: usize) -> Duration {
        let now = Instant::now();
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        self.free_at = self.free_at.max(now) + cost;
        self.free_at - now
    }
}

/// Receives until a signal arrives.
pub(crate) fn run(options: &Sink) -> Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let listener = TcpListener::bind(&options.listen)
        .map_err(|why| format!("cannot listen on {}: {why}", options.listen))?;
    match options.speak {
        Speech::Syslog => {}
        Speech::Otlp => return confirm(listener, Protocol::Otlp, &ended),
        Speech::Kafka => return confirm(listener, Protocol::Kafka, &ended),
    }
    listener.set_nonblocking(true)?;
    let throttle = options.throttle.map(|rate| {
        let free_at = Instant::now();
        Mutex::new(Throttle { rate, free_at })
    });
    let shared = Arc::new(Shared {
        messages: AtomicU64::new(0),
        without_record: AtomicU64::new(0),
        repeats: AtomicU64::new(0),
        records: options.report.as_ref().map(|_| Mutex::default()),
        throttle,
    });
    while !ended.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.receive(stream));
            }
            Err(_) => thread::sleep(TICK),
        }
    }
    shared.finish(options)
}

/// Confirms everything that arrives, until a signal arrives.
fn confirm(listener: TcpListener, protocol: Protocol, ended: &AtomicBool) -> Result<()> {
    let serving = thread::spawn(move || receivers::serve(&listener, protocol));
    while !ended.load(Ordering::Relaxed) {
        if serving.is_finished() {
            return Err("the listener ended".into());
        }
        thread::sleep(TICK);
    }
    Ok(())
}

impl Shared {
    fn receive(&self, stream: TcpStream) {
        let mut input = BufReader::with_capacity(BUFFER, Throttled(stream, self));
        let mut message = Vec::new();
        while read_message(&mut input, &mut message).is_some() {
            self.messages.fetch_add(1, Ordering::Relaxed);
            if let Some(records) = &self.records {
                self.note(records, &message);
            }
        }
    }

    fn note(&self, records: &Mutex<ByHost>, message: &[u8]) {
        let Some((host, record)) = record_of(message) else {
            self.without_record.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        let ranges = records.entry(host).or_default();
        if ranges.count_in(record, record) > 0 {
            self.repeats.fetch_add(1, Ordering::Relaxed);
        } else {
            ranges.insert(record, record);
        }
    }

    fn finish(&self, options: &Sink) -> Result<()> {
        let mut distinct = None;
        if let (Some(path), Some(records)) = (&options.report, &self.records) {
            let records = records.lock().unwrap_or_else(PoisonError::into_inner);
            distinct = Some(records.values().map(ranges::Ranges::len).sum::<u64>());
            ranges::write(path, &records)?;
        }
        let counts = json!({
            "messages": self.messages.load(Ordering::Relaxed),
            "records": distinct,
            "duplicates": self.repeats.load(Ordering::Relaxed),
            "without_record": self.without_record.load(Ordering::Relaxed),
        });
        println!("{counts}");
        Ok(())
    }
}

/// A stream with a limited read rate.
struct Throttled<'s>(TcpStream, &'s Shared);

impl Read for Throttled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let Some(throttle) = &self.1.throttle else {
            return self.0.read(buffer);
        };
        // Small reads, so that the pauses between them are short.
        let most = buffer.len().min(16 << 10);
        let count = self.0.read(&mut buffer[..most])?;
        let pause = throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(count);
        thread::sleep(pause);
        Ok(count)
    }
}

/// The next message, framed by its length or by a line end (RFC 6587 3.4).
fn read_message(input: &mut impl BufRead, message: &mut Vec<u8>) -> Option<()> {
    message.clear();
    let first = *input.fill_buf().ok()?.first()?;
    if first.is_ascii_digit() {
        input.read_until(b' ', message).ok()?;
        let digits = message.strip_suffix(b" ")?;
        let length = std::str::from_utf8(digits).ok()?.parse().ok()?;
        message.resize(length, 0);
        return input.read_exact(message).ok();
    }
    input.read_until(b'\n', message).ok()?;
    message.ends_with(b"\n").then_some(())
}

/// `Computer` and `EventRecordID`, from XML or JSON.
fn record_of(message: &[u8]) -> Option<(String, u64)> {
    let value = |xml: &str, json: &str| {
        let after = |name: &str| {
            let at = memmem::find(message, name.as_bytes())?;
            message.get(at + name.len()..)
        };
        let rest = after(xml).or_else(|| after(json))?;
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'<' | b'"' | b',' | b'}'))?;
        std::str::from_utf8(&rest[..end]).ok()
    };
    let record = value("<EventRecordID>", "\"EventRecordID\":")?;
    let host = value("<Computer>", "\"Computer\":\"")?;
    Some((host.to_owned(), record.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_framings_give_the_same_messages() {
        for framed in [&b"<14>1 a\n<14>1 b\n"[..], b"7 <14>1 a7 <14>1 b"] {
            let (mut input, mut message) = (framed, Vec::new());
            for text in ["<14>1 a", "<14>1 b"] {
                read_message(&mut input, &mut message).unwrap();
                assert_eq!(String::from_utf8_lossy(&message).trim_end(), text);
            }
            assert!(read_message(&mut input, &mut message).is_none());
        }
    }

    #[test]
    fn records_are_found_in_xml_and_in_json() {
        let xml = b"<EventRecordID>17</EventRecordID><Computer>a.example</Computer>";
        let json = br#"{"EventRecordID":17,"Computer":"a.example"}"#;
        for message in [&xml[..], json] {
            assert_eq!(record_of(message), Some(("a.example".to_owned(), 17)));
        }
        assert_eq!(record_of(b"- wecrelay started"), None);
    }
}
