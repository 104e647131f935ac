use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::base::clock::FileTime;
use crate::protocol::ntlm::crypto::NtHash;
use crate::protocol::ntlm::initiator::{self, Client, ClientAccount, ExpectChallenge, Nonces};
use crate::protocol::ntlm::{Reason, Session};
use crate::protocol::spnego::{Mechanism, NegState, NegTokenInit, NegTokenResp, Token};

// A null session between two Windows machines.
const NEGOTIATE: &str = "Negotiate TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKALpHAAAADw==";
const CHALLENGE: &str = "Negotiate TlRMTVNTUAACAAAAHgAeADgAAAA1goriYUObmGwEm2EAAAAAAAAAAJgAmABWAAAACgC6RwAAAA9XAEkATgAtAEcAMABGADkAQgBEAEwARgBHAEwARwACAB4AVwBJAE4ALQBHADAARgA5AEIARABMAEYARwBMAEcAAQAeAFcASQBOAC0ARwAwAEYAOQBCAEQATABGAEcATABHAAQAHgBEAEUAUwBLAFQATwBQAC0ANgBFAEYARQBNAEIAQgADAB4ARABFAFMASwBUAE8AUAAtADYARQBGAEUATQBCAEIABwAIAG8+avgiBNYBAAAAAA==";
const AUTHENTICATE: &str = "Negotiate TlRMTVNTUAADAAAAAQABAHYAAAAAAAAAdwAAAAAAAABYAAAAAAAAAFgAAAAeAB4AWAAAABAAEAB3AAAANYqI4goAukcAAAAPmD0yQwTKWnFp1Uy4jLim4lcASQBOAC0AVAAyADEATABVAE4ANgBEAEoASwA2AAAEjYlhpb73BYOeiGamkT8s";
const SERVER_CHALLENGE: [u8; 8] = [0x61, 0x43, 0x9b, 0x98, 0x6c, 0x04, 0x9b, 0x61];

struct One;

impl ntlm::Accounts for One {
    fn find(&self, user: &str, domain: &str) -> Option<ntlm::Known> {
        let known = (user, domain) == ("forwarder", "EXAMPLE");
        known.then(|| ntlm::Known {
            name: ntlm::Name {
                domain: Some(domain.to_owned()),
                user: user.to_owned(),
            },
            hash: NtHash::from_password("Correct-Horse-7"),
        })
    }
}

fn policy() -> Policy {
    Policy {
        anonymous: vec![
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/64".parse().unwrap(),
        ],
        accounts: Rc::new(One),
        has_accounts: true,
        ntlmv1: false,
        passwords: None,
        domain: false,
        server: ntlm::Server {
            computer: "WIN-G0F9BDLFGLG".into(),
            domain: "WIN-G0F9BDLFGLG".into(),
            dns_computer: "DESKTOP-6EFEMBB".into(),
            dns_domain: "DESKTOP-6EFEMBB".into(),
        },
        kerberos: None,
        bindings: Bindings::Require,
        names: Vec::new(),
    }
}

/// One connection in memory: our acceptor and what it sees.
struct Connection {
    acceptor: Acceptor,
    policy: Policy,
    peer: IpAddr,
}

impl Connection {
    fn from(peer: &str) -> Self {
        Self {
            acceptor: Acceptor::new(),
            policy: policy(),
            peer: peer.parse().unwrap(),
        }
    }

