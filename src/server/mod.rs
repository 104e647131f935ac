//! The event loop: one `mio::Poll` for listeners, sources, outputs, signals and
//! the resolver's wake-ups. It turns what the [`Collector`] wants into system calls
//! and tells it what came of them; all decisions are made there.
#![expect(
    clippy::disallowed_methods,
    reason = "the loop is where the clock and sockets are"
)]

mod database;
mod ending;
mod keeper;
mod lanes;
mod ntlm_helpers;
pub(crate) mod outputs;
mod own_log;
mod signals;
mod sources;
mod status;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};

use mio::{Events, Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_mio::v1_0::Signals;

use crate::auth::ntlm_helper;
use crate::base::clock::Now;
use crate::collector::{Collector, Input, Output, OutputId, Settings};
use crate::output::own_log::OwnLog;
use crate::output::{Secret, Settings as OutputSettings, Task};
use crate::syslog::Sender;
use crate::system::resolver::Resolver;
use crate::system::systemd::Notifier;
use crate::tls::{self, Connector};
use ending::Ending;
use keeper::Keeper;
use ntlm_helpers::{HELPERS, Helpers};
use outputs::brokers::Brokers;
use outputs::socket::OutputSocket;
use sources::Sources;
use sources::accepting::{Reserve, Trouble};
use status::Status;
use status::routes::Watched;

pub use database::{Database, MakeClient};
pub use keeper::{Local, Opened, Reader};
pub use ntlm_helpers::{HelperError, probe as probe_helper};
pub use sources::listener::{Listener, bind, try_bind};
pub use status::bind_status;

const SIGNALS: Token = Token(0);
const WAKER: Token = Token(1);
/// The first listener's token; the next ones follow.
const LISTENERS: usize = 0x100;
/// The first token of the status listener; those of its connections follow.
const STATUS: usize = 0x4000;
/// The first output's token; the next ones follow.
const OUTPUTS: usize = 0x1_0000;
/// The first token of a connection to a broker; the next ones follow.
const BROKERS: usize = 0x8_0000;
/// The token of a source's connection is this and its number.
const SOURCES: usize = 0x100_0000;

/// How often certificates that end soon are logged again.
const ENDS_TIME: Duration = Duration::from_secs(86_400);
/// Why the loop ended other than by a signal.
#[derive(Debug)]
pub enum Error {
    /// A system call that nothing works without.
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// Standard output has no reader any more.
    StdoutClosed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { what, cause } => write!(f, "{what}: {cause}"),
            Self::StdoutClosed => write!(f, "standard output was closed by its reader"),
        }
    }
}

impl std::error::Error for Error {}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |cause| Error::System { what, cause }
}

/// What a reload brings.
pub struct Reloaded {
    /// What the collector is told to do from now on.
    pub settings: Settings,
    /// What handshakes are done with from now on.
    pub tls: Option<tls::Acceptor>,
    /// What outputs make themselves known by, an item for each.
    pub secrets: Vec<Secret>,
}

/// Reads the files anew, or says why the old ones stay.
pub type Reload = Box<dyn FnMut() -> Result<Reloaded, String>>;

/// What the loop runs with.
pub struct Setup {
    /// From [`catch_signals`].
    pub signals: Signals,
    /// Where sources come in.
    pub listeners: Vec<Listener>,
    /// Where events go.
    pub outputs: Vec<OutputSettings>,
    /// Where those who watch come in.
    pub status: Option<std::net::TcpListener>,
    /// How each of them is secured, see [`tls::connectors`].
    pub connectors: Vec<Option<Connector>>,
    /// What they make themselves known by, an item for each.
    pub secrets: Vec<Secret>,
    /// What the collector is told to do.
    pub settings: Settings,
    /// What handshakes of https listeners are done with.
    pub tls: Option<tls::Acceptor>,
    /// Who is asked about accounts of the domain.
    pub helper: Option<ntlm_helper::Settings>,
    /// Where bookmarks are kept.
    pub store: Opened,
    /// What is logged, if it goes to the outputs too, and who says it.
    pub own: Option<(OwnLog, Sender)>,
    /// What SIGHUP does.
    pub reload: Reload,
    /// How long balancers have to notice that the relay ends.
    pub drain_delay: Duration,
}

struct Server {
    poll: Poll,
    signals: Signals,
    resolver: Resolver,
    listeners: Vec<Listener>,
    sources: Sources,
    tls: Option<tls::Acceptor>,
    /// When to look again at what ends soon.
    ends_at: Instant,
    outputs: Vec<OutputSocket>,
    brokers: Brokers,
    helpers: Option<Helpers>,
    collector: Collector,
    keeper: Keeper,
    reload: Reload,
    ending: Ending,
    /// The last word is said.
    farewell: bool,
    own: Option<(OwnLog, Sender)>,
    notifier: Notifier,
    status: Option<Status>,
    watched: Watched,
    reserve: Reserve,
    trouble: Trouble,
}

