use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

// A null session between two Windows machines.
const NEGOTIATE: &str = "TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKALpHAAAADw==";
const CHALLENGE: &str = "TlRMTVNTUAACAAAAHgAeADgAAAA1goriYUObmGwEm2EAAAAAAAAAAJgAmABWAAAACgC6RwAAAA9XAEkATgAtAEcAMABGADkAQgBEAEwARgBHAEwARwACAB4AVwBJAE4ALQBHADAARgA5AEIARABMAEYARwBMAEcAAQAeAFcASQBOAC0ARwAwAEYAOQBCAEQATABGAEcATABHAAQAHgBEAEUAUwBLAFQATwBQAC0ANgBFAEYARQBNAEIAQgADAB4ARABFAFMASwBUAE8AUAAtADYARQBGAEUATQBCAEIABwAIAG8+avgiBNYBAAAAAA==";
const AUTHENTICATE: &str = "TlRMTVNTUAADAAAAAQABAHYAAAAAAAAAdwAAAAAAAABYAAAAAAAAAFgAAAAeAB4AWAAAABAAEAB3AAAANYqI4goAukcAAAAPmD0yQwTKWnFp1Uy4jLim4lcASQBOAC0AVAAyADEATABVAE4ANgBEAEoASwA2AAAEjYlhpb73BYOeiGamkT8s";

