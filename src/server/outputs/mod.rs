//! The sockets and files of the outputs: passes their events to the collector, and the bytes of the
//! collector's links to them.

mod brokers;
mod early;
mod files;
mod socket;

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use mio::Token;

use crate::base::clock::Now;
use crate::collector::{Input, OutputId};
use crate::output::kafka::BrokerId;
use crate::output::link::Link;
use crate::output::{Refused, Settings, Task};
use crate::server::hub::Hub;
use crate::server::{BROKERS, Error, OUTPUTS};
use crate::tls::{self, Connector, OutputError};
use brokers::Brokers;
use socket::{Opening, OutputSocket, Writing};

/// Maximum number of reads from one output before the others have their turn.
const READ_SHARE: usize = 64;
/// Maximum number of bytes to read from an output at a time.
const READ_SIZE: usize = 16 * 1024;
/// Maximum number of bytes to write to one output before the others have their turn.
const WRITE_SHARE: usize = 4 << 20;

/// The sockets of all outputs, and the connections to their brokers.
#[derive(Debug)]
pub(super) struct Outputs {
    sockets: Vec<OutputSocket>,
    brokers: Brokers,
}

impl Outputs {
    /// Creates the outputs in the order of `settings`, without opening them.
    pub(super) fn new(settings: &[Settings], connectors: Vec<Option<Connector>>) -> Self {
        let each = settings.iter().zip(connectors).enumerate();
        let socket = |(index, (settings, connector)): (usize, (&Settings, _))| {
            OutputSocket::new(Token(OUTPUTS + index), settings.clone(), connector)
        };
        Self {
            sockets: each.map(socket).collect(),
            brokers: Brokers::default(),
        }
    }

    /// Loads keys and certificates from the outputs' files: one item per output, in order.
    ///
    /// # Errors
    /// The first output whose files cannot be used.
    pub(super) fn load_connectors(&self) -> Result<Vec<Option<Connector>>, OutputError> {
        tls::connectors(self.sockets.iter().map(OutputSocket::settings))
    }

    pub(super) fn replace_connectors(&mut self, connectors: Vec<Option<Connector>>) {
        for (output, connector) in self.sockets.iter_mut().zip(connectors) {
            output.replace_connector(connector);
        }
    }

    /// Reopens files, which a log rotation may have renamed.
    pub(super) fn reopen_files(&mut self, hub: &mut Hub, now: Now) {
        for index in 0..self.sockets.len() {
            let is_open = |socket: &OutputSocket| socket.is_file() && socket.is_open();
            if self.sockets.get(index).is_some_and(is_open) {
                self.reopen(hub, now, index);
            }
        }
    }

    /// Ends connections in an orderly way as far as possible without waiting, then closes all.
    pub(super) fn finish_and_close(&mut self) {
        self.sockets
            .iter_mut()
            .for_each(OutputSocket::finish_and_close);
    }

    /// Performs a link's task.
    ///
    /// # Errors
    /// The reader of standard output has closed it.
    pub(super) fn serve(
        &mut self,
        hub: &mut Hub,
        now: Now,
        OutputId(index): OutputId,
        task: Task,
    ) -> Result<(), Error> {
        match task {
            Task::LookUp => self.look_up(hub, index),
            Task::Open => self.open_output(hub, now, index),
            Task::Connect(address) => self.connect_output(hub, now, index, address),
            Task::Close => {
                if let Some(socket) = self.sockets.get_mut(index) {
                    socket.close();
                }
            }
            Task::Measure => return self.measure(hub, now, index),
        }
        Ok(())
    }

    /// Performs a link's task for a broker.
    pub(super) fn serve_broker(
        &mut self,
        hub: &mut Hub,
        now: Now,
        output: OutputId,
        broker: BrokerId,
        task: Task,
    ) {
        if let Some(like) = self.sockets.get(output.0) {
            self.brokers
                .serve_task(hub, now, (output, broker), task, like);
        }
    }

    /// Handles an event of the connection to a broker.
    pub(super) fn note_broker_event(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        event: &mio::event::Event,
    ) {
        self.brokers.note_event(hub, now, index, event);
    }

    fn reopen(&mut self, hub: &mut Hub, now: Now, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else {
            return;
        };
        match socket.open(hub.registry()) {
            Ok(_) => log::info!("{} reopened", socket.label()),
            Err(error) => self.fail_output(hub, now, index, &error.to_string()),
        }
    }

