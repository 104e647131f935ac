//! The loop's side of the outputs: what their sockets tell goes to the collector,
//! what the collector's links offer goes to their sockets.

use super::output::{Opening, Writing};
use super::{Error, Server};
use crate::clock::Now;
use crate::collector::{Input, OutputId};
use crate::link::Link;
use std::io;

/// Bytes written to one output before the others have their turn.
const WRITE_SHARE: usize = 4 << 20;

impl Server {
    /// A log rotation has renamed the file: go on in a new one.
    pub(super) fn reopen(&mut self, now: Now, index: usize) {
        let Some(socket) = self.outputs.get_mut(index) else {
            return;
        };
        match socket.open(self.poll.registry(), &self.resolver) {
            Ok(_) => log::info!("{} reopened", socket.label()),
            Err(error) => self.fail_output(now, index, &error.to_string()),
        }
    }

    pub(super) fn handle_resolved(&mut self, now: Now) {
        while let Some((index, addresses)) = self.resolver.poll_answer() {
            let Some(socket) = self.outputs.get_mut(index) else {
                continue;
            };
            let opening = socket.handle_resolved(self.poll.registry(), addresses);
            self.note_opening(now, index, opening);
        }
    }

    pub(super) fn note_opening(&mut self, now: Now, index: usize, opening: io::Result<Opening>) {
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
            let opening = socket.handle_connected(self.poll.registry());
            self.note_opening(now, index, opening);
            return Ok(());
        }
        if event.is_writable() {
            socket.blocked = false;
        }
        if !(event.is_readable() || event.is_read_closed() || event.is_error()) {
            return Ok(());
        }
        if socket.is_stdout() && event.is_error() {
            return Err(Error::StdoutClosed);
        }
        // What was acknowledged before the end counts; what the reset threw away does not.
        if let Err(error) = socket.handle_readable() {
            self.end_output(now, index, &error)?;
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
        if socket.is_stdout() && error.kind() == io::ErrorKind::BrokenPipe {
            return Err(Error::StdoutClosed);
        }
        if socket.is_datagram() && error.kind() == io::ErrorKind::ConnectionRefused {
            log::debug!("{}: nobody receives there", socket.label());
            if socket.is_udp() {
                return Ok(());
            }
        }
        self.fail_output(now, index, &error.to_string());
        Ok(())
    }

    pub(super) fn has_work(&self, index: usize) -> bool {
        let Some(socket) = self.outputs.get(index) else {
            return false;
        };
        let link = self.collector.link(OutputId(index));
        socket.is_open() && !socket.blocked && link.is_some_and(|l| l.next_bytes().is_some())
    }

    pub(super) fn write_outputs(&mut self, now: Now) -> Result<(), Error> {
        for index in 0..self.outputs.len() {
            self.write_output(now, index)?;
            let link = self.collector.link(OutputId(index));
            if link.is_some_and(Link::wants_measure) {
                self.measure(now, index)?;
            }
        }
        Ok(())
    }

    pub(super) fn write_output(&mut self, now: Now, index: usize) -> Result<(), Error> {
        let id = OutputId(index);
        let mut share = WRITE_SHARE;
        while share > 0 && self.has_work(index) {
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
                Ok(Writing::Wrote(count)) => count,
                Ok(Writing::Blocked) => return Ok(()),
                Ok(Writing::TooLarge) => {
                    let size = bytes.len();
                    log::warn!(
                        "{}: a message of {size} bytes is too large (see ?max=); lost",
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
        match socket.measure() {
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
        let opening = socket.open(self.poll.registry(), &self.resolver);
        self.note_opening(now, index, opening);
    }
}
