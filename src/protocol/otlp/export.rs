//! Builds `ExportLogsServiceRequest` from records, and interprets the answers.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use super::push_attribute;
use super::wire::{Fields, Value, push_bytes, push_length};
use crate::protocol::http::answer::Answer;

/// The path of logs (OTLP 1.x, OTLP/HTTP request).
pub const PATH: &str = "/v1/logs";
/// Maximum number of characters of the receiver's text to repeat.
const QUOTE_MAX: usize = 200;

/// The resource that records belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Owner {
    host: String,
    /// Whether it is a Windows host, rather than the relay itself.
    is_windows: bool,
}

/// A request under construction. The records of one host are grouped under one resource.
#[derive(Debug, Default)]
pub struct Export {
    places: HashMap<Owner, usize>,
    /// Each owner with the `log_records` of its scope, already encoded.
    groups: Vec<(Owner, Vec<u8>)>,
}

impl Export {
    /// Adds an encoded `LogRecord`.
    pub fn push(&mut self, host: &str, is_windows: bool, record: &[u8]) {
        let owner = Owner {
            host: host.to_owned(),
            is_windows,
        };
        let next = self.groups.len();
        let place = *self.places.entry(owner.clone()).or_insert(next);
        if place == next {
            self.groups.push((owner, Vec::new()));
        }
        if let Some((_, records)) = self.groups.get_mut(place) {
            // ScopeLogs.log_records.
            push_bytes(records, 2, record);
        }
    }

    /// Completes the request; `version` is that of the instrumentation scope.
    #[must_use]
    pub fn finish(self, version: &str) -> Vec<u8> {
        let size: usize = self.groups.iter().map(|(_, r)| r.len() + 256).sum();
        let mut out = Vec::with_capacity(size);
        let mut scope = Vec::new();
        // InstrumentationScope.name and .version.
        push_bytes(&mut scope, 1, b"wecrelay");
        push_bytes(&mut scope, 2, version.as_bytes());
        for (owner, records) in self.groups {
            let mut group = Vec::with_capacity(records.len() + 128);
            // ResourceLogs.resource.
            push_bytes(&mut group, 1, &resource(&owner, version));
            let scope_size = super::field_len(scope.len());
            // ResourceLogs.scope_logs.
            push_length(&mut group, 2, scope_size + records.len());
            push_bytes(&mut group, 1, &scope);
            group.extend_from_slice(&records);
            // ExportLogsServiceRequest.resource_logs.
            push_bytes(&mut out, 1, &group);
        }
        out
    }
}

fn resource(owner: &Owner, version: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut attribute = |name, value: &str| {
        if !value.is_empty() {
            push_attribute(&mut out, 1, (name, ""), value);
        }
    };
    attribute("service.name", "wecrelay");
    attribute("service.version", version);
    attribute("host.name", &owner.host);
    if owner.is_windows {
        attribute("os.type", "windows");
    }
    out
}

/// What an answer means for the records of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All are accepted; a warning from the receiver, if any.
    Accepted(Option<String>),
    /// Some are rejected, and the receiver does not state which.
    Refused(String),
    /// The receiver accepts nothing now; the time after which it asks to be retried.
    Busy(String, Option<Duration>),
    /// The receiver accepts nothing until someone intervenes.
    Failed(String),
}

/// Interprets the answer to a request with `count` records (OTLP/HTTP response codes).
#[must_use]
pub fn judge(answer: &Answer, count: usize, wall: SystemTime) -> Verdict {
    let status = answer.status;
    let said = said(answer);
    match status {
        200..=299 => judge_success(answer, count),
        400 | 413 | 422 => Verdict::Refused(with_remedy(said, answer)),
        429 | 502 | 503 | 504 => Verdict::Busy(said, answer.retry_after(wall)),
        _ => Verdict::Failed(with_remedy(said, answer)),
    }
}

fn with_remedy(said: String, answer: &Answer) -> String {
    match remedy(answer) {
        "" => said,
        remedy => format!("{said}; {remedy}"),
    }
}

