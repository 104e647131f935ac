use super::*;

fn question(user: &str, domain: &str) -> Question {
    Question {
        user: user.into(),
        domain: domain.into(),
        challenge: [1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef],
        response: vec![0; 24],
    }
}

fn text(user: &str, domain: &str) -> String {
    String::from_utf8(emit(&question(user, domain))).unwrap()
}

/// All answers of these bytes, fed in pieces of `size`.
fn decode(bytes: &[u8], size: usize) -> Result<Vec<String>, Error> {
    let mut decoder = Decoder::default();
    let mut answers = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.feed(piece);
        while let Some(answer) = decoder.poll()? {
            answers.push(shown(&answer));
        }
    }
    Ok(answers)
}

/// An answer with its key, which prints as redacted.
fn shown(answer: &Answer) -> String {
    match answer {
        Answer::Authenticated(Some(key)) => format!("yes {:02x?}", key.as_bytes()),
        Answer::Authenticated(None) => "yes".into(),
        Answer::Refused(why) => format!("no {why}"),
        Answer::Error(why) => format!("error {why}"),
    }
}

#[track_caller]
fn error(text: &str) -> Error {
    decode(text.as_bytes(), 7).unwrap_err()
}

#[test]
fn a_question_is_what_the_real_program_reads() {
    assert_eq!(
        text("WIN10$", "WINDOMAIN"),
        "LANMAN-Challenge: 0123456789ABCDEF\n\
         NT-Response: 000000000000000000000000000000000000000000000000\n\
         NT-Domain: WINDOMAIN\nUsername: WIN10$\nRequest-User-Session-Key: Yes\n.\n"
    );
}

#[test]
fn names_of_a_source_cannot_add_lines() {
    // Empty names are left out: the program would take an empty one for its own.
    let lines = text("WIN10$@dom.example", "");
    assert!(lines.contains("Username: WIN10$@dom.example\n"), "{lines}");
    assert!(!lines.contains("NT-Domain"), "{lines}");
    for name in ["a\nPassword: x", "a b", "grün", ":a", "a\0", "."] {
        let lines = text(name, name);
        assert_eq!(lines.lines().count(), 6, "{lines}");
        if name != "." {
            let encoded = STANDARD.encode(name);
            assert!(
                lines.contains(&format!("Username:: {encoded}\n")),
                "{lines}"
            );
            assert!(
                lines.contains(&format!("NT-Domain:: {encoded}\n")),
                "{lines}"
            );
        }
    }
}

/// What Samba 4.17 sends: one dot after a yes, two after a no.
#[test]
fn answers_of_the_real_program_are_read_in_any_pieces() {
    let session = "Authenticated: Yes\nUser-Session-Key: 8DE40CCADBC14A82F15CB0AD0DE95CA3\n.\n\
        Authenticated: No\nAuthentication-Error: Reading winbind reply failed!\n.\n.\n\
        Error: No username supplied!\n.\n\
        Authenticated: Yes\n.\n";
    let expected = [
        "yes [8d, e4, 0c, ca, db, c1, 4a, 82, f1, 5c, b0, ad, 0d, e9, 5c, a3]",
        "no Reading winbind reply failed!",
        "error No username supplied!",
        "yes",
    ];
    for size in 1..session.len() {
        assert_eq!(decode(session.as_bytes(), size).unwrap(), expected);
    }
    let crlf = session.replace('\n', "\r\n");
    assert_eq!(decode(crlf.as_bytes(), 5).unwrap(), expected);
    let encoded = "authenticated:: WWVz\nUSER-SESSION-KEY:: \
        OERFNDBDQ0FEQkMxNEE4MkYxNUNCMEFEMERFOTVDQTM=\nLANMAN-Session-Key: 00\n.\n";
    assert_eq!(decode(encoded.as_bytes(), 5).unwrap(), expected[..1]);
}

