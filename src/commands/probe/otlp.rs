//! Whether a receiver takes logs by OTLP/HTTP: an export without a record says so.

use std::io::ErrorKind;
use std::time::{Instant, SystemTime};

use super::{Line, took};
use crate::output::{Secret, Target};
use crate::protocol::http::answer::{Answer, Decoder};
use crate::protocol::otlp::export::{Verdict, judge};

/// Why an export is not taken.
pub(super) enum Error {
    /// Nothing came that is an answer of HTTP.
    NoAnswer(String),
    /// An answer of HTTP says so.
    Refused(String),
}

/// Sends an export without a record, and says what comes of it.
pub(super) fn export(
    mut line: Line,
    target: &Target,
    secret: &Secret,
    facts: &mut Vec<String>,
) -> Result<(), Error> {
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
        let count = line.write(rest);
        let count = count.map_err(|error| Error::NoAnswer(error.to_string()))?;
        rest = rest.get(count..).unwrap_or_default();
    }
    let answer = answer(&mut line).map_err(Error::NoAnswer)?;
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
        Verdict::Busy(why, None) => Err(Error::Refused(format!("{why}; it accepts nothing now"))),
        Verdict::Busy(why, Some(time)) => Err(Error::Refused(format!(
            "{why}; it accepts nothing now: retry in {} s",
            time.as_secs()
        ))),
        Verdict::Refused(why) | Verdict::Failed(why) => Err(Error::Refused(why)),
    }
}

fn answer(line: &mut Line) -> Result<Answer, String> {
    let mut decoder = Decoder::default();
    let mut buffer = [0; 4096];
    loop {
        match line.read(&mut buffer) {
            Ok(0) => {
                return decoder.handle_end().ok_or_else(|| {
                    "the receiver closed the connection instead of answering: is this port OTLP \
                     over HTTP (4318), and does it accept this relay's certificate?"
                        .to_owned()
                });
            }
            Ok(count) => decoder.feed(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(
                    "no answer to HTTP: is this port OTLP over HTTP (4318), and not gRPC (4317)?"
                        .to_owned(),
                );
            }
            Err(error) => return Err(error.to_string()),
        }
        let answer = decoder.poll().map_err(|error| {
            format!("{error}: is this port OTLP over HTTP (4318), and not gRPC (4317)?")
        })?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
}
