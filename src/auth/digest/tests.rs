use super::*;

const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
const REALM: &str = "http-auth@example.org";

/// What follows "Digest" in the examples of RFC 7616 3.9.1.
fn example(algorithm: &str, response: &str) -> String {
    format!(
        "username=\"Mufasa\", realm=\"{REALM}\", uri=\"/dir/index.html\", algorithm={algorithm}, \
         nonce=\"{NONCE}\", nc=00000001, cnonce=\"{CNONCE}\", qop=auth, response=\"{response}\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    )
}

const MD5: &str = "8ca523f5e9506fed4657c9700eebdbec";
const SHA256: &str = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";

fn mufasa(algorithm: Algorithm) -> String {
    let ha1 = Ha1::from_password("Mufasa", REALM, "Circle of Life");
    ha1.get(algorithm).unwrap().to_owned()
}

#[test]
fn the_examples_of_the_standard_are_proved() {
    for (name, response, algorithm) in [
        ("MD5", MD5, Algorithm::Md5),
        ("SHA-256", SHA256, Algorithm::Sha256),
        ("sha-256", &SHA256.to_uppercase(), Algorithm::Sha256),
    ] {
        let answer = Answer::parse(&example(name, response)).unwrap();
        assert_eq!(answer.algorithm, algorithm);
        assert_eq!(answer.count(), 1);
        let ha1 = mufasa(algorithm);
        assert!(answer.is_proved(Some(&ha1), "GET", b"whatever"), "{name}");
        assert!(!answer.is_proved(Some(&ha1), "POST", b""), "{name}");
        assert!(!answer.is_proved(Some(&ha1[1..]), "GET", b""), "{name}");
        assert!(!answer.is_proved(None, "GET", b""), "{name}");
    }
}

#[test]
fn any_change_of_what_is_vouched_for_breaks_the_proof() {
    let right = Answer::parse(&example("SHA-256", SHA256)).unwrap();
    let ha1 = mufasa(Algorithm::Sha256);
    let changes: [fn(&mut Answer); 6] = [
        |answer| answer.nonce.push('x'),
        |answer| answer.uri.push('x'),
        |answer| answer.cnonce.push('x'),
        |answer| answer.nc = "00000002".into(),
        |answer| answer.quality = Quality::AuthInt,
        |answer| answer.response.truncate(63),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut answer = right.clone();
        change(&mut answer);
        assert!(!answer.is_proved(Some(&ha1), "GET", b""), "change {index}");
    }
}

#[test]
fn an_answer_may_vouch_for_the_body() {
    let mut answer = Answer::parse(&example("SHA-256", SHA256)).unwrap();
    let ha1 = mufasa(Algorithm::Sha256);
    answer.quality = Quality::AuthInt;
    answer.response = answer.proof(&ha1, "POST", b"events").to_string();
    assert!(answer.is_proved(Some(&ha1), "POST", b"events"));
    assert!(!answer.is_proved(Some(&ha1), "POST", b"event"));
}

#[test]
fn what_is_written_is_read_again() {
    let mut answer = Answer::parse(&example("MD5", MD5)).unwrap();
    answer.username = r#"ACME\"the host", ü"#.to_owned();
    answer.uri = r"/a,b=\".to_owned();
    assert_eq!(Answer::parse(&answer.emit()), Ok(answer));
}

#[test]
fn names_beyond_ascii_come_in_two_ways() {
    let plain = example("MD5", MD5);
    let named = |name: &str| {
        let text = plain.replace("username=\"Mufasa\"", name);
        Answer::parse(&text).map(|answer| answer.username)
    };
    assert_eq!(named("username=\"Jäsøn Doe\"").as_deref(), Ok("Jäsøn Doe"));
    // RFC 7616 3.9.2 without its userhash.
    let coded = "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe";
    assert_eq!(named(coded).as_deref(), Ok("Jäsøn Doe"));
    for wrong in [
        "username*=UTF-8''J%C3",
        "username*=UTF-8''J%c",
        "username*=UTF-8''J%+f",
        "username*=UTF-8''a%00b",
        "username*=Latin-1''J",
        "username*=Jason",
        "username=a, username*=UTF-8''a",
        "username=a, userhash=true",
    ] {
        assert!(named(wrong).is_err(), "{wrong}");
    }
    assert_eq!(named("username=a, userhash=false").as_deref(), Ok("a"));
}

#[test]
fn odd_spelling_is_read() {
    let odd = format!(
        "USERNAME = \"a\\b\\\"\" ,, realm=\"\",\turi=/,nonce=n,cnonce= \"\" ,NC=0000000A,qop=\"auth-int\",response={MD5} ,"
    );
    let answer = Answer::parse(&odd).unwrap();
    assert_eq!(answer.username, "ab\"");
    assert_eq!((answer.realm.as_str(), answer.uri.as_str()), ("", "/"));
    assert_eq!(answer.algorithm, Algorithm::Md5);
    assert_eq!((answer.quality, answer.count()), (Quality::AuthInt, 10));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let right = example("MD5", MD5);
    for name in [
        "username", "realm", "uri", "nonce", "cnonce", "nc", "qop", "response",
    ] {
        let without = right.replace(&format!("{name}="), "x-other=");
        let twice = format!("{right}, {name}=x");
        let error = Answer::parse(&without).unwrap_err();
        assert!(
            error.contains(name) || error.contains("twice"),
            "{name}: {error}"
        );
        assert!(Answer::parse(&twice).is_err(), "{name}");
    }
    for (from, to) in [
        ("algorithm=MD5", "algorithm=MD5-sess"),
        ("qop=auth", "qop=auth-conf"),
        ("nc=00000001", "nc=1"),
        ("nc=00000001", "nc=+0000001"),
        ("nc=00000001", "nc=00000001 qop2"),
        ("\"Mufasa\"", "\"Mufasa"),
        ("\"Mufasa\"", "\"Mufasa\" and"),
        ("\"Mufasa\"", "\"Muf\u{7}asa\""),
        (", uri", " uri"),
    ] {
        assert!(Answer::parse(&right.replace(from, to)).is_err(), "{to}");
    }
    for text in ["", "Mufasa", "=", "a=\"\\"] {
        assert!(Answer::parse(text).is_err(), "{text}");
    }
    let many = (0..MAX_PARAMETERS)
        .map(|n| format!(", x{n}="))
        .collect::<String>();
    assert!(Answer::parse(&(right + &many)).is_err());
}

#[test]
fn hashes_are_read_and_not_shown() {
    let mut ha1 = Ha1::default();
    for wrong in [
        "",
        "MD5",
        "MD5=",
        "MD5=xyz",
        "SHA-1=00",
        &format!("MD5={SHA256}"),
    ] {
        assert!(!ha1.add(wrong), "{wrong}");
    }
    assert!(!ha1.is_of("Mufasa", REALM, "Circle of Life"));
    assert!(ha1.add(&format!("md5={}", mufasa(Algorithm::Md5))));
    assert!(!ha1.add(&format!("MD5={MD5}")), "twice");
    assert!(ha1.is_of("Mufasa", REALM, "Circle of Life"));
    assert!(!ha1.is_of("Mufasa", REALM, "circle of life"));
    assert_eq!(ha1.get(Algorithm::Sha256), None);
    assert_eq!(format!("{ha1:?}"), "Ha1(redacted)");
}

#[test]
fn a_challenge_says_what_an_answer_needs() {
    assert_eq!(
        challenge("a \"b\"", Algorithm::Sha256, "nonce", true),
        "Digest realm=\"a \\\"b\\\"\", qop=\"auth, auth-int\", algorithm=SHA-256, nonce=\"nonce\", \
         charset=UTF-8, stale=true"
    );
    assert!(!challenge("a", Algorithm::Md5, "nonce", false).contains("stale"));
}
