//! A process with three non-blocking pipes.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use mio::unix::pipe::{Receiver, Sender};
use mio::{Interest, Registry, Token};
use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroize;

/// Maximum number of bytes to read from a pipe before others have their turn.
const READ_SHARE: usize = 64 << 10;
/// Maximum length of a line of standard error in the log, in bytes.
const MAX_LINE: usize = 1000;
/// Maximum number of lines of standard error that a process may log as warnings; later ones are
/// logged for debugging only.
const MAX_LINES: usize = 20;

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Sender,
    stdout: Receiver,
    stderr: Receiver,
    /// Bytes not yet written to its standard input.
    outgoing: Vec<u8>,
    /// The incomplete last line of its standard error.
    line: Vec<u8>,
    lines: usize,
    /// The last turn left something to read or write.
    has_more: bool,
}

impl Process {
    /// Starts a program without a shell; its pipes have the tokens from `token` on.
    pub(super) fn start(command: &[String], registry: &Registry, token: Token) -> io::Result<Self> {
        let program = command.first().map(String::as_str).unwrap_or_default();
        let mut child = Command::new(program)
            .args(command.iter().skip(1))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is meant for the relay only, and killing the group also kills the process's
            // children.
            .process_group(0)
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let pipes = match pipes {
            (Some(stdin), Some(stdout), Some(stderr)) => {
                register(registry, token, stdin, stdout, stderr)
            }
            _ => Err(ErrorKind::BrokenPipe.into()),
        };
        match pipes {
            Ok((stdin, stdout, stderr)) => Ok(Self {
                child,
                stdin,
                stdout,
                stderr,
                outgoing: Vec::new(),
                line: Vec::new(),
                lines: 0,
                has_more: false,
            }),
            Err(error) => {
                kill_group(&child);
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Queues bytes for its standard input; [`Self::turn`] writes them.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
        self.has_more = true;
    }

    pub(super) fn has_more(&self) -> bool {
        self.has_more
    }

    /// Writes and reads as far as possible without waiting. Returns false if a pipe shows that the
    /// process has ended.
    pub(super) fn turn(&mut self, mut receive: impl FnMut(&[u8])) -> bool {
        self.has_more = false;
        let written = self.write();
        let output = read(&mut self.stdout, &mut receive);
        let mut text = Vec::new();
        let errors = read(&mut self.stderr, |bytes| text.extend_from_slice(bytes));
        self.note_errors(&text);
        self.has_more = matches!(output, Reading::More) || matches!(errors, Reading::More);
        written && !matches!(output, Reading::End)
    }

    fn write(&mut self) -> bool {
        while !self.outgoing.is_empty() {
            match self.stdin.write(&self.outgoing) {
                Ok(count) => {
                    self.outgoing.drain(..count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    fn note_errors(&mut self, text: &[u8]) {
        for byte in text {
            if *byte == b'\n' {
                self.log_line();
            } else if self.line.len() < MAX_LINE {
                self.line.push(*byte);
            }
        }
    }

    fn log_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        self.lines += 1;
        if self.lines <= MAX_LINES {
            log::warn!("--ntlm-helper: {line}");
        } else {
            log::debug!("--ntlm-helper: {line}");
        }
    }

    /// Kills it; the caller must wait for the child.
    pub(super) fn kill(mut self) -> Child {
        kill_group(&self.child);
        // Its last messages often contain the reason.
        self.turn(|_| ());
        self.log_line();
        self.child
    }

    /// Closes its input, which makes it exit; the caller must wait for the child.
    pub(super) fn close(self) -> Child {
        self.child
    }
}

type Pipes = (Sender, Receiver, Receiver);

fn register(
    registry: &Registry,
    Token(token): Token,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
) -> io::Result<Pipes> {
    let mut stdin = Sender::from(stdin);
    let mut stdout = Receiver::from(stdout);
    let mut stderr = Receiver::from(stderr);
    stdin.set_nonblocking(true)?;
    stdout.set_nonblocking(true)?;
    stderr.set_nonblocking(true)?;
    registry.register(&mut stdin, Token(token), Interest::WRITABLE)?;
    registry.register(&mut stdout, Token(token + 1), Interest::READABLE)?;
    registry.register(&mut stderr, Token(token + 2), Interest::READABLE)?;
    Ok((stdin, stdout, stderr))
}

enum Reading {
    /// Nothing more for now.
    Empty,
    /// The share is used up, and there may be more.
    More,
    /// The far end is closed.
    End,
}

fn read(pipe: &mut Receiver, mut receive: impl FnMut(&[u8])) -> Reading {
    let mut buffer = [0; 4096];
    for _ in 0..READ_SHARE / buffer.len() {
        match pipe.read(&mut buffer) {
            Ok(0) => return Reading::End,
            Ok(count) => {
                receive(buffer.get(..count).unwrap_or_default());
                // The bytes may contain a key.
                buffer.zeroize();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Reading::Empty,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Reading::End,
        }
    }
    Reading::More
}

/// Kills a process that has not been waited for, and its children.
pub(super) fn kill_group(child: &Child) {
    // This fails if the process has already ended.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}