/// What the administrator can do about a status code; empty if nothing specific is known.
fn remedy(answer: &Answer) -> &'static str {
    match answer.status {
        300..=399 => "it is elsewhere: use that URL",
        401 | 407 => "it requires credentials: see ?headers=",
        403 => "it denies access: see ?headers=, and the rights of the credentials",
        404 => {
            "it accepts no logs at this path: use the whole URL, as in \
             otlp+http://HOST:4318/v1/logs"
        }
        405 => "it accepts no logs at this path: is this an OTLP receiver?",
        413 => "this exceeds its limit (max_request_body_size of the Collector)",
        415 => {
            "it does not accept this form: try ?compress=none, and check that it accepts protobuf"
        }
        426 | 505 => "it does not speak HTTP/1.1",
        _ => "",
    }
}

/// Status code and the receiver's text, as in `HTTP 503: overloaded`.
fn said(answer: &Answer) -> String {
    let status = answer.status;
    let words = match answer
        .header("location")
        .filter(|_| (300..400).contains(&status))
    {
        Some(location) => printable(location.as_bytes()),
        None => words(answer),
    };
    match words.as_str() {
        "" => format!("HTTP {status}"),
        words => format!("HTTP {status}: {words}"),
    }
}

/// The text in the body of a failure: that of a `google.rpc.Status`, or plain text.
fn words(answer: &Answer) -> String {
    if !is_protobuf(answer) {
        return printable(&answer.body);
    }
    let mut message = String::new();
    for field in Fields::new(&answer.body) {
        match field {
            // Status.message.
            Some((2, Value::Bytes(text))) => message = printable(text),
            Some(_) => {}
            None => return printable(&answer.body),
        }
    }
    message
}

fn is_protobuf(answer: &Answer) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-protobuf")
        || kind.eq_ignore_ascii_case("application/protobuf")
}

fn judge_success(answer: &Answer, count: usize) -> Verdict {
    let status = answer.status;
    // Receivers may omit an empty body.
    if answer.body.is_empty() {
        return Verdict::Accepted(None);
    }
    if !is_protobuf(answer) {
        let kind = answer.header("content-type").unwrap_or("no type");
        let kind = printable(kind.as_bytes());
        return Verdict::Failed(format!(
            "HTTP {status} with a body of {kind}, which is not an OTLP answer in protobuf: is this \
             an OTLP receiver, and the path correct?"
        ));
    }
    let Some((rejected, message)) = partial_success(&answer.body) else {
        return Verdict::Failed(format!(
            "HTTP {status} with a body that is not an ExportLogsServiceResponse"
        ));
    };
    match usize::try_from(rejected) {
        Ok(0) => Verdict::Accepted(Some(message).filter(|message| !message.is_empty())),
        Ok(rejected) if rejected <= count => {
            let words = match message.as_str() {
                "" => "no reason given",
                words => words,
            };
            Verdict::Refused(format!("{rejected} of {count} records rejected: {words}"))
        }
        _ => Verdict::Failed(format!(
            "HTTP {status} reports {rejected} of {count} records as rejected, which is impossible"
        )),
    }
}

/// `rejected_log_records` and `error_message` of an `ExportLogsServiceResponse`; `None` if
/// the body is not one.
fn partial_success(body: &[u8]) -> Option<(i64, String)> {
    let (mut rejected, mut message) = (0, String::new());
    for field in Fields::new(body) {
        // ExportLogsServiceResponse.partial_success.
        let (1, Value::Bytes(partial)) = field? else {
            continue;
        };
        for field in Fields::new(partial) {
            match field? {
                (1, Value::Integer(number)) => rejected = i64::from_ne_bytes(number.to_ne_bytes()),
                (2, Value::Bytes(text)) => message = printable(text),
                (1 | 2, _) => return None,
                _ => {}
            }
        }
    }
    Some((rejected, message))
}

