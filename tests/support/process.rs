//! A child process that never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{PATIENCE, wait_for};

/// How long the pipes of an ended process are read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A running process; killed when dropped, and therefore also when the test panics.
pub(crate) struct Process {
    name: String,
    child: Child,
    stderr: Arc<Mutex<String>>,
    stdout: Arc<Mutex<Vec<u8>>>,
    /// Threads that collect both outputs; they end after the last output of the process.
    readers: Vec<JoinHandle<()>>,
    /// Whether reading the log is suspended.
    is_left: Arc<AtomicBool>,
}

impl Process {
    /// Starts it and collects its output.
    pub(crate) fn start(mut command: Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let stderr = Arc::<Mutex<String>>::default();
        let stdout = Arc::<Mutex<Vec<u8>>>::default();
        let is_left = Arc::<AtomicBool>::default();
        let readers = vec![
            collect_lines(
                child.stderr.take().unwrap(),
                Arc::clone(&stderr),
                Arc::clone(&is_left),
            ),
            collect_bytes(child.stdout.take().unwrap(), Arc::clone(&stdout)),
        ];
        Self {
            name,
            child,
            stderr,
            stdout,
            readers,
            is_left,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything read from its standard error so far. The relay can answer before it writes
    /// its log, so use [`Process::wait_for_log`] to check for a line.
    pub(crate) fn log(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Suspends reading the log, or resumes it.
    pub(crate) fn leave_log(&self, is_left: bool) {
        self.is_left.store(is_left, Ordering::SeqCst);
    }

    /// Everything that it has written to standard output so far.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.stdout.lock().unwrap().clone()
    }

    /// Waits for the first line of its log with `text`; panics if the process ends first.
    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        wait_for(&format!("{text:?} in the log of {}", self.name), || {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(text)) {
                return Some(line.to_owned());
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}: {}", self.name, self.log());
            }
            None
        })
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Kills it with SIGKILL, without a chance to clean up.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, and reads the rest of its output.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let status = wait_for(&format!("the end of {name} within {PATIENCE:?}"), || {
            self.child.try_wait().unwrap()
        });
        // A child process of it may keep the pipes open.
        let began = Instant::now();
        while !self.readers.iter().all(JoinHandle::is_finished) && began.elapsed() < LAST_WORDS {
            std::thread::sleep(Duration::from_millis(2));
        }
        status
    }

    /// Sends SIGTERM and waits for its end.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}---", self.name, self.log());
        }
    }
}

fn collect_lines(
    from: impl Read + Send + 'static,
    into: Arc<Mutex<String>>,
    is_left: Arc<AtomicBool>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            if is_left.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
                continue;
            }
            if !from.read_until(b'\n', &mut line).is_ok_and(|size| size > 0) {
                return;
            }
            into.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

fn collect_bytes(
    mut from: impl Read + Send + 'static,
    into: Arc<Mutex<Vec<u8>>>,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..size]);
        }
    })
}