fn seed(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn samples() -> [Vec<u8>; 5] {
    [
        seed(NEGOTIATE),
        seed(CHALLENGE),
        seed(AUTHENTICATE),
        ntlmv2(Some(Version::WINDOWS_10), Some([7; 16])).emit(),
        named_negotiate().emit(),
    ]
}

fn named_negotiate() -> Negotiate {
    Negotiate {
        flags: Flags::OEM_DOMAIN_SUPPLIED | Flags::OEM_WORKSTATION_SUPPLIED,
        domain: b"DOMAIN".to_vec(),
        workstation: b"HOST".to_vec(),
        version: None,
    }
}

fn ntlmv2(version: Option<Version>, mic: Option<[u8; 16]>) -> Authenticate {
    let pairs = AvPairs(vec![
        AvPair::NbDomainName("Domain".into()),
        AvPair::DnsTreeName("example.test".into()),
        AvPair::Timestamp(FileTime::new(1)),
        AvPair::Flags(AV_MIC_PRESENT),
        AvPair::Other(8, vec![1, 2, 3]),
        AvPair::TargetName("HTTP/collector".into()),
        AvPair::ChannelBindings([9; 16]),
    ]);
    let flags = Flags::from_bits(0xe088_8235);
    Authenticate {
        flags: version.map_or(flags, |_| flags | Flags::VERSION),
        lm_response: vec![0; 24],
        response: NtResponse::V2(V2Response {
            proof: [3; 16],
            temp: V2Response::temp(FileTime::new(5), [6; 8], &pairs),
            pairs,
        }),
        domain: "Domain".into(),
        user: "Jürgen".into(),
        workstation: "HOST".into(),
        encrypted_session_key: Some([8; 16]),
        version,
        mic,
    }
}

fn parse_any(message: &[u8]) -> Result<(), ParseError> {
    Negotiate::parse(message)
        .map(drop)
        .or_else(|_| Challenge::parse(message).map(drop))
        .or_else(|_| Authenticate::parse(message).map(drop))
}

#[test]
fn messages_of_windows_survive_byte_for_byte() {
    let bytes = seed(NEGOTIATE);
    let negotiate = Negotiate::parse(&bytes).unwrap();
    assert_eq!(negotiate.flags.bits(), 0xe208_82b7);
    assert_eq!(negotiate.version, Some(Version::WINDOWS_10));
    assert_eq!(negotiate.emit(), bytes);

    let bytes = seed(CHALLENGE);
    let challenge = Challenge::parse(&bytes).unwrap();
    assert_eq!(challenge.target_name, "WIN-G0F9BDLFGLG");
    assert_eq!(
        challenge.target_info.timestamp(),
        Some(FileTime::new(0x01d6_0422_f86a_3e6f))
    );
    assert_eq!(challenge.emit(), bytes);

    let bytes = seed(AUTHENTICATE);
    let authenticate = Authenticate::parse(&bytes).unwrap();
    assert_eq!(authenticate.flags.bits(), 0xe288_8a35);
    assert_eq!(authenticate.workstation, "WIN-T21LUN6DJK6");
    assert_eq!(authenticate.response, NtResponse::Absent);
    assert_eq!(authenticate.lm_response, [0]);
    assert!(authenticate.mic.is_some());
    assert_eq!(authenticate.emit(), bytes);
}

#[test]
fn an_emitted_message_parses_to_the_same() {
    for version in [None, Some(Version::WINDOWS_10)] {
        let message = ntlmv2(version, None);
        assert_eq!(Authenticate::parse(&message.emit()), Ok(message));
    }
    let message = ntlmv2(Some(Version::WINDOWS_10), Some([7; 16]));
    assert_eq!(Authenticate::parse(&message.emit()), Ok(message));
    let message = named_negotiate();
    assert_eq!(Negotiate::parse(&message.emit()), Ok(message));
}

#[test]
fn short_forms_of_negotiate_are_taken() {
    let whole = seed(NEGOTIATE);
    for size in [16, 32, 40] {
        let parsed = Negotiate::parse(&whole[..size]).unwrap();
        assert_eq!(parsed.version.is_some(), size == 40);
    }
    assert!(Negotiate::parse(&whole[..31]).is_err());
}

#[test]
fn names_in_negotiate_that_nobody_needs_may_point_anywhere() {
    let mut message = named_negotiate().emit();
    for offset in [20, 28] {
        message[offset..offset + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    }
    let parsed = Negotiate::parse(&message).unwrap();
    assert_eq!((parsed.domain.len(), parsed.workstation.len()), (0, 0));
    // Nor do those without their flag.
    message[12..16].fill(0);
    assert!(Negotiate::parse(&message).is_ok());
}

#[test]
fn a_mic_is_there_when_the_payload_leaves_room() {
    let has_mic = |message: &[u8]| Authenticate::parse(message).unwrap().mic.is_some();
    assert!(has_mic(&ntlmv2(None, Some([7; 16])).emit()));
    assert!(!has_mic(&ntlmv2(Some(Version::WINDOWS_10), None).emit()));
    assert!(!has_mic(&ntlmv2(None, None).emit()));
    // Empty fields may point anywhere, also to zero.
    let mut message = seed(AUTHENTICATE);
    message[24..28].fill(0);
    message[32..36].fill(0);
    assert!(has_mic(&message));
}

#[test]
fn a_message_cut_at_any_byte_never_panics() {
    for message in samples() {
        for size in 0..message.len() {
            let cut = parse_any(&message[..size]);
            assert!(size >= 16 || cut.is_err());
        }
    }
    let authenticate = seed(AUTHENTICATE);
    for size in 0..authenticate.len() {
        assert!(
            Authenticate::parse(&authenticate[..size]).is_err(),
            "{size}"
        );
    }
}

#[test]
fn every_corrupted_word_is_refused_or_taken_but_never_panics() {
    for message in samples() {
        for at in 12..message.len() - 4 {
            for value in [0, 1, 11, 63, 71, 0xffff, 0x7fff_ffff, 0xffff_fff0, u32::MAX] {
                let mut bad = message.clone();
                bad[at..at + 4].copy_from_slice(&value.to_le_bytes());
                let _ = parse_any(&bad);
            }
        }
    }
}

#[test]
fn fields_outside_the_payload_are_refused() {
    let good = ntlmv2(Some(Version::WINDOWS_10), Some([7; 16])).emit();
    for at in [12, 20, 28, 36, 44, 52] {
        for offset in [0, 63, u32::try_from(good.len()).unwrap(), u32::MAX] {
            let mut bad = good.clone();
            bad[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
            assert!(
                matches!(Authenticate::parse(&bad), Err(ParseError::Field { .. })),
                "field {at} offset {offset}"
            );
        }
    }
}

#[test]
fn other_types_and_signatures_are_refused() {
    let (expected, found) = (3, 1);
    let wrong_type = Err(ParseError::Type { expected, found });
    assert_eq!(Authenticate::parse(&seed(NEGOTIATE)), wrong_type);
    let mut bad = seed(AUTHENTICATE);
    bad[3] ^= 0x20;
    assert_eq!(Authenticate::parse(&bad), Err(ParseError::Signature));
    assert_eq!(message_type(&bad), None);
    assert_eq!(message_type(&seed(AUTHENTICATE)), Some(3));
    assert_eq!(message_type(b"NTLMSSP\0\x01\0\0"), None);
}

#[test]
fn messages_up_to_the_limit_are_taken() {
    let mut message = seed(AUTHENTICATE);
    message.resize(MAX_MESSAGE, 0);
    assert!(Authenticate::parse(&message).is_ok());
    message.push(0);
    let length = MAX_MESSAGE + 1;
    assert_eq!(
        Authenticate::parse(&message),
        Err(ParseError::TooLong { length })
    );
}

#[test]
fn names_up_to_the_limit_are_taken() {
    let with_user = |size: usize| Authenticate {
        user: "u".repeat(size / 2),
        ..ntlmv2(None, None)
    };
    assert!(Authenticate::parse(&with_user(MAX_NAME).emit()).is_ok());
    let (name, length) = ("UserName", MAX_NAME + 2);
    assert_eq!(
        Authenticate::parse(&with_user(MAX_NAME + 2).emit()),
        Err(ParseError::Length { name, length })
    );
}

#[test]
fn names_with_control_characters_are_refused() {
    let message = Authenticate {
        workstation: "HOST\n<34>1".into(),
        ..ntlmv2(None, None)
    };
    let name = "Workstation";
    assert_eq!(
        Authenticate::parse(&message.emit()),
        Err(ParseError::Control { name })
    );
}

#[test]
fn nt_responses_between_the_known_sizes_are_refused() {
    let with = |size: usize| {
        let mut message = ntlmv2(None, None);
        message.response = NtResponse::V2(V2Response {
            proof: [1; 16],
            temp: [vec![1, 1], vec![0; size.saturating_sub(18)]].concat(),
            pairs: AvPairs::default(),
        });
        Authenticate::parse(&message.emit())
    };
    for size in [18, 23, 25, 43, 47] {
        assert!(with(size).is_err(), "{size}");
    }
    for size in [24, 48, 52] {
        assert!(with(size).is_ok(), "{size}");
    }
}

#[test]
fn attributes_up_to_the_limit_are_taken() {
    let list = |count: usize| {
        let mut out = Vec::new();
        AvPairs(vec![AvPair::Other(99, Vec::new()); count]).emit(&mut out);
        AvPairs::parse(&out)
    };
    assert_eq!(list(MAX_AV_PAIRS).unwrap().0.len(), MAX_AV_PAIRS);
    let offset = 4 * MAX_AV_PAIRS;
    assert_eq!(
        list(MAX_AV_PAIRS + 1),
        Err(ParseError::TooManyPairs { offset })
    );
}

#[test]
fn an_attribute_of_the_wrong_size_is_refused() {
    for (id, size) in [(1, 3), (6, 2), (7, 4), (10, 8)] {
        let mut list = Vec::new();
        AvPairs(vec![AvPair::Other(id, vec![0; size])]).emit(&mut list);
        let offset = 0;
        assert_eq!(AvPairs::parse(&list), Err(ParseError::Pair { id, offset }));
    }
}

#[test]
fn attributes_without_an_end_are_refused() {
    let mut list = Vec::new();
    AvPairs(vec![AvPair::Flags(2)]).emit(&mut list);
    list.truncate(list.len() - 1);
    assert!(matches!(
        AvPairs::parse(&list),
        Err(ParseError::Truncated(_))
    ));
}
