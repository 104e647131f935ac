//! The event loop: one `mio::Poll` for listeners, sources, outputs, signals, and threads that wake
//! it. It performs the system calls that the [`Collector`] requests and reports their results; the
//! collector makes all decisions.
//!
//! Each kind of socket has an owner: `Doors` the listeners, `Sources` the hosts' connections,
//! `Outputs` the receivers' connections, `Watchers` the monitoring connections, `Helpers` and
//! `Keeper` processes and threads. All of them share the `Hub`.
#![expect(
    clippy::disallowed_methods,
    reason = "the loop is where the clock and sockets are"
)]

mod certificates;
mod database;
mod ending;
mod hub;
mod keeper;
mod lanes;
mod ntlm_helpers;
mod outputs;
mod own_log;
mod setup;
mod sources;
mod status;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::{Events, Poll, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook_mio::v1_0::Signals;

use crate::base::causes::Causes;
use crate::base::clock::Now;
use crate::collector::{Collector, Input, Output};
use crate::system::systemd::Notifier;
use certificates::Certificates;
use ending::{Ending, Step};
use hub::Hub;
use keeper::Keeper;
use ntlm_helpers::{HELPERS, Helpers};
use outputs::Outputs;
use own_log::Messages;
use sources::Sources;
use sources::accepting::{Accepted, Doors, Reserve};
use status::routes::{Seen, Watchers};

pub use database::{Database, MakeClient};
pub use keeper::{Local, Opened, Reader};
pub use ntlm_helpers::{HelperError, probe as probe_helper};
pub use setup::{Error, Reload, Reloaded, Setup};
pub use sources::listener::{Listener, bind, try_bind};
pub use status::bind_status;

const SIGNALS: Token = Token(0);
const WAKER: Token = Token(1);
/// The first listener's token; those of other listeners follow.
const LISTENERS: usize = 0x100;
/// The token of the status listener; those of its connections follow.
const STATUS: usize = 0x4000;
/// The first output's token; those of other outputs follow.
const OUTPUTS: usize = 0x1_0000;
/// The first token of a connection to a broker; those of other connections follow.
const BROKERS: usize = 0x8_0000;
/// The token of a source's connection is the sum of this and the connection's number.
const SOURCES: usize = 0x100_0000;

struct Server {
    hub: Hub,
    signals: Signals,
    doors: Doors,
    sources: Sources,
    certificates: Certificates,
    outputs: Outputs,
    helpers: Option<Helpers>,
    keeper: Keeper,
    watchers: Watchers,
    messages: Messages,
    reload: Reload,
    ending: Ending,
    notifier: Notifier,
}

/// From here on, SIGTERM, SIGINT, SIGHUP, and SIGXFSZ no longer end the process; the loop handles
/// those that arrived before it started. Call this before anything else.
pub fn catch_signals() -> Result<Signals, Error> {
    // SIGXFSZ would end the process: instead, the write beyond a file's size limit shall fail.
    Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ]).map_err(Error::system("signals"))
}

/// Runs until SIGTERM or SIGINT, and finishes batches in flight.
///
/// # Errors
/// The event queue fails, or the reader of standard output has closed it.
pub fn run(setup: Setup) -> Result<(), Error> {
    raise_file_limit();
    crate::system::sys::keep_freed_memory();
    let mut server = Server::new(setup).map_err(Error::system("event loop"))?;
    let mut events = Events::with_capacity(1024);
    server.notifier.ready();
    while !server.is_done() {
        server.turn(&mut events)?;
    }
    server.end(&mut events);
    Ok(())
}

fn now() -> Now {
    Now {
        monotonic: Instant::now(),
        wall: SystemTime::now(),
    }
}

