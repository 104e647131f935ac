//! What sockets of all kinds need in addition to their own state: the collector, the
//! registration of sockets, and name resolution.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Registry, Waker};

use crate::base::clock::Now;
use crate::collector::{Collector, Input, OutputId};
use crate::output::link::Link;
use crate::system::resolver::Resolver;

/// The collector with its surroundings.
pub(super) struct Hub {
    poll: Poll,
    resolver: Resolver,
    collector: Collector,
}

impl Hub {
    pub(super) fn new(poll: Poll, waker: Arc<Waker>, collector: Collector) -> Self {
        Self {
            poll,
            resolver: Resolver::new(waker),
            collector,
        }
    }

    pub(super) fn poll(&mut self) -> &mut Poll {
        &mut self.poll
    }

    /// Waits for events; a signal may end the wait early.
    pub(super) fn wait(
        &mut self,
        events: &mut Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    pub(super) fn collector(&self) -> &Collector {
        &self.collector
    }

    pub(super) fn collector_mut(&mut self) -> &mut Collector {
        &mut self.collector
    }

    /// Both, for callers that need them at the same time.
    pub(super) fn parts(&mut self) -> (&Registry, &mut Collector) {
        (self.poll.registry(), &mut self.collector)
    }

    /// Passes an input to the collector.
    pub(super) fn handle(&mut self, now: Now, input: &Input<'_>) {
        self.collector.handle(now, input);
    }

    pub(super) fn link(&self, id: OutputId) -> Option<&Link> {
        self.collector.link(id)
    }

    /// Starts looking up the addresses of a name; the result is reported with the number `asker`.
    pub(super) fn look_up(&mut self, asker: usize, host: &str, port: u16) {
        self.resolver.ask(asker, host, port);
    }

    /// The next result of [`Hub::look_up`]: the number of the asker, and the addresses.
    pub(super) fn poll_resolved(&mut self) -> Option<(usize, io::Result<Vec<SocketAddr>>)> {
        self.resolver.poll_answer()
    }
}
