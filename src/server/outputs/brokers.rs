//! The connections to the Kafka brokers of outputs: one for each broker, opened when needed.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::Token;

use super::socket::{Opening, OutputSocket, Writing};
use super::{READ_SHARE, READ_SIZE, WRITE_SHARE};
use crate::base::clock::Now;
use crate::collector::{Input, OutputId};
use crate::output::Task;
use crate::output::kafka::{BrokerId, Event};
use crate::server::BROKERS;
use crate::server::hub::Hub;

/// One connection to a broker.
#[derive(Debug)]
struct Line {
    output: OutputId,
    broker: BrokerId,
    socket: OutputSocket,
}

/// All connections. An entry is kept after its connection ends, and reused to reconnect.
#[derive(Debug, Default)]
pub(super) struct Brokers {
    lines: Vec<Line>,
}

impl Brokers {
    fn find(&self, output: OutputId, broker: BrokerId) -> Option<usize> {
        let mut lines = self.lines.iter();
        lines.position(|line| line.output == output && line.broker == broker)
    }

    /// Performs a link's task for a broker; its connection is secured like that of `like`.
    pub(super) fn serve_task(
        &mut self,
        hub: &mut Hub,
        now: Now,
        (output, broker): (OutputId, BrokerId),
        task: Task,
        like: &OutputSocket,
    ) {
        let index = self.line_of(output, broker, like);
        let Some(line) = self.lines.get_mut(index) else {
            return;
        };
        let place = hub.link(output).and_then(|link| link.broker_place(broker));
        let place = place.map(|(host, port)| (host.to_owned(), port));
        match (task, place) {
            (Task::LookUp, Some((host, port))) => hub.look_up(BROKERS + index, &host, port),
            (Task::Connect(address), place) => {
                let (host, _) = place.unwrap_or_default();
                // A reload may have replaced the connector.
                line.socket.replace_connector(like.connector().cloned());
                line.socket.name_receiver(&host);
                let opening = line.socket.connect(hub.registry(), address);
                self.note_opening(hub, now, index, opening);
            }
            (Task::Close, _) => line.socket.close(),
            (Task::LookUp, None) | (Task::Open | Task::Measure, _) => {}
        }
    }

    /// The index of a broker's entry, which is created at its first use.
    fn line_of(&mut self, output: OutputId, broker: BrokerId, like: &OutputSocket) -> usize {
        self.find(output, broker).unwrap_or_else(|| {
            let index = self.lines.len();
            self.lines.push(Line {
                output,
                broker,
                socket: like.like(Token(BROKERS + index)),
            });
            index
        })
    }

    fn tell_broker(&self, hub: &mut Hub, now: Now, index: usize, event: Event<'_>) {
        if let Some(line) = self.lines.get(index) {
            let input = Input::Broker(line.output, line.broker, event);
            hub.handle(now, &input);
        }
    }

    fn fail_line(&mut self, hub: &mut Hub, now: Now, index: usize, why: &str) {
        if let Some(line) = self.lines.get_mut(index) {
            line.socket.close();
        }
        self.tell_broker(hub, now, index, Event::Failed(why));
    }

    fn note_opening(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        opening: io::Result<Opening>,
    ) {
        match opening {
            Ok(Opening::Done) => self.tell_broker(hub, now, index, Event::Opened),
            Ok(Opening::Pending) => {}
            Err(error) => self.fail_line(hub, now, index, &error.to_string()),
        }
    }

    pub(super) fn handle_resolved(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        found: io::Result<Vec<SocketAddr>>,
    ) {
        match found {
            Ok(found) => self.tell_broker(hub, now, index, Event::Resolved(Ok(&found))),
            Err(error) => {
                self.tell_broker(hub, now, index, Event::Resolved(Err(&error.to_string())));
            }
        }
    }

    pub(super) fn note_event(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        event: &mio::event::Event,
    ) {
        let Some(line) = self.lines.get_mut(index) else {
            return;
        };
        let socket = &mut line.socket;
        if socket.is_connecting() {
            let was_there = socket.is_securing();
            let opening = socket.handle_connected(now.monotonic);
            if socket.is_securing() && !was_there {
                self.tell_broker(hub, now, index, Event::Reached);
            }
            return self.note_opening(hub, now, index, opening);
        }
        socket.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        if event.is_writable()
            && let Err(error) = socket.handle_writable()
        {
            self.fail_line(hub, now, index, &error.to_string());
        }
    }

    /// Whether a broker can be read from or written to now.
    pub(super) fn has_work(&self, hub: &Hub) -> bool {
        let mut lines = self.lines.iter();
        lines.any(|line| line.socket.readable || Self::can_write_to(hub, line))
    }

    fn can_write_to(hub: &Hub, line: &Line) -> bool {
        let link = hub.link(line.output);
        let has_bytes = link.is_some_and(|link| !link.broker_bytes(line.broker).is_empty());
        line.socket.is_open() && !line.socket.blocked && has_bytes
    }

    /// Reads from and writes to each broker, up to its share.
    pub(super) fn serve(&mut self, hub: &mut Hub, now: Now) {
        for index in 0..self.lines.len() {
            self.read_line(hub, now, index);
            self.write_line(hub, now, index);
        }
    }

    fn read_line(&mut self, hub: &mut Hub, now: Now, index: usize) {
        if !self
            .lines
            .get(index)
            .is_some_and(|line| line.socket.readable)
        {
            return;
        }
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READ_SHARE {
            let line = self.lines.get_mut(index);
            let Some(line) = line.filter(|line| line.socket.readable) else {
                break;
            };
            match line.socket.read(&mut buffer) {
                Ok(Some(count)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.tell_broker(hub, now, index, Event::Received(bytes));
                }
                Ok(None) => line.socket.readable = false,
                Err(error) => {
                    line.socket.readable = false;
                    return self.fail_line(hub, now, index, &error.to_string());
                }
            }
        }
    }

    fn write_line(&mut self, hub: &mut Hub, now: Now, index: usize) {
        let mut share = WRITE_SHARE;
        while share > 0
            && let Some(line) = self.lines.get(index)
            && Self::can_write_to(hub, line)
        {
            let (output, broker) = (line.output, line.broker);
            let (Some(line), Some(link)) = (self.lines.get_mut(index), hub.link(output)) else {
                return;
            };
            match line
                .socket
                .write(&[IoSlice::new(link.broker_bytes(broker))])
            {
                Ok(Writing::Wrote(count)) => {
                    share = share.saturating_sub(count);
                    self.tell_broker(hub, now, index, Event::Written(count));
                }
                Ok(Writing::Blocked | Writing::TooLarge) => return,
                Err(error) => return self.fail_line(hub, now, index, &error.to_string()),
            }
        }
    }
}
