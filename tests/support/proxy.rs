//! A TCP proxy that injects faults: between sources and relay, or between relay and
//! receiver.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Random;

/// How often a thread of the proxy checks for changes while it waits for its socket.
const TICK: Duration = Duration::from_millis(5);
/// Size of the socket buffers: small, so that a fault destroys less data than the replay
/// window has.
const BUFFER: usize = 128 << 10;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Each piece of data is delayed by this time.
    Delay(Duration),
    /// At most this many bytes in ten milliseconds.
    Slow(usize),
    /// No data is forwarded for this time.
    Stall(Duration),
    /// Both sides see the end of the connection; data in transit is lost.
    Cut,
    /// The server sees the end of the connection; data that the client still sends is lost.
    HalfClose,
    /// Both sides see a reset; data in transit is lost.
    Reset,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Delay(_) => "delay",
            Self::Slow(_) => "slow",
            Self::Stall(_) => "stall",
            Self::Cut => "cut",
            Self::HalfClose => "half-close",
            Self::Reset => "reset",
        }
    }

    /// Whether data that the TCP of one side has acknowledged never reaches the other.
    pub(crate) fn destroys(self) -> bool {
        matches!(self, Self::Cut | Self::HalfClose | Self::Reset)
    }

    pub(crate) fn any(random: &mut Random) -> Self {
        match random.below(6) {
            0..3 => Self::harmless(random),
            3 => Self::Cut,
            4 => Self::HalfClose,
            _ => Self::Reset,
        }
    }

    /// A fault that loses no data.
    pub(crate) fn harmless(random: &mut Random) -> Self {
        match random.below(3) {
            0 => Self::Delay(random.millis(1..30)),
            1 => Self::Slow(usize::try_from(1000 + random.below(30_000)).unwrap()),
            _ => Self::Stall(random.millis(50..1500)),
        }
    }
}

/// A fault, and the byte from the client at which it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) at: u64,
}

impl Plan {
    pub(crate) const NONE: Self = Self {
        fault: Fault::None,
        at: 0,
    };
}

type Planner = Box<dyn FnMut() -> Plan + Send>;

struct Shared {
    target: u16,
    stop: AtomicBool,
    refuse: AtomicBool,
    planner: Mutex<Planner>,
    open: Mutex<Vec<Weak<Pair>>>,
    accepted: AtomicU64,
    struck: Mutex<BTreeMap<&'static str, u64>>,
}

/// The proxy; dropping it closes all its connections.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Forwards connections to its port to `target`, without faults.
    pub(crate) fn to(target: u16) -> Self {
        let listener = listen(0);
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            target,
            stop: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            planner: Mutex::new(Box::new(|| Plan::NONE)),
            open: Mutex::default(),
            accepted: AtomicU64::new(0),
            struck: Mutex::default(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || accept_all(&theirs, port, listener));
        Self {
            port,
            shared,
            thread: Some(thread),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Each new connection gets a plan from `planner`.
    pub(crate) fn plan(&self, planner: impl FnMut() -> Plan + Send + 'static) {
        *self.shared.planner.lock().unwrap() = Box::new(planner);
    }

    /// Ends all faults, including those of open connections.
    pub(crate) fn calm(&self) {
        self.plan(|| Plan::NONE);
        self.shared.refuse.store(false, Ordering::SeqCst);
        for pair in self.open() {
            *pair.plan.lock().unwrap() = Plan::NONE;
        }
    }

    /// Applies the fault to all open connections.
    pub(crate) fn strike(&self, fault: Fault) {
        for pair in self.open() {
            let at = pair.carried.load(Ordering::SeqCst);
            *pair.plan.lock().unwrap() = Plan { fault, at };
        }
    }

    /// Sets whether connections to the proxy's port are refused.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.shared.refuse.store(refuse, Ordering::SeqCst);
    }

    /// Closes all connections, and refuses new ones until [`Proxy::refuse`] or [`Proxy::calm`].
    #[track_caller]
    pub(crate) fn cut_off(&self) {
        self.refuse(true);
        super::wait_for("the end of all connections", || {
            self.strike(Fault::Cut);
            (self.connections() == 0).then_some(())
        });
    }

    /// Number of open connections.
    pub(crate) fn connections(&self) -> usize {
        self.open().len()
    }

    /// Total number of connections.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Number of faults that have occurred.
    pub(crate) fn struck(&self) -> u64 {
        self.struck_by_kind().values().sum()
    }

    /// The same by kind.
    pub(crate) fn struck_by_kind(&self) -> BTreeMap<&'static str, u64> {
        self.shared.struck.lock().unwrap().clone()
    }

    fn open(&self) -> Vec<Arc<Pair>> {
        let mut open = self.shared.open.lock().unwrap();
        open.retain(|pair| pair.strong_count() > 0);
        open.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(port: u16) -> TcpListener {
    super::small_listener(port, BUFFER)
}

fn accept_all(shared: &Arc<Shared>, port: u16, listener: TcpListener) {
    let mut listener = Some(listener);
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.refuse.load(Ordering::SeqCst) {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(port));
        }
        let accepted = listener.as_ref().map(TcpListener::accept);
        let Some(Ok((client, _))) = accepted else {
            thread::sleep(TICK);
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        // If the target does not listen, the client's connection is dropped, which resets it.
        if let Some(server) = connect(shared.target) {
            carry(shared, client, server);
        }
    }
}

