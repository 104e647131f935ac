//! Which events have arrived, from which host, in which order; and a receiver that counts
//! them, and can be killed, stalled, and restarted.

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openssl::ssl::{HandshakeError, SslAcceptor, SslFiletype, SslMethod, SslStream};

use super::player::host_number;
use super::sinks::{find_frame, small_listener};
use super::{Pair, Record, parse_line, wait_for};

const TICK: Duration = Duration::from_millis(5);
/// Size of a receiver's socket buffer, whose data is lost when the receiver is killed.
const BUFFER: usize = 128 << 10;

/// Every event that has arrived, by connection.
#[derive(Default)]
pub(crate) struct Tally {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Host and record ID, in the order of arrival on each connection.
    connections: Vec<Vec<(u32, u32)>>,
    seen: HashMap<u32, Seen>,
    errors: Vec<String>,
}

/// Record ids of one host.
#[derive(Default)]
struct Seen {
    bits: Vec<u64>,
    count: usize,
}

impl Seen {
    /// Returns whether it is new.
    fn insert(&mut self, record: u32) -> bool {
        let (word, bit) = (record as usize / 64, 1 << (record % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.count += usize::from(new);
        new
    }

    fn contains(&self, record: u32) -> bool {
        let word = self.bits.get(record as usize / 64).copied();
        word.unwrap_or_default() & 1 << (record % 64) != 0
    }
}

impl Tally {
    /// Registers a new connection to the receiver; returns its number.
    pub(crate) fn open(&self) -> usize {
        let mut state = self.state.lock().unwrap();
        state.connections.push(Vec::new());
        state.connections.len() - 1
    }

    /// Records a message, which must be a complete event of a simulated host.
    pub(crate) fn note(&self, connection: usize, message: &[u8]) {
        match parse_line(message) {
            Ok(line) => self.note_record(connection, &Record::from(&line)),
            Err(error) => {
                let text = String::from_utf8_lossy(message);
                self.error(format!("{error}: {text:.300}"));
            }
        }
    }

    /// The same for a message that was parsed by a server.
    pub(crate) fn note_record(&self, connection: usize, record: &Record) {
        match identify(record) {
            Ok((host, record)) => {
                let mut state = self.state.lock().unwrap();
                state.connections[connection].push((host, record));
                state.seen.entry(host).or_default().insert(record);
            }
            Err(error) => self.error(format!("{error}: {record:.300?}")),
        }
    }

    pub(crate) fn error(&self, error: String) {
        self.state.lock().unwrap().errors.push(error);
    }

    pub(crate) fn contains(&self, host: u32, record: u32) -> bool {
        let state = self.state.lock().unwrap();
        state
            .seen
            .get(&host)
            .is_some_and(|seen| seen.contains(record))
    }

    /// Number of distinct events that have arrived.
    pub(crate) fn distinct(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.seen.values().map(|seen| seen.count).sum()
    }

    /// Number of arrivals, including repeats.
    pub(crate) fn arrivals(&self) -> usize {
        let state = self.state.lock().unwrap();
        state.connections.iter().map(Vec::len).sum()
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.state.lock().unwrap().errors.clone()
    }

    /// The records `1..=last` of a host that have not arrived.
    pub(crate) fn missing(&self, host: u32, last: u32) -> Vec<u32> {
        let state = self.state.lock().unwrap();
        let seen = state.seen.get(&host);
        let arrived = |record: &u32| seen.is_some_and(|seen| seen.contains(*record));
        (1..=last).filter(|record| !arrived(record)).collect()
    }

    /// Events that first arrived after a later event of the same host.
    pub(crate) fn out_of_order(&self) -> Vec<(u32, u32)> {
        let state = self.state.lock().unwrap();
        let mut highest: HashMap<u32, u32> = HashMap::new();
        let mut seen: HashMap<u32, Seen> = HashMap::new();
        let mut wrong = Vec::new();
        for &(host, record) in state.connections.iter().flatten() {
            let is_new = seen.entry(host).or_default().insert(record);
            let highest = highest.entry(host).or_default();
            if is_new && record < *highest {
                wrong.push((host, record));
            }
            *highest = record.max(*highest);
        }
        wrong
    }
}

/// Host and record ID of an event, if it is complete.
fn identify(record: &Record) -> Result<(u32, u32), String> {
    let host = host_number(&record.hostname).ok_or("a strange HOSTNAME")?;
    let number = |id, name| record.value(id, name)?.parse::<u32>().ok();
    let id = number("event", "EventRecordID").ok_or("no EventRecordID")?;
    let size = number("data", "Size").ok_or("no Size")?;
    let filling = record.value("data", "Filling").unwrap_or_default();
    let whole = filling.len() == size as usize && number("data", "Sequence") == Some(id);
    whole.then_some((host, id)).ok_or("not whole".into())
}

struct Shared {
    tally: Arc<Tally>,
    stop: AtomicBool,
    stalled: AtomicBool,
    open: AtomicUsize,
    /// For TLS.
    acceptor: Option<SslAcceptor>,
}

/// A syslog server on a fixed port, which can be killed and restarted.
pub(crate) struct Receiver {
    port: u16,
    tally: Arc<Tally>,
    acceptor: Option<SslAcceptor>,
    running: Option<(Arc<Shared>, JoinHandle<()>)>,
}

impl Receiver {
    pub(crate) fn start(tally: &Arc<Tally>) -> Self {
        Self::start_with(0, tally, None)
    }

    /// The same over TLS.
    pub(crate) fn start_tls(tally: &Arc<Tally>, own: &Pair) -> Self {
        Self::start_tls_on(0, tally, own)
    }

    pub(crate) fn start_tls_on(port: u16, tally: &Arc<Tally>, own: &Pair) -> Self {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        builder
            .set_certificate_chain_file(&own.certificate)
            .unwrap();
        builder
            .set_private_key_file(&own.key, SslFiletype::PEM)
            .unwrap();
        Self::start_with(port, tally, Some(builder.build()))
    }

    fn start_with(port: u16, tally: &Arc<Tally>, acceptor: Option<SslAcceptor>) -> Self {
        let listener = small_listener(port, BUFFER);
        let mut receiver = Self {
            port: listener.local_addr().unwrap().port(),
            tally: Arc::clone(tally),
            acceptor,
            running: None,
        };
        receiver.serve(listener);
        receiver
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = Arc::new(Shared {
            tally: Arc::clone(&self.tally),
            stop: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            acceptor: self.acceptor.clone(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || accept_all(&theirs, &listener));
        self.running = Some((shared, thread));
    }

    /// Like SIGKILL to a process: unread data is lost, and its port is closed.
    pub(crate) fn kill(&mut self) {
        if let Some((shared, thread)) = self.running.take() {
            shared.stop.store(true, Ordering::SeqCst);
            let _ = thread.join();
        }
    }

    /// Listens again, if it was killed.
    pub(crate) fn restart(&mut self) {
        if self.running.is_none() {
            self.serve(small_listener(self.port, BUFFER));
        }
    }

    /// Sets whether it accepts connections but reads nothing.
    pub(crate) fn stall(&self, stalled: bool) {
        if let Some((shared, _)) = &self.running {
            shared.stalled.store(stalled, Ordering::SeqCst);
        }
    }

    /// Total number of connections.
    pub(crate) fn accepted(&self) -> usize {
        self.tally.state.lock().unwrap().connections.len()
    }

    /// Connections whose end has not been read.
    pub(crate) fn connections(&self) -> usize {
        let running = self.running.as_ref();
        running.map_or(0, |(shared, _)| shared.open.load(Ordering::SeqCst))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.kill();
    }
}

fn accept_all(shared: &Arc<Shared>, listener: &TcpListener) {
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        shared.open.fetch_add(1, Ordering::SeqCst);
        let connection = shared.tally.open();
        let shared = Arc::clone(shared);
        threads.retain(|thread: &JoinHandle<()>| !thread.is_finished());
        threads.push(thread::spawn(move || {
            serve(&shared, connection, stream);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn serve(shared: &Shared, connection: usize, stream: TcpStream) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(TICK)).unwrap();
    match &shared.acceptor {
        None => receive(shared, connection, stream),
        Some(acceptor) => {
            if let Some(stream) = shake_hands(shared, acceptor, stream) {
                receive(shared, connection, stream);
            }
        }
    }
}

fn shake_hands(
    shared: &Shared,
    acceptor: &SslAcceptor,
    stream: TcpStream,
) -> Option<SslStream<TcpStream>> {
    let mut result = acceptor.accept(stream);
    loop {
        match result {
            Ok(stream) => return Some(stream),
            Err(HandshakeError::WouldBlock(half)) if !shared.stop.load(Ordering::SeqCst) => {
                result = half.handshake();
            }
            Err(_) => return None,
        }
    }
}

fn receive(shared: &Shared, connection: usize, mut stream: impl Read) {
    let mut held = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.stalled.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => held.extend_from_slice(&buffer[..count]),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(_) => return,
        }
        if let Err(error) = take_frames(shared, connection, &mut held) {
            return shared.tally.error(error);
        }
    }
}

fn take_frames(shared: &Shared, connection: usize, held: &mut Vec<u8>) -> Result<(), String> {
    let mut at = 0;
    while let Some((start, end, next)) = find_frame(&held[at..])? {
        shared.tally.note(connection, &held[at + start..at + end]);
        at += next;
    }
    held.drain(..at);
    Ok(())
}

/// Waits until all records `1..=last` of the hosts have arrived.
#[track_caller]
pub(crate) fn wait_for_all(tally: &Tally, hosts: &[(u32, u32)]) {
    wait_for("every event", || {
        hosts
            .iter()
            .all(|&(host, last)| tally.missing(host, last).is_empty())
            .then_some(())
    });
}