#[test]
fn what_is_no_answer_is_refused_by_its_defect() {
    assert_eq!(error("hello\n"), Error::NoColon);
    assert_eq!(error("OK\n.\n"), Error::NoColon);
    assert_eq!(error("Authenticated: Maybe\n"), Error::Verdict);
    assert_eq!(error("Authenticated:: !!\n"), Error::Base64);
    for key in ["", "00", &"0".repeat(33), &"g".repeat(32), &"é".repeat(16)] {
        let line = format!("User-Session-Key: {key}\n");
        assert_eq!(error(&line), Error::SessionKey, "{key}");
    }
    for lines in [
        "Authenticated: Yes\nAuthenticated: Yes\n.\n",
        "Authenticated: Yes\nAuthenticated: No\n.\n",
        "Authenticated: Yes\nAuthentication-Error: locked\n.\n",
        "Authenticated: Yes\nError: x\n.\n",
        "Authenticated: No\nError: x\n.\n",
        "Authenticated: No\nUser-Session-Key: 8DE40CCADBC14A82F15CB0AD0DE95CA3\n.\n",
        "User-Session-Key: 8DE40CCADBC14A82F15CB0AD0DE95CA3\n.\n",
        "Authentication-Error: x\n.\n",
        "Other: x\n.\n",
    ] {
        assert_eq!(error(lines), Error::Contradiction, "{lines}");
    }
}

#[test]
fn answers_have_bounds_on_both_sides() {
    let line = |length: usize| format!("X: {}\nAuthenticated: Yes\n.\n", "x".repeat(length - 3));
    assert_eq!(decode(line(MAX_LINE).as_bytes(), 100).unwrap(), ["yes"]);
    assert_eq!(error(&line(MAX_LINE + 1)), Error::LineTooLong);
    assert_eq!(error(&"x".repeat(MAX_LINE + 9)), Error::LineTooLong);
    let lines = |count: usize| format!("{}Authenticated: Yes\n.\n", "X: x\n".repeat(count - 1));
    assert_eq!(decode(lines(MAX_LINES).as_bytes(), 100).unwrap(), ["yes"]);
    assert_eq!(error(&lines(MAX_LINES + 1)), Error::TooManyLines);
    let dots = |count: usize| format!("{}Authenticated: Yes\n.\n", ".\n".repeat(count));
    assert_eq!(decode(dots(MAX_LINES).as_bytes(), 100).unwrap(), ["yes"]);
    assert_eq!(error(&dots(MAX_LINES + 1)), Error::TooManyLines);
}

#[test]
fn a_verdict_tells_a_no_from_an_outage() {
    let verdict = |text: &str| {
        let mut decoder = Decoder::default();
        decoder.feed(text.as_bytes());
        decoder.poll().unwrap().unwrap().verdict()
    };
    let refused = |why: &str| {
        verdict(&format!(
            "Authenticated: No\nAuthentication-Error: {why}\n.\n"
        ))
    };
    for why in [
        "Reading winbind reply failed!",
        "winbind client not authorized to use winbindd_pam_auth_crap.",
        "NT_STATUS_NO_LOGON_SERVERS",
        "No logon servers are currently available to service the logon request.",
        "Could not find the domain controller for this domain.",
        "The trust relationship between this workstation and the primary domain failed.",
    ] {
        assert!(matches!(refused(why), Verdict::Unavailable(_)), "{why}");
    }
    for why in [
        "NT_STATUS_ACCOUNT_DISABLED",
        "The specified account does not exist.",
        "",
    ] {
        assert!(matches!(refused(why), Verdict::Refused(_)), "{why}");
    }
    let samba = "When trying to update a password, this return status indicates that the value \
         provided as the current password is not correct.";
    assert!(matches!(refused(samba), Verdict::Refused(why) if why == "wrong password"));
    // No key, no session; and one of zeros is none.
    let zeros = format!(
        "Authenticated: Yes\nUser-Session-Key: {}\n.\n",
        "0".repeat(32)
    );
    for text in [
        "Authenticated: Yes\n.\n",
        &zeros,
        "Error: hex decode failed\n.\n",
    ] {
        assert!(matches!(verdict(text), Verdict::Unavailable(_)), "{text}");
    }
}