/// From here on no signal of those that mean something to the loop ends the process;
/// the loop handles those that have come before it. So this comes first of all.
pub fn catch_signals() -> Result<Signals, Error> {
    // SIGXFSZ would end us: the write at a file's size limit shall fail instead.
    Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ]).map_err(system("signals"))
}

/// Runs until SIGTERM or SIGINT.
pub fn run(setup: Setup) -> Result<(), Error> {
    raise_file_limit();
    crate::system::sys::keep_freed_memory();
    let mut server = Server::new(setup).map_err(system("event loop"))?;
    let mut events = Events::with_capacity(1024);
    server.notifier.ready();
    while !server.is_done() {
        server.turn(&mut events)?;
    }
    server
        .outputs
        .iter_mut()
        .for_each(OutputSocket::finish_and_close);
    if let Some(helpers) = server.helpers.take() {
        helpers.end(&mut server.poll, &mut events);
    }
    server.collector.save_all_hosts(now());
    server.await_store();
    server.keeper.end();
    server.say_farewell();
    Ok(())
}

fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        wall: SystemTime::now(),
    }
}

/// Every source holds a connection for each subscription.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        log::warn!("the limit of open files cannot be raised: {error}");
    }
}

impl Server {
    fn new(setup: Setup) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = setup.signals;
        poll.registry()
            .register(&mut signals, SIGNALS, mio::Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut listeners = setup.listeners;
        for (index, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(LISTENERS + index))?;
        }
        let status = setup.status;
        let status = status.map(|socket| Status::new(socket, poll.registry(), STATUS));
        let status = status.transpose()?;
        let mut seed = [0; 32];
        rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut seed)
            .map_err(io::Error::other)?;
        let sockets = setup.outputs.iter().zip(setup.connectors).enumerate();
        let begun = now();
        let mut collector = Collector::new(begun, setup.settings, setup.outputs.clone(), seed);
        collector.replace_secrets(begun, setup.secrets);
        if let Opened::Database(database) = &setup.store {
            collector.share_store(database::SAVE_EVERY, database.relay().to_owned());
        }
        collector.load();
        let keeper = Keeper::start(setup.store, Arc::clone(&waker))?;
        let helpers = setup.helper.as_ref().map_or(0, |helper| helper.size);
        let visitors = status.as_ref().map_or(0, Status::places);
        let reserve = Reserve::new(setup.outputs.len(), helpers, visitors);
        let sockets = sockets
            .map(|(index, (o, c))| OutputSocket::new(Token(OUTPUTS + index), o.clone(), c))
            .collect();
        let mut server = Self {
            poll,
            signals,
            resolver: Resolver::new(waker),
            listeners,
            sources: Sources::default(),
            tls: setup.tls,
            ends_at: Instant::now() + ENDS_TIME,
            outputs: sockets,
            brokers: Brokers::default(),
            helpers: setup.helper.map(|helper| Helpers::new(now(), helper)),
            collector,
            keeper,
            reload: setup.reload,
            ending: Ending::new(setup.drain_delay),
            farewell: false,
            own: setup.own,
            notifier: Notifier::new(now()),
            status,
            watched: Watched::new(),
            reserve,
            trouble: Trouble::default(),
        };
        server.measure_room();
        server.await_store();
        Ok(server)
    }

    fn is_done(&mut self) -> bool {
        if !self.ending.is_finishing() {
            return false;
        }
        let now = now();
        let finished = self.collector.is_finished() && self.has_said_all();
        if finished {
            self.collector.close_outputs(now);
        }
        (finished && self.collector.are_outputs_closed()) || self.ending.is_over(now)
    }

    /// One turn: read all that is ready, write to the outputs, commit once, answer.
    fn turn(&mut self, events: &mut Events) -> Result<(), Error> {
        let timeout = self.timeout(now());
        match self.poll.poll(events, timeout) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(system("poll")(e)),
            _ => {}
        }
        let now = now();
        for event in &*events {
            self.dispatch(now, event)?;
        }
        self.go_on_ending(now);
        self.accept(now)?;
        self.note_ends(now);
        self.notifier.alive(now);
        self.serve_status(now);
        self.sources.read_ready(now, &mut self.collector);
        self.handle(now, &Input::Timeout);
        if let Some(helpers) = &mut self.helpers {
            helpers.handle_timeout(now);
        }
        self.drain(now)?;
        self.send_own_log(now);
        self.write_outputs(now)?;
        self.collector.commit(now);
        self.ask_store();
        self.drain(now)?;
        // After the answers are on their way.
        if self
            .collector
            .save_due()
            .is_some_and(|due| now.monotonic >= due)
        {
            self.collector.save_hosts(now);
            self.ask_store();
        }
        Ok(())
    }

    fn timeout(&self, now: Now) -> Option<Duration> {
        let reading = self.collector.is_reading(now);
        let busy = self.collector.wants_commit()
            || self.has_own_log()
            || (reading && self.sources.has_ready())
            || self.listeners.iter().any(Listener::is_ready)
            || (0..self.outputs.len()).any(|index| self.has_work(index))
            || self.has_broker_work();
        if busy {
            return Some(Duration::ZERO);
        }
        let is_finishing = self.ending.is_finishing();
        let paused = self.listeners.iter().filter_map(Listener::resumes_at);
        let accepting = paused.chain(self.trouble.poll_timeout());
        let ends = self.tls.as_ref().map(|_| self.ends_at);
        let due = self
            .collector
            .poll_timeout()
            .into_iter()
            .chain(self.collector.save_due())
            .chain(self.ending.poll_timeout())
            .chain(accepting.filter(|_| !is_finishing))
            .chain(ends)
            .chain(self.helpers.as_ref().and_then(|h| h.poll_timeout(now)))
            .chain(self.notifier.due())
            .chain(self.status.as_ref().and_then(Status::poll_timeout))
            .min();
        due.map(|at| at.saturating_duration_since(now.monotonic))
    }

    fn handle(&mut self, now: Now, input: &Input<'_>) {
        self.collector.handle(now, input);
    }

    fn dispatch(&mut self, now: Now, event: &mio::event::Event) -> Result<(), Error> {
        match event.token() {
            SIGNALS => self.handle_signals(now),
            WAKER => {
                self.handle_resolved(now);
                self.handle_answers(now);
            }
            Token(token) if token >= SOURCES => self.sources.note_event(token - SOURCES, event),
            Token(token) if token >= BROKERS => self.note_broker_event(now, token - BROKERS, event),
            Token(token) if token >= OUTPUTS => {
                return self.handle_output(now, token - OUTPUTS, event);
            }
            Token(token) if token >= HELPERS => {
                if let Some(helpers) = &mut self.helpers {
                    helpers.handle_event(now, token);
                }
            }
            Token(token) if token >= STATUS => {
                if let Some(status) = self.status.as_mut().filter(|s| s.owns(token)) {
                    status.note_event(token);
                }
            }
            Token(token) => {
                if let Some(listener) = self.listeners.get_mut(token.wrapping_sub(LISTENERS)) {
                    listener.note_ready();
                }
            }
        }
        Ok(())
    }

    fn note_ends(&mut self, now: Now) {
        if let Some(tls) = &self.tls
            && now.monotonic >= self.ends_at
        {
            self.ends_at = now.monotonic + ENDS_TIME;
            tls.log_ends(now.wall);
        }
    }

    /// Does all that the collector and the helpers want done.
    fn drain(&mut self, now: Now) -> Result<(), Error> {
        self.drain_collector(now)?;
        while let Some(helpers) = &mut self.helpers
            && helpers.drain(now, self.poll.registry(), &mut self.collector)
        {
            self.drain_collector(now)?;
        }
        Ok(())
    }

    fn drain_collector(&mut self, now: Now) -> Result<(), Error> {
        while let Some(output) = self.collector.poll_output() {
            match output {
                Output::Send(id) => {
                    self.sources.send(now, id, &mut self.collector);
                }
                Output::Shutdown(id) => self.sources.shut_down(id),
                Output::Close(id) => self.sources.remove(id),
                Output::Ask(id) => {
                    if let Some(helpers) = &mut self.helpers {
                        helpers.ask(now, &self.collector, id);
                    }
                }
                Output::Link(OutputId(index), Task::LookUp) => self.look_up(index),
                Output::Link(OutputId(index), Task::Open) => self.open_output(now, index),
                Output::Link(OutputId(index), Task::Connect(address)) => {
                    self.connect_output(now, index, address);
                }
                Output::Link(OutputId(index), Task::Close) => {
                    if let Some(socket) = self.outputs.get_mut(index) {
                        socket.close();
                    }
                }
                Output::Link(OutputId(index), Task::Measure) => self.measure(now, index)?,
                Output::Broker(output, broker, task) => {
                    self.serve_broker(now, output, broker, task);
                }
            }
        }
        Ok(())
    }
}
