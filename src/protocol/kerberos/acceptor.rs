//! From an AP-REQ to a session: the checks of RFC 4120 3.2.3 and RFC 4121 4.1.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::crypto::{Enctype, Key, Random, usage};
use super::gss::{self, Framing, Kind, Wishes};
use super::keytab::Keytab;
use super::messages::{
    self, ApReq, ApReqBody, Authenticator, AuthenticatorBody, EncTicketPart, EncTicketPartBody,
    EncryptionKey, Number, TicketBody, TransitedEncoding, ap_options, ticket_flags,
};
use super::pac::{self, Logon};
use super::ticket::{self, Opened, principal};
use super::{Error, Principal, Replays, SKEW, Session, answer};

/// Provides the keys of this server's services; implemented by the keytab files, which are
/// reread when they change.
pub trait Keytabs {
    /// The current keys.
    fn current(&self) -> Rc<Keytab>;
}

/// What all connections share.
#[derive(Clone)]
pub struct Service {
    /// The keytabs with this service's keys.
    pub keytabs: Rc<dyn Keytabs>,
    /// The authenticators already seen; kept across reloads, since forgetting them would
    /// allow replays.
    pub replays: Rc<RefCell<Replays>>,
    /// Whether RC4 tickets are accepted (`--kerberos-rc4`).
    pub rc4: bool,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("rc4", &self.rc4)
            .finish_non_exhaustive()
    }
}

/// What one connection requires.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// MD5 of the connection's channel bindings; compared only if the host sends some.
    pub channel_bindings: Option<[u8; 16]>,
    /// Whether the context must seal, because nothing else protects the bodies.
    pub sealing: bool,
}

/// A host that has authenticated.
#[derive(Debug)]
pub struct Accepted {
    /// Who it is: the account named by the PAC if there is one, else the ticket's client.
    pub client: Principal,
    /// The client name in the ticket, as text.
    pub ticket_client: String,
    /// The service name in the ticket.
    pub service: Principal,
    /// The host names that the keytab has keys for.
    pub hosts: Vec<String>,
    /// Whether the host sent channel bindings, and they match.
    pub is_bound: bool,
    /// Whether the context can seal bodies.
    pub seals: bool,
    /// The AP-REP that authenticates this server, if the host asked for one.
    pub reply: Option<Vec<u8>>,
    /// The keys and sequence numbers that seal bodies.
    pub session: Session,
    /// The verified content of the ticket's PAC; `None` if the ticket has none.
    pub logon: Option<Logon>,
}

/// A rejection, and what to send to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub error: Error,
    /// A KRB-ERROR, if the host can react to one, for example by correcting its clock.
    pub reply: Option<Vec<u8>>,
}

impl Service {
    /// Accepts a host's token: an AP-REQ, with or without a GSS frame.
    ///
    /// # Errors
    /// Why the ticket or authenticator was rejected.
    pub fn accept(
        &self,
        token: &[u8],
        rules: &Rules,
        wall: SystemTime,
        random: Random<'_>,
    ) -> Result<Accepted, Refused> {
        let silent = |error| Refused { error, reply: None };
        let (framing, message) = Framing::split(token).map_err(silent)?;
        let request = parse::<ApReq>("AP-REQ", message).map_err(silent)?.0;
        let exchange = Exchange {
            service: self,
            rules,
            now: since_epoch(wall),
            framing,
        };
        exchange.run(&request, random).map_err(|error| {
            let reply = answer::error(&error, &request.ticket.0, exchange.now);
            let reply = reply.map(|message| framing.wrap(Kind::Error, &message));
            Refused { error, reply }
        })
    }
}

/// One AP-REQ together with everything that the decision depends on.
struct Exchange<'a> {
    service: &'a Service,
    rules: &'a Rules,
    now: Duration,
    framing: Framing,
}

