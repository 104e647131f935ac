use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::protocol::ntlm::Known;
use crate::protocol::ntlm::initiator::{self, Client, ClientAccount, Nonces};
use crate::protocol::ntlm::messages::{AvPair, AvPairs};

// A null session between two Windows machines.
const NEGOTIATE: &str = "TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKALpHAAAADw==";
const CHALLENGE: &str = "TlRMTVNTUAACAAAAHgAeADgAAAA1goriYUObmGwEm2EAAAAAAAAAAJgAmABWAAAACgC6RwAAAA9XAEkATgAtAEcAMABGADkAQgBEAEwARgBHAEwARwACAB4AVwBJAE4ALQBHADAARgA5AEIARABMAEYARwBMAEcAAQAeAFcASQBOAC0ARwAwAEYAOQBCAEQATABGAEcATABHAAQAHgBEAEUAUwBLAFQATwBQAC0ANgBFAEYARQBNAEIAQgADAB4ARABFAFMASwBUAE8AUAAtADYARQBGAEUATQBCAEIABwAIAG8+avgiBNYBAAAAAA==";
const AUTHENTICATE: &str = "TlRMTVNTUAADAAAAAQABAHYAAAAAAAAAdwAAAAAAAABYAAAAAAAAAFgAAAAeAB4AWAAAABAAEAB3AAAANYqI4goAukcAAAAPmD0yQwTKWnFp1Uy4jLim4lcASQBOAC0AVAAyADEATABVAE4ANgBEAEoASwA2AAAEjYlhpb73BYOeiGamkT8s";
const SERVER_CHALLENGE: [u8; 8] = [0x61, 0x43, 0x9b, 0x98, 0x6c, 0x04, 0x9b, 0x61];
const FILETIME: FileTime = FileTime::new(0x01d6_0422_f86a_3e6f);

/// Where AUTHENTICATE has its flags.
const FLAGS_OFFSET: usize = 60;

struct Directory(Vec<(&'static str, &'static str, NtHash)>);

impl Accounts for Directory {
    fn find(&self, user: &str, domain: &str) -> Option<Known> {
        let mut all = self.0.iter();
        let found = all.find(|(u, d, _)| (*u, *d) == (user, domain));
        found.map(|(user, domain, hash)| Known {
            name: Name {
                domain: (!domain.is_empty()).then(|| (*domain).to_owned()),
                user: (*user).to_owned(),
            },
            hash: hash.clone(),
        })
    }
}

fn directory() -> Directory {
    Directory(vec![
        ("User", "Domain", NtHash::from_password("Password")),
        ("forwarder", "", NtHash::from_password("Correct-Horse-7")),
    ])
}

fn anonymous() -> Rules {
    Rules {
        anonymous: true,
        ..Rules::default()
    }
}

