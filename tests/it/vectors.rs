//! Protocol vectors and captured messages outside this tree: the results must be the same as
//! those of Windows and of independent implementations.
//!
//! Not part of a plain test run. `WECRELAY_VECTORS` names the folder, which has
//! `vectors/*.json` and `captures/`; run with `--features vectors`.

mod kerberos_messages;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use base64::Engine;
use serde_json::Value;
use wecrelay::base::wire::Charset;
use wecrelay::protocol::http::{ContentType, multipart};
use wecrelay::protocol::kerberos::crypto::{self as kerberos_crypto, usage};
use wecrelay::protocol::kerberos::keytab::{Entry, Keytab};
use wecrelay::protocol::kerberos::messages as kerberos;
use wecrelay::protocol::ntlm::crypto::{self, Direction, Key, NtHash};
use wecrelay::protocol::ntlm::messages::{Authenticate, Challenge, Flags, NtResponse};
use wecrelay::protocol::ntlm::sealing::{Sealer, Unsealer};
use wecrelay::protocol::{sldc, spnego, wsman};
use wecrelay::{auth, event};

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn ntlm_responses_and_keys_are_those_of_ms_nlmp() {
    let file = vectors("ntlm-ms-nlmp");
    let common = &file["common"];
    let (user, domain) = (text(&common["user"]), text(&common["domain"]));
    let server: [u8; 8] = array(&common["server_challenge"]);
    let client: [u8; 8] = array(&common["client_challenge"]);
    let hash = NtHash::from_password(&text(&common["password"]));
    for vector in list(&file["vectors"]) {
        let name = text(&vector["name"]);
        assert_eq!(hash.to_hex(), text(&vector["ntowfv1"]), "{name}");
        // Sessions without extended session security are rejected, so test only with it.
        let flags = flags(vector);
        if !flags.contains(Flags::ESS) {
            continue;
        }
        let response = hex(&vector["nt_response"]);
        let key = if text(&vector["kind"]) == "ntlmv2" {
            let response_key = hash.response_key(&user, &domain);
            assert_eq!(
                response_key.as_bytes(),
                &array(&vector["ntowfv2"]),
                "{name}"
            );
            let proof = crypto::ntlmv2_proof(&response_key, &server, &hex(&vector["temp"]));
            assert_eq!(proof, response[..16], "{name}");
            crypto::ntlmv2_key(&response_key, &proof)
        } else {
            let computed = hash.ntlmv1_response(&server, &client);
            assert_eq!(computed.as_slice(), response, "{name}");
            hash.ntlmv1_key(&server, &client)
        };
        assert_eq!(
            key.as_bytes(),
            &array(&vector["key_exchange_key"]),
            "{name}"
        );
        check_keys(vector, flags);
        let session_key = Key::new(array(&vector["exported_session_key"]));
        let mut data = hex(&vector["plaintext"]);
        let mut sealer = Sealer::new(&session_key, flags, Direction::ClientToServer);
        let signature = sealer.seal(&mut data);
        assert_eq!(data, hex(&vector["sealed"]), "{name}");
        assert_eq!(signature.as_slice(), hex(&vector["signature"]), "{name}");
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn the_null_session_of_windows_is_understood() {
    let seed = vectors("ntlm-anonymous-seed");
    let token = base64(&seed["authenticate"]);
    let message = Authenticate::parse(&token).unwrap();
    assert_eq!(message.user, "");
    assert_eq!(message.workstation, text(&seed["workstation"]));
    assert_eq!(message.response, NtResponse::Absent);
    let encrypted = message.encrypted_session_key.unwrap();
    let key = crypto::exchange_key(&Key::NULL_SESSION, &encrypted);
    assert_eq!(key.as_bytes(), &array(&seed["exported_session_key"]));
    check_mic(&seed, &token, &key);
    check_keys(&seed, message.flags);
    check_bodies(&seed, &key, message.flags, |_, _| {});
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn sessions_of_accounts_are_understood() {
    for session in list(&vectors("ntlm-session")["vectors"]) {
        let (key, flags) = check_account(session);
        check_bodies(session, &key, flags, |_, _| {});
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn sessions_inside_spnego_are_understood() {
    for session in list(&vectors("spnego-ntlm")["vectors"]) {
        check_tokens(session);
        let (key, flags) = check_account(session);
        let mechanisms = hex(&session["mech_type_list_der"]);
        check_bodies(session, &key, flags, |unsealers, sealers| {
            for signed in list(&session["mech_list_mics"]) {
                let side = side(signed);
                let mic = hex(&signed["mic"]);
                unsealers[side].verify(&mic, &mechanisms).unwrap();
                unsealers[side].restart_cipher();
                assert_eq!(sealers[side].sign(&mechanisms).as_slice(), mic);
                sealers[side].restart_cipher();
            }
        });
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn sources_of_mit_come_in_with_their_tickets() {
    for vector in list(&vectors("kerberos-session")["vectors"]) {
        let name = text(&vector["name"]);
        let number = |field: &str| vector[field].as_u64().unwrap();
        let session_key = kerberos_key(&vector["session_etype"], &vector["session_key"]);
        let sent = base64(&vector["initiator_token"]);
        let request: kerberos::ApReq = kerberos::read(kerberos_message(&sent, 0x6e)).unwrap();
        let cipher = &request.0.authenticator.cipher.0;
        let plain = session_key.decrypt(usage::AP_REQ_AUTHENTICATOR, cipher);
        let authenticator = kerberos::read::<kerberos::Authenticator>(&plain.unwrap());
        let ctime = authenticator.unwrap().0.ctime.to_unix_duration();
        // The sequence number and key that the acceptor of the vector chose.
        let chosen = u32::try_from(number("acceptor_seq") << 2).unwrap();
        let subkey = hex(&vector["acceptor_subkey"]);
        let mut choices = vec![chosen.to_be_bytes().to_vec(), subkey].into_iter();
        let mut random = |bytes: &mut [u8]| match choices.next() {
            Some(choice) if choice.len() == bytes.len() => bytes.copy_from_slice(&choice),
            _ => bytes.fill(7),
        };
        let policy = kerberos_policy(vector);
        let scheme = if text(&vector["protocol"]).contains("SPNEGO") {
            "Negotiate"
        } else {
            "Kerberos"
        };
        let header = format!("{scheme} {}", text(&vector["initiator_token"]));
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let wall = std::time::SystemTime::UNIX_EPOCH + ctime;
        let mut acceptor = auth::Acceptor::new();
        let step = acceptor.handle(&header, peer, &policy, wall, &mut random);
        let auth::Step::Accept {
            identity,
            context,
            token,
            ..
        } = step
        else {
            panic!("{name}: {step:?}");
        };
        let mut context = context.unwrap();
        assert_eq!(identity.name, text(&vector["client_principal"]), "{name}");
        let (ours, theirs) = (token.unwrap(), base64(&vector["acceptor_token"]));
        let ours = ours.strip_prefix(scheme).unwrap().trim().into();
        let ours = ap_rep_part(&base64(&Value::String(ours)), &session_key);
        assert_eq!(ours, ap_rep_part(&theirs, &session_key), "{name}");
        let messages = list(&vector["messages"]);
        for message in messages.iter().filter(|message| side(message) == 0) {
            let mut body = base64(&message["body"]);
            let protocol = text(&vector["protocol"]);
            let kind = format!(
                "multipart/encrypted;protocol=\"{protocol}\";boundary=\"Encrypted Boundary\""
            );
            let sealed = multipart::parse(&ContentType::parse(&kind).unwrap(), &body).unwrap();
            let token = body[sealed.token.clone()].to_vec();
            let data = &mut body[sealed.data.clone()];
            let size = context.unseal(&token, data).unwrap();
            assert_eq!(data[..size], base64(&message["plaintext"]), "{name}");
        }
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn answers_of_a_windows_collector_are_understood() {
    let file = vectors("kerberos-windows");
    let session_key = kerberos_key(&file["session_etype"], &file["session_key"]);
    for vector in list(&file["vectors"]) {
        let part = ap_rep_part(&base64(&vector["acceptor_token"]), &session_key);
        assert_eq!(part.cusec.0, vector["cusec"].as_i64().unwrap());
        let sequence = part.seq_number.unwrap().to_u32();
        assert_eq!(u64::from(sequence), vector["seq"].as_u64().unwrap());
        let subkey = part.subkey.unwrap();
        assert_eq!(subkey.keytype.0, vector["subkey_etype"].as_i64().unwrap());
        assert_eq!(*subkey.keyvalue.0, hex(&vector["subkey"]));
    }
}

/// The encrypted part of an AP-REP, regardless of its wrapping.
fn ap_rep_part(token: &[u8], session_key: &kerberos_crypto::Key) -> kerberos::EncApRepPartBody {
    let reply: kerberos::ApRep = kerberos::read(kerberos_message(token, 0x6f)).unwrap();
    let cipher = &reply.0.enc_part.cipher.0;
    let plain = session_key.decrypt(usage::AP_REP_ENC_PART, cipher).unwrap();
    kerberos::read::<kerberos::EncApRepPart>(&plain).unwrap().0
}

/// The message after the token ID: 01 00 for an AP-REQ, 02 00 for an AP-REP.
fn kerberos_message(token: &[u8], tag: u8) -> &[u8] {
    let start = [tag - 0x6d, 0, tag];
    let at = token.windows(3).position(|bytes| bytes == start).unwrap();
    &token[at + 2..]
}

fn kerberos_key(etype: &Value, bytes: &Value) -> kerberos_crypto::Key {
    let number = i32::try_from(etype.as_i64().unwrap()).unwrap();
    let enctype = kerberos_crypto::Enctype::from_number(number).unwrap();
    kerberos_crypto::Key::new(enctype, &hex(bytes)).unwrap()
}

fn kerberos_policy(vector: &Value) -> auth::Policy {
    struct Fixed(Rc<Keytab>);
    impl wecrelay::protocol::kerberos::Keytabs for Fixed {
        fn current(&self) -> Rc<Keytab> {
            Rc::clone(&self.0)
        }
    }
    struct Nobody;
    impl wecrelay::protocol::ntlm::Accounts for Nobody {
        fn find(&self, _: &str, _: &str) -> Option<wecrelay::protocol::ntlm::Known> {
            None
        }
    }
    let entry = Entry {
        principal: text(&vector["service_principal"]),
        name_type: 1,
        timestamp: 0,
        kvno: u32::try_from(vector["kvno"].as_u64().unwrap()).unwrap(),
        key: kerberos_key(&vector["ticket_etype"], &vector["service_key"]),
    };
    let keytab = Keytab {
        entries: vec![entry],
        ..Keytab::default()
    };
    auth::Policy {
        anonymous: Vec::new(),
        accounts: Rc::new(Nobody),
        has_accounts: false,
        ntlmv1: false,
        domain: false,
        server: wecrelay::protocol::ntlm::Server::from_hostname("collector.example.test"),
        passwords: None,
        kerberos: Some(wecrelay::protocol::kerberos::Service {
            keytabs: Rc::new(Fixed(Rc::new(keytab))),
            replays: Rc::default(),
            rc4: true,
        }),
        bindings: auth::Bindings::Require,
        names: Vec::new(),
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn sldc_expands_to_what_was_compressed() {
    let file = vectors("sldc");
    for vector in list(&file["vectors"]) {
        let name = text(&vector["name"]);
        let plain = hex(&vector["plaintext"]);
        let compressed = hex(&vector["compressed"]);
        assert_eq!(
            sldc::decode(&compressed, plain.len()).unwrap(),
            plain,
            "{name}"
        );
        if !plain.is_empty() {
            assert!(
                sldc::decode(&compressed, plain.len() - 1).is_err(),
                "{name}"
            );
        }
    }
    for vector in list(&file["malformed"]) {
        let refused = sldc::decode(&hex(&vector["compressed"]), 1 << 20).is_err();
        assert!(refused, "{}", text(&vector["name"]));
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn sealed_bodies_have_the_length_that_windows_declares() {
    for vector in list(&vectors("multipart-lengths")["vectors"]) {
        let number = |name: &str| usize::try_from(vector[name].as_u64().unwrap()).unwrap();
        let mechanism = match text(&vector["mechanism"]).as_str() {
            "Kerberos" => multipart::Mechanism::Kerberos,
            _ => multipart::Mechanism::Spnego,
        };
        let (length, token) = (number("length"), vec![7; number("token_size")]);
        let mut body = Vec::new();
        let data = vec![9; length];
        let style = multipart::Style::windows(mechanism, Charset::Utf16);
        multipart::emit(style, length, &token, &data, &mut body);
        assert_eq!(body.len(), number("content_length"), "{vector}");
    }
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn captured_messages_of_sources_are_understood() {
    let mut seen = 0;
    for path in files("captures/openwec")
        .into_iter()
        .chain(files("captures/owinec"))
    {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.contains("-source-") || !name.ends_with(".xml") {
            continue;
        }
        let envelope = read(&path);
        let message = wsman::parse(&envelope).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_capture(name, &message);
        seen += 1;
    }
    assert!(seen >= 9, "only {seen} messages");
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn captured_bytes_are_the_captured_text() {
    let folder = root().join("captures/openwec");
    let enumerate = hex_file(&folder.join("03-source-enumerate.utf16le.hex"));
    check_text(&enumerate, &folder.join("03-source-enumerate.xml"));
    let compressed = hex_file(&folder.join("09-source-heartbeat.sldc.hex"));
    let heartbeat = sldc::decode(&compressed, 1 << 16).unwrap();
    check_text(&heartbeat, &folder.join("09-source-heartbeat.xml"));
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn captured_events_are_understood() {
    for path in files("captures/events") {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".xml") || name == "malformed-unrecoverable.xml" {
            continue;
        }
        let xml = read(&path);
        let event = event::parse(&xml).unwrap_or_else(|error| panic!("{name}: {error}"));
        let number = name.split('-').next().unwrap().trim_end_matches(".xml");
        if number.bytes().all(|byte| byte.is_ascii_digit()) {
            assert_eq!(event.event_id, number, "{name}");
        }
    }
}

fn check_account(session: &Value) -> (Key, Flags) {
    let token = base64(&session["authenticate"]);
    let message = Authenticate::parse(&token).unwrap();
    assert_eq!(message.user, text(&session["user"]));
    assert_eq!(message.domain, text(&session["domain"]));
    let challenge = Challenge::parse(&base64(&session["challenge"])).unwrap();
    assert_eq!(
        challenge.server_challenge,
        array(&session["server_challenge"])
    );
    let hash = NtHash::from_password(&text(&session["password"]));
    let response_key = hash.response_key(&message.user, &message.domain);
    assert_eq!(response_key.as_bytes(), &array(&session["ntowfv2"]));
    let NtResponse::V2(response) = &message.response else {
        panic!("no NTLMv2: {session}");
    };
    assert_eq!(response.proof, array(&session["nt_proof_str"]));
    let server = &challenge.server_challenge;
    let proof = crypto::ntlmv2_proof(&response_key, server, &response.temp);
    assert_eq!(proof, response.proof);
    let exchanged = crypto::ntlmv2_key(&response_key, &proof);
    assert_eq!(exchanged.as_bytes(), &array(&session["key_exchange_key"]));
    let key = crypto::exchange_key(&exchanged, &message.encrypted_session_key.unwrap());
    assert_eq!(key.as_bytes(), &array(&session["exported_session_key"]));
    check_mic(session, &token, &key);
    check_keys(session, message.flags);
    (key, message.flags)
}

fn check_mic(session: &Value, authenticate: &[u8], key: &Key) {
    let negotiate = base64(&session["negotiate"]);
    let challenge = base64(&session["challenge"]);
    let mut blank = authenticate.to_vec();
    blank[72..88].fill(0);
    let mic = crypto::mic(key, &negotiate, &challenge, &blank);
    assert_eq!(mic, array(&session["mic"]));
    assert_eq!(Authenticate::parse(authenticate).unwrap().mic, Some(mic));
}

/// Checks those of the four keys that the vector contains.
fn check_keys(vector: &Value, flags: Flags) {
    let key = Key::new(array(&vector["exported_session_key"]));
    for (name, direction) in [
        ("client", Direction::ClientToServer),
        ("server", Direction::ServerToClient),
    ] {
        let expected = |kind: &str| vector[format!("{name}_{kind}_key")].as_str().map(unhex);
        if let Some(expected) = expected("sign") {
            assert_eq!(
                crypto::sign_key(&key, direction).as_bytes().as_slice(),
                expected
            );
        }
        if let Some(expected) = expected("seal") {
            assert_eq!(
                crypto::seal_key(&key, flags, direction)
                    .as_bytes()
                    .as_slice(),
                expected
            );
        }
    }
}

/// Unseals every body of a session, and seals it again to the same bytes.
fn check_bodies(
    session: &Value,
    key: &Key,
    flags: Flags,
    before: impl FnOnce(&mut [Unsealer; 2], &mut [Sealer; 2]),
) {
    let ways = [Direction::ClientToServer, Direction::ServerToClient];
    let mut unsealers = ways.map(|way| Unsealer::new(key, flags, way));
    let mut sealers = ways.map(|way| Sealer::new(key, flags, way));
    before(&mut unsealers, &mut sealers);
    let mechanism = multipart::Mechanism::Spnego;
    let content_type = ContentType::parse(multipart::content_type(mechanism)).unwrap();
    for message in list(&session["messages"]) {
        let side = side(message);
        let (mut body, plain) = (base64(&message["body"]), base64(&message["plaintext"]));
        let sealed = multipart::parse(&content_type, &body).unwrap();
        assert_eq!(sealed.length, plain.len());
        let token = body[sealed.token.clone()].to_vec();
        let mut data = plain.clone();
        assert_eq!(sealers[side].seal(&mut data).as_slice(), token);
        let mut emitted = Vec::new();
        multipart::emit(sealed.style, plain.len(), &token, &data, &mut emitted);
        assert_eq!(emitted, body);
        let opened = &mut body[sealed.data];
        unsealers[side].unseal(&token, opened).unwrap();
        assert_eq!(opened, plain);
    }
}

fn check_tokens(session: &Value) {
    let states = list(&session["neg_states"]);
    for (token, state) in list(&session["tokens"]).iter().zip(states) {
        match spnego::Token::parse(&base64(token)).unwrap() {
            spnego::Token::Init(init) => {
                assert!(state.is_null());
                assert_eq!(init.list, hex(&session["mech_type_list_der"]));
                assert_eq!(init.token.unwrap(), base64(&session["negotiate"]));
            }
            spnego::Token::Resp(resp) => {
                let expected = [
                    spnego::NegState::AcceptCompleted,
                    spnego::NegState::AcceptIncomplete,
                    spnego::NegState::Reject,
                    spnego::NegState::RequestMic,
                ];
                let state = usize::try_from(state.as_u64().unwrap()).unwrap();
                assert_eq!(resp.state, Some(expected[state]));
            }
        }
    }
}

fn check_capture(name: &str, message: &wsman::Message<'_>) {
    let fits = match &message.body {
        wsman::Body::Enumerate(_) => name.contains("enumerate"),
        wsman::Body::Heartbeat => name.contains("heartbeat"),
        wsman::Body::Events(events) => name.contains("events") && !events.is_empty(),
        wsman::Body::SubscriptionEnd(_) => name.contains("subscription-end"),
        wsman::Body::End => name.contains("source-end"),
        wsman::Body::Pull(..) => name.contains("pull"),
        wsman::Body::Release(_) => name.contains("release"),
        wsman::Body::Unknown => false,
    };
    assert!(fits, "{name}: {:?}", message.body);
    assert!(message.header.message_id.starts_with("uuid:"), "{name}");
}

fn check_text(bytes: &[u8], expected: &Path) {
    let (decoded, charset) = wecrelay::base::wire::decode_text(bytes, Charset::Utf16);
    assert_eq!(charset, Charset::Utf16);
    assert_eq!(decoded.trim(), read(expected).trim());
}

fn root() -> PathBuf {
    let folder = std::env::var_os("WECRELAY_VECTORS");
    PathBuf::from(folder.expect("WECRELAY_VECTORS must name the folder with the vectors"))
}

fn vectors(name: &str) -> Value {
    let path = root().join("vectors").join(name).with_extension("json");
    serde_json::from_str(&read(&path)).unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hex_file(path: &Path) -> Vec<u8> {
    let digits: String = read(path).split_whitespace().collect();
    unhex(&digits)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn hex(value: &Value) -> Vec<u8> {
    unhex(value.as_str().unwrap())
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn base64(value: &Value) -> Vec<u8> {
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode(value.as_str().unwrap()).unwrap()
}

fn flags(vector: &Value) -> Flags {
    let digits = text(&vector["flags"]);
    Flags::from_bits(u32::from_str_radix(digits.trim_start_matches("0x"), 16).unwrap())
}

/// 0 for messages of the source, 1 for messages of the collector.
fn side(value: &Value) -> usize {
    usize::from(text(&value["from"]) != "client")
}
