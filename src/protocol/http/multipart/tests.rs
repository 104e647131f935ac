use super::*;

fn sealed_type() -> ContentType {
    ContentType::parse(content_type(Mechanism::Spnego)).unwrap()
}

fn emitted(length: usize, token: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let style = Style::windows(Mechanism::Spnego, Charset::Utf16);
    emit(style, length, token, data, &mut out);
    out
}

/// A body with the token `tttt` and the data `sealed` between `front` and `end`.
fn written(front: &str, end: &str) -> Vec<u8> {
    [front.as_bytes(), b"\x04\0\0\0ttttsealed", end.as_bytes()].concat()
}

const FRONT: &str = "--Encrypted Boundary\r\n\
    Content-Type: application/HTTP-SPNEGO-session-encrypted\r\n\
    OriginalContent: type=application/soap+xml;charset=UTF-8;Length=6\r\n\
    --Encrypted Boundary\r\nContent-Type: application/octet-stream\r\n";
const END: &str = "--Encrypted Boundary--\r\n";

fn pieces(body: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let sealed = parse(&sealed_type(), body)?;
    Ok((body[sealed.token].to_vec(), body[sealed.data].to_vec()))
}

fn error(body: &[u8]) -> Error {
    parse(&sealed_type(), body).unwrap_err()
}

#[test]
fn bodies_are_written_as_windows_writes_them() {
    let mut out = Vec::new();
    let mut style = Style::windows(Mechanism::Spnego, Charset::Utf8);
    emit(style, 6, b"tttt", b"sealed", &mut out);
    assert_eq!(out, written(FRONT, END));
    style.tab = true;
    let mut out = Vec::new();
    emit(style, 6, b"tttt", b"sealed", &mut out);
    let tabbed = FRONT.replace("\r\nContent", "\r\n\tContent");
    let tabbed = tabbed.replace("\r\nOrig", "\r\n\tOrig");
    assert_eq!(out, written(&tabbed, END));
    assert_eq!(parse(&sealed_type(), &out).unwrap().style, style);
}

#[test]
fn sizes_agree_with_content_lengths_seen_from_windows() {
    use Mechanism::{Kerberos, Spnego};
    let seen = [
        (Kerberos, 60, 3240, 3542),
        (Kerberos, 60, 8672, 8974),
        (Kerberos, 60, 1434, 1736),
        (Kerberos, 60, 1006, 1308),
        (Kerberos, 60, 1430, 1732),
        (Kerberos, 60, 19555, 19858),
        (Spnego, 16, 3220, 3476),
    ];
    for (mechanism, token, length, content_length) in seen {
        let (token, data) = (vec![0; token], vec![0; length]);
        let mut out = Vec::new();
        let style = Style::windows(mechanism, Charset::Utf16);
        emit(style, length, &token, &data, &mut out);
        assert_eq!(out.len(), content_length);
    }
}

#[test]
fn parsing_undoes_emitting_whatever_the_data() {
    let inside = [END, FRONT, END].concat();
    let data: [&[u8]; 6] = [
        b"",
        b"\r\n",
        b"--Encrypted Boundary",
        b"--Encrypted Boundary--\r\n",
        inside.as_bytes(),
        &[0, 0x0d, 0x0a, 0xff],
    ];
    for (data, token) in data
        .iter()
        .flat_map(|d| [0, 10, 13, 16, 60].map(|t| (*d, t)))
    {
        for mechanism in [Mechanism::Spnego, Mechanism::Kerberos] {
            let charsets = [Charset::Utf16, Charset::Utf8];
            for (charset, tab) in charsets.into_iter().flat_map(|c| [(c, false), (c, true)]) {
                let token = vec![b'\n'; token];
                let mut out = Vec::new();
                let style = Style {
                    mechanism,
                    charset,
                    tab,
                };
                emit(style, data.len(), &token, data, &mut out);
                let kind = ContentType::parse(content_type(mechanism)).unwrap();
                let sealed = parse(&kind, &out).unwrap();
                assert_eq!(sealed.style, style);
                assert_eq!(sealed.length, data.len());
                assert_eq!(out[sealed.token], token);
                assert_eq!(out[sealed.data], *data);
            }
        }
    }
}

