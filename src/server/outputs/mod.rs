//! The loop's side of the outputs: what their sockets tell goes to the collector,
//! what the collector's links offer goes to their sockets.

pub(super) mod brokers;
mod early;
mod files;
pub(crate) mod socket;

use std::io;
use std::net::SocketAddr;

use crate::base::clock::Now;
use crate::collector::{Input, OutputId};
use crate::output::Refused;
use crate::output::link::Link;
use crate::server::{BROKERS, Error, Server};
use socket::{Opening, Writing};

/// How often one output is read before the others have their turn.
const READ_SHARE: usize = 64;
/// Bytes read from an output at a time.
const READ_SIZE: usize = 16 * 1024;
/// Bytes written to one output before the others have their turn.
const WRITE_SHARE: usize = 4 << 20;

impl Server {
    /// A log rotation has renamed the file: go on in a new one.
    pub(super) fn reopen(&mut self, now: Now, index: usize) {
        let Some(socket) = self.outputs.get_mut(index) else {
            return;
        };
        match socket.open(self.poll.registry()) {
            Ok(_) => log::info!("{} reopened", socket.label()),
            Err(error) => self.fail_output(now, index, &error.to_string()),
        }
    }

    /// Asks for the addresses of an output's name.
    pub(super) fn look_up(&mut self, index: usize) {
        let socket = self.outputs.get(index);
        if let Some((host, port)) = socket.and_then(|s| s.settings().target.place()) {
            self.resolver.ask(index, host, port);
        }
    }

    pub(super) fn handle_resolved(&mut self, now: Now) {
        while let Some((index, found)) = self.resolver.poll_answer() {
            if let Some(asker) = index.checked_sub(BROKERS) {
                self.handle_broker_resolved(now, asker, found);
                continue;
            }
            let id = OutputId(index);
            match found {
                Ok(addresses) => self.handle(now, &Input::Resolved(id, Ok(&addresses))),
                Err(error) => self.handle(now, &Input::Resolved(id, Err(&error.to_string()))),
            }
        }
    }

    pub(super) fn connect_output(&mut self, now: Now, index: usize, address: SocketAddr) {
        let Some(socket) = self.outputs.get_mut(index) else {
            return;
        };
        let opening = socket.connect(self.poll.registry(), address);
        self.note_opening(now, index, opening);
    }

    pub(in crate::server) fn note_opening(
        &mut self,
        now: Now,
        index: usize,
        opening: io::Result<Opening>,
    ) {
        match opening {
            Ok(Opening::Done) => self.handle(now, &Input::Opened(OutputId(index))),
            Ok(Opening::Pending) => {}
            Err(error) => self.fail_output(now, index, &error.to_string()),
        }
    }

    pub(super) fn fail_output(&mut self, now: Now, index: usize, why: &str) {
        if let Some(socket) = self.outputs.get_mut(index) {
            socket.close();
        }
        self.handle(now, &Input::Failed(OutputId(index), why));
    }

    pub(super) fn handle_output(
        &mut self,
        now: Now,
        index: usize,
        event: &mio::event::Event,
    ) -> Result<(), Error> {
        let Some(socket) = self.outputs.get_mut(index) else {
            return Ok(());
        };
        if socket.is_connecting() {
            let was_there = socket.is_securing();
            let opening = socket.handle_connected(now.monotonic);
            if socket.is_securing() && !was_there {
                self.handle(now, &Input::Reached(OutputId(index)));
            }
            self.note_opening(now, index, opening);
            return Ok(());
        }
        let is_told = event.is_error() && socket.take_acknowledgments();
        let ended = event.is_read_closed() || (event.is_error() && !is_told);
        socket.readable |= event.is_readable() || ended;
        if socket.is_stdout() && event.is_error() {
            return Err(Error::StdoutClosed);
        }
        if event.is_writable()
            && let Err(error) = socket.handle_writable()
        {
            return self.end_output(now, index, &error);
        }
        Ok(())
    }

    /// Reads what the receiver has sent, up to its share. What was acknowledged before
    /// an end counts; what a reset threw away does not.
    fn read_output(&mut self, now: Now, index: usize) -> Result<(), Error> {
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READ_SHARE {
            let Some(socket) = self.outputs.get_mut(index).filter(|s| s.readable) else {
                break;
            };
            match socket.read(&mut buffer) {
                Ok(Some(count)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    socket.beginning().heard(bytes);
                    self.handle(now, &Input::Replied(OutputId(index), bytes));
                }
                Ok(None) => socket.readable = false,
                Err(error) => {
                    socket.readable = false;
                    return self.end_output(now, index, &error);
                }
            }
        }
        Ok(())
    }

