//! A RELP receiver that rejects messages as configured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// What a receiver does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Take,
    /// Answers 500.
    Refuse,
    /// Does not answer it, and continues.
    PassOver,
    /// Closes the session.
    End,
}

/// The receiver, which listens until the test ends.
pub(crate) struct RelpSink {
    port: u16,
}

impl RelpSink {
    /// Listens on a free port; `open` returns the function that judges a session's messages.
    pub(crate) fn start<J>(open: impl Fn() -> J + Send + 'static) -> Self
    where
        J: FnMut(&[u8]) -> Verdict + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let judge = open();
                // A broken connection is not an error here.
                thread::spawn(move || stream.and_then(|stream| serve(&stream, judge)));
            }
        });
        Self { port }
    }

    /// The URL of an output to this receiver.
    pub(crate) fn url(&self) -> String {
        format!("relp://127.0.0.1:{}", self.port)
    }
}

fn serve(stream: &TcpStream, mut judge: impl FnMut(&[u8]) -> Verdict) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut from, mut to) = (BufReader::new(stream), stream);
    loop {
        let number = word(&mut from)?;
        let command = word(&mut from)?;
        let data = data(&mut from)?;
        let verdict = match command.as_str() {
            "syslog" => judge(&data),
            _ => Verdict::Take,
        };
        let answer = match (command.as_str(), verdict) {
            ("open", _) => "200 OK\nrelp_version=0\nrelp_software=test\ncommands=syslog",
            ("syslog", Verdict::Take) => "200 OK",
            ("syslog", Verdict::Refuse) => "500 not this one",
            ("syslog", Verdict::PassOver) => continue,
            ("syslog", Verdict::End) => return Ok(()),
            _ => {
                writeln!(to, "{number} rsp 0\n0 serverclose 0")?;
                return Ok(());
            }
        };
        writeln!(to, "{number} rsp {} {answer}", answer.len())?;
    }
}

/// Reads up to the next blank.
fn word(from: &mut impl BufRead) -> std::io::Result<String> {
    let mut word = Vec::new();
    from.read_until(b' ', &mut word)?;
    if word.pop() != Some(b' ') {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&word).into_owned())
}

/// Reads a length; unless it is 0, a blank and that much data; and a line feed.
fn data(from: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    let next = loop {
        let mut byte = [0];
        from.read_exact(&mut byte)?;
        match byte[0] {
            digit @ b'0'..=b'9' => length = length * 10 + usize::from(digit - b'0'),
            other => break other,
        }
    };
    if next == b'\n' {
        return Ok(Vec::new());
    }
    let mut data = vec![0; length + 1];
    from.read_exact(&mut data)?;
    data.pop();
    Ok(data)
}
