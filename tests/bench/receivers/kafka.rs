//! A Kafka broker that is the leader of the only partition of any topic, and confirms each batch.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

const BUFFER: usize = 256 << 10;
const PRODUCE: i16 = 0;
const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const INIT_PRODUCER_ID: i16 = 22;
/// The supported requests: API key, and the only version, without tagged fields.
const VERSIONS: [(i16, i16); 4] = [
    (PRODUCE, 8),
    (METADATA, 7),
    (API_VERSIONS, 0),
    (INIT_PRODUCER_ID, 1),
];

pub(super) fn serve(stream: &TcpStream, own: SocketAddr) -> io::Result<()> {
    let (mut from, mut to) = (BufReader::with_capacity(BUFFER, stream), stream);
    let mut request = Vec::new();
    loop {
        let mut length = [0; 4];
        match from.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(io::Error::other)?;
        request.resize(length, 0);
        from.read_exact(&mut request)?;
        let answer = answer(&request, own).ok_or_else(|| io::Error::other("a strange request"))?;
        let length = i32::try_from(answer.len()).map_err(io::Error::other)?;
        to.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
    }
}

fn answer(request: &[u8], own: SocketAddr) -> Option<Vec<u8>> {
    let mut request = Request(request);
    let (api, version) = (request.i16()?, request.i16()?);
    if !VERSIONS.contains(&(api, version)) {
        return None;
    }
    let mut out = Vec::new();
    put(&mut out, request.i32()?.to_be_bytes());
    request.string()?;
    match api {
        API_VERSIONS => {
            put(&mut out, 0_i16.to_be_bytes());
            put(&mut out, count(VERSIONS.len())?);
            for (key, version) in VERSIONS {
                for number in [key, version, version] {
                    put(&mut out, number.to_be_bytes());
                }
            }
        }
        INIT_PRODUCER_ID => {
            // No throttle, no error; number 1, epoch 0.
            put(&mut out, [0; 6]);
            put(&mut out, 1_i64.to_be_bytes());
            put(&mut out, [0; 2]);
        }
        METADATA => {
            request.i32()?;
            push_metadata(&mut out, request.string()?, own)?;
        }
        _ => push_produced(&mut out, request)?,
    }
    Some(out)
}

fn push_metadata(out: &mut Vec<u8>, topic: &[u8], own: SocketAddr) -> Option<()> {
    put(out, [0; 4]);
    // Broker 0, in no rack.
    put(out, count(1)?);
    put(out, [0; 4]);
    push_string(out, own.ip().to_string().as_bytes())?;
    put(out, i32::from(own.port()).to_be_bytes());
    put(out, [0xff; 2]);
    // No cluster ID; the controller.
    put(out, [0xff; 2]);
    put(out, [0; 4]);
    put(out, count(1)?);
    put(out, [0; 2]);
    push_string(out, topic)?;
    put(out, [0]);
    // Partition 0, its leader, its epoch; replicas, in-sync replicas, offline replicas.
    put(out, count(1)?);
    put(out, [0; 14]);
    for _ in 0..2 {
        put(out, count(1)?);
        put(out, [0; 4]);
    }
    put(out, [0; 4]);
    Some(())
}

/// Confirms the batches of a request.
fn push_produced(out: &mut Vec<u8>, mut request: Request<'_>) -> Option<()> {
    request.string()?;
    request.take(6)?;
    let topics = request.i32()?;
    put(out, topics.to_be_bytes());
    for _ in 0..topics {
        push_string(out, request.string()?)?;
        let partitions = request.i32()?;
        put(out, partitions.to_be_bytes());
        for _ in 0..partitions {
            put(out, request.i32()?.to_be_bytes());
            let length = request.i32()?;
            request.take(usize::try_from(length).ok()?)?;
            // No error; offsets and times, which are unused; no record errors.
            put(out, [0; 2 + 24 + 4]);
            put(out, [0xff; 2]);
        }
    }
    put(out, [0; 4]);
    Some(())
}

fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&bytes);
}

fn count(number: usize) -> Option<[u8; 4]> {
    i32::try_from(number).ok().map(i32::to_be_bytes)
}

fn push_string(out: &mut Vec<u8>, text: &[u8]) -> Option<()> {
    put(out, i16::try_from(text.len()).ok()?.to_be_bytes());
    out.extend_from_slice(text);
    Some(())
}

struct Request<'a>(&'a [u8]);

impl<'a> Request<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*number))
    }

    fn i32(&mut self) -> Option<i32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*number))
    }

    /// A length of -1 stands for null.
    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.i16()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }
}