#[test]
fn what_other_clients_write_is_taken() {
    let change = |from: &str, to: &str| FRONT.replace(from, to);
    let fronts = [
        change("\r\nContent", "\r\n\tContent").replace("\r\nOrig", "\r\n\tOrig"),
        change("\r\nContent", "\r\n  Content"),
        change("Length=6\r\n", "Length=6\r\n\r\n"),
        FRONT.to_owned() + "\r\n",
        FRONT.to_owned() + "\n",
        change("\r\n", "\n"),
        change("\r\n", "\n") + "\n",
        change("--Encrypted", "-- Encrypted"),
        change("OriginalContent", "ORIGINALCONTENT").replace("Content-", "content-"),
        change("Length=6", "length=\"6\" ; x=y"),
        change(
            "stream\r\n",
            "stream\r\nContent-Transfer-Encoding: binary\r\n",
        ),
    ];
    let ends = [
        END,
        "--Encrypted Boundary--",
        "--Encrypted Boundary--\n",
        "-- Encrypted Boundary--\r\n",
    ];
    let expected = Ok((b"tttt".to_vec(), b"sealed".to_vec()));
    for front in &fronts {
        for end in ends {
            assert_eq!(pieces(&written(front, end)), expected, "{front:?} {end:?}");
        }
    }
}

#[test]
fn a_token_may_reach_its_limit_but_not_pass_it() {
    let fits = emitted(0, &[7; MAX_TOKEN], b"x");
    assert_eq!(pieces(&fits).unwrap().0.len(), MAX_TOKEN);
    let offset = FRONT.len() + 1;
    let long = emitted(0, &[7; MAX_TOKEN + 1], b"x");
    assert_eq!(error(&long), Error::MalformedToken { offset });
}

#[test]
fn part_headers_may_reach_their_limit_but_not_pass_it() {
    let first = FRONT.find("\r\n").unwrap() + 2;
    let last = FRONT.find("\r\n--").unwrap() + 2;
    let padded = |size: usize| {
        let pad = "x".repeat(size - (last - first) - 5);
        written(
            &FRONT.replace("OriginalC", &format!("X: {pad}\r\nOriginalC")),
            END,
        )
    };
    assert!(pieces(&padded(MAX_PART_HEADERS)).is_ok());
    let expected = Error::PartHeadersTooLong { offset: first };
    assert_eq!(error(&padded(MAX_PART_HEADERS + 1)), expected);
}

#[test]
fn a_length_beyond_the_data_is_refused() {
    assert!(pieces(&emitted(6, b"t", b"sealed")).is_ok());
    // A smaller length is accepted here, because sealing can add padding (RFC 4757).
    assert!(pieces(&emitted(5, b"t", b"sealed")).is_ok());
    let (declared, present) = (7, 6);
    let expected = Error::WrongLength { declared, present };
    assert_eq!(error(&emitted(7, b"t", b"sealed")), expected);
    for bad in [
        "Length=",
        "Length=+6",
        "Length=-6",
        "Length=99999999999999999999",
        "Long=6",
    ] {
        let body = written(&FRONT.replace("Length=6", bad), END);
        assert_eq!(error(&body), Error::MalformedLength, "{bad}");
    }
}

