use super::*;

// Made by another implementation: NTLM as the only mechanism, both sides.
const INIT: &str = "604806062b0601050502a03e303ca00e300c060a2b06010401823702020aa22a0428";
const LIST: &str = "300c060a2b06010401823702020a";
const LAST: &str = "a11b3019a0030a0100a31204100100000\
                    00effef28977722ae00000000";

fn hex(digits: &str) -> Vec<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(16).unwrap();
    let byte = |pair: &[u8; 2]| u8::try_from(value(&pair[0]) << 4 | value(&pair[1])).unwrap();
    digits
        .as_bytes()
        .as_chunks::<2>()
        .0
        .iter()
        .map(byte)
        .collect()
}

fn offer(mechanisms: &[Mechanism]) -> NegTokenInit {
    NegTokenInit::new(mechanisms.to_vec(), b"first token")
}

fn full_resp(size: usize) -> NegTokenResp {
    NegTokenResp {
        state: Some(NegState::RequestMic),
        mechanism: Some(Mechanism::Ntlm),
        token: Some(vec![7; size]),
        mic: Some(vec![8; 16]),
    }
}

#[test]
fn tokens_of_another_implementation_are_read_and_rebuilt() {
    let ntlm = [7; 40];
    let bytes = [hex(INIT), ntlm.to_vec()].concat();
    let Token::Init(init) = Token::parse(&bytes).unwrap() else {
        panic!("not an init");
    };
    assert_eq!(init.mechanisms, [Mechanism::Ntlm]);
    assert_eq!(init.list, hex(LIST));
    assert_eq!(init.token, Some(ntlm.to_vec()));
    assert_eq!(init.emit(), bytes);

    let Token::Resp(last) = Token::parse(&hex(LAST)).unwrap() else {
        panic!("not a resp");
    };
    assert_eq!(last.state, Some(NegState::AcceptCompleted));
    assert_eq!(last.mic.as_ref().map(Vec::len), Some(16));
    assert_eq!(last.emit(), hex(LAST));
}

#[test]
fn an_emitted_token_parses_to_the_same_at_every_length_form() {
    for size in [0, 1, 100, 127, 128, 200, 255, 256, 300, 60_000] {
        let resp = full_resp(size);
        assert_eq!(Token::parse(&resp.emit()), Ok(Token::Resp(resp)));
        let init = NegTokenInit::new(vec![Mechanism::Negoex, Mechanism::Ntlm], &vec![1; size]);
        assert_eq!(Token::parse(&init.emit()), Ok(Token::Init(init)));
    }
    let empty = NegTokenResp::default();
    assert_eq!(Token::parse(&empty.emit()), Ok(Token::Resp(empty)));
}

#[test]
fn mechanisms_survive_by_number() {
    let all = [
        Mechanism::Ntlm,
        Mechanism::Kerberos,
        Mechanism::KerberosMicrosoft,
        Mechanism::Negoex,
        Mechanism::Other(vec![1, 2, 3]),
    ];
    for mechanism in all {
        assert_eq!(Mechanism::from_oid(mechanism.oid()), mechanism);
    }
}

#[test]
fn a_token_cut_at_any_byte_is_refused() {
    for token in [
        offer(&[Mechanism::Ntlm]).emit(),
        full_resp(200).emit(),
        hex(LAST),
    ] {
        for size in 0..token.len() {
            assert!(Token::parse(&token[..size]).is_err(), "{size}");
        }
    }
}

#[test]
fn every_corrupted_byte_is_refused_or_taken_but_never_panics() {
    for token in [offer(&[Mechanism::Ntlm]).emit(), full_resp(200).emit()] {
        for at in 0..token.len() {
            for value in 0..=255 {
                let mut bad = token.clone();
                bad[at] = value;
                let _ = Token::parse(&bad);
            }
        }
    }
}

