//! From the body of a request to its envelope, and from an envelope to the body of its
//! answer: sealing, compression, encoding.
//!
//! The order is fixed by MS-WSMV: the sender encodes, compresses, and then seals. Answers
//! are never compressed, as those of Windows.

use std::fmt;
use std::time::Instant;

use super::login::Login;
use super::{Message, Refusal, RefusalKind, Shared};
use crate::auth::{self, SecurityContext};
use crate::base::wire::{self, Charset};
use crate::protocol::http::multipart::{self, Style};
use crate::protocol::http::{Body, ContentType, Head, Method, Request, Response};
use crate::protocol::sldc;

/// How the request being answered was encoded; the answer uses the same form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) charset: Charset,
    pub(super) sealed: Option<Style>,
    pub(super) keep_alive: bool,
    pub(super) is_head: bool,
}

impl Form {
    /// The form as far as the head determines it.
    pub(super) fn of(head: &Head) -> Self {
        Self {
            charset: Charset::Utf16,
            sealed: None,
            keep_alive: head.keep_alive(),
            is_head: head.method == Method::Head,
        }
    }

    /// The form of the last answer on a connection.
    pub(super) fn last() -> Self {
        Self {
            charset: Charset::Utf16,
            sealed: None,
            keep_alive: false,
            is_head: false,
        }
    }
}

/// Why a sealed body cannot be opened.
#[derive(Debug)]
enum Unopened {
    Parts(multipart::Error),
    NoContext,
    NoParts,
    Unseal(auth::Error),
    /// `Length=` of a part, and how many bytes are sealed.
    Length(usize, usize),
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts(error) => write!(f, "{error}"),
            Self::NoContext => write!(f, "a sealed body without a security context"),
            Self::NoParts => write!(f, "a sealed body without parts"),
            Self::Unseal(error) => write!(f, "{error}"),
            Self::Length(length, sealed) => write!(f, "Length={length} of {sealed} sealed bytes"),
        }
    }
}

impl From<Unopened> for Refusal {
    fn from(why: Unopened) -> Self {
        Self::new(RefusalKind::Sealing, 400, why.to_string())
    }
}

/// Turns a body into its envelope: unseals, decompresses, decodes. `began` is when the
/// request started to arrive.
pub(super) fn open(
    login: &mut Login,
    form: Form,
    request: Request,
    (rules, memory): Shared<'_>,
    began: Instant,
) -> Result<(Message, Form), Refusal> {
    let Request { head, body } = request;
    let (text, is_plain, form) = match body {
        Body::Bytes(body) => read(login, form, (&head, body), (rules, memory))?,
        Body::Text(text) => {
            if let Some(refusal) = login.refuse_unsealed(rules) {
                return Err(refusal);
            }
            let (text, is_plain) = text.finish();
            (text, is_plain, form)
        }
    };
    let message = Message {
        began,
        host: head.header("Host").map(str::to_owned),
        target: head.target,
        text,
        is_plain,
    };
    Ok((message, form))
}

/// Turns bytes into text. Also returns whether it is known to be plain.
fn read(
    login: &mut Login,
    form: Form,
    (head, mut body): (&Head, Vec<u8>),
    (rules, memory): Shared<'_>,
) -> Result<(String, bool, Form), Refusal> {
    let content_type = head.header("Content-Type").unwrap_or_default();
    let content_type = ContentType::parse(content_type).ok_or_else(|| {
        let reason = format!("Content-Type {content_type:?} is not supported");
        Refusal::new(RefusalKind::Http, 415, reason)
    })?;
    let plain;
    let form = if multipart::is_sealed(&content_type) {
        let sealed = unseal(login.context(), &content_type, &mut body)?;
        plain = body.get(sealed.data.clone()).unwrap_or_default();
        Form {
            charset: sealed.style.charset,
            sealed: Some(sealed.style),
            ..form
        }
    } else if let Some(refusal) = login.refuse_unsealed(rules) {
        return Err(refusal);
    } else {
        plain = &body;
        let charset = content_type.charset().unwrap_or_default();
        Form { charset, ..form }
    };
    let encoding = head.header("Content-Encoding");
    let (text, charset, is_plain) = decode(plain, encoding, form.charset, (rules, memory))?;
    Ok((text, is_plain, Form { charset, ..form }))
}

