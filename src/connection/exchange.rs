//! One request: authenticate, unseal, decompress, decode; and its answer sealed.

use std::rc::Rc;

use super::{Connection, Established, Event, Form, Message, Phase, Refusal, RefusalKind, Rules};
use crate::auth::{self, Step, Verdict};
use crate::base::clock::Now;
use crate::base::wire::{self, Charset};
use crate::protocol::http::multipart::{self, Style};
use crate::protocol::http::{ContentType, Method, Request, Response};
use crate::protocol::sldc;

/// Failed authentications that one connection may have.
const ATTEMPTS: u8 = 3;

impl Connection {
    pub(super) fn handle_request(
        &mut self,
        now: Now,
        request: Request,
        rules: &Rules,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Event> {
        let form = Form {
            charset: Charset::Utf16,
            sealed: None,
            keep_alive: request.head.keep_alive(),
            is_head: request.head.method == Method::Head,
        };
        if request.head.method != Method::Post {
            let response = Response::empty(405).header("Allow", "POST");
            self.respond(now, form, response);
            let reason = format!("method {} on {}", request.head.method, request.head.target);
            return Some(Event::Refused(Refusal::new(RefusalKind::Http, 405, reason)));
        }
        if let Err(event) = self.authenticate(now, form, &request, rules, held, random) {
            if matches!(self.phase, Phase::Asking(_)) {
                self.held = Some(Box::new(request));
            }
            return event;
        }
        self.admit(now, form, request, rules)
    }

    /// Takes what the domain says of the account that [`Connection::question`] names.
    pub fn handle_verdict(&mut self, now: Now, verdict: Verdict, rules: &Rules) -> Option<Event> {
        let Phase::Asking(form) = self.phase else {
            return None;
        };
        self.phase = Phase::Open;
        self.moved = now.monotonic;
        let request = self.held.take()?;
        let step = self
            .acceptor
            .handle_verdict(verdict, self.address, &rules.auth);
        match self.take_step(now, form, step, || offer(&rules.auth)) {
            Ok(()) => self.admit(now, form, *request, rules),
            Err(event) => event,
        }
    }

    /// Answers a request that waits for the domain: it will not be asked.
    pub fn hold_back(&mut self, now: Now) -> Option<Event> {
        if !matches!(self.phase, Phase::Asking(_)) {
            return None;
        }
        self.held = None;
        Some(self.refuse_and_close(now, Refusal::too_many_failures()))
    }

    /// What an authenticated source asks.
    fn admit(&mut self, now: Now, form: Form, request: Request, rules: &Rules) -> Option<Event> {
        if request.body.is_empty() {
            self.respond(now, form, Response::empty(200));
            return None;
        }
        match self.open(form, request, rules) {
            Ok((message, form)) => {
                self.phase = Phase::Answering(form);
                Some(Event::Message(message))
            }
            Err(refusal) if refusal.kind == RefusalKind::Binding => {
                Some(self.demand_bindings(now, form, refusal, rules))
            }
            Err(refusal) => Some(self.refuse_and_close(now, refusal)),
        }
    }

    /// Lets a source begin once more: pywinrm sends its first ticket before it knows our
    /// certificate, and binds to it after a 401.
    fn demand_bindings(&mut self, now: Now, form: Form, refusal: Refusal, rules: &Rules) -> Event {
        self.failures += 1;
        self.established = None;
        self.token = None;
        let keep_alive = form.keep_alive && self.failures < ATTEMPTS;
        self.respond(now, Form { keep_alive, ..form }, offer(&rules.auth));
        Event::Refused(refusal)
    }

    /// Lets an authenticated request through; answers all others.
    pub(super) fn authenticate(
        &mut self,
        now: Now,
        form: Form,
        request: &Request,
        rules: &Rules,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), Option<Event>> {
        // WinRM sends a header that only says so (`secprofile/https/mutual`).
        if self.certificate().is_some() {
            return Ok(());
        }
        let authorization = request.head.header("Authorization");
        if authorization.is_none() && self.is_authenticated_for_good() {
            return Ok(());
        }
        if self.established.take().is_some() {
            // It starts over, with the time of a new connection.
            self.opened = now.monotonic;
            self.body_due = now.monotonic + self.patience;
        }
        let Some(authorization) = authorization else {
            let response = offer_all(self.is_secure(), now, rules, random);
            return Err(self.demand(now, form, request, response));
        };
        let step = self.judge(now, request, authorization, rules, random);
        if step.tried().is_some_and(held) {
            let refusal = Refusal::too_many_failures();
            return Err(Some(self.refuse_and_close(now, refusal)));
        }
        let is_secure = self.is_secure();
        let offer = || offer_all(is_secure, now, rules, random);
        self.take_step(now, form, step, offer)
    }

    /// Tells a source without a credential what is wanted, if anything but a certificate
    /// would do.
    fn demand(
        &mut self,
        now: Now,
        form: Form,
        request: &Request,
        offer: Response,
    ) -> Option<Event> {
        if offer.headers.is_empty() {
            self.respond(now, form, Response::empty(403));
            return Some(Event::Refused(Refusal::without_certificate()));
        }
        // A source that dialled anew first tries its old seals (1.9 of Windows' own
        // exchange): it begins once more where the connection ends.
        let content_type = request.head.header("Content-Type");
        let content_type = content_type.and_then(ContentType::parse);
        let is_stale = content_type.is_some_and(|kind| multipart::is_sealed(&kind));
        let keep_alive = form.keep_alive && !is_stale;
        self.respond(now, Form { keep_alive, ..form }, offer);
        None
    }

    /// `offer` is for whoever is refused.
    fn take_step(
        &mut self,
        now: Now,
        form: Form,
        step: Step,
        offer: impl FnOnce() -> Response,
    ) -> Result<(), Option<Event>> {
        match step {
            Step::Ask => {
                self.phase = Phase::Asking(form);
                Err(Some(Event::Ask))
            }
            Step::Challenge(token) => {
                self.respond(
                    now,
                    form,
                    Response::empty(401).header("WWW-Authenticate", token),
                );
                Err(None)
            }
            Step::Accept {
                identity,
                context,
                token,
                unsealed,
            } => {
                self.token = token;
                self.is_news = true;
                self.established = Some(Established {
                    identity: Rc::new(identity),
                    context,
                    unsealed,
                });
                Ok(())
            }
            Step::Deny(error) => Err(Some(self.deny(now, form, &error, offer()))),
        }
    }

    /// Whether further requests need no proof of their own.
    fn is_authenticated_for_good(&self) -> bool {
        let established = self.established.as_ref();
        established.is_some_and(|e| !e.identity.method.is_by_request())
    }

    fn judge(
        &mut self,
        now: Now,
        request: &Request,
        authorization: &str,
        rules: &Rules,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Step {
        let presented = auth::Presented {
            authorization,
            method: "POST",
            target: &request.head.target,
            body: &request.body,
            is_secure: self.is_secure(),
        };
        let passwords = rules.auth.passwords.as_ref();
        let step = passwords.and_then(|known| known.handle(&presented, now.wall, random));
        step.unwrap_or_else(|| {
            let (acceptor, address) = (&mut self.acceptor, self.address);
            acceptor.handle(authorization, address, &rules.auth, now.wall, random)
        })
    }

    pub(super) fn deny(
        &mut self,
        now: Now,
        form: Form,
        error: &auth::Error,
        offer: Response,
    ) -> Event {
        self.failures += 1;
        // A token that belongs to another connection: the source begins once more.
        let is_stale = matches!(error, auth::Error::OutOfTurn);
        let keep_alive = form.keep_alive && !is_stale && self.failures < ATTEMPTS;
        // A source that is told what is wrong gets that alone, as any other token.
        let response = match error.answer() {
            Some(answer) => Response::empty(401).header("WWW-Authenticate", answer),
            // A 401 names a scheme (RFC 9110 15.5.2).
            None if offer.headers.is_empty() => Response::empty(403),
            None => offer,
        };
        let status = response.status;
        self.respond(now, Form { keep_alive, ..form }, response);
        let kind = match error {
            auth::Error::DomainUnavailable { .. } => RefusalKind::Domain,
            auth::Error::Unbound { .. } | auth::Error::Target { .. } => RefusalKind::Binding,
            _ => RefusalKind::Authentication,
        };
        Event::Refused(Refusal {
            tried: error.tried().map(str::to_owned),
            ..Refusal::new(kind, status, error.reason()).of(error.method())
        })
    }

    /// Why a body may not come as it is, if so: neither TLS protects it, nor a flag lets it in.
    fn refuse_unsealed(&self, rules: &Rules) -> Option<Refusal> {
        let by_request = |e: &Established| e.identity.method.is_by_request();
        let established = self.established.as_ref();
        if !self.is_secure() {
            let takes = rules.allow_unencrypted || established.is_some_and(by_request);
            let reason = "the body is not sealed (--allow-unencrypted would accept it)";
            return (!takes).then(|| Refusal::new(RefusalKind::Sealing, 403, reason));
        }
        let unbound = established.filter(|e| !e.unsealed)?;
        let (who, remedy) = (&unbound.identity, auth::UNBOUND);
        let reason = format!(
            "{who} inside TLS, with neither channel bindings nor a sealed body: an attacker may be \
             relaying its logon; {remedy}"
        );
        let method = who.method.as_str();
        Some(Refusal::new(RefusalKind::Binding, 401, reason).of(method))
    }

    /// Body to envelope: unseal, decompress, decode.
    pub(super) fn open(
        &mut self,
        form: Form,
        request: Request,
        rules: &Rules,
    ) -> Result<(Message, Form), Refusal> {
        let Request { head, mut body } = request;
        let content_type = head.header("Content-Type").unwrap_or_default();
        let content_type = ContentType::parse(content_type).ok_or_else(|| {
            let reason = format!("Content-Type {content_type:?} is not supported");
            Refusal::new(RefusalKind::Http, 415, reason)
        })?;
        let plain;
        let form = if multipart::is_sealed(&content_type) {
            let sealed = self.unseal(&content_type, &mut body)?;
            plain = body.get(sealed.data.clone()).unwrap_or_default();
            Form {
                charset: sealed.style.charset,
                sealed: Some(sealed.style),
                ..form
            }
        } else if let Some(refusal) = self.refuse_unsealed(rules) {
            return Err(refusal);
        } else {
            plain = &body;
            let charset = content_type.charset().unwrap_or_default();
            Form { charset, ..form }
        };
        let encoding = head.header("Content-Encoding");
        let (text, charset, is_plain) = decode(plain, encoding, form.charset, rules)?;
        let host = head.header("Host").map(str::to_owned);
        let message = Message {
            began: self.handled_began,
            target: head.target,
            host,
            text,
            is_plain,
        };
        Ok((message, Form { charset, ..form }))
    }

    /// Unseals a body in place, all its parts, whose texts then lie together; gives the
    /// first part with the place of them all.
    pub(super) fn unseal(
        &mut self,
        content_type: &ContentType,
        body: &mut [u8],
    ) -> Result<multipart::Sealed, Refusal> {
        let refusal = |reason: String| Refusal::new(RefusalKind::Sealing, 400, reason);
        let parts = multipart::parse_all(content_type, body);
        let parts = parts.map_err(|e| refusal(e.to_string()))?;
        let context = self.established.as_mut().and_then(|e| e.context.as_mut());
        let Some(context) = context else {
            return Err(refusal("a sealed body without a security context".into()));
        };
        let mut whole: Option<multipart::Sealed> = None;
        for mut part in parts {
            let size = unseal_part(context, body, &part).map_err(refusal)?;
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
        whole.ok_or_else(|| refusal("a sealed body without parts".into()))
    }

    pub(super) fn seal(&mut self, form: Form, status: u16, text: &str) -> Response {
        let mut plain = wire::encode_text(text, form.charset);
        let context = self.established.as_mut().and_then(|e| e.context.as_mut());
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
        let kind = format!("application/soap+xml;charset={}", form.charset.name());
        Response::with_body(status, plain).header("Content-Type", kind)
    }
}

/// 401 with the methods that a connection is authenticated by.
fn offer(policy: &auth::Policy) -> Response {
    let words = policy.offers().into_iter();
    words.fold(Response::empty(401), |r, o| r.header("WWW-Authenticate", o))
}

/// 401 with all methods that are enabled.
fn offer_all(
    is_secure: bool,
    now: Now,
    rules: &Rules,
    random: &mut dyn FnMut(&mut [u8]),
) -> Response {
    let passwords = rules.auth.passwords.as_ref();
    let passwords = passwords.map(|known| known.offers(is_secure, now.wall, random));
    let passwords = passwords.unwrap_or_default().into_iter();
    passwords.fold(offer(&rules.auth), |r, o| r.header("WWW-Authenticate", o))
}

/// Unseals one part in place and gives the size of its text.
fn unseal_part(
    context: &mut auth::SecurityContext,
    body: &mut [u8],
    part: &multipart::Sealed,
) -> Result<usize, String> {
    let (front, data) = body
        .split_at_mut_checked(part.data.start)
        .unwrap_or_default();
    let data = data.get_mut(..part.data.len()).unwrap_or_default();
    let token = front.get(part.token.clone()).unwrap_or_default();
    let size = context.unseal(token, data).map_err(|e| e.to_string())?;
    // Kerberos with RC4 counts its padding too.
    match part.length == data.len() || part.length == size {
        true => Ok(size),
        false => Err(format!(
            "Length={} of {} sealed bytes",
            part.length,
            data.len()
        )),
    }
}

/// Decompresses and decodes an unsealed body: its text, how that was encoded, and whether it
/// is known to be plain.
fn decode(
    plain: &[u8],
    encoding: Option<&str>,
    declared: Charset,
    rules: &Rules,
) -> Result<(String, Charset, bool), Refusal> {
    let inflated;
    let bytes = match encoding.map(str::trim) {
        None => plain,
        Some(name) if name.eq_ignore_ascii_case("identity") => plain,
        // Windows labels an End as SLDC without compressing it.
        Some(name) if name.eq_ignore_ascii_case("SLDC") && sldc::is_plain(plain) => plain,
        Some(name) if name.eq_ignore_ascii_case("SLDC") => {
            inflated = sldc::decode(plain, rules.limits.inflated)
                .map_err(|e| Refusal::new(RefusalKind::Encoding, 400, e.to_string()))?;
            &inflated
        }
        Some(name) => {
            let reason = format!("Content-Encoding {name:?} is not supported, only SLDC");
            return Err(Refusal::new(RefusalKind::Encoding, 415, reason));
        }
    };
    let decoded = wire::decode(bytes, declared);
    let text = decoded.text.into_owned();
    Ok((text, decoded.charset, decoded.is_plain))
}
