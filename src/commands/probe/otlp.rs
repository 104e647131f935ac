//! Probes a receiver of OTLP/HTTP with an export without records.

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use super::{Line, took};
use crate::output::{Secret, Target};
use crate::protocol::http::answer::{Answer, Decoder, Malformed};
use crate::protocol::otlp::export::{Verdict, judge};

/// Why an export fails.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// The receiver closes the connection instead of answering.
    Closed,
    /// The receiver does not answer in time.
    Silent,
    /// The connection fails.
    Io(io::Error),
    /// The answer is not HTTP.
    NotHttp(Malformed),
    /// The receiver rejects the export; the reason from its answer.
    Refused(String),
    /// The receiver is temporarily unavailable; the reason, and the time from `Retry-After`.
    Busy(String, Option<Duration>),
}

impl Failure {
    /// Whether the failure is an answer in HTTP, so that the protocol is confirmed.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Busy(..))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(
                f,
                "the receiver closed the connection instead of answering: is this port OTLP over \
                 HTTP (4318), and does it accept this relay's certificate?"
            ),
            Self::Silent => write!(
                f,
                "no answer to HTTP: is this port OTLP over HTTP (4318), and not gRPC (4317)?"
            ),
            Self::Io(error) => write!(f, "{error}"),
            Self::NotHttp(error) => write!(
                f,
                "{error}: is this port OTLP over HTTP (4318), and not gRPC (4317)?"
            ),
            Self::Refused(why) => f.write_str(why),
            Self::Busy(why, None) => write!(f, "{why}; it accepts nothing now"),
            Self::Busy(why, Some(time)) => write!(
                f,
                "{why}; it accepts nothing now: retry in {} s",
                time.as_secs()
            ),
        }
    }
}

impl std::error::Error for Failure {}

/// Sends an export without records, and evaluates the answer.
pub(super) fn export(
    mut line: Line,
    target: &Target,
    secret: &Secret,
    facts: &mut Vec<String>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut request = Vec::new();
    if let Some(mut endpoint) = target.endpoint() {
        if let Secret::Headers(headers) = secret {
            endpoint.set_headers(headers.clone());
        }
        endpoint.push_request(&mut request, &[]);
    }
    let mut rest = request.as_slice();
    while !rest.is_empty() {
        let count = line.write(rest).map_err(Failure::Io)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    let answer = answer(&mut line)?;
    match judge(&answer, 0, SystemTime::now()) {
        Verdict::Accepted(remark) => {
            facts.push(format!(
                "OTLP: HTTP {} in answer to an empty export ({})",
                answer.status,
                took(begun)
            ));
            facts.extend(remark.map(|remark| format!("it reports: {remark}")));
            Ok(())
        }
        Verdict::Busy(why, time) => Err(Failure::Busy(why, time)),
        Verdict::Refused(why) | Verdict::Failed(why) => Err(Failure::Refused(why)),
    }
}

fn answer(line: &mut Line) -> Result<Answer, Failure> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        match line.read(&mut buffer) {
            Ok(0) => return decoder.handle_end().ok_or(Failure::Closed),
            Ok(count) => decoder.feed(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Silent),
            Err(error) => return Err(Failure::Io(error)),
        }
        if let Some(answer) = decoder.poll().map_err(Failure::NotHttp)? {
            return Ok(answer);
        }
    }
}