/// Unseals a body in place, with all its parts, whose texts are then adjacent. Returns the
/// first part and the range of the whole text.
fn unseal(
    context: Option<&mut SecurityContext>,
    content_type: &ContentType,
    body: &mut [u8],
) -> Result<multipart::Sealed, Unopened> {
    let parts = multipart::parse_all(content_type, body).map_err(Unopened::Parts)?;
    let context = context.ok_or(Unopened::NoContext)?;
    let mut whole: Option<multipart::Sealed> = None;
    for mut part in parts {
        let size = unseal_part(context, body, &part)?;
        let end = part.data.start + size;
        match &mut whole {
            None => {
                part.data.end = end;
                whole = Some(part);
            }
            Some(whole) => {
                body.copy_within(part.data.start..end, whole.data.end);
                whole.data.end += size;
            }
        }
    }
    whole.ok_or(Unopened::NoParts)
}

/// Turns an envelope into a body: encodes and seals.
pub(super) fn seal(
    context: Option<&mut SecurityContext>,
    form: Form,
    status: u16,
    text: &str,
) -> Response {
    let mut plain = wire::encode_text(text, form.charset);
    if let (Some(style), Some(context)) = (form.sealed, context) {
        let token = context.seal(&mut plain);
        let mut body = Vec::with_capacity(plain.len() + 400);
        let style = Style {
            charset: form.charset,
            ..style
        };
        multipart::emit(style, plain.len(), &token, &plain, &mut body);
        return Response::with_body(status, body)
            .header("Content-Type", multipart::content_type(style.mechanism));
    }
    let kind = match form.charset {
        Charset::Utf8 => "application/soap+xml;charset=UTF-8",
        Charset::Utf16 => "application/soap+xml;charset=UTF-16",
    };
    Response::with_body(status, plain).header("Content-Type", kind)
}

/// Unseals one part in place and returns the size of its text.
fn unseal_part(
    context: &mut SecurityContext,
    body: &mut [u8],
    part: &multipart::Sealed,
) -> Result<usize, Unopened> {
    let (front, data) = body
        .split_at_mut_checked(part.data.start)
        .unwrap_or_default();
    let data = data.get_mut(..part.data.len()).unwrap_or_default();
    let token = front.get(part.token.clone()).unwrap_or_default();
    let size = context.unseal(token, data).map_err(Unopened::Unseal)?;
    // Kerberos with RC4 counts its padding too.
    if part.length == data.len() || part.length == size {
        Ok(size)
    } else {
        Err(Unopened::Length(part.length, data.len()))
    }
}

/// Decompresses and decodes an unsealed body. Returns its text, its encoding, and whether
/// it is known to be plain.
fn decode(
    plain: &[u8],
    encoding: Option<&str>,
    declared: Charset,
    (rules, memory): Shared<'_>,
) -> Result<(String, Charset, bool), Refusal> {
    let mut inflated = None;
    let bytes = match encoding.map(str::trim) {
        None => plain,
        Some(name) if name.eq_ignore_ascii_case("identity") => plain,
        // Windows labels End as SLDC without compressing it.
        Some(name) if name.eq_ignore_ascii_case("SLDC") && sldc::is_plain(plain) => plain,
        Some(name) if name.eq_ignore_ascii_case("SLDC") => {
            let decoded = sldc::decode_into(memory.take_inflated(), plain, rules.limits.inflated)
                .map_err(|e| Refusal::new(RefusalKind::Encoding, 400, e.to_string()))?;
            &*inflated.insert(decoded)
        }
        Some(name) => {
            let reason = format!("Content-Encoding {name:?} is not supported, only SLDC");
            return Err(Refusal::new(RefusalKind::Encoding, 415, reason));
        }
    };
    let decoded = wire::decode_into(memory.take_text(), bytes, declared);
    let decoded = (decoded.text.into_owned(), decoded.charset, decoded.is_plain);
    if let Some(inflated) = inflated {
        memory.reuse_inflated(inflated);
    }
    Ok(decoded)
}