#[test]
fn indefinite_and_oversized_lengths_are_refused() {
    for bad in [
        "a180",
        "a1800000",
        "a184ffffffff",
        "a183ffffff",
        "a18100",
        "a1ff",
        "a1",
        "",
    ] {
        assert!(Token::parse(&hex(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_kerberos_token_without_spnego_is_named() {
    let frame = der(GSS_FRAME, &der(OID, OID_KERBEROS));
    assert_eq!(Token::parse(&frame), Err(Error::Frame(Mechanism::Kerberos)));
}

#[test]
fn hints_of_a_server_in_place_of_a_signature_are_skipped() {
    let mut fields = der(0xa0, &offer(&[Mechanism::Ntlm]).list);
    fields.extend(der(0xa1, b"\x03\x02\x00\x00"));
    fields.extend(der(0xa2, &der(OCTETS, b"token")));
    fields.extend(der(0xa3, &der(SEQUENCE, b"hints")));
    let init = der(super::INIT, &der(SEQUENCE, &fields));
    let token = der(GSS_FRAME, &[der(OID, OID_SPNEGO), init].concat());
    let Ok(Token::Init(init)) = Token::parse(&token) else {
        panic!("refused");
    };
    assert_eq!(init.token.as_deref(), Some(&b"token"[..]));
}

#[test]
fn unknown_states_are_refused() {
    let bad = "a1073005a0030a0104";
    assert_eq!(Token::parse(&hex(bad)), Err(Error::State { offset: 6 }));
}

#[test]
fn tokens_up_to_the_limit_are_taken() {
    let of_size = |size: usize| {
        let overhead = full_resp(MAX_TOKEN / 2).emit().len() - MAX_TOKEN / 2;
        full_resp(size - overhead).emit()
    };
    assert_eq!(of_size(MAX_TOKEN).len(), MAX_TOKEN);
    assert!(Token::parse(&of_size(MAX_TOKEN)).is_ok());
    let length = MAX_TOKEN + 1;
    assert_eq!(
        Token::parse(&of_size(length)),
        Err(Error::TooLong { length })
    );
}

#[test]
fn lists_up_to_the_limit_are_taken() {
    let list = |count| Token::parse(&offer(&vec![Mechanism::Ntlm; count]).emit());
    assert!(list(MAX_MECHANISMS).is_ok());
    assert_eq!(list(MAX_MECHANISMS + 1), Err(Error::TooManyMechanisms));
}

#[test]
fn the_preferred_mechanism_brings_its_token_and_needs_no_signature() {
    let init = offer(&[Mechanism::Ntlm, Mechanism::Kerberos]);
    let (mut negotiation, token) = Negotiation::start(init, &[Mechanism::Ntlm]).unwrap();
    assert_eq!(token.as_deref(), Some(&b"first token"[..]));
    assert!(!negotiation.mic_required());
    let Ok(Token::Resp(first)) = Token::parse(&negotiation.challenge(Some(vec![1]))) else {
        panic!("refused");
    };
    assert_eq!(first.state, Some(NegState::AcceptIncomplete));
    assert_eq!(first.mechanism, Some(Mechanism::Ntlm));
}

#[test]
fn another_mechanism_starts_over_and_must_be_signed() {
    let init = offer(&[
        Mechanism::KerberosMicrosoft,
        Mechanism::Kerberos,
        Mechanism::Ntlm,
    ]);
    let (mut negotiation, token) = Negotiation::start(init, &[Mechanism::Ntlm]).unwrap();
    assert_eq!(token, None);
    assert!(negotiation.mic_required());
    let Ok(Token::Resp(first)) = Token::parse(&negotiation.challenge(None)) else {
        panic!("refused");
    };
    assert_eq!(first.state, Some(NegState::RequestMic));
    assert_eq!(first.mechanism, Some(Mechanism::Ntlm));
    let Ok(Token::Resp(second)) = Token::parse(&negotiation.challenge(Some(vec![1]))) else {
        panic!("refused");
    };
    assert_eq!(second.state, Some(NegState::AcceptIncomplete));
    assert_eq!(second.mechanism, None);
}

#[test]
fn a_list_without_a_known_mechanism_is_refused() {
    let offered = vec![Mechanism::Kerberos, Mechanism::Negoex];
    let refused = Negotiation::start(offer(&offered), &[Mechanism::Ntlm]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "no common mechanism, the host offers Kerberos NEGOEX"
    );
    assert_eq!(refused, Error::NoCommonMechanism { offered });
}
