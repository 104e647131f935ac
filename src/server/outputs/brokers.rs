//! The connections to the brokers of outputs: several for each topic, made when they are wanted.

use std::io;
use std::net::SocketAddr;

use mio::Token;

use super::socket::{Opening, OutputSocket, Writing};
use super::{READ_SHARE, READ_SIZE, WRITE_SHARE};
use crate::base::clock::Now;
use crate::collector::{Input, OutputId};
use crate::output::Task;
use crate::output::kafka::{BrokerId, Event};
use crate::server::{BROKERS, Server};

/// One connection to a broker.
#[derive(Debug)]
struct Line {
    output: OutputId,
    broker: BrokerId,
    socket: OutputSocket,
}

/// All of them; a line stays, and is opened again.
#[derive(Debug, Default)]
pub(in crate::server) struct Brokers {
    lines: Vec<Line>,
}

impl Brokers {
    fn find(&self, output: OutputId, broker: BrokerId) -> Option<usize> {
        let mut lines = self.lines.iter();
        lines.position(|line| line.output == output && line.broker == broker)
    }
}

impl Server {
    /// Does what a link wants for a broker.
    pub(in crate::server) fn serve_broker(
        &mut self,
        now: Now,
        output: OutputId,
        broker: BrokerId,
        task: Task,
    ) {
        let Some(index) = self.line_of(output, broker) else {
            return;
        };
        match task {
            Task::LookUp => {
                let link = self.collector.link(output);
                if let Some((host, port)) = link.and_then(|link| link.broker_place(broker)) {
                    self.resolver.ask(BROKERS + index, host, port);
                }
            }
            Task::Connect(address) => {
                let host = self.collector.link(output);
                let host = host.and_then(|link| link.broker_place(broker));
                let host = host.map(|(host, _)| host.to_owned()).unwrap_or_default();
                let (Some(line), Some(like)) = (
                    self.brokers.lines.get_mut(index),
                    self.outputs.get(output.0),
                ) else {
                    return;
                };
                // A reload may have replaced it.
                line.socket.replace_connector(like.connector().cloned());
                line.socket.name_receiver(&host);
                let opening = line.socket.connect(self.poll.registry(), address);
                self.note_line_opening(now, index, opening);
            }
            Task::Close => {
                if let Some(line) = self.brokers.lines.get_mut(index) {
                    line.socket.close();
                }
            }
            Task::Open | Task::Measure => {}
        }
    }

    /// The line of a broker, made at its first use.
    fn line_of(&mut self, output: OutputId, broker: BrokerId) -> Option<usize> {
        if let Some(known) = self.brokers.find(output, broker) {
            return Some(known);
        }
        let index = self.brokers.lines.len();
        let socket = self.outputs.get(output.0)?.like(Token(BROKERS + index));
        self.brokers.lines.push(Line {
            output,
            broker,
            socket,
        });
        Some(index)
    }

    fn tell_broker(&mut self, now: Now, index: usize, event: Event<'_>) {
        if let Some(line) = self.brokers.lines.get(index) {
            let input = Input::Broker(line.output, line.broker, event);
            self.handle(now, &input);
        }
    }

    fn fail_line(&mut self, now: Now, index: usize, why: &str) {
        if let Some(line) = self.brokers.lines.get_mut(index) {
            line.socket.close();
        }
        self.tell_broker(now, index, Event::Failed(why));
    }

    fn note_line_opening(&mut self, now: Now, index: usize, opening: io::Result<Opening>) {
        match opening {
            Ok(Opening::Done) => self.tell_broker(now, index, Event::Opened),
            Ok(Opening::Pending) => {}
            Err(error) => self.fail_line(now, index, &error.to_string()),
        }
    }

    pub(in crate::server) fn handle_broker_resolved(
        &mut self,
        now: Now,
        index: usize,
        found: io::Result<Vec<SocketAddr>>,
    ) {
        match found {
            Ok(found) => self.tell_broker(now, index, Event::Resolved(Ok(&found))),
            Err(error) => {
                self.tell_broker(now, index, Event::Resolved(Err(&error.to_string())));
            }
        }
    }

    pub(in crate::server) fn note_broker_event(
        &mut self,
        now: Now,
        index: usize,
        event: &mio::event::Event,
    ) {
        let Some(line) = self.brokers.lines.get_mut(index) else {
            return;
        };
        let socket = &mut line.socket;
        if socket.is_connecting() {
            let was_there = socket.is_securing();
            let opening = socket.handle_connected(now.monotonic);
            if socket.is_securing() && !was_there {
                self.tell_broker(now, index, Event::Reached);
            }
            return self.note_line_opening(now, index, opening);
        }
        socket.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        if event.is_writable()
            && let Err(error) = socket.handle_writable()
        {
            self.fail_line(now, index, &error.to_string());
        }
    }

    /// Whether something can be read from or written to a broker right now.
    pub(in crate::server) fn has_broker_work(&self) -> bool {
        let mut lines = self.brokers.lines.iter();
        lines.any(|line| line.socket.readable || self.can_write_to(line))
    }

    fn can_write_to(&self, line: &Line) -> bool {
        let link = self.collector.link(line.output);
        let has_bytes = link.is_some_and(|link| !link.broker_bytes(line.broker).is_empty());
        line.socket.is_open() && !line.socket.blocked && has_bytes
    }

    /// Reads and writes what can be.
    pub(in crate::server) fn serve_brokers(&mut self, now: Now) {
        for index in 0..self.brokers.lines.len() {
            self.read_line(now, index);
            self.write_line(now, index);
        }
    }

    fn read_line(&mut self, now: Now, index: usize) {
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READ_SHARE {
            let line = self.brokers.lines.get_mut(index);
            let Some(line) = line.filter(|line| line.socket.readable) else {
                break;
            };
            match line.socket.read(&mut buffer) {
                Ok(Some(count)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.tell_broker(now, index, Event::Received(bytes));
                }
                Ok(None) => line.socket.readable = false,
                Err(error) => {
                    line.socket.readable = false;
                    return self.fail_line(now, index, &error.to_string());
                }
            }
        }
    }

    fn write_line(&mut self, now: Now, index: usize) {
        let mut share = WRITE_SHARE;
        while share > 0
            && let Some(line) = self.brokers.lines.get(index)
            && self.can_write_to(line)
        {
            let (output, broker) = (line.output, line.broker);
            let (Some(line), Some(link)) = (
                self.brokers.lines.get_mut(index),
                self.collector.link(output),
            ) else {
                return;
            };
            match line.socket.write(link.broker_bytes(broker)) {
                Ok(Writing::Wrote(count)) => {
                    share = share.saturating_sub(count);
                    self.tell_broker(now, index, Event::Written(count));
                }
                Ok(Writing::Blocked | Writing::TooLarge) => return,
                Err(error) => return self.fail_line(now, index, &error.to_string()),
            }
        }
    }
}