    fn handle(&mut self, authorization: &str) -> Step {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_585_305_129_711_985_500);
        let mut random = |bytes: &mut [u8]| bytes.copy_from_slice(&SERVER_CHALLENGE);
        self.acceptor
            .handle(authorization, self.peer, &self.policy, wall, &mut random)
    }

    fn challenge(&mut self, authorization: &str) -> String {
        match self.handle(authorization) {
            Step::Challenge(value) => value,
            other => panic!("{other:?}"),
        }
    }

    fn accept(&mut self, authorization: &str) -> (Identity, SecurityContext, Option<String>) {
        match self.handle(authorization) {
            Step::Accept {
                identity,
                context,
                token,
                ..
            } => (identity, context.unwrap(), token),
            other => panic!("{other:?}"),
        }
    }

    fn deny(&mut self, authorization: &str) -> Error {
        match self.handle(authorization) {
            Step::Deny(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn header(token: &[u8]) -> String {
    format!("Negotiate {}", STANDARD.encode(token))
}

fn token(value: &str) -> Vec<u8> {
    STANDARD.decode(value.split_once(' ').unwrap().1).unwrap()
}

fn resp(value: &str) -> NegTokenResp {
    match Token::parse(&token(value)).unwrap() {
        Token::Resp(resp) => resp,
        Token::Init(_) => panic!("not a resp"),
    }
}

fn account() -> Client {
    let account = ClientAccount {
        user: "forwarder".into(),
        domain: "EXAMPLE".into(),
        hash: NtHash::from_password("Correct-Horse-7"),
    };
    Client::with_account("source01", account)
}

fn answer(source: ExpectChallenge, challenge: &[u8]) -> (Vec<u8>, Session) {
    let nonces = Nonces {
        session_key: [5; 16],
        client_challenge: [6; 8],
    };
    source
        .handle(challenge, &nonces, FileTime::default())
        .unwrap()
}

fn raw(connection: &mut Connection, client: Client) -> (String, Session) {
    let (negotiate, source) = initiator::start(client);
    let challenge = connection.challenge(&header(&negotiate));
    let (authenticate, session) = answer(source, &token(&challenge));
    (header(&authenticate), session)
}

/// Plays a source that uses SPNEGO up to its last token, signed or not.
fn wrapped(
    connection: &mut Connection,
    client: Client,
    mechanisms: &[Mechanism],
    signed: bool,
) -> (String, Session) {
    let (negotiate, source) = initiator::start(client);
    let preferred = mechanisms[0] == Mechanism::Ntlm;
    let first = if preferred { &negotiate[..] } else { b"AP-REQ" };
    let init = NegTokenInit::new(mechanisms.to_vec(), first);
    let mut challenge = resp(&connection.challenge(&header(&init.emit())));
    assert_eq!(challenge.mechanism, Some(Mechanism::Ntlm));
    if !preferred {
        assert_eq!(challenge.state, Some(NegState::RequestMic));
        assert_eq!(challenge.token, None);
        let own = NegTokenResp {
            token: Some(negotiate),
            ..NegTokenResp::default()
        };
        challenge = resp(&connection.challenge(&header(&own.emit())));
    }
    assert_eq!(challenge.state, Some(NegState::AcceptIncomplete));
    let (authenticate, mut session) = answer(source, &challenge.token.unwrap());
    let last = NegTokenResp {
        state: Some(NegState::AcceptIncomplete),
        token: Some(authenticate),
        mic: signed.then(|| session.sign_mechanisms(&init.list).to_vec()),
        mechanism: None,
    };
    (header(&last.emit()), session)
}

fn talk(context: &mut SecurityContext, source: &mut Session) {
    for size in [0_u32, 3, 2600] {
        let plain: Vec<u8> = (0..size).map(|i| i.to_le_bytes()[0]).collect();
        let mut data = plain.clone();
        let token = source.seal(&mut data);
        assert_eq!(context.unseal(&token, &mut data), Ok(data.len()));
        assert_eq!(data, plain);
        let token = context.seal(&mut data);
        assert_eq!(source.unseal(&token, &mut data), Ok(()));
        assert_eq!(data, plain);
    }
}

#[test]
fn the_exchange_of_two_windows_machines_is_reproduced() {
    let mut connection = Connection::from("192.0.2.7");
    assert_eq!(connection.challenge(NEGOTIATE), CHALLENGE);
    let (identity, context, token) = connection.accept(AUTHENTICATE);
    assert_eq!(identity.workstation, "WIN-T21LUN6DJK6");
    assert_eq!(identity.name, "");
    assert_eq!(identity.method.as_str(), "ntlm-anonymous");
    assert!(identity.method.is_anonymous());
    assert_eq!(context.mechanism(), Protocol::Spnego);
    assert_eq!(token, None);
}

#[test]
fn an_account_is_known_by_domain_and_name() {
    let mut connection = Connection::from("198.51.100.7");
    let (authenticate, mut source) = raw(&mut connection, account());
    let (identity, mut context, token) = connection.accept(&authenticate);
    assert_eq!(identity.name, "EXAMPLE\\forwarder");
    assert_eq!(identity.workstation, "SOURCE01");
    assert_eq!(identity.method, Method::Ntlm);
    assert_eq!(token, None);
    talk(&mut context, &mut source);
}

#[test]
fn spnego_with_ntlm_first_is_accepted_signed_and_unsigned() {
    for client in [account(), Client::anonymous("x")] {
        for signed in [true, false] {
            let mut connection = Connection::from("192.0.2.7");
            let list = [Mechanism::Ntlm, Mechanism::Negoex];
            let (last, mut source) = wrapped(&mut connection, client.clone(), &list, signed);
            let (_, mut context, token) = connection.accept(&last);
            let done = resp(&token.unwrap());
            assert_eq!(done.state, Some(NegState::AcceptCompleted));
            assert_eq!(done.mic.is_some(), signed);
            if let Some(mic) = done.mic {
                let list = NegTokenInit::new(list.to_vec(), b"").list;
                assert_eq!(source.verify_mechanisms(&mic, &list), Ok(()));
            }
            talk(&mut context, &mut source);
        }
    }
}

#[test]
fn spnego_with_kerberos_first_must_be_signed() {
    let list = [
        Mechanism::KerberosMicrosoft,
        Mechanism::Kerberos,
        Mechanism::Ntlm,
    ];
    let mut connection = Connection::from("192.0.2.7");
    let (last, mut source) = wrapped(&mut connection, account(), &list, true);
    let (_, mut context, token) = connection.accept(&last);
    let mic = resp(&token.unwrap()).mic.unwrap();
    let der = NegTokenInit::new(list.to_vec(), b"").list;
    assert_eq!(source.verify_mechanisms(&mic, &der), Ok(()));
    talk(&mut context, &mut source);

    let (last, _) = wrapped(&mut connection, account(), &list, false);
    assert_eq!(connection.deny(&last), Error::MechanismsUnsigned);
}

#[test]
fn a_changed_list_of_mechanisms_is_refused() {
    let mut connection = Connection::from("192.0.2.7");
    let list = [Mechanism::Ntlm];
    let (last, _) = wrapped(&mut connection, account(), &list, true);
    let mut last = resp(&last);
    last.mic.as_mut().unwrap()[5] ^= 1;
    assert_eq!(
        connection.deny(&header(&last.emit())),
        Error::MechanismsChanged
    );
}

#[test]
fn scheme_words_have_no_case_and_answers_keep_them() {
    let mut connection = Connection::from("192.0.2.7");
    let lower = NEGOTIATE.replace("Negotiate ", "negotiate   ");
    assert_eq!(connection.challenge(&lower), CHALLENGE);
    let ntlm = NEGOTIATE.replace("Negotiate ", "ntlm\t");
    assert!(connection.challenge(&ntlm).starts_with("NTLM TlRMTVNTUAAC"));
    connection.accept(&AUTHENTICATE.replace("Negotiate", "NTLM"));
}

#[test]
fn base64_without_padding_is_taken() {
    let mut connection = Connection::from("192.0.2.7");
    connection.challenge(NEGOTIATE.trim_end_matches('='));
}

#[test]
fn a_new_negotiate_starts_over() {
    let mut connection = Connection::from("192.0.2.7");
    connection.challenge(NEGOTIATE);
    connection.challenge(NEGOTIATE);
    connection.accept(AUTHENTICATE);
    assert_eq!(connection.deny(AUTHENTICATE), Error::OutOfTurn);
    connection.challenge(NEGOTIATE);
    connection.accept(AUTHENTICATE);
}

#[test]
fn tokens_out_of_turn_are_refused() {
    let mut connection = Connection::from("192.0.2.7");
    assert_eq!(connection.deny(AUTHENTICATE), Error::OutOfTurn);
    let (last, _) = wrapped(&mut connection, account(), &[Mechanism::Ntlm], true);
    // The right answer, but not in the form of this exchange.
    let bare = header(&resp(&last).token.unwrap());
    assert_eq!(connection.deny(&bare), Error::OutOfTurn);
    // A failure forgets the exchange.
    assert_eq!(connection.deny(&last), Error::OutOfTurn);
}

#[test]
fn anonymous_hosts_must_be_in_a_network_of_the_policy() {
    for peer in ["192.0.2.255", "::ffff:192.0.2.1", "2001:db8::1"] {
        let mut connection = Connection::from(peer);
        connection.challenge(NEGOTIATE);
        connection.accept(AUTHENTICATE);
    }
    for peer in [
        "192.0.3.0",
        "::ffff:192.0.1.255",
        "2001:db8:0:1::",
        "::c000:201",
    ] {
        let mut connection = Connection::from(peer);
        connection.challenge(NEGOTIATE);
        let error = connection.deny(AUTHENTICATE);
        let shown = connection.peer.to_canonical();
        let remedy = format!("add {shown} or its network to --anonymous");
        assert!(error.reason().contains(&remedy), "{}", error.reason());
        assert_eq!(error.for_source(), "authentication failed");
    }
}

fn denial(connection: &mut Connection, user: &str, password: &str) -> Error {
    let mut client = account();
    if let Some(account) = &mut client.account {
        account.user = user.into();
        account.hash = NtHash::from_password(password);
    }
    let (authenticate, _) = raw(connection, client);
    connection.deny(&authenticate)
}

#[test]
fn wrong_passwords_and_unknown_accounts_look_alike_from_outside_only() {
    let mut connection = Connection::from("192.0.2.7");
    let wrong = denial(&mut connection, "forwarder", "x");
    let unknown = denial(&mut connection, "nobody", "x");
    assert_eq!(wrong.for_source(), unknown.for_source());
    assert!(wrong.reason().starts_with("wrong password"));
    assert!(
        wrong
            .reason()
            .contains("account 'EXAMPLE\\forwarder', workstation 'SOURCE01'")
    );
    assert!(unknown.reason().contains("--users"));
    connection.policy.has_accounts = false;
    let unknown = denial(&mut connection, "nobody", "x");
    assert!(
        unknown
            .reason()
            .contains("provide a file of accounts with --users")
    );
}

#[test]
fn other_schemes_and_bad_tokens_are_named() {
    let mut connection = Connection::from("192.0.2.7");
    let mutual = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";
    assert_eq!(connection.deny(mutual), Error::Scheme(mutual[..40].into()));
    assert_eq!(connection.deny("Basic dTpw"), Error::Scheme("Basic".into()));
    assert_eq!(connection.deny(""), Error::Scheme(String::new()));
    assert_eq!(connection.deny("Negotiate"), Error::NoToken);
    assert_eq!(connection.deny("Negotiate  "), Error::NoToken);
    assert_eq!(connection.deny("Negotiate TlRM!"), Error::Base64);
    assert!(matches!(
        connection.deny("Negotiate YWJj"),
        Error::Spnego(_)
    ));
    let escaped = connection.deny("B\u{1b}[31m x").reason();
    assert!(!escaped.contains('\u{1b}'), "{escaped}");
}

#[test]
fn kerberos_alone_is_refused_with_a_way_out() {
    let mut connection = Connection::from("192.0.2.7");
    let init = NegTokenInit::new(vec![Mechanism::Kerberos], b"AP-REQ");
    let error = connection.deny(&header(&init.emit()));
    assert!(
        error.reason().contains("Trusted Hosts"),
        "{}",
        error.reason()
    );
}

#[test]
fn text_up_to_the_limit_is_taken() {
    let mut connection = Connection::from("192.0.2.7");
    let long = |size: usize| format!("Negotiate {}", "A".repeat(size));
    assert!(matches!(
        connection.deny(&long(MAX_BASE64)),
        Error::Spnego(_)
    ));
    let length = MAX_BASE64 + 1;
    assert_eq!(connection.deny(&long(length)), Error::TooLong { length });
}

#[test]
fn a_refused_body_says_so() {
    let mut connection = Connection::from("192.0.2.7");
    let (authenticate, mut source) = raw(&mut connection, account());
    let (_, mut context, _) = connection.accept(&authenticate);
    let mut data = b"events".to_vec();
    let token = source.seal(&mut data);
    data[0] ^= 1;
    let error = context.unseal(&token, &mut data).unwrap_err();
    assert!(
        error
            .reason()
            .starts_with("checksum of a sealed message is wrong")
    );
}

#[test]
fn channel_bindings_of_another_connection_are_refused() {
    let mut client = account();
    client.channel_bindings = Some([1; 16]);
    let mut connection = Connection::from("192.0.2.7");
    for (ours, accepted) in [([1; 16], true), ([2; 16], false)] {
        connection.acceptor = Acceptor::within_tls(Some(ours));
        let (authenticate, _) = raw(&mut connection, client.clone());
        match connection.handle(&authenticate) {
            Step::Accept { .. } => assert!(accepted),
            Step::Deny(Error::Ntlm { error, .. }) => {
                assert!(!accepted);
                assert!(matches!(
                    error,
                    ntlm::Error::Denied {
                        reason: Reason::ChannelBindings,
                        ..
                    }
                ));
            }
            other => panic!("{other:?}"),
        }
    }
}

const OURS: [u8; 16] = [1; 16];

/// What becomes of a client inside TLS: whether its bodies count unsealed, or why not at all.
fn inside_tls(client: Client, change: impl FnOnce(&mut Policy)) -> Result<bool, Error> {
    let mut connection = Connection::from("192.0.2.7");
    change(&mut connection.policy);
    connection.acceptor = Acceptor::within_tls(Some(OURS));
    let (authenticate, _) = raw(&mut connection, client);
    match connection.handle(&authenticate) {
        Step::Accept { unsealed, .. } => Ok(unsealed),
        Step::Deny(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn bound(bindings: Option<[u8; 16]>) -> Client {
    Client {
        channel_bindings: bindings,
        ..account()
    }
}

#[test]
fn inside_tls_unsealed_bodies_count_with_our_channel_bindings_only() {
    assert_eq!(inside_tls(bound(Some(OURS)), |_| ()), Ok(true));
    // It may seal them: only the owner of the account can.
    assert_eq!(inside_tls(bound(None), |_| ()), Ok(false));
    assert_eq!(inside_tls(bound(Some([0; 16])), |_| ()), Ok(false));
    let none = |policy: &mut Policy| policy.bindings = Bindings::None;
    for bindings in [None, Some(OURS), Some([2; 16])] {
        assert_eq!(inside_tls(bound(bindings), none), Ok(true));
    }
    // A null session proves nothing that could be stolen.
    assert_eq!(inside_tls(Client::anonymous("x"), |_| ()), Ok(true));
}

#[test]
fn spnego_around_it_changes_nothing() {
    for (bindings, unsealed) in [(Some(OURS), true), (None, false)] {
        let mut connection = Connection::from("192.0.2.7");
        connection.acceptor = Acceptor::within_tls(Some(OURS));
        let list = [Mechanism::Ntlm];
        let (last, _) = wrapped(&mut connection, bound(bindings), &list, true);
        let step = connection.handle(&last);
        let found = matches!(step, Step::Accept { unsealed: u, .. } if u == unsealed);
        assert!(found, "{step:?}");
    }
}

/// The logon of a client that can neither seal nor sends a MIC, as curl's.
fn weak(connection: &mut Connection, bindings: Option<[u8; 16]>) -> Step {
    use crate::protocol::ntlm::messages::{
        Authenticate, AvPair, AvPairs, Challenge, Flags, Negotiate,
    };
    use crate::protocol::ntlm::messages::{NtResponse, V2Response};
    let flags = Flags::UNICODE | Flags::NTLM | Flags::ESS;
    let negotiate = Negotiate {
        flags,
        domain: Vec::new(),
        workstation: Vec::new(),
        version: None,
    };
    let challenge = connection.challenge(&header(&negotiate.emit()));
    let challenge = Challenge::parse(&token(&challenge)).unwrap();
    let mut pairs = challenge.target_info.0.clone();
    pairs.extend(bindings.map(AvPair::ChannelBindings));
    let temp = V2Response::temp(FileTime::default(), [6; 8], &AvPairs(pairs.clone()));
    let key = NtHash::from_password("Correct-Horse-7").response_key("forwarder", "EXAMPLE");
    let server = &challenge.server_challenge;
    let proof = ntlm::crypto::ntlmv2_proof(&key, server, &temp);
    let authenticate = Authenticate {
        flags,
        lm_response: Vec::new(),
        response: NtResponse::V2(V2Response {
            proof,
            temp,
            pairs: AvPairs(pairs),
        }),
        domain: "EXAMPLE".into(),
        user: "forwarder".into(),
        workstation: "W".into(),
        encrypted_session_key: None,
        version: None,
        mic: None,
    };
    connection.handle(&header(&authenticate.emit()))
}

#[test]
fn a_handshake_without_mic_counts_only_where_bindings_are_not_asked_for() {
    let mut connection = Connection::from("192.0.2.7");
    for bindings in [None, Some(OURS)] {
        connection.acceptor = Acceptor::within_tls(Some(OURS));
        let Step::Deny(error) = weak(&mut connection, bindings) else {
            panic!("let in");
        };
        assert!(matches!(
            error,
            Error::Unbound {
                why: Unbound::Mic,
                ..
            }
        ));
        assert!(error.reason().contains("--channel-bindings none"));
        assert!(error.reason().contains(r"EXAMPLE\forwarder by ntlm"));
        assert_eq!(error.method(), "ntlm");
        assert_eq!(error.tried(), None, "the password was right: no guess");
    }
    connection.policy.bindings = Bindings::None;
    let step = weak(&mut connection, None);
    assert!(matches!(step, Step::Accept { unsealed: true, .. }));
}

#[test]
fn the_service_that_a_host_means_has_to_be_ours() {
    let meant = |target: &str, names: &[&str]| {
        let mut connection = Connection::from("192.0.2.7");
        connection.policy.names = names.iter().map(|name| (*name).to_owned()).collect();
        let client = Client {
            target: Some(target.to_owned()),
            ..account()
        };
        let (authenticate, _) = raw(&mut connection, client);
        match connection.handle(&authenticate) {
            Step::Accept { .. } => None,
            Step::Deny(error) => Some(error.reason()),
            other => panic!("{other:?}"),
        }
    };
    let ours: &[&str] = &["wec.example.com"];
    for target in ["HTTP/wec.example.com", "host/WEC", "WSMAN/wec:5985", ""] {
        assert_eq!(meant(target, ours), None, "{target}");
        assert_eq!(meant(target, &[]), None, "{target}");
    }
    // Without a name of ours only the class tells.
    assert_eq!(meant("HTTP/other.example.com", &[]), None);
    let why = meant("HTTP/attacker.example.com", ours).unwrap();
    assert!(why.contains("this collector is wec.example.com; "), "{why}");
    assert!(why.contains("--hostname"), "{why}");
    for target in ["cifs/wec.example.com", "ldap/wec", "wec.example.com"] {
        for names in [ours, &[]] {
            let why = meant(target, names).unwrap();
            assert!(why.contains("not a service of a collector"), "{why}");
        }
    }
}

#[test]
fn who_an_account_is_does_not_depend_on_what_a_client_calls_its_domain() {
    use crate::protocol::ntlm::{Account, Name};
    let claimed = |domain: &str| Account::User {
        user: "WS7".into(),
        domain: domain.into(),
        workstation: "x".into(),
    };
    let line = Name {
        domain: None,
        user: "ws7".into(),
    };
    let forged = claimed("X\\host/dc01.example/");
    let identity = Identity::ntlm(&forged, Some(line.clone()));
    assert_eq!(identity.name, "ws7");
    assert_eq!(identity.key(), "account:ws7");
    assert_eq!(**identity.former(), ["X\\host/dc01.example/\\WS7"]);
    let by_digest = Identity::account(line, Method::Digest, "ws7".into());
    assert_eq!(by_digest.key(), identity.key());
    // Of another kind with the same name.
    let certificate = Certificate {
        name: "ws7".into(),
        former: None,
        issuer: String::new(),
    };
    assert_ne!(Identity::from(&certificate).key(), identity.key());
    let domain = Identity::domain_account(&claimed("EXAMPLE"));
    assert_eq!(domain.key(), r"ntlm-domain:EXAMPLE\WS7");
    let upn = Account::User {
        user: "ws7$@example.test".into(),
        domain: String::new(),
        workstation: String::new(),
    };
    let name = Name {
        domain: Some("example.test".into()),
        user: "ws7$".into(),
    };
    let subject = Identity::domain_account(&upn).subject;
    assert_eq!(subject, Subject::DomainAccount(name));
}

#[test]
fn schemes_are_offered_only_where_someone_can_come() {
    let mut policy = policy();
    assert_eq!(policy.offers(), ["Negotiate"]);
    policy.has_accounts = false;
    assert_eq!(policy.offers(), ["Negotiate"]);
    policy.anonymous.clear();
    assert!(policy.offers().is_empty());
}