    pub(super) fn end_output(
        &mut self,
        now: Now,
        index: usize,
        error: &io::Error,
    ) -> Result<(), Error> {
        let Some(socket) = self.outputs.get_mut(index) else {
            return Ok(());
        };
        let explained = socket.explain(now.monotonic, error);
        let error = explained.as_ref().unwrap_or(error);
        if socket.is_stdout() && error.kind() == io::ErrorKind::BrokenPipe {
            return Err(Error::StdoutClosed);
        }
        if socket.is_datagram() && error.kind() == io::ErrorKind::ConnectionRefused {
            log::debug!("{}: no receiver there", socket.label());
            if socket.is_udp() {
                return Ok(());
            }
        }
        self.fail_output(now, index, &error.to_string());
        Ok(())
    }

    /// Whether something can be read from or written to an output right now.
    pub(super) fn has_work(&self, index: usize) -> bool {
        self.outputs.get(index).is_some_and(|s| s.readable) || self.can_write(index)
    }

    fn can_write(&self, index: usize) -> bool {
        let Some(socket) = self.outputs.get(index) else {
            return false;
        };
        let link = self.collector.link(OutputId(index));
        socket.is_open() && !socket.blocked && link.is_some_and(|l| l.next_bytes().is_some())
    }

    pub(super) fn write_outputs(&mut self, now: Now) -> Result<(), Error> {
        for index in 0..self.outputs.len() {
            self.read_output(now, index)?;
            self.file_refused(now, index);
            self.write_output(now, index)?;
            let link = self.collector.link(OutputId(index));
            if link.is_some_and(Link::wants_measure) {
                self.measure(now, index)?;
            }
        }
        self.serve_brokers(now);
        Ok(())
    }

    /// Puts refused messages into the file for them. It is opened each time: they are few,
    /// and a file that was renamed or removed is made anew.
    fn file_refused(&mut self, now: Now, index: usize) {
        let id = OutputId(index);
        let Some(link) = self.collector.link(id) else {
            return;
        };
        if let Refused::File(path) = &link.settings().refused
            && let Some(lines) = link.lines_to_file()
        {
            let error = files::append(path, &lines).err();
            let error = error.map(|error| format!("{}: {error}", path.display()));
            self.handle(now, &Input::Filed(id, error.as_deref()));
        }
    }

    pub(super) fn write_output(&mut self, now: Now, index: usize) -> Result<(), Error> {
        let id = OutputId(index);
        let mut share = WRITE_SHARE;
        while share > 0 && self.can_write(index) {
            let (Some(socket), Some(link)) = (self.outputs.get_mut(index), self.collector.link(id))
            else {
                return Ok(());
            };
            let next = if socket.is_datagram() {
                link.next_datagram()
            } else {
                link.next_bytes()
            };
            let Some(bytes) = next else { return Ok(()) };
            let count = match socket.write(bytes) {
                Ok(Writing::Wrote(count)) => {
                    socket.beginning().wrote(now.monotonic);
                    count
                }
                Ok(Writing::Blocked) => return Ok(()),
                Ok(Writing::TooLarge) => {
                    let size = bytes.len();
                    log::warn!(
                        "{}: a message of {size} bytes is too large (see ?max=); dropped",
                        socket.label()
                    );
                    size
                }
                Err(error) => return self.end_output(now, index, &error),
            };
            share = share.saturating_sub(count);
            self.handle(now, &Input::Written(id, count));
        }
        Ok(())
    }

    pub(super) fn measure(&mut self, now: Now, index: usize) -> Result<(), Error> {
        let Some(socket) = self.outputs.get_mut(index) else {
            return Ok(());
        };
        match socket.measure(now.monotonic) {
            Ok(left) => {
                self.handle(now, &Input::Measured(OutputId(index), left));
                Ok(())
            }
            Err(error) => self.end_output(now, index, &error),
        }
    }

    pub(super) fn open_output(&mut self, now: Now, index: usize) {
        let Some(socket) = self.outputs.get_mut(index) else {
            return;
        };
        let opening = socket.open(self.poll.registry());
        self.note_opening(now, index, opening);
    }
}