impl Exchange<'_> {
    fn run(&self, request: &ApReqBody, random: Random<'_>) -> Result<Accepted, Error> {
        check_kind(
            "AP-REQ",
            request.pvno,
            request.msg_type,
            messages::TYPE_AP_REQ,
        )?;
        if request.ap_options.has(ap_options::USE_SESSION_KEY) {
            return Err(Error::UserToUser);
        }
        let (opened, ticket) = self.open_ticket(&request.ticket.0)?;
        let session_key = self.key(&ticket.key)?;
        let sealed = &request.authenticator;
        let plain = session_key.decrypt(usage::AP_REQ_AUTHENTICATOR, &sealed.cipher.0);
        let plain = plain.map(Zeroizing::new);
        let plain = plain.map_err(|_| Error::AuthenticatorKey)?;
        let authenticator = parse::<Authenticator>("authenticator", &plain)?.0;
        let client = principal(&ticket.cname, &ticket.crealm);
        self.check_times(&ticket)?;
        self.check_client(&ticket, &authenticator, &client)?;
        let logon = pac::of_ticket(&ticket, &opened.key).map_err(|error| Error::Pac {
            client: client.clone(),
            error,
        })?;
        check_way(&opened.realm, &ticket, &client, logon.is_some())?;
        let wishes = self.check_checksum(&authenticator)?;
        let mutual = request.ap_options.has(ap_options::MUTUAL_REQUIRED);
        let seals = self.check_protection(&wishes, mutual)?;
        self.check_replay(&authenticator, &sealed.cipher.0, &client)?;
        let chosen = self.choose_key(&session_key, &authenticator, mutual, &mut *random)?;
        let reply = if mutual {
            let ours = (&chosen.key, chosen.number);
            Some(answer::reply(
                &session_key,
                &authenticator,
                ours,
                &mut *random,
            )?)
        } else {
            None
        };
        let theirs = authenticator.seq_number.map_or(0, Number::to_u32);
        let is_bound = self.rules.channel_bindings == Some(wishes.bindings);
        Ok(Accepted {
            client: match &logon {
                Some(logon) => Principal::account(&logon.name, &ticket.crealm),
                None => Principal::new(&ticket.cname, &ticket.crealm),
            },
            ticket_client: client,
            service: Principal::new(&request.ticket.0.sname, &request.ticket.0.realm),
            hosts: opened.hosts,
            is_bound,
            seals,
            reply: reply.map(|message| self.framing.wrap(Kind::ApRep, &message)),
            session: chosen.session(theirs, random),
            logon,
        })
    }

    fn open_ticket(&self, ticket: &TicketBody) -> Result<(Opened, EncTicketPartBody), Error> {
        if ticket.tkt_vno != messages::VERSION {
            let found = (ticket.tkt_vno.0, 1);
            return Err(Error::Version {
                what: "ticket",
                found,
            });
        }
        let enctype = self.enctype(ticket.enc_part.etype)?;
        let keytab = self.service.keytabs.current();
        let opened = ticket::open(&keytab, ticket, enctype)?;
        let part = parse::<EncTicketPart>("ticket", &opened.plain)?.0;
        if part.flags.has(ticket_flags::INVALID) {
            return Err(Error::TicketInvalid);
        }
        Ok((opened, part))
    }

    /// Checks that an encryption type is known and allowed.
    fn enctype(&self, number: Number) -> Result<Enctype, Error> {
        let enctype = i32::try_from(number.0).ok().and_then(Enctype::from_number);
        match enctype {
            None => Err(Error::Enctype(number.0)),
            Some(Enctype::Rc4Hmac) if !self.service.rc4 => Err(Error::Rc4),
            Some(enctype) => Ok(enctype),
        }
    }

    fn key(&self, key: &EncryptionKey) -> Result<Key, Error> {
        let enctype = self.enctype(key.keytype)?;
        Key::new(enctype, &key.keyvalue.0).ok_or(Error::KeyLength)
    }

    fn check_times(&self, ticket: &EncTicketPartBody) -> Result<(), Error> {
        let begin = ticket.starttime.unwrap_or(ticket.authtime);
        let (begin, end) = (begin.to_unix_duration(), ticket.endtime.to_unix_duration());
        if let Some(early) = begin.checked_sub(self.now).filter(|early| *early > SKEW) {
            return Err(Error::NotYetValid(early.as_secs()));
        }
        match self.now.checked_sub(end).filter(|late| *late > SKEW) {
            Some(late) => Err(Error::Expired(late.as_secs())),
            None => Ok(()),
        }
    }

    fn check_client(
        &self,
        ticket: &EncTicketPartBody,
        authenticator: &AuthenticatorBody,
        client: &str,
    ) -> Result<(), Error> {
        let same = ticket.crealm == authenticator.crealm
            && ticket.cname.name_string == authenticator.cname.name_string;
        if !same {
            return Err(Error::OtherClient {
                ticket: client.to_owned(),
                authenticator: principal(&authenticator.cname, &authenticator.crealm),
            });
        }
        let at = time(authenticator);
        if at.abs_diff(self.now) > SKEW {
            let (theirs, ours) = (seconds(at), seconds(self.now));
            return Err(Error::Skew {
                ahead: theirs.saturating_sub(ours),
                client: client.to_owned(),
            });
        }
        Ok(())
    }

    fn check_checksum(&self, authenticator: &AuthenticatorBody) -> Result<Wishes, Error> {
        let checksum = authenticator.cksum.as_ref();
        let checksum = checksum.filter(|checksum| checksum.cksumtype.0 == gss::CHECKSUM);
        let wishes = checksum.and_then(|checksum| Wishes::parse(&checksum.checksum.0));
        let wishes = wishes.ok_or(Error::Checksum)?;
        if wishes.flags & gss::flags::DCE_STYLE != 0 {
            return Err(Error::DceStyle);
        }
        match self.rules.channel_bindings {
            // 16 zero bytes: the host sent no channel bindings.
            Some(ours) if wishes.bindings != [0; 16] => {
                let same: bool = ours.ct_eq(&wishes.bindings).into();
                same.then_some(wishes).ok_or(Error::ChannelBindings)
            }
            _ => Ok(wishes),
        }
    }

    /// On plain HTTP the context must provide what TLS does elsewhere. Returns whether it
    /// can seal.
    fn check_protection(&self, wishes: &Wishes, mutual: bool) -> Result<bool, Error> {
        let has = |flag: u32| wishes.flags & flag != 0;
        let missing = if !mutual || !has(gss::flags::MUTUAL) {
            "mutual authentication"
        } else if !has(gss::flags::CONFIDENTIALITY) {
            "confidentiality"
        } else if !has(gss::flags::INTEGRITY) {
            "integrity"
        } else {
            return Ok(true);
        };
        if self.rules.sealing {
            Err(Error::Unprotected(missing))
        } else {
            Ok(has(gss::flags::CONFIDENTIALITY))
        }
    }

    fn check_replay(
        &self,
        authenticator: &AuthenticatorBody,
        cipher: &[u8],
        client: &str,
    ) -> Result<(), Error> {
        let mut replays = self.service.replays.borrow_mut();
        if replays.note(self.now, time(authenticator), cipher) {
            Ok(())
        } else {
            Err(Error::Replay {
                client: client.to_owned(),
            })
        }
    }

    /// Chooses the session's key. With a reply it is a newly generated subkey, as Windows
    /// collectors do (RFC 4121 2); not for RC4, which has no acceptor subkey (RFC 4757 7).
    fn choose_key(
        &self,
        session_key: &Key,
        authenticator: &AuthenticatorBody,
        mutual: bool,
        random: Random<'_>,
    ) -> Result<Chosen, Error> {
        let subkey = authenticator.subkey.as_ref().map(|key| self.key(key));
        let theirs = subkey.transpose()?.unwrap_or_else(|| session_key.clone());
        let mut number = [0; 4];
        random(&mut number);
        Ok(Chosen {
            key: if mutual && theirs.enctype() != Enctype::Rc4Hmac {
                Key::generate(theirs.enctype(), &mut *random)
            } else {
                theirs
            },
            is_ours: mutual,
            // Some implementations encode the number as signed.
            number: u32::from_be_bytes(number) >> 2,
        })
    }
}