fn connect(port: u16) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).ok()?;
    socket.set_send_buffer_size(BUFFER).ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket.connect(&address.into()).ok()?;
    Some(socket.into())
}

/// One connection through the proxy.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    plan: Mutex<Plan>,
    /// The last plan that was counted.
    counted: Mutex<Plan>,
    /// Number of bytes forwarded from the client to the server.
    carried: AtomicU64,
    dead: AtomicBool,
    /// Whether the server has closed its side.
    answered: AtomicBool,
    shared: Arc<Shared>,
}

fn carry(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TICK)).unwrap();
        stream.set_write_timeout(Some(TICK)).unwrap();
    }
    let plan = (shared.planner.lock().unwrap())();
    let pair = Arc::new(Pair {
        client,
        server,
        plan: Mutex::new(plan),
        counted: Mutex::new(Plan::NONE),
        carried: AtomicU64::new(0),
        dead: AtomicBool::new(false),
        answered: AtomicBool::new(false),
        shared: Arc::clone(shared),
    });
    shared.open.lock().unwrap().push(Arc::downgrade(&pair));
    let up = Arc::clone(&pair);
    thread::spawn(move || up.pump(true));
    thread::spawn(move || pair.pump(false));
}

impl Pair {
    /// Forwards one direction until its end. `up`: from the client to the server.
    fn pump(&self, up: bool) {
        let (from, to) = if up {
            (&self.client, &self.server)
        } else {
            (&self.server, &self.client)
        };
        let mut buffer = vec![0; 16 << 10];
        while self.lives() {
            let most = match self.strike_if_due(up) {
                Some(most) => most.min(buffer.len()),
                None => return,
            };
            match (&*from).read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(count) if self.pass(to, &buffer[..count]) => {
                    if up {
                        self.carried
                            .fetch_add(u64::try_from(count).unwrap(), Ordering::SeqCst);
                    }
                }
                Ok(_) => break,
                Err(error) if is_tick(&error) => {}
                Err(_) => break,
            }
        }
        // The other direction can continue, as TCP allows.
        let _ = to.shutdown(Shutdown::Write);
        if !up {
            self.answered.store(true, Ordering::SeqCst);
        }
    }

    fn lives(&self) -> bool {
        !self.dead.load(Ordering::SeqCst) && !self.shared.stop.load(Ordering::SeqCst)
    }

    /// How many bytes may be forwarded next; `None` if this direction has ended.
    fn strike_if_due(&self, up: bool) -> Option<usize> {
        let plan = *self.plan.lock().unwrap();
        let carried = self.carried.load(Ordering::SeqCst);
        if plan.fault == Fault::None || carried < plan.at {
            let left = usize::try_from(plan.at.saturating_sub(carried)).unwrap_or(usize::MAX);
            let none = plan.fault == Fault::None || !up;
            return Some(if none { usize::MAX } else { left });
        }
        if self.lives() {
            self.count(plan);
        }
        match plan.fault {
            Fault::None => {}
            Fault::Delay(time) => thread::sleep(time),
            Fault::Slow(bytes) => {
                thread::sleep(Duration::from_millis(10));
                return Some(bytes.max(1));
            }
            Fault::Stall(time) => self.stall(time),
            Fault::HalfClose if !up => {}
            fault @ (Fault::Cut | Fault::Reset | Fault::HalfClose) => {
                self.end(fault);
                return None;
            }
        }
        Some(usize::MAX)
    }

    /// Counts a fault when it first occurs, in either direction.
    fn count(&self, plan: Plan) {
        if std::mem::replace(&mut *self.counted.lock().unwrap(), plan) != plan {
            let mut struck = self.shared.struck.lock().unwrap();
            *struck.entry(plan.fault.name()).or_default() += 1;
        }
    }

    /// Waits, unless the plan changes; the first direction whose time is over ends the stall.
    fn stall(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && self.lives() {
            if self.plan.lock().unwrap().fault != Fault::Stall(time) {
                return;
            }
            thread::sleep(TICK);
        }
        let mut plan = self.plan.lock().unwrap();
        if plan.fault == Fault::Stall(time) {
            *plan = Plan::NONE;
        }
    }

    fn end(&self, fault: Fault) {
        if fault == Fault::Reset {
            for stream in [&self.client, &self.server] {
                let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
        }
        if fault == Fault::HalfClose {
            let _ = self.server.shutdown(Shutdown::Write);
            self.discard();
            return;
        }
        self.dead.store(true, Ordering::SeqCst);
        if fault == Fault::Cut {
            let _ = self.client.shutdown(Shutdown::Both);
            let _ = self.server.shutdown(Shutdown::Both);
        }
    }

    /// Discards data from the client, but no more than a socket buffer: however late the server
    /// closes its side, less data is lost than the replay window has.
    fn discard(&self) {
        let (mut scrap, mut left) = ([0; 4096], BUFFER);
        while self.lives() && left > 0 {
            match (&self.client).read(&mut scrap) {
                Err(error) if is_tick(&error) => {
                    if self.client.peer_addr().is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
        while self.lives() && !self.answered.load(Ordering::SeqCst) {
            thread::sleep(TICK);
        }
    }

    fn pass(&self, mut to: &TcpStream, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_tick(&error) && self.lives() => {}
                Err(_) => return false,
            }
        }
        true
    }
}

fn is_tick(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