#[test]
fn a_content_type_that_does_not_fit_is_refused() {
    let with = |value: &str| parse(&ContentType::parse(value).unwrap(), &written(FRONT, END));
    let kind = content_type(Mechanism::Spnego);
    assert!(with(kind).is_ok());
    let cases = [
        ("application/soap+xml".to_owned(), Error::NotEncrypted),
        (
            kind.replace("encrypted;", "x-multi-encrypted;"),
            Error::NotEncrypted,
        ),
        (kind.replace("SPNEGO", "CredSSP"), Error::UnknownProtocol),
        ("multipart/encrypted".to_owned(), Error::UnknownProtocol),
        (kind.replace("boundary", "b"), Error::NoBoundary),
        (kind.replace("Encrypted Boundary", ""), Error::NoBoundary),
        (
            kind.replace("Encrypted B", "B"),
            Error::MissingDelimiter { offset: 0 },
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(with(&value), Err(expected), "{value}");
    }
}

#[test]
fn a_body_cut_anywhere_is_refused() {
    let body = written(FRONT, END);
    for cut in 0..body.len() - 2 {
        assert!(pieces(&body[..cut]).is_err(), "{cut}");
    }
    assert_eq!(error(&written(FRONT, "")), Error::MissingEnd);
    assert_eq!(
        error(&written(FRONT, "--Encrypted Boundary--\r\nx")),
        Error::MissingEnd
    );
    let second = FRONT.rfind("--Encrypted").unwrap();
    let body = FRONT[..second].to_owned() + "--Other\r\n";
    assert_eq!(
        error(body.as_bytes()),
        Error::MissingDelimiter { offset: second }
    );
}

#[test]
fn no_byte_makes_it_panic() {
    let body = written(FRONT, END);
    for at in 0..body.len() {
        for byte in 0..=255 {
            let mut bad = body.clone();
            bad[at] = byte;
            if let Ok(sealed) = parse(&sealed_type(), &bad) {
                assert!(bad.get(sealed.token).is_some() && bad.get(sealed.data).is_some());
            }
        }
    }
}

fn several_type() -> ContentType {
    let kind = content_type(Mechanism::Spnego).replace(ONE, SEVERAL);
    ContentType::parse(&kind).unwrap()
}

/// A sequence of pairs of parts, as pywinrm and pypsrp write them.
fn several(pairs: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (token, data) in pairs {
        out.truncate(out.len().saturating_sub(END.len()));
        out.extend(emitted(data.len(), token, data));
    }
    out
}

#[test]
fn a_body_of_several_parts_is_read_whatever_the_data() {
    let pairs: [(&[u8], &[u8]); 4] = [
        (b"t1", b"first"),
        (b"", b""),
        (b"t3", END.as_bytes()),
        (b"t4", FRONT.as_bytes()),
    ];
    let body = several(&pairs);
    let found = parse_all(&several_type(), &body).unwrap();
    let found: Vec<_> = found
        .into_iter()
        .map(|sealed| (&body[sealed.token], &body[sealed.data]))
        .collect();
    assert_eq!(found, pairs);
    let mut broken = body.clone();
    broken.truncate(body.len() - 2);
    assert!(
        parse_all(&several_type(), &broken).is_ok(),
        "no last line end"
    );
    for size in 0..body.len() - 2 {
        assert!(parse_all(&several_type(), &body[..size]).is_err(), "{size}");
    }
}

#[test]
fn a_body_of_one_part_is_read_as_either_kind() {
    let body = emitted(6, b"tttt", b"sealed");
    let one = parse(&sealed_type(), &body).unwrap();
    assert_eq!(parse_all(&sealed_type(), &body), Ok(vec![one.clone()]));
    assert_eq!(parse_all(&several_type(), &body), Ok(vec![one]));
    assert!(is_sealed(&sealed_type()) && is_sealed(&several_type()));
    assert!(!is_sealed(
        &ContentType::parse("application/soap+xml").unwrap()
    ));
    assert_eq!(parse(&several_type(), &body), Err(Error::NotEncrypted));
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let kind = several_type();
    let shorter = several(&[(b"t", b"sealed")]).len();
    let long = emitted(7, b"t", b"sealed");
    let end = shorter - END.len();
    assert_eq!(
        parse_all(&kind, &long),
        Err(Error::MissingDelimiter { offset: end + 1 })
    );
    let longer = emitted(1000, b"t", b"sealed");
    assert!(matches!(
        parse_all(&kind, &longer),
        Err(Error::WrongLength { declared: 1000, .. })
    ));
    let many = several(&[(&b""[..], &b""[..]); MAX_PAIRS + 1]);
    assert_eq!(parse_all(&kind, &many), Err(Error::TooManyPairs));
    let other = String::from_utf8(several(&[(b"t", b"a"), (b"t", b"b")])).unwrap();
    let other = other.replacen("UTF-16", "UTF-8", 1);
    assert_eq!(parse_all(&kind, other.as_bytes()), Err(Error::MixedPairs));
    assert_eq!(
        parse_all(&kind, END.as_bytes()),
        Err(Error::MissingDelimiter { offset: 0 })
    );
    assert_eq!(
        parse_all(&kind, b""),
        Err(Error::MissingDelimiter { offset: 0 })
    );
}

#[test]
fn a_part_of_another_type_is_refused() {
    let first = FRONT.find("\r\n").unwrap() + 2;
    let second = FRONT.rfind("Content-Type").unwrap();
    let protocol = "Content-Type: application/HTTP-SPNEGO-session-encrypted\r\n";
    let octets = "Content-Type: application/octet-stream\r\n";
    assert!(FRONT.contains(protocol) && FRONT.contains(octets));
    for other in ["", &protocol.replace("SPNEGO", "Kerberos"), octets] {
        let body = written(&FRONT.replace(protocol, other), END);
        let expected = Error::OtherProtocol { offset: first };
        assert_eq!(error(&body), expected, "{other}");
    }
    for other in ["", "Content-Type: text/plain\r\n", "Content-Length: 6\r\n"] {
        let body = written(&FRONT.replace(octets, other), END);
        let expected = Error::NoOctetStream { offset: second };
        assert_eq!(error(&body), expected, "{other}");
    }
}
