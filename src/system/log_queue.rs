//! Log lines on their way to standard error, which may not be read: the journal is stopped,
//! a terminal shows a pager, a pipe is full. The event loop never waits for it.
//!
//! Lines go into a bounded queue, and a separate thread writes them. A line for which there
//! is no room is dropped and counted; a line in its place states how many are missing.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum size of waiting lines in bytes: some thousand lines, which outlasts a restart of
/// the journal even if many hosts fail at once.
const MOST: usize = 1 << 20;

/// How soon to retry a non-blocking stream that accepts nothing.
const RETRY: Duration = Duration::from_millis(20);

/// Number of lines that this process dropped. A static, because the `log` crate has one
/// logger.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Number of log lines that this process dropped since its start.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The queue; clones share it.
#[derive(Clone)]
pub struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something is waiting, or everything has been written.
    changed: Condvar,
    /// Formats the line that states how many are missing.
    gap: fn(u64) -> Vec<u8>,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Size of the waiting lines in bytes.
    size: usize,
    /// Number of lines dropped since the last one that found room.
    lost: u64,
    /// Whether the thread is writing a line.
    is_writing: bool,
}

impl LogQueue {
    /// An empty queue. `gap` formats the line that replaces that many missing ones.
    #[must_use]
    pub fn new(gap: fn(u64) -> Vec<u8>) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            gap,
        }))
    }

    /// Starts the thread that writes to `out`. A write error costs the line, since there is
    /// nowhere to report it.
    ///
    /// # Errors
    /// The system cannot create a thread.
    pub fn start(&self, mut out: impl Write + Send + 'static) -> io::Result<()> {
        let queue = self.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        let run = move || {
            loop {
                let line = queue.next();
                if write(&mut out, &line).is_err() {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        thread.spawn(run).map(drop)
    }

    /// Waits until everything is written, at most this long: a reader that is not reading
    /// now may never do so. Returns whether everything is written.
    #[must_use]
    pub fn flush(&self, longest: Duration) -> bool {
        #[expect(clippy::disallowed_methods, reason = "the log is outside of the loop")]
        let deadline = Instant::now() + longest;
        let mut state = self.lock();
        while !state.is_empty() {
            #[expect(clippy::disallowed_methods, reason = "the log is outside of the loop")]
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn put(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.size + line.len() > MOST {
            state.lost += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if state.lost > 0 {
            let gap = (self.0.gap)(std::mem::take(&mut state.lost));
            state.push(gap);
        }
        state.push(line.to_vec());
        self.0.changed.notify_all();
    }

    /// The next line to write; waits for one.
    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.size -= line.len();
                state.is_writing = true;
                return line;
            }
            if state.lost > 0 {
                state.is_writing = true;
                return (self.0.gap)(std::mem::take(&mut state.lost));
            }
            self.0.changed.notify_all();
            let waited = self.0.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, line: Vec<u8>) {
        self.size += line.len();
        self.lines.push_back(line);
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0 && !self.is_writing
    }
}

/// Writes a whole line, even if another program has made the stream non-blocking.
fn write(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            #[expect(clippy::disallowed_methods, reason = "the log has a thread of its own")]
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// Each write is one line.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// A reader that takes a line only when it is asked to.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let sent = self.0.send(bytes.to_vec());
            sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started() -> (LogQueue, Receiver<Vec<u8>>) {
        let queue = LogQueue::new(|count| format!("{count} missing\n").into_bytes());
        let (out, reader) = sync_channel(0);
        queue.start(Slow(out)).unwrap();
        (queue, reader)
    }

    fn line(number: usize) -> Vec<u8> {
        format!("{number:01023}\n").into_bytes()
    }

    #[test]
    fn nobody_waits_for_a_reader_that_reads_nothing() {
        let (mut queue, reader) = started();
        // One in the hands of the thread, which are not counted.
        queue.write_all(b"first\n").unwrap();
        while !queue.lock().is_writing {
            std::thread::yield_now();
        }
        let fit = MOST / 1024;
        for number in 0..fit + 3 {
            queue.write_all(&line(number)).unwrap();
        }
        assert!(!queue.flush(Duration::ZERO));
        assert_eq!(queue.lock().lost, 3);
        assert!(dropped() >= 3);
        assert_eq!(reader.recv().unwrap(), b"first\n");
        for number in 0..fit {
            assert_eq!(reader.recv().unwrap(), line(number));
        }
        assert_eq!(reader.recv().unwrap(), b"3 missing\n");
        assert!(queue.flush(Duration::from_secs(60)));
    }

    #[test]
    fn the_gap_stands_where_lines_are_missing() {
        let (mut queue, reader) = started();
        queue.write_all(b"first\n").unwrap();
        while !queue.lock().is_writing {
            std::thread::yield_now();
        }
        let fit = MOST / 1024;
        (0..fit + 1).for_each(|number| queue.put(&line(number)));
        assert_eq!(reader.recv().unwrap(), b"first\n");
        assert_eq!(reader.recv().unwrap(), line(0));
        // Both read lines have left room.
        while queue.lock().size + 1024 > MOST {
            std::thread::yield_now();
        }
        queue.put(b"later\n");
        let rest: Vec<_> = (0..fit + 1).map(|_| reader.recv().unwrap()).collect();
        assert_eq!(rest[fit - 1], b"1 missing\n");
        assert_eq!(rest[fit], b"later\n");
    }

    #[test]
    fn a_stream_that_does_not_wait_gets_all_of_a_line() {
        #[derive(Default)]
        struct Reluctant(Vec<u8>, bool);
        impl Write for Reluctant {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.0.extend(bytes.first());
                Ok(1)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut out = Reluctant::default();
        write(&mut out, b"abc\n").unwrap();
        assert_eq!(out.0, b"abc\n");
    }

    #[test]
    fn a_reader_that_is_gone_stops_nothing() {
        let (mut queue, reader) = started();
        drop(reader);
        queue.write_all(b"a\n").unwrap();
        queue.write_all(b"b\n").unwrap();
        assert!(queue.flush(Duration::from_secs(60)));
    }
}