    /// Looks up the addresses of an output's name.
    fn look_up(&self, hub: &mut Hub, index: usize) {
        let socket = self.sockets.get(index);
        if let Some((host, port)) = socket.and_then(|s| s.settings().target.place()) {
            hub.look_up(index, host, port);
        }
    }

    /// Passes the results of name lookups to the collector.
    pub(super) fn handle_resolved(&mut self, hub: &mut Hub, now: Now) {
        while let Some((index, found)) = hub.poll_resolved() {
            if let Some(asker) = index.checked_sub(BROKERS) {
                self.brokers.handle_resolved(hub, now, asker, found);
                continue;
            }
            let id = OutputId(index);
            match found {
                Ok(addresses) => hub.handle(now, &Input::Resolved(id, Ok(&addresses))),
                Err(error) => hub.handle(now, &Input::Resolved(id, Err(&error.to_string()))),
            }
        }
    }

    fn connect_output(&mut self, hub: &mut Hub, now: Now, index: usize, address: SocketAddr) {
        let Some(socket) = self.sockets.get_mut(index) else {
            return;
        };
        let opening = socket.connect(hub.registry(), address);
        self.note_opening(hub, now, index, opening);
    }

    fn note_opening(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        opening: io::Result<Opening>,
    ) {
        match opening {
            Ok(Opening::Done) => hub.handle(now, &Input::Opened(OutputId(index))),
            Ok(Opening::Pending) => {}
            Err(error) => self.fail_output(hub, now, index, &error.to_string()),
        }
    }

