//! Who the source of a connection is, and how it proves that: which requests may pass, and
//! how the others are answered.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::{Refusal, RefusalKind, Rules};
use crate::auth::{self, Acceptor, Certificate, Identity, Secured, SecurityContext, Step, Verdict};
use crate::base::clock::Now;
use crate::protocol::http::multipart;
use crate::protocol::http::{ContentType, Request, Response};
use crate::protocol::ntlm::Question;

/// Maximum number of failed authentications on one connection.
const ATTEMPTS: u8 = 3;

struct Established {
    identity: Rc<Identity>,
    /// What seals the bodies; `None` where TLS protects them.
    context: Option<SecurityContext>,
    /// Whether bodies inside TLS may be unsealed.
    unsealed: bool,
}

/// What happens to a request whose source has not authenticated.
#[derive(Debug)]
pub(super) enum Turn {
    /// It waits until the domain has been asked.
    Ask,
    /// It is answered.
    Reply {
        response: Response,
        /// Whether the connection stays open after the answer.
        keeps: bool,
        /// The rejection, if it is one: the challenge of a handshake is not.
        refusal: Option<Refusal>,
    },
    /// It is answered, and the connection closes.
    Close(Refusal),
}

/// The authentication state of a connection.
pub(super) struct Login {
    /// What the TLS handshake established; `None` without TLS.
    secured: Option<Secured>,
    acceptor: Acceptor,
    established: Option<Established>,
    /// Whether [`Login::take_new_identity`] has not returned the identity yet.
    is_new: bool,
    /// The last token of a handshake, sent with the next answer.
    token: Option<String>,
    failures: u8,
}

impl Login {
    pub(super) fn new() -> Self {
        Self {
            secured: None,
            acceptor: Acceptor::new(),
            established: None,
            is_new: false,
            token: None,
            failures: 0,
        }
    }

    /// Authenticates by certificate, if there is one; nothing else is required then.
    pub(super) fn secure(&mut self, secured: Secured) {
        self.acceptor = Acceptor::within_tls(secured.bindings);
        if let Some(certificate) = &secured.certificate {
            self.establish(Established {
                identity: Rc::new(Identity::from(&**certificate)),
                context: None,
                unsealed: true,
            });
        }
        self.secured = Some(secured);
    }

    fn establish(&mut self, established: Established) {
        self.is_new = true;
        self.established = Some(established);
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secured.is_some()
    }

    pub(super) fn certificate(&self) -> Option<&Arc<Certificate>> {
        self.secured.as_ref()?.certificate.as_ref()
    }

    pub(super) fn is_known(&self) -> bool {
        self.established.is_some()
    }

    pub(super) fn identity(&self) -> Option<&Rc<Identity>> {
        self.established.as_ref().map(|e| &e.identity)
    }

    pub(super) fn take_new_identity(&mut self) -> Option<Rc<Identity>> {
        let is_new = std::mem::take(&mut self.is_new);
        self.identity().filter(|_| is_new).cloned()
    }

    pub(super) fn question(&self) -> Option<Question> {
        self.acceptor.question()
    }

    /// What seals the bodies of this source.
    pub(super) fn context(&mut self) -> Option<&mut SecurityContext> {
        self.established.as_mut()?.context.as_mut()
    }

    #[cfg(test)]
    pub(super) fn replace_context(&mut self, context: SecurityContext) {
        let established = self.established.as_mut();
        established.unwrap().context = Some(context);
    }

    /// The token to send with the next answer, if any.
    pub(super) fn take_token(&mut self) -> Option<String> {
        self.token.take()
    }

    /// Whether a request needs no proof of its own.
    pub(super) fn covers(&self, request: &Request) -> bool {
        // WinRM sends an Authorization header that only states so
        // (`secprofile/https/mutual`).
        if self.certificate().is_some() {
            return true;
        }
        let is_for_good = |e: &Established| !e.identity.method.is_by_request();
        let is_for_good = self.established.as_ref().is_some_and(is_for_good);
        is_for_good && request.head.header("Authorization").is_none()
    }

    /// Forgets the identity; returns whether there was one.
    pub(super) fn forget(&mut self) -> bool {
        self.established.take().is_some()
    }

    /// Verifies the proof in a request; only `Ok` lets it pass. Attempts at an account that
    /// is `held` back get an answer that reveals nothing.
    pub(super) fn prove(
        &mut self,
        now: Now,
        address: IpAddr,
        request: &Request,
        rules: &Rules,
        held: &dyn Fn(&str) -> bool,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), Box<Turn>> {
        let Some(authorization) = request.head.header("Authorization") else {
            let turn = demand(request, self.offer_all(now, rules, random));
            return Err(Box::new(turn));
        };
        let step = self.judge(now, address, request, authorization, rules, random);
        if step.tried().is_some_and(held) {
            return Err(Box::new(Turn::Close(Refusal::too_many_failures())));
        }
        match step {
            Step::Deny(error) => {
                let offer = self.offer_all(now, rules, random);
                Err(Box::new(self.deny(&error, offer)))
            }
            step => self.take_step(step, &rules.auth),
        }
    }