/// Rejects a client of another realm whose ticket passed through further realms, each of
/// which could have forged it. Exceptions: our KDC has checked the path (RFC 4120 2.7), or
/// there is a PAC, whose SIDs our KDC has filtered; domains rely on that (MS-PAC 4.1.2.2).
fn check_way(
    realm: &str,
    ticket: &EncTicketPartBody,
    client: &str,
    has_account: bool,
) -> Result<(), Error> {
    let is_ours = ticket.crealm.0.eq_ignore_ascii_case(realm);
    let transited = ticket.transited.decode_as::<TransitedEncoding>();
    let is_direct = transited.is_ok_and(|transited| transited.contents.0.is_empty());
    let is_checked = ticket.flags.has(ticket_flags::TRANSITED_POLICY_CHECKED);
    if is_ours || is_direct || is_checked || has_account {
        Ok(())
    } else {
        Err(Error::Transited(client.to_owned()))
    }
}

/// The key of a session, and the sequence number of our first message in it.
struct Chosen {
    key: Key,
    /// Whether it is our subkey, which the AP-REP conveys.
    is_ours: bool,
    number: u32,
}

impl Chosen {
    fn session(&self, theirs: u32, random: Random<'_>) -> Session {
        let (ours, theirs) = (self.number.into(), theirs.into());
        Session::accept(&self.key, self.is_ours, ours, theirs, random)
    }
}

fn parse<T>(what: &'static str, bytes: &[u8]) -> Result<T, Error>
where
    T: for<'a> der::Decode<'a, Error = der::Error>,
{
    messages::read(bytes).map_err(|error| Error::Malformed { what, error })
}

fn check_kind(what: &'static str, pvno: Number, kind: Number, right: Number) -> Result<(), Error> {
    let found = (pvno.0, kind.0);
    if pvno == messages::VERSION && kind == right {
        Ok(())
    } else {
        Err(Error::Version { what, found })
    }
}

/// An authenticator's time, including its microseconds, since 1970.
fn time(authenticator: &AuthenticatorBody) -> Duration {
    let micros = u64::try_from(authenticator.cusec.0).unwrap_or_default();
    authenticator.ctime.to_unix_duration() + Duration::from_micros(micros.min(999_999))
}

fn since_epoch(wall: SystemTime) -> Duration {
    wall.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