/// Raises the soft limit of open files to the hard limit: every source has a connection for each
/// subscription.
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
        let watchers = Watchers::new(setup.status, poll.registry(), STATUS)?;
        let helpers = setup.helper.as_ref().map_or(0, |helper| helper.size);
        let reserve = Reserve::new(setup.outputs.len(), helpers, watchers.places());
        let doors = Doors::new(setup.listeners, poll.registry(), LISTENERS, reserve)?;
        let mut seed = [0; 32];
        rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut seed)
            .map_err(io::Error::other)?;
        let outputs = Outputs::new(&setup.outputs, setup.connectors);
        let begun = now();
        let mut collector = Collector::new(begun, setup.settings, setup.outputs, seed);
        collector.replace_secrets(begun, setup.secrets);
        if let Opened::Database(database) = &setup.store {
            collector.share_store(database::SAVE_EVERY, database.relay().to_owned());
        }
        collector.load();
        doors.measure_room(&mut collector);
        let keeper = Keeper::start(setup.store, Arc::clone(&waker))?;
        keeper.wait_for(&mut collector);
        Ok(Self {
            hub: Hub::new(poll, waker, collector),
            signals,
            doors,
            sources: Sources::default(),
            certificates: Certificates::new(now(), setup.tls),
            outputs,
            helpers: setup.helper.map(|helper| Helpers::new(now(), helper)),
            keeper,
            watchers,
            messages: Messages::new(setup.own),
            reload: setup.reload,
            ending: Ending::new(setup.drain_delay),
            notifier: Notifier::new(now()),
        })
    }

    fn collector(&mut self) -> &mut Collector {
        self.hub.collector_mut()
    }

    fn is_done(&mut self) -> bool {
        if !self.ending.is_finishing() {
            return false;
        }
        let now = now();
        let finished = self.hub.collector().is_finished() && self.has_said_all();
        if finished {
            self.collector().close_outputs(now);
        }
        (finished && self.hub.collector().are_outputs_closed()) || self.ending.is_over(now)
    }

    /// Logs the final message while the outputs can still send it. Returns whether all own messages
    /// have been queued at the outputs.
    fn has_said_all(&mut self) -> bool {
        self.messages.end(self.hub.collector());
        !self.messages.is_waiting()
    }

    /// After the last turn: closes the outputs, ends the helpers, and saves hosts.
    fn end(&mut self, events: &mut Events) {
        self.outputs.finish_and_close();
        if let Some(helpers) = self.helpers.take() {
            helpers.end(self.hub.poll(), events);
        }
        self.collector().save_all_hosts(now());
        self.keeper.wait_for(self.hub.collector_mut());
        self.keeper.end();
        self.messages.end(self.hub.collector());
    }

    /// One turn: reads all that is ready, writes to the outputs, commits once, and answers.
    fn turn(&mut self, events: &mut Events) -> Result<(), Error> {
        let timeout = self.timeout(now());
        self.hub
            .wait(events, timeout)
            .map_err(Error::system("poll"))?;
        let now = now();
        for event in &*events {
            self.dispatch(now, event)?;
        }
        if self.ending.handle_timeout(now) {
            self.finish(now);
        }
        self.accept(now)?;
        self.certificates.note_ends(now);
        self.notifier.alive(now);
        let seen = Seen {
            collector: self.hub.collector(),
            tls: self.certificates.acceptor(),
            accepting: !self.doors.is_crowded(),
        };
        self.watchers.serve(now, self.hub.registry(), &seen);
        self.sources.read_ready(now, self.hub.collector_mut());
        self.hub.handle(now, &Input::Timeout);
        if let Some(helpers) = &mut self.helpers {
            helpers.handle_timeout(now);
        }
        self.drain(now)?;
        self.messages.send(now, self.hub.collector_mut());
        self.outputs.turn(&mut self.hub, now)?;
        self.collector().commit(now);
        self.keeper.submit_jobs(self.hub.collector_mut());
        self.drain(now)?;
        // Last, so that saving does not delay the answers.
        let due = self.hub.collector().save_due();
        if due.is_some_and(|due| now.monotonic >= due) {
            self.collector().save_hosts(now);
            self.keeper.submit_jobs(self.hub.collector_mut());
        }
        Ok(())
    }

    fn timeout(&self, now: Now) -> Option<Duration> {
        let collector = self.hub.collector();
        let busy = collector.wants_commit()
            || self.messages.is_waiting()
            || (collector.is_reading(now) && self.sources.has_ready())
            || self.doors.is_ready()
            || self.outputs.has_work(&self.hub);
        if busy {
            return Some(Duration::ZERO);
        }
        let dues = [
            collector.poll_timeout(),
            collector.save_due(),
            self.ending.poll_timeout(),
            self.doors.poll_timeout(),
            self.certificates.poll_timeout(),
            self.helpers.as_ref().and_then(|h| h.poll_timeout(now)),
            self.notifier.due(),
            self.watchers.poll_timeout(),
        ];
        let due = dues.into_iter().flatten().min();
        due.map(|at| at.saturating_duration_since(now.monotonic))
    }

    fn dispatch(&mut self, now: Now, event: &mio::event::Event) -> Result<(), Error> {
        let hub = &mut self.hub;
        match event.token() {
            SIGNALS => self.handle_signals(now),
            WAKER => {
                self.outputs.handle_resolved(hub, now);
                self.keeper.take_answers(now, hub.collector_mut());
            }
            Token(token) if token >= SOURCES => self.sources.note_event(token - SOURCES, event),
            Token(token) if token >= BROKERS => {
                self.outputs
                    .note_broker_event(hub, now, token - BROKERS, event);
            }
            Token(token) if token >= OUTPUTS => {
                return self.outputs.handle_event(hub, now, token - OUTPUTS, event);
            }
            Token(token) if token >= HELPERS => {
                if let Some(helpers) = &mut self.helpers {
                    helpers.handle_event(now, token);
                }
            }
            Token(token) if token >= STATUS => self.watchers.note_event(token),
            Token(token) => self.doors.note_ready(token.wrapping_sub(LISTENERS)),
        }
        Ok(())
    }

    fn accept(&mut self, now: Now) -> Result<(), Error> {
        if self.ending.is_finishing() {
            return Ok(());
        }
        self.doors.begin(self.hub.collector_mut());
        while let Some(accepted) = self.doors.accept(now, self.hub.collector_mut()) {
            match accepted {
                Accepted::Room => self.drain_collector(now)?,
                Accepted::Connection(stream, address, is_secure) => {
                    let tls = self.certificates.acceptor_mut().filter(|_| is_secure);
                    let (registry, collector) = self.hub.parts();
                    self.sources
                        .take_in(now, registry, collector, (stream, address), tls);
                }
            }
        }
        Ok(())
    }

    /// Performs all that the collector and the helpers request.
    fn drain(&mut self, now: Now) -> Result<(), Error> {
        self.drain_collector(now)?;
        while let Some(helpers) = &mut self.helpers {
            let (registry, collector) = self.hub.parts();
            if !helpers.drain(now, registry, collector) {
                break;
            }
            self.drain_collector(now)?;
        }
        Ok(())
    }

    fn drain_collector(&mut self, now: Now) -> Result<(), Error> {
        while let Some(output) = self.hub.collector_mut().poll_output() {
            match output {
                Output::Send(id) => self.sources.send(now, id, self.hub.collector_mut()),
                Output::Shutdown(id) => self.sources.shut_down(id),
                Output::Close(id) => self.sources.remove(id),
                Output::Ask(id) => {
                    if let Some(helpers) = &mut self.helpers {
                        helpers.ask(now, self.hub.collector(), id);
                    }
                }
                Output::Link(id, task) => self.outputs.serve(&mut self.hub, now, id, task)?,
                Output::Broker(output, broker, task) => {
                    self.outputs
                        .serve_broker(&mut self.hub, now, output, broker, task);
                }
            }
        }
        Ok(())
    }

    fn handle_signals(&mut self, now: Now) {
        let signals: Vec<_> = self.signals.pending().collect();
        for signal in signals {
            if signal == SIGHUP {
                self.handle_reload(now);
            } else if signal == SIGXFSZ {
                log::debug!("a file is as large as this process may make it");
            } else {
                // SIGINT comes from a terminal, where no load balancer needs time to notice the
                // end.
                self.handle_end(now, signal == SIGTERM);
            }
        }
    }

    fn handle_end(&mut self, now: Now, is_patient: bool) {
        let longest = self.ending.longest();
        match self.ending.request(now, is_patient) {
            Step::Announce => {
                log::info!(
                    "stopping: /readyz answers 503; hosts are served until load balancers have noticed"
                );
                self.notifier.stopping(longest);
                self.collector().announce_end();
            }
            Step::Finish => {
                self.notifier.stopping(longest);
                self.finish(now);
            }
            Step::Abandon => log::info!("stopping at once"),
        }
    }

    /// Stops accepting connections and requests; batches in flight are completed.
    fn finish(&mut self, now: Now) {
        log::info!("stopping: finishing batches in flight");
        self.doors.close();
        self.collector().stop(now);
    }

    fn handle_reload(&mut self, now: Now) {
        self.notifier.reloading();
        match self.reload(now) {
            Ok(()) => log::info!("reloaded"),
            Err(why) => log::error!("not reloaded, nothing has changed: {}", Causes(&*why)),
        }
        self.outputs.reopen_files(&mut self.hub, now);
        self.notifier.ready();
    }

    fn reload(&mut self, now: Now) -> Result<(), Box<dyn std::error::Error>> {
        let connectors = self.outputs.load_connectors()?;
        let Reloaded {
            settings,
            tls,
            secrets,
        } = (self.reload)()?;
        self.collector().replace_settings(settings);
        self.collector().replace_secrets(now, secrets);
        self.certificates.replace(tls);
        self.outputs.replace_connectors(connectors);
        if let Some(helpers) = &mut self.helpers {
            helpers.restart(now);
        }
        Ok(())
    }
}
