//! Receivers for tests: they parse frames strictly, can stall, and can be killed.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Line, read_line, wait_for};

/// How often the threads of a sink check whether they should stop.
const TICK: Duration = Duration::from_millis(5);
/// Receive buffer of a stalled sink: small, so that it is full soon (Linux's minimum is 2 kB).
const SMALL_BUFFER: usize = 4096;

#[derive(Default)]
struct Shared {
    messages: Mutex<Vec<Vec<u8>>>,
    errors: Mutex<Vec<String>>,
    connections: AtomicUsize,
    /// Held while a thread reads, so that nothing is read once `stall` returns.
    stalled: Mutex<bool>,
    stop: AtomicBool,
}

/// A server for octet-counted frames or lines (distinguished as in RFC 6587) over TCP
/// or a Unix socket.
pub(crate) struct StreamSink {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl StreamSink {
    /// Listens on a free port.
    pub(crate) fn tcp() -> Self {
        Self::tcp_on(0)
    }

    pub(crate) fn tcp_on(port: u16) -> Self {
        Self::serve_tcp(TcpListener::bind(("127.0.0.1", port)).unwrap(), false)
    }

    /// A sink that reads nothing, with a small buffer, until `resume`.
    pub(crate) fn stalled() -> Self {
        Self::serve_tcp(small_listener(0, SMALL_BUFFER), true)
    }

    pub(crate) fn unix(path: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self::serve(0, false, move || {
            listener.accept().map(|(stream, _)| stream)
        })
    }

    fn serve_tcp(listener: TcpListener, stalled: bool) -> Self {
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        Self::serve(port, stalled, move || {
            listener.accept().map(|(stream, _)| stream)
        })
    }

    fn serve<S: Connection>(
        port: u16,
        stalled: bool,
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        *shared.stalled.lock().unwrap() = stalled;
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept_all(&theirs, &accept));
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of an output to this sink.
    pub(crate) fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// Stops reading.
    pub(crate) fn stall(&self) {
        *self.shared.stalled.lock().unwrap() = true;
    }

    pub(crate) fn resume(&self) {
        *self.shared.stalled.lock().unwrap() = false;
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Number of complete messages that have arrived.
    pub(crate) fn count(&self) -> usize {
        self.shared.messages.lock().unwrap().len()
    }

    /// All messages so far, parsed strictly.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Line> {
        let errors = self.shared.errors.lock().unwrap();
        assert!(errors.is_empty(), "bad frames: {errors:?}");
        let messages = self.shared.messages.lock().unwrap();
        messages.iter().map(|message| read_line(message)).collect()
    }

    /// Waits for `count` messages, and returns them.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Line> {
        wait_for(&format!("{count} messages"), || {
            (self.count() >= count).then_some(())
        });
        self.lines()
    }

    /// Ends without reading the rest, like a killed process; returns the messages read so far.
    #[track_caller]
    pub(crate) fn kill(mut self) -> Vec<Line> {
        self.stop();
        self.lines()
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for StreamSink {
    fn drop(&mut self) {
        self.stop();
    }
}

trait Connection: Read + Send + 'static {
    fn tick(&self);
}

impl Connection for TcpStream {
    fn tick(&self) {
        self.set_nonblocking(false).unwrap();
        self.set_read_timeout(Some(TICK)).unwrap();
    }
}

impl Connection for UnixStream {
    fn tick(&self) {
        self.set_nonblocking(false).unwrap();
        self.set_read_timeout(Some(TICK)).unwrap();
    }
}

fn accept_all<S: Connection>(shared: &Arc<Shared>, accept: &dyn Fn() -> std::io::Result<S>) {
    let mut threads = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        let Ok(stream) = accept() else {
            std::thread::sleep(TICK);
            continue;
        };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        stream.tick();
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || receive(&shared, stream)));
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn receive(shared: &Shared, mut stream: impl Connection) {
    let mut held = Vec::new();
    let mut buffer = [0; 65536];
    while !shared.stop.load(Ordering::Relaxed) {
        let stalled = shared.stalled.lock().unwrap();
        if *stalled {
            drop(stalled);
            std::thread::sleep(TICK);
            continue;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(size) => held.extend_from_slice(&buffer[..size]),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
            Err(_) => return,
        }
        if let Err(error) = take_frames(&mut held, &shared.messages) {
            shared.errors.lock().unwrap().push(error);
            return;
        }
    }
}

/// Moves the complete frames at the start of `held` to `messages`.
fn take_frames(held: &mut Vec<u8>, messages: &Mutex<Vec<Vec<u8>>>) -> Result<(), String> {
    let mut at = 0;
    while let Some((start, end, next)) = find_frame(&held[at..])? {
        let message = held[at + start..at + end].to_vec();
        messages.lock().unwrap().push(message);
        at += next;
    }
    held.drain(..at);
    Ok(())
}

/// Listens on a port on loopback; accepted connections have a receive buffer of this many
/// bytes, and accepting does not block.
pub(crate) fn small_listener(port: u16, buffer: usize) -> TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(buffer).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    wait_for("the port", || socket.bind(&address.into()).ok());
    socket.listen(128).unwrap();
    socket.into()
}

/// The first frame of `bytes`: where its message starts and ends, and where the next begins.
pub(super) fn find_frame(bytes: &[u8]) -> Result<Option<(usize, usize, usize)>, String> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    if first == b'<' {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        return Ok(end.map(|end| (0, end, end + 1)));
    }
    let Some(space) = bytes.iter().take(12).position(|&byte| byte == b' ') else {
        let hopeless = bytes.len() >= 12;
        return if hopeless { Err(bad(bytes)) } else { Ok(None) };
    };
    let digits = std::str::from_utf8(&bytes[..space]).map_err(|_| bad(bytes))?;
    let length: usize = digits.parse().map_err(|_| bad(bytes))?;
    if length.to_string() != digits || length == 0 {
        return Err(bad(bytes));
    }
    let end = space + 1 + length;
    Ok((bytes.len() >= end).then_some((space + 1, end, end)))
}

fn bad(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(40)];
    format!("a frame starts with {:?}", String::from_utf8_lossy(start))
}

/// A receiver of one message per datagram, over UDP or a Unix socket.
pub(crate) struct DatagramSink {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl DatagramSink {
    pub(crate) fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let port = socket.local_addr().unwrap().port();
        Self::serve(port, move |buffer| socket.recv(buffer))
    }

    pub(crate) fn unix(path: &str) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        Self::serve(0, move |buffer| socket.recv(buffer))
    }

    fn serve(
        port: u16,
        receive: impl Fn(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while !theirs.stop.load(Ordering::Relaxed) {
                if let Ok(size) = receive(&mut buffer) {
                    let message = buffer[..size].to_vec();
                    theirs.messages.lock().unwrap().push(message);
                }
            }
        });
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("udp://127.0.0.1:{}", self.port)
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Line> {
        wait_for(&format!("{count} datagrams"), || {
            (self.shared.messages.lock().unwrap().len() >= count).then_some(())
        });
        let messages = self.shared.messages.lock().unwrap();
        messages.iter().map(|message| read_line(message)).collect()
    }
}

impl Drop for DatagramSink {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The messages in a file or pipe: complete lines, parsed strictly.
#[track_caller]
pub(crate) fn lines_of(bytes: &[u8]) -> Vec<Line> {
    let Some(bytes) = bytes.strip_suffix(b"\n") else {
        assert!(bytes.is_empty(), "the last line has no end");
        return Vec::new();
    };
    bytes.split(|&byte| byte == b'\n').map(read_line).collect()
}
