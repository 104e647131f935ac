//! The socket of a database client, and the waker of its thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::store::postgres::{Client, Kind, Place, Task};
use crate::system::resolver;
use crate::tls::{DatabaseTls, Fault, SslStream};

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);
/// Number of bytes to read at a time.
const CHUNK: usize = 64 * 1024;

/// A socket of either kind.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects to the first address that accepts within its share of `timeout`, at least 100 ms.
    /// Blocks; a Unix socket connects without a time limit.
    fn connect(place: &Place, timeout: Duration) -> io::Result<Self> {
        let (host, port) = match place {
            Place::Unix(folder, port) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                return UnixStream::connect(path).map(Self::Unix);
            }
            Place::Tcp(host, port) => (host, *port),
        };
        let addresses: Vec<SocketAddr> = resolver::lookup(host, port)?;
        let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
        let share = timeout / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        for address in addresses {
            match TcpStream::connect_timeout(&address, share.max(Duration::from_millis(100))) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sets how long each read and write on a TCP socket may block; with `None`, neither kind of
    /// socket blocks.
    fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nonblocking(patience.is_none())?;
                stream.set_read_timeout(patience)?;
                stream.set_write_timeout(patience)
            }
            Self::Unix(stream) => stream.set_nonblocking(patience.is_none()),
        }
    }

    fn fd(&self) -> RawFd {
        match self {
            Self::Tcp(stream) => stream.as_raw_fd(),
            Self::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Stream {
    Plain(Socket),
    Secured(Box<SslStream<Socket>>),
}

impl Stream {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Secured(stream) => stream.get_ref(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Secured(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Secured(stream) => stream.write(bytes),
        }
    }
}

/// The connection of a client, and the waker of its thread.
pub(super) struct Line {
    poll: Poll,
    events: Events,
    tls: Option<Arc<DatabaseTls>>,
    stream: Option<Stream>,
    chunk: Vec<u8>,
}

impl Line {
    pub(super) fn new(tls: Option<Arc<DatabaseTls>>) -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(8),
            tls,
            stream: None,
            chunk: vec![0; CHUNK],
        })
    }

    pub(super) fn tls(&self) -> Option<Arc<DatabaseTls>> {
        self.tls.clone()
    }

    /// A waker that ends [`Line::wait`].
    pub(super) fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKER)
    }

    pub(super) fn wait(&mut self, due: Option<Instant>) {
        let timeout = due.map(|at| at.saturating_duration_since(Instant::now()));
        if let Err(error) = self.poll.poll(&mut self.events, timeout)
            && error.kind() != ErrorKind::Interrupted
        {
            log::error!("the store thread cannot wait: {error}");
        }
    }

    /// Does all that is possible without waiting for the server, except name lookups, connecting,
    /// and TLS handshakes, which block the thread.
    pub(super) fn work(&mut self, client: &mut Client) {
        client.handle_timeout(Instant::now());
        loop {
            while let Some(task) = client.poll_task() {
                self.run(client, task);
            }
            let is_any = self.write(client) | self.read(client);
            if !is_any {
                return;
            }
        }
    }

    fn run(&mut self, client: &mut Client, task: Task) {
        let done = match task {
            Task::Close => {
                self.stream = None;
                return;
            }
            Task::Connect(index) => self.connect(client, index),
            Task::Secure(index) => self.secure(client, index),
        };
        if let Err((kind, says)) = done {
            self.stream = None;
            client.handle_failed(Instant::now(), kind, &says);
        }
    }

    fn connect(&mut self, client: &mut Client, index: usize) -> Result<(), (Kind, String)> {
        let settings = client.settings();
        let Some(place) = settings.places.get(index) else {
            return Ok(());
        };
        let socket =
            Socket::connect(place, settings.connect_timeout).map_err(|error| down(&error))?;
        self.put(Stream::Plain(socket))
            .map_err(|error| down(&error))?;
        client.handle_connected();
        Ok(())
    }

    fn secure(&mut self, client: &mut Client, index: usize) -> Result<(), (Kind, String)> {
        let settings = client.settings();
        let (Some(Stream::Plain(socket)), Some(tls)) = (self.stream.take(), self.tls.clone())
        else {
            return Ok(());
        };
        let patience = settings.connect_timeout;
        let host = match settings.places.get(index) {
            Some(Place::Tcp(host, _)) => host.clone(),
            _ => return Ok(()),
        };
        let _ = self.poll.registry().deregister(&mut SourceFd(&socket.fd()));
        socket
            .set_patience(Some(patience))
            .map_err(|error| down(&error))?;
        let secured = tls.connect(&host, socket);
        let (stream, end_point) =
            secured.map_err(|fault| (kind(&fault), format!("TLS: {fault}")))?;
        self.put(Stream::Secured(Box::new(stream)))
            .map_err(|error| down(&error))?;
        client.handle_secured(end_point);
        Ok(())
    }

    fn put(&mut self, stream: Stream) -> io::Result<()> {
        stream.socket().set_patience(None)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let fd = stream.socket().fd();
        self.poll
            .registry()
            .register(&mut SourceFd(&fd), SOCKET, interest)?;
        self.stream = Some(stream);
        Ok(())
    }

    /// Returns whether anything was written.
    fn write(&mut self, client: &mut Client) -> bool {
        let mut is_any = false;
        while let Some(stream) = &mut self.stream
            && !client.outgoing().is_empty()
        {
            match stream.write(client.outgoing()) {
                Ok(count) => {
                    is_any = true;
                    client.note_sent(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fail(client, &error);
                    return true;
                }
            }
        }
        is_any
    }

    /// Returns whether anything was read.
    fn read(&mut self, client: &mut Client) -> bool {
        let mut is_any = false;
        // Pending tasks come first: if one starts TLS, the bytes that follow are for TLS.
        while let Some(stream) = &mut self.stream
            && !client.has_task()
        {
            match stream.read(&mut self.chunk) {
                Ok(0) => {
                    self.fail(client, &ErrorKind::UnexpectedEof.into());
                    return true;
                }
                Ok(count) => {
                    is_any = true;
                    let bytes = self.chunk.get(..count).unwrap_or_default();
                    client.handle_received(Instant::now(), bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.fail(client, &error);
                    return true;
                }
            }
        }
        is_any
    }

    fn fail(&mut self, client: &mut Client, error: &io::Error) {
        self.stream = None;
        // With TLS 1.3, the server verifies the client certificate after the client's handshake has
        // completed.
        let (kind, says) = match (Fault::of_stream(error), error.kind()) {
            (Some(fault), _) => (kind(&fault), format!("TLS: {fault}")),
            (None, ErrorKind::UnexpectedEof) => {
                (Kind::Down, "it has closed the connection".to_owned())
            }
            (None, _) => down(error),
        };
        client.handle_failed(Instant::now(), kind, &says);
    }
}

fn down(error: &io::Error) -> (Kind, String) {
    (Kind::Down, error.to_string())
}

fn kind(fault: &Fault) -> Kind {
    if fault.is_of_certificate() {
        Kind::Certificate
    } else {
        Kind::Down
    }
}
