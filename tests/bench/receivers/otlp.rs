//! OTLP over HTTP: answers 200 to each request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

const BUFFER: usize = 256 << 10;

pub(super) fn serve(stream: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (BufReader::with_capacity(BUFFER, stream), stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if from.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(number) = line.strip_prefix("Content-Length: ") {
                length = number.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        from.read_exact(&mut body)?;
        to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
    }
}