    fn fail_output(&mut self, hub: &mut Hub, now: Now, index: usize, why: &str) {
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.close();
        }
        hub.handle(now, &Input::Failed(OutputId(index), why));
    }

    /// Handles an event of an output's socket.
    ///
    /// # Errors
    /// The reader of standard output has closed it.
    pub(super) fn handle_event(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        event: &mio::event::Event,
    ) -> Result<(), Error> {
        let Some(socket) = self.sockets.get_mut(index) else {
            return Ok(());
        };
        if socket.is_connecting() {
            let was_there = socket.is_securing();
            let opening = socket.handle_connected(now.monotonic);
            if socket.is_securing() && !was_there {
                hub.handle(now, &Input::Reached(OutputId(index)));
            }
            self.note_opening(hub, now, index, opening);
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
            return self.end_output(hub, now, index, &error);
        }
        Ok(())
    }

    /// Reads what the receiver has sent, up to its share. Acknowledgments that arrived before the
    /// end of the connection are read first and count; those that a reset discarded do not.
    fn read_output(&mut self, hub: &mut Hub, now: Now, index: usize) -> Result<(), Error> {
        // Usually it has sent nothing, and preparing the buffer would cost more than the rest.
        if !self.sockets.get(index).is_some_and(|s| s.readable) {
            return Ok(());
        }
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READ_SHARE {
            let Some(socket) = self.sockets.get_mut(index).filter(|s| s.readable) else {
                break;
            };
            match socket.read(&mut buffer) {
                Ok(Some(count)) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    socket.beginning().heard(bytes);
                    hub.handle(now, &Input::Replied(OutputId(index), bytes));
                }
                Ok(None) => socket.readable = false,
                Err(error) => {
                    socket.readable = false;
                    return self.end_output(hub, now, index, &error);
                }
            }
        }
        Ok(())
    }

    fn end_output(
        &mut self,
        hub: &mut Hub,
        now: Now,
        index: usize,
        error: &io::Error,
    ) -> Result<(), Error> {
        let Some(socket) = self.sockets.get_mut(index) else {
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
        self.fail_output(hub, now, index, &error.to_string());
        Ok(())
    }

    /// Whether an output can be read from or written to now.
    pub(super) fn has_work(&self, hub: &Hub) -> bool {
        let has_work = |index| {
            let socket: Option<&OutputSocket> = self.sockets.get(index);
            socket.is_some_and(|s| s.readable) || self.can_write(hub, index)
        };
        (0..self.sockets.len()).any(has_work) || self.brokers.has_work(hub)
    }

    fn can_write(&self, hub: &Hub, index: usize) -> bool {
        let Some(socket) = self.sockets.get(index) else {
            return false;
        };
        let link = hub.link(OutputId(index));
        socket.is_open() && !socket.blocked && link.is_some_and(|l| l.next_bytes().is_some())
    }

    /// Reads from and writes to all outputs, each up to its share.
    ///
    /// # Errors
    /// The reader of standard output has closed it.
    pub(super) fn turn(&mut self, hub: &mut Hub, now: Now) -> Result<(), Error> {
        for index in 0..self.sockets.len() {
            self.read_output(hub, now, index)?;
            self.file_refused(hub, now, index);
            self.write_output(hub, now, index)?;
            let link = hub.link(OutputId(index));
            if link.is_some_and(Link::wants_measure) {
                self.measure(hub, now, index)?;
            }
        }
        self.brokers.serve(hub, now);
        Ok(())
    }

    /// Appends refused messages to the file for them. The file is opened each time: such messages
    /// are few, and a file that was renamed or removed is created again.
    fn file_refused(&mut self, hub: &mut Hub, now: Now, index: usize) {
        let id = OutputId(index);
        let Some(link) = hub.link(id) else {
            return;
        };
        if let Refused::File(path) = &link.settings().refused
            && let Some(lines) = link.lines_to_file()
        {
            let error = files::append(path, &lines).err();
            let error = error.map(|error| format!("{}: {error}", path.display()));
            hub.handle(now, &Input::Filed(id, error.as_deref()));
        }
    }

    fn write_output(&mut self, hub: &mut Hub, now: Now, index: usize) -> Result<(), Error> {
        let id = OutputId(index);
        let mut share = WRITE_SHARE;
        while share > 0 && self.can_write(hub, index) {
            let (Some(socket), Some(link)) = (self.sockets.get_mut(index), hub.link(id)) else {
                return Ok(());
            };
            let parts = next_parts(link, socket);
            let Some(first) = parts.first() else {
                return Ok(());
            };
            let count = match socket.write(&parts) {
                Ok(Writing::Wrote(count)) => {
                    socket.beginning().wrote(now.monotonic);
                    count
                }
                Ok(Writing::Blocked) => return Ok(()),
                Ok(Writing::TooLarge) => {
                    let size = first.len();
                    log::warn!(
                        "{}: a message of {size} bytes is too large (see ?max=); dropped",
                        socket.label()
                    );
                    size
                }
                Err(error) => return self.end_output(hub, now, index, &error),
            };
            share = share.saturating_sub(count);
            hub.handle(now, &Input::Written(id, count));
        }
        Ok(())
    }

    fn measure(&mut self, hub: &mut Hub, now: Now, index: usize) -> Result<(), Error> {
        let Some(socket) = self.sockets.get_mut(index) else {
            return Ok(());
        };
        match socket.measure(now.monotonic) {
            Ok(left) => {
                hub.handle(now, &Input::Measured(OutputId(index), left));
                Ok(())
            }
            Err(error) => self.end_output(hub, now, index, &error),
        }
    }

    fn open_output(&mut self, hub: &mut Hub, now: Now, index: usize) {
        let Some(socket) = self.sockets.get_mut(index) else {
            return;
        };
        let opening = socket.open(hub.registry());
        self.note_opening(hub, now, index, opening);
    }
}

/// What to write next: a datagram, or some batches of a stream, which would otherwise cost a
/// packet each.
fn next_parts<'l>(link: &'l Link, socket: &OutputSocket) -> Vec<IoSlice<'l>> {
    if socket.is_datagram() {
        return link.next_datagram().map(IoSlice::new).into_iter().collect();
    }
    if socket.takes_single_batches() {
        return link.next_bytes().map(IoSlice::new).into_iter().collect();
    }
    let next = link.next_bytes().into_iter().chain(link.further_bytes());
    some_of(next).map(IoSlice::new).collect()
}

/// As many parts as should be written at a time.
fn some_of<'a>(parts: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    /// In bytes. After this many, no further part is added.
    const ENOUGH: usize = 256 * 1024;
    const MOST: usize = 64;
    let mut room = ENOUGH;
    parts.take(MOST).take_while(move |part| {
        let fits = room > 0;
        room = room.saturating_sub(part.len());
        fits
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_together_up_to_a_number_and_a_size() {
        let some = |length, count| {
            let part = vec![0; length];
            let parts = std::iter::repeat_n(part.as_slice(), count);
            some_of(parts).count()
        };
        assert_eq!(some(1, 63), 63);
        assert_eq!(some(1, 65), 64);
        // The last one may go beyond the size.
        assert_eq!(some(100_000, 10), 3);
        assert_eq!(some(300_000, 10), 1);
        assert_eq!(some(1 << 30, 1), 1);
    }
}