/// The start of a text from the receiver, made safe to log.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..4 * QUOTE_MAX).unwrap_or(text));
    let text = text.trim().chars().take(QUOTE_MAX);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, kind: &str, body: &[u8]) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: body.to_vec(),
            keep_alive: true,
        }
    }

    fn verdict(status: u16, kind: &str, body: &[u8]) -> Verdict {
        judge(&answer(status, kind, body), 10, SystemTime::UNIX_EPOCH)
    }

    const PROTOBUF: &str = "application/x-protobuf";

    #[test]
    fn only_an_answer_that_rejects_nothing_accepts() {
        assert_eq!(verdict(200, PROTOBUF, b""), Verdict::Accepted(None));
        assert_eq!(verdict(204, "", b""), Verdict::Accepted(None));
        assert_eq!(verdict(200, PROTOBUF, b"\x0a\x00"), Verdict::Accepted(None));
        assert_eq!(
            verdict(200, PROTOBUF, b"\x0a\x04\x12\x02hm"),
            Verdict::Accepted(Some("hm".to_owned()))
        );
        let refused = "3 of 10 records rejected: no";
        assert_eq!(
            verdict(200, PROTOBUF, b"\x0a\x06\x08\x03\x12\x02no"),
            Verdict::Refused(refused.to_owned())
        );
    }

    #[test]
    fn answers_that_make_no_sense_confirm_nothing() {
        let minus_one = b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        let bad: [(&str, &[u8]); 6] = [
            (PROTOBUF, b"\x0a\x02\x08\x0b"),
            (PROTOBUF, minus_one),
            (PROTOBUF, b"\x0a\x05\x08"),
            (PROTOBUF, b"\x0a\x02\x0a\x00"),
            (PROTOBUF, b"<html>"),
            ("text/html", b"<html>welcome</html>"),
        ];
        for (kind, body) in bad {
            let verdict = verdict(200, kind, body);
            assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
        }
    }

    #[test]
    fn each_status_says_what_to_do() {
        let refused = |status| match verdict(status, PROTOBUF, b"\x08\x03\x12\x03bad") {
            Verdict::Refused(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(400), "HTTP 400: bad");
        assert_eq!(refused(422), "HTTP 422: bad");
        let why = refused(413);
        assert!(why.starts_with("HTTP 413: bad; "), "{why}");
        assert!(why.contains("max_request_body_size"), "{why}");
        let mut busy = answer(503, "text/plain", b"later\n");
        busy.headers
            .push(("retry-after".to_owned(), "9".to_owned()));
        assert_eq!(
            judge(&busy, 1, SystemTime::UNIX_EPOCH),
            Verdict::Busy("HTTP 503: later".to_owned(), Some(Duration::from_secs(9)))
        );
        for (status, remedy) in [
            (401, "?headers="),
            (404, "/v1/logs"),
            (415, "compress=none"),
        ] {
            match verdict(status, "text/plain", b"") {
                Verdict::Failed(why) => assert!(why.contains(remedy), "{why}"),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(
            verdict(500, "", b""),
            Verdict::Failed("HTTP 500".to_owned())
        );
    }

    #[test]
    fn records_of_a_host_stand_together() {
        let mut export = Export::default();
        export.push("a", true, b"1");
        export.push("b", true, b"2");
        export.push("a", true, b"3");
        let out = export.finish("v");
        let groups: Vec<_> = Fields::new(&out).map(Option::unwrap).collect();
        assert_eq!(groups.len(), 2);
        let (1, Value::Bytes(first)) = groups[0] else {
            panic!("{groups:?}");
        };
        let parts: Vec<_> = Fields::new(first).map(Option::unwrap).collect();
        let (2, Value::Bytes(scope)) = parts[1] else {
            panic!("{parts:?}");
        };
        let parts: Vec<_> = Fields::new(scope).map(Option::unwrap).collect();
        assert_eq!(
            parts[1..],
            [(2, Value::Bytes(b"1")), (2, Value::Bytes(b"3"))]
        );
    }
}