    /// Handles the domain's verdict about the account in [`Login::question`].
    pub(super) fn handle_verdict(
        &mut self,
        verdict: Verdict,
        address: IpAddr,
        policy: &auth::Policy,
    ) -> Result<(), Box<Turn>> {
        let step = self.acceptor.handle_verdict(verdict, address, policy);
        self.take_step(step, policy)
    }

    fn judge(
        &mut self,
        now: Now,
        address: IpAddr,
        request: &Request,
        authorization: &str,
        rules: &Rules,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Step {
        let presented = auth::Presented {
            authorization,
            method: "POST",
            target: &request.head.target,
            body: request.body.bytes(),
            is_secure: self.is_secure(),
        };
        let passwords = rules.auth.passwords.as_ref();
        let step = passwords.and_then(|known| known.handle(&presented, now.wall, random));
        step.unwrap_or_else(|| {
            let acceptor = &mut self.acceptor;
            acceptor.handle(authorization, address, &rules.auth, now.wall, random)
        })
    }

    fn take_step(&mut self, step: Step, policy: &auth::Policy) -> Result<(), Box<Turn>> {
        match step {
            Step::Ask => Err(Box::new(Turn::Ask)),
            Step::Challenge(token) => Err(Box::new(Turn::Reply {
                response: Response::empty(401).header("WWW-Authenticate", token),
                keeps: true,
                refusal: None,
            })),
            Step::Accept {
                identity,
                context,
                token,
                unsealed,
            } => {
                self.token = token;
                self.establish(Established {
                    identity: Rc::new(identity),
                    context,
                    unsealed,
                });
                Ok(())
            }
            Step::Deny(error) => Err(Box::new(self.deny(&error, offer(policy)))),
        }
    }

    /// Answers a failed attempt; `offer` is used if there is no more specific answer.
    fn deny(&mut self, error: &auth::Error, offer: Response) -> Turn {
        self.failures += 1;
        // A token for another connection: the source has to start over.
        let is_stale = matches!(error, auth::Error::OutOfTurn);
        // A KRB-ERROR is sent like any other token.
        let response = match error.answer() {
            Some(answer) => Response::empty(401).header("WWW-Authenticate", answer),
            // A 401 must name a scheme (RFC 9110 15.5.2).
            None if offer.headers.is_empty() => Response::empty(403),
            None => offer,
        };
        let kind = match error {
            auth::Error::DomainUnavailable { .. } => RefusalKind::Domain,
            auth::Error::Unbound { .. } | auth::Error::Target { .. } => RefusalKind::Binding,
            _ => RefusalKind::Authentication,
        };
        let refusal = Refusal {
            tried: error.tried().map(str::to_owned),
            ..Refusal::new(kind, response.status, error.reason()).of(error.method())
        };
        Turn::Reply {
            response,
            keeps: !is_stale && self.failures < ATTEMPTS,
            refusal: Some(refusal),
        }
    }

    /// Lets a source start over: pywinrm sends its first ticket before it knows the
    /// server's certificate, and binds to it after a 401. Returns the answer, and whether
    /// the source may retry.
    pub(super) fn demand_bindings(&mut self, policy: &auth::Policy) -> (Response, bool) {
        self.failures += 1;
        self.established = None;
        self.token = None;
        (offer(policy), self.failures < ATTEMPTS)
    }

    /// Why an unsealed body is rejected; `None` if TLS protects it or the configuration
    /// allows it.
    pub(super) fn refuse_unsealed(&self, rules: &Rules) -> Option<Refusal> {
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

    /// A 401 that offers all enabled methods.
    fn offer_all(&self, now: Now, rules: &Rules, random: &mut dyn FnMut(&mut [u8])) -> Response {
        let passwords = rules.auth.passwords.as_ref();
        let passwords = passwords.map(|known| known.offers(self.is_secure(), now.wall, random));
        let passwords = passwords.unwrap_or_default().into_iter();
        passwords.fold(offer(&rules.auth), |r, o| r.header("WWW-Authenticate", o))
    }
}

/// A 401 that offers the methods that authenticate a connection.
fn offer(policy: &auth::Policy) -> Response {
    let words = policy.offers().into_iter();
    words.fold(Response::empty(401), |r, o| r.header("WWW-Authenticate", o))
}

/// Asks a source without credentials to authenticate, if anything but a certificate would
/// do.
fn demand(request: &Request, offer: Response) -> Turn {
    if offer.headers.is_empty() {
        return Turn::Reply {
            response: Response::empty(403),
            keeps: true,
            refusal: Some(Refusal::without_certificate()),
        };
    }
    // A source that has reconnected first sends a body sealed under its old context, as
    // Windows does; it starts over when the connection closes.
    let content_type = request.head.header("Content-Type");
    let content_type = content_type.and_then(ContentType::parse);
    Turn::Reply {
        response: offer,
        keeps: !content_type.is_some_and(|kind| multipart::is_sealed(&kind)),
        refusal: None,
    }
}
