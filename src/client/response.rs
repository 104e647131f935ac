//! A collector's answers, as far as a source needs HTTP.

use super::Error;

/// Maximum number of header lines.
const HEADERS: usize = 32;
/// Maximum size of a head in bytes; that of a collector has a few hundred.
const HEAD: usize = 64 << 10;
/// Maximum size of a body in bytes: an enumeration of many subscriptions.
const BODY: usize = 8 << 20;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    /// The schemes of all `WWW-Authenticate` lines.
    pub(super) challenges: Vec<String>,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// Removes an answer from the front of `input` once it is complete.
pub(super) fn take(input: &mut Vec<u8>) -> Result<Option<Response>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let size = match parsed
        .parse(input)
        .map_err(|e| Error::Http(e.to_string()))?
    {
        httparse::Status::Complete(size) => size,
        httparse::Status::Partial if input.len() > HEAD => {
            return Err(Error::Http("the head is too long".into()));
        }
        httparse::Status::Partial => return Ok(None),
    };
    let status = parsed.code.unwrap_or_default();
    let header = |name: &str| {
        let found = parsed
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok())
    };
    let length = header("Content-Length").map_or(Ok(0), |text| text.trim().parse());
    let length = length.ok().filter(|length| *length <= BODY);
    let length = length.ok_or_else(|| Error::Http("bad Content-Length".into()))?;
    let offers = parsed.headers.iter();
    let offers = offers.filter(|h| h.name.eq_ignore_ascii_case("WWW-Authenticate"));
    let challenges = offers.map(|h| String::from_utf8_lossy(h.value).into_owned());
    let challenges = challenges.collect();
    let content_type = header("Content-Type").unwrap_or_default().to_owned();
    if input.len() < size + length {
        return Ok(None);
    }
    let body = input.drain(..size + length).skip(size).collect();
    // 100 Continue is not the answer.
    if (100..200).contains(&status) {
        return take(input);
    }
    Ok(Some(Response {
        status,
        challenges,
        content_type,
        body,
    }))
}