fn seed(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn seed_server() -> Server {
    Server {
        computer: "WIN-G0F9BDLFGLG".into(),
        domain: "WIN-G0F9BDLFGLG".into(),
        dns_computer: "DESKTOP-6EFEMBB".into(),
        dns_domain: "DESKTOP-6EFEMBB".into(),
    }
}

fn challenged(negotiate: &[u8]) -> (Vec<u8>, ExpectAuthenticate) {
    ExpectNegotiate::sealed()
        .handle(negotiate, &seed_server(), SERVER_CHALLENGE, FILETIME)
        .unwrap()
}

fn user(user: &str, domain: &str, password: &str) -> Client {
    let account = ClientAccount {
        user: user.into(),
        domain: domain.into(),
        hash: NtHash::from_password(password),
    };
    Client::with_account("source01", account)
}

/// Runs a source against us, with a chance to change its last message.
fn exchange(
    client: Client,
    rules: &Rules,
    change: impl Fn(&mut Vec<u8>),
) -> Result<(Established, Session), Error> {
    let (negotiate, source) = initiator::start(client);
    let (challenge, expect) = challenged(&negotiate);
    let nonces = Nonces {
        session_key: [5; 16],
        client_challenge: [6; 8],
    };
    let (mut authenticate, session) = source.handle(&challenge, &nonces, FileTime::default())?;
    change(&mut authenticate);
    let established = expect.handle(&authenticate, &directory(), rules)?;
    Ok((established, session))
}

fn denial(client: Client, rules: &Rules) -> Reason {
    denied(exchange(client, rules, |_| ()))
}

fn denied<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    match result.unwrap_err() {
        Error::Denied { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

fn talk(collector: &mut Session, source: &mut Session) {
    for size in [0, 1, 100, 2600, 70_000] {
        let plain: Vec<u8> = (0..size).map(|i: u32| i.to_le_bytes()[0]).collect();
        send(source, collector, &plain);
        send(collector, source, &plain);
        send(collector, source, b"and again");
    }
}

fn send(from: &mut Session, to: &mut Session, plain: &[u8]) {
    let mut data = plain.to_vec();
    let token = from.seal(&mut data);
    assert!(plain.len() < 8 || data != plain);
    assert_eq!(to.unseal(&token, &mut data), Ok(()));
    assert_eq!(data, plain);
}

#[test]
fn the_exchange_of_two_windows_machines_is_reproduced() {
    let (challenge, expect) = challenged(&seed(NEGOTIATE));
    assert_eq!(challenge, seed(CHALLENGE));
    let established = expect.handle(&seed(AUTHENTICATE), &directory(), &anonymous());
    let Established {
        account,
        mut session,
        ..
    } = established.unwrap();
    assert_eq!(account.workstation(), "WIN-T21LUN6DJK6");
    assert_eq!(account.name(), "");

    let mut data = vec![0x33, 0xb7, 0x2d, 0xfd, 0xfe];
    let token = 0x0100_0000_d18e_f116_9b03_a54c_0000_0000_u128.to_be_bytes();
    assert_eq!(session.unseal(&token, &mut data), Ok(()));
    assert_eq!(data, b"first");
    let mut data = vec![0x51, 0xb9, 0x0f, 0xfe, 0xa2, 0x9d];
    let token = 0x0100_0000_9a7e_798b_8727_eb14_0100_0000_u128.to_be_bytes();
    assert_eq!(session.unseal(&token, &mut data), Ok(()));
    assert_eq!(data, b"second");
    let mut data = b"answer".to_vec();
    let token = 0x0100_0000_7be9_6190_f147_e6f9_0000_0000_u128.to_be_bytes();
    assert_eq!(session.seal(&mut data), token);
    assert_eq!(data, [0x43, 0x8a, 0x7c, 0x9c, 0xb3, 0x61]);
}

#[test]
fn the_mic_covers_every_byte_of_the_windows_exchange() {
    let good = [NEGOTIATE, CHALLENGE, AUTHENTICATE].map(seed);
    let accept = |[negotiate, challenge, authenticate]: [Vec<u8>; 3]| {
        let expect = ExpectAuthenticate {
            negotiate,
            challenge,
            ..challenged(&seed(NEGOTIATE)).1
        };
        expect.handle(&authenticate, &directory(), &anonymous())
    };
    assert!(accept(good.clone()).is_ok());
    for message in 0..3 {
        for at in 0..good[message].len() {
            let mut bad = good.clone();
            bad[message][at] ^= 0x01;
            assert!(accept(bad).is_err(), "message {message} byte {at}");
        }
    }
}

/// The messages of MS-NLMP 4.2: a CHALLENGE with `flags`, and its AUTHENTICATE.
fn ms_nlmp(flags: u32, authenticate: &Authenticate, rules: &Rules) -> Result<Established, Error> {
    let expect = ExpectAuthenticate {
        negotiate: Vec::new(),
        challenge: Vec::new(),
        server_challenge: 0x0123_4567_89ab_cdef_u64.to_be_bytes(),
        offered: Flags::from_bits(flags) | Flags::REQUEST_TARGET,
        required: SEALED,
    };
    expect.handle(&authenticate.emit(), &directory(), rules)
}

fn ms_nlmp_authenticate(flags: u32, response: NtResponse, key: u128) -> Authenticate {
    Authenticate {
        flags: Flags::from_bits(flags),
        lm_response: [[0xaa; 8], [0; 8], [0; 8]].concat(),
        response,
        domain: "Domain".into(),
        user: "User".into(),
        workstation: "COMPUTER".into(),
        encrypted_session_key: Some(key.to_be_bytes()),
        version: Some(Version {
            major: 5,
            minor: 1,
            build: 2600,
            revision: 15,
        }),
        mic: None,
    }
}

#[test]
fn the_ntlmv2_exchange_of_ms_nlmp_4_2_4_is_accepted() {
    let pairs = AvPairs(vec![
        AvPair::NbDomainName("Domain".into()),
        AvPair::NbComputerName("Server".into()),
    ]);
    let response = NtResponse::V2(V2Response {
        proof: 0x68cd_0ab8_51e5_1c96_aabc_927b_ebef_6a1c_u128.to_be_bytes(),
        temp: V2Response::temp(FileTime::default(), [0xaa; 8], &pairs),
        pairs,
    });
    let encrypted = 0xc5da_d254_4fc9_7990_94ce_1ce9_0bc9_d03e;
    let message = ms_nlmp_authenticate(0xe288_8235, response, encrypted);
    let established = ms_nlmp(0xe28a_8233, &message, &Rules::default()).unwrap();
    assert_eq!(established.account.name(), "Domain\\User");

    let mut session = established.session;
    let mut data: Vec<u8> = 0x54e5_0165_bf19_36dc_9960_20c1_811b_0f06_u128
        .to_be_bytes()
        .into();
    data.extend([0xfb, 0x5f]);
    let token = 0x0100_0000_7fb3_8ec5_c55d_4976_0000_0000_u128.to_be_bytes();
    assert_eq!(session.unseal(&token, &mut data), Ok(()));
    assert_eq!(data, crate::base::wire::utf16("Plaintext"));
}

#[test]
fn ntlmv1_with_ess_is_taken_only_where_allowed() {
    let hash = NtHash::from_password("Password");
    let server = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    let response = NtResponse::V1(hash.ntlmv1_response(&server, &[0xaa; 8]));
    let message = ms_nlmp_authenticate(0xe288_8235, response, 7);
    let allowed = Rules {
        ntlmv1: true,
        ..Rules::default()
    };
    assert!(ms_nlmp(0xe28a_8233, &message, &allowed).is_ok());
    let refused = ms_nlmp(0xe28a_8233, &message, &Rules::default());
    assert_eq!(denied(refused), Reason::Ntlmv1NotAllowed);
    let wrong = ms_nlmp_authenticate(0xe288_8235, NtResponse::V1([1; 24]), 7);
    assert_eq!(
        denied(ms_nlmp(0xe28a_8233, &wrong, &allowed)),
        Reason::WrongPassword
    );
}

#[test]
fn ntlmv1_without_ess_of_ms_nlmp_4_2_2_is_refused_always() {
    let mut response = [0; 24];
    response[..16].copy_from_slice(&0x67c4_3011_f302_98a2_ad35_ece6_4f16_331c_u128.to_be_bytes());
    response[16..].copy_from_slice(&0x44bd_bed9_2784_1f94_u64.to_be_bytes());
    let encrypted = 0x5188_22b1_b3f3_50c8_9586_82ec_bb3e_3cb7;
    let message = ms_nlmp_authenticate(0xe280_8235, NtResponse::V1(response), encrypted);
    let rules = Rules {
        ntlmv1: true,
        ..Rules::default()
    };
    let refused = ms_nlmp(0xe202_8233, &message, &rules).unwrap_err();
    assert_eq!(refused, Error::Missing(Flags::ESS));
}

#[test]
fn a_null_session_seals_both_ways() {
    let (established, mut source) =
        exchange(Client::anonymous("source01"), &anonymous(), |_| ()).unwrap();
    assert_eq!(established.account.workstation(), "SOURCE01");
    talk(&mut { established.session }, &mut source);
}

#[test]
fn an_account_seals_both_ways() {
    for client in [
        user("User", "Domain", "Password"),
        user("forwarder", "", "Correct-Horse-7"),
    ] {
        let (established, mut source) = exchange(client, &Rules::default(), |_| ()).unwrap();
        assert!(!established.account.name().is_empty());
        talk(&mut { established.session }, &mut source);
    }
}

#[test]
fn a_signed_list_of_mechanisms_leaves_both_sides_in_step() {
    let (established, mut source) =
        exchange(Client::anonymous("source01"), &anonymous(), |_| ()).unwrap();
    let mut collector = established.session;
    let mic = source.sign_mechanisms(b"list");
    assert_eq!(collector.verify_mechanisms(&mic, b"list"), Ok(()));
    let mic = collector.sign_mechanisms(b"list");
    assert_eq!(source.verify_mechanisms(&mic, b"list"), Ok(()));
    talk(&mut collector, &mut source);
}

#[test]
fn each_denial_names_its_reason() {
    let rules = Rules::default();
    let nobody = user("Nobody", "Domain", "Password");
    assert_eq!(denial(nobody, &rules), Reason::UnknownAccount);
    let other_domain = user("User", "Elsewhere", "Password");
    assert_eq!(denial(other_domain, &rules), Reason::UnknownAccount);
    let wrong = user("User", "Domain", "password");
    assert_eq!(denial(wrong, &anonymous()), Reason::WrongPassword);
    let null = Client::anonymous("x");
    assert_eq!(denial(null, &rules), Reason::AnonymousNotAllowed);
}

#[test]
fn the_hash_of_unknown_accounts_opens_nothing() {
    let mut client = user("Nobody", "Domain", "");
    client.account.as_mut().unwrap().hash = NtHash::from_bytes([0; 16]);
    assert_eq!(denial(client, &anonymous()), Reason::UnknownAccount);
}

#[test]
fn a_wrong_mic_is_refused() {
    for client in [Client::anonymous("x"), user("User", "Domain", "Password")] {
        let flip = |message: &mut Vec<u8>| message[72] ^= 1;
        assert_eq!(denied(exchange(client, &anonymous(), flip)), Reason::BadMic);
    }
}

#[test]
fn a_mic_may_be_absent_only_where_it_was_not_announced() {
    let zero = |message: &mut Vec<u8>| message[72..88].fill(0);
    assert!(exchange(Client::anonymous("x"), &anonymous(), zero).is_ok());
    let strip = |message: &mut Vec<u8>| {
        let mut parsed = Authenticate::parse(message).unwrap();
        parsed.mic = None;
        *message = parsed.emit();
    };
    assert!(exchange(Client::anonymous("x"), &anonymous(), strip).is_ok());
    let account = user("User", "Domain", "Password");
    let announced = exchange(account.clone(), &anonymous(), zero);
    assert_eq!(denied(announced), Reason::BadMic);
    let announced = exchange(account, &anonymous(), strip);
    assert_eq!(denied(announced), Reason::BadMic);
}

#[test]
fn channel_bindings_are_compared_when_both_sides_have_some() {
    let bound = |theirs, ours| {
        let mut client = user("User", "Domain", "Password");
        client.channel_bindings = theirs;
        let rules = Rules {
            channel_bindings: ours,
            ..Rules::default()
        };
        exchange(client, &rules, |_| ()).map(drop)
    };
    assert_eq!(bound(Some([1; 16]), Some([1; 16])), Ok(()));
    assert_eq!(bound(Some([1; 16]), None), Ok(()));
    assert_eq!(bound(None, Some([1; 16])), Ok(()));
    assert_eq!(bound(Some([0; 16]), Some([1; 16])), Ok(()));
    let wrong = bound(Some([1; 16]), Some([2; 16]));
    assert_eq!(denied(wrong), Reason::ChannelBindings);
}

#[test]
fn required_flags_cannot_be_left_out_of_negotiate() {
    let required = [0x1, 0x10, 0x20, 0x200, 0x8_0000, 0x2000_0000, 0x4000_0000];
    for flag in required.map(Flags::from_bits) {
        let mut message = Negotiate::parse(&seed(NEGOTIATE)).unwrap();
        message.flags = message.flags & !flag;
        let refused = ExpectNegotiate::sealed().handle(
            &message.emit(),
            &seed_server(),
            [1; 8],
            FileTime::default(),
        );
        assert_eq!(refused.unwrap_err(), Error::Missing(flag));
    }
    for flag in [Flags::DATAGRAM, Flags::REQUEST_NON_NT_SESSION_KEY] {
        let mut message = Negotiate::parse(&seed(NEGOTIATE)).unwrap();
        message.flags = message.flags | flag;
        let refused = ExpectNegotiate::sealed().handle(
            &message.emit(),
            &seed_server(),
            [1; 8],
            FileTime::default(),
        );
        assert_eq!(refused.unwrap_err(), Error::Unsupported(flag));
    }
}

#[test]
fn required_flags_cannot_be_cleared_in_authenticate() {
    for flag in [
        Flags::SIGN,
        Flags::SEAL,
        Flags::ESS,
        Flags::KEY_128,
        Flags::KEY_EXCH,
    ] {
        let clear = |message: &mut Vec<u8>| {
            let word = &mut message[FLAGS_OFFSET..FLAGS_OFFSET + 4];
            let bits = u32::from_le_bytes((&*word).try_into().unwrap()) & !flag.bits();
            word.copy_from_slice(&bits.to_le_bytes());
        };
        let refused = exchange(Client::anonymous("x"), &anonymous(), clear);
        assert_eq!(refused.unwrap_err(), Error::Missing(flag));
    }
}

/// What curl sends: no Unicode, no seal, no key, no MIC.
fn plain_exchange(start: ExpectNegotiate, password: &str) -> Result<Established, Error> {
    let asked = [Flags::OEM, Flags::NTLM, Flags::ESS, Flags::ALWAYS_SIGN];
    let negotiate = Negotiate {
        flags: asked
            .into_iter()
            .fold(Flags::default(), |all, flag| all | flag),
        domain: Vec::new(),
        workstation: Vec::new(),
        version: None,
    };
    let (challenge, expect) = start.handle(&negotiate.emit(), &seed_server(), [1; 8], FILETIME)?;
    let challenge = Challenge::parse(&challenge).unwrap();
    assert_eq!(challenge.target_name, "WIN-G0F9BDLFGLG");
    assert!(!challenge.flags.contains(Flags::UNICODE));
    let key = NtHash::from_password(password).response_key("forwarder", "");
    let temp = V2Response::temp(FILETIME, [6; 8], &challenge.target_info);
    let message = Authenticate {
        flags: challenge.flags,
        lm_response: vec![0; 24],
        response: NtResponse::V2(V2Response {
            proof: crypto::ntlmv2_proof(&key, &[1; 8], &temp),
            temp,
            pairs: challenge.target_info,
        }),
        domain: String::new(),
        user: String::new(),
        workstation: String::new(),
        encrypted_session_key: None,
        version: None,
        mic: None,
    };
    // Names in the code page, which `emit` does not write.
    let mut bytes = message.emit();
    let at = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    bytes.extend(b"forwarder");
    bytes[36..44].copy_from_slice(&[9, 0, 9, 0, at[0], at[1], at[2], at[3]]);
    expect.handle(&bytes, &directory(), &Rules::default())
}

#[test]
fn only_inside_tls_may_a_source_do_without_unicode_and_seals() {
    let within = ExpectNegotiate::within_tls;
    let established = plain_exchange(within(), "Correct-Horse-7").unwrap();
    assert_eq!(established.account.name(), "forwarder");
    let wrong = plain_exchange(within(), "wrong");
    assert_eq!(denied(wrong), Reason::WrongPassword);
    let sealed = plain_exchange(ExpectNegotiate::sealed(), "Correct-Horse-7");
    assert_eq!(sealed.unwrap_err(), Error::Missing(Flags::UNICODE));
}

#[test]
fn an_lm_answer_alone_is_refused() {
    let lm_only = |message: &mut Vec<u8>| {
        let mut parsed = Authenticate::parse(message).unwrap();
        parsed.response = NtResponse::Absent;
        parsed.lm_response = vec![1; 24];
        *message = parsed.emit();
    };
    let account = user("User", "Domain", "Password");
    assert_eq!(
        denied(exchange(account, &anonymous(), lm_only)),
        Reason::LmOnly
    );
    let null = exchange(Client::anonymous("x"), &anonymous(), lm_only);
    assert_eq!(denied(null), Reason::LmOnly);
}

#[test]
fn a_session_key_is_required() {
    let no_key = |message: &mut Vec<u8>| {
        let mut parsed = Authenticate::parse(message).unwrap();
        parsed.encrypted_session_key = None;
        *message = parsed.emit();
    };
    let refused = exchange(Client::anonymous("x"), &anonymous(), no_key);
    assert!(matches!(refused, Err(Error::Malformed(_))));
}

#[test]
fn negotiate_up_to_the_limit_is_taken() {
    let mut message = seed(NEGOTIATE);
    message.resize(MAX_NEGOTIATE, 0);
    let handle = |message: &[u8]| {
        ExpectNegotiate::sealed().handle(message, &seed_server(), [1; 8], FileTime::default())
    };
    assert!(handle(&message).is_ok());
    message.push(0);
    assert!(handle(&message).is_err());
}

#[test]
fn host_names_become_netbios_names() {
    let server = Server::from_hostname("collector-number-one.example.test");
    assert_eq!(server.computer, "COLLECTOR-NUMBE");
    assert_eq!(server.domain, server.computer);
    assert_eq!(server.dns_domain, "example.test");
    assert_eq!(Server::from_hostname("relay").dns_domain, "relay");
}

/// What a domain would say that knows these accounts.
fn base_key(question: &Question) -> Option<Key> {
    let hash = directory().find(&question.user, &question.domain)?.hash;
    let (proof, temp) = question.response.split_first_chunk::<16>()?;
    let key = hash.response_key(&question.user, &question.domain);
    assert_eq!(
        crypto::ntlmv2_proof(&key, &question.challenge, temp),
        *proof
    );
    Some(crypto::ntlmv2_key(&key, proof))
}

#[test]
fn names_are_upper_cased_as_windows_and_as_others_do_it() {
    struct Turkish;
    impl Accounts for Turkish {
        fn find(&self, user: &str, domain: &str) -> Option<Known> {
            let name = Name {
                domain: None,
                user: user.to_owned(),
            };
            let hash = NtHash::from_password("Password");
            (user == "ılgaz" && domain == "Domain").then_some(Known { name, hash })
        }
    }
    let (negotiate, source) = initiator::start(user("ılgaz", "Domain", "Password"));
    let (challenge, expect) = challenged(&negotiate);
    let (by_windows, _) = source
        .handle(&challenge, &Nonces::default(), FileTime::default())
        .unwrap();
    let rules = Rules::default();
    assert!(expect.clone().handle(&by_windows, &Turkish, &rules).is_ok());
    // One that makes I of it: the proof is that of another user name, sent as this one.
    let message = Authenticate::parse(&by_windows).unwrap();
    let NtResponse::V2(response) = &message.response else {
        panic!("no NTLMv2");
    };
    let hash = NtHash::from_password("Password");
    let key = hash.response_key("ILGAZ", "Domain");
    let proof = crypto::ntlmv2_proof(&key, &SERVER_CHALLENGE, &response.temp);
    let found = Turkish.find("ılgaz", "Domain").unwrap();
    let mut keys = found.hash.response_keys("ılgaz", "Domain");
    let other =
        keys.find(|key| crypto::ntlmv2_proof(key, &SERVER_CHALLENGE, &response.temp) == proof);
    assert!(other.is_some());
}

struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _: &str, _: &str) -> Option<Known> {
        None
    }
}

#[test]
fn a_domain_vouches_for_accounts_that_are_not_ours() {
    let rules = Rules {
        domain: true,
        ..Rules::default()
    };
    let (negotiate, source) = initiator::start(user("User", "Domain", "Password"));
    let (challenge, expect) = challenged(&negotiate);
    let (authenticate, mut theirs) = source
        .handle(&challenge, &Nonces::default(), FileTime::default())
        .unwrap();
    let ask = |accounts: &dyn Accounts, rules| {
        expect
            .clone()
            .handle_or_ask(&authenticate, accounts, rules)
            .unwrap()
    };
    assert!(matches!(
        ask(&directory(), &rules),
        Progress::Established(_)
    ));
    let Progress::Ask(verdict) = ask(&Nobody, &rules) else {
        panic!("not asked");
    };
    let question = verdict.question();
    assert_eq!(question.challenge, SERVER_CHALLENGE);
    let key = base_key(&question).unwrap();
    let mut ours = verdict.clone().handle(key).unwrap();
    assert_eq!(ours.account.name(), "Domain\\User");
    talk(&mut ours.session, &mut theirs);
    // The MIC needs the key, so that a wrong one does not pass.
    let other = verdict.handle(Key::new([1; 16]));
    assert_eq!(denied(other), Reason::BadMic);
}

#[test]
fn a_domain_is_asked_only_for_what_is_worth_it() {
    let rules = Rules {
        domain: true,
        ..Rules::default()
    };
    let (negotiate, source) = initiator::start(user("", "Domain", "Password"));
    let (challenge, expect) = challenged(&negotiate);
    let (nameless, _) = source
        .handle(&challenge, &Nonces::default(), FileTime::default())
        .unwrap();
    let denial = expect.clone().handle_or_ask(&nameless, &Nobody, &rules);
    assert_eq!(denied(denial), Reason::UnknownAccount);
    assert_eq!(
        denial_of_ntlmv1(&rules),
        Reason::Ntlmv1NotAllowed,
        "not even asked"
    );
}

fn ntlmv1(message: &mut Authenticate, hash: &NtHash, client: [u8; 8]) {
    let response = hash.ntlmv1_response(&SERVER_CHALLENGE, &client);
    message.response = NtResponse::V1(response);
    message.lm_response = [&client[..], &[0; 16]].concat();
}

fn denial_of_ntlmv1(rules: &Rules) -> Reason {
    let (authenticate, expect) = ntlmv1_scene();
    denied(expect.handle_or_ask(&authenticate, &Nobody, rules))
}

fn ntlmv1_scene() -> (Vec<u8>, ExpectAuthenticate) {
    let (negotiate, source) = initiator::start(user("User", "Domain", "Password"));
    let (challenge, expect) = challenged(&negotiate);
    let (authenticate, _) = source
        .handle(&challenge, &Nonces::default(), FileTime::default())
        .unwrap();
    let mut message = Authenticate::parse(&authenticate).unwrap();
    ntlmv1(&mut message, &NtHash::from_password("Password"), [0xaa; 8]);
    message.mic = None;
    (message.emit(), expect)
}

#[test]
fn an_ntlmv1_answer_goes_to_the_domain_with_the_challenge_that_it_answers() {
    let rules = Rules {
        domain: true,
        ntlmv1: true,
        ..Rules::default()
    };
    let (authenticate, expect) = ntlmv1_scene();
    let progress = expect.handle_or_ask(&authenticate, &Nobody, &rules);
    let Ok(Progress::Ask(verdict)) = progress else {
        panic!("{progress:?}");
    };
    let question = verdict.question();
    let client = [0xaa; 8];
    assert_eq!(
        question.challenge,
        crypto::session_challenge(&SERVER_CHALLENGE, &client)
    );
    assert_eq!(question.response.len(), 24);
    assert!(
        verdict.handle(Key::new([1; 16])).is_ok(),
        "no MIC, so no check"
    );
}
