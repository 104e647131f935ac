#![expect(clippy::disallowed_methods, reason = "the tests write files")]

use std::fs;

use super::*;

/// NT hash of "password".
const PASSWORD: &str = "8846f7eaee8fb117ad06bdd830b7586c";
/// NT hash of "Password" (MS-NLMP 4.2.2.1.2).
const OTHER: &str = "a4f49c406510bdcab6824ee7c30fd852";

fn users(text: &str) -> Result<Users, Error> {
    Users::parse(text, Path::new("users"))
}

fn hash(users: &Users, domain: &str, user: &str) -> Option<String> {
    users.find(user, domain).map(|known| known.hash.to_hex())
}

/// Whether that is the password.
fn check(users: &Users, name: &str, password: &str) -> Option<bool> {
    Some(users.check(name, password)?.is_some())
}

/// The line and the reason for which `text` is refused.
fn refusal(text: &str) -> (usize, Reason) {
    match users(text) {
        Err(Error::Line { line, reason, .. }) => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_found_without_regard_to_case() {
    let users = users(&format!("Acme\\Jörg:{{NT}}{PASSWORD}")).unwrap();
    assert_eq!(hash(&users, "ACME", "JÖRG").as_deref(), Some(PASSWORD));
    assert_eq!(hash(&users, "acme", "jörg").as_deref(), Some(PASSWORD));
}

#[test]
fn a_slash_for_a_backslash_is_told() {
    let line = format!("ACME/host:{{NT}}{PASSWORD}");
    assert_eq!(refusal(&line), (1, Reason::Slash));
    assert!(Reason::Slash.to_string().contains("'DOMAIN\\USER'"));
}

#[test]
fn letters_that_would_become_two_stay_apart() {
    let users = users(&format!("strasse:{{NT}}{PASSWORD}")).unwrap();
    assert_eq!(hash(&users, "", "straße"), None);
}

#[test]
fn a_line_without_domain_fits_any_domain_and_one_with_it_comes_first() {
    let users = users(&format!(
        "host:{{NT}}{PASSWORD}\nACME\\host:{{nt}}{}",
        OTHER.to_uppercase()
    ));
    let users = users.unwrap();
    assert_eq!(hash(&users, "acme", "host").as_deref(), Some(OTHER));
    assert_eq!(hash(&users, "other", "host").as_deref(), Some(PASSWORD));
    assert_eq!(hash(&users, "", "host").as_deref(), Some(PASSWORD));
}

#[test]
fn a_line_with_domain_fits_no_other() {
    let users = users(&format!("ACME\\host:{{NT}}{PASSWORD}")).unwrap();
    for (domain, user) in [
        ("", "host"),
        ("other", "host"),
        ("ACME", "other"),
        ("", "ACME\\host"),
    ] {
        assert_eq!(hash(&users, domain, user), None, "{domain} {user}");
    }
}

#[test]
fn blank_lines_comments_and_line_ends_of_windows_are_fine() {
    let text =
        format!("\u{feff}# made by hand\r\n\r\n  # more\r\n ACME\\a b : {{NT}}{PASSWORD} \r\n");
    let users = users(&text).unwrap();
    assert_eq!(users.len(), 1);
    assert!(hash(&users, "acme", "a b").is_some());
    assert!(Users::parse("", Path::new("users")).unwrap().is_empty());
}

#[test]
fn a_line_that_passwd_makes_can_be_read() {
    let account: Account = "ACME\\collector".parse().unwrap();
    let made = line(&account, "password");
    assert_eq!(*made, format!("ACME\\collector:{{NT}}{PASSWORD}"));
    assert_eq!(
        hash(&users(&made).unwrap(), "ACME", "collector").as_deref(),
        Some(PASSWORD)
    );
}

#[test]
fn bad_lines_are_refused_with_their_number() {
    let nt = format!("{{NT}}{PASSWORD}");
    for (text, reason) in [
        ("collector".to_owned(), Reason::NoSecret),
        (format!(":{nt}"), Reason::Account),
        (format!("\\user:{nt}"), Reason::Account),
        (format!("ACME\\:{nt}"), Reason::Account),
        (format!("a\\b\\c:{nt}"), Reason::Account),
        (format!("ACME\\ user:{nt}"), Reason::Account),
        (format!("a\u{7}b:{nt}"), Reason::Account),
        ("user:secret".to_owned(), Reason::PlainText),
        (format!("user:{PASSWORD}"), Reason::PlainText),
        ("user:".to_owned(), Reason::PlainText),
        ("user:{secret".to_owned(), Reason::PlainText),
        ("user:{my}secret".to_owned(), Reason::PlainText),
        (
            "user:{SCRAM}realm:x".to_owned(),
            Reason::UnknownForm {
                form: "SCRAM".to_owned(),
            },
        ),
        ("user:{DIGEST}realm".to_owned(), Reason::Digest),
        ("user:{DIGEST}realm:x".to_owned(), Reason::Digest),
        ("user:{DIGEST}realm:".to_owned(), Reason::Digest),
        (
            format!("user:{{DIGEST}}realm:MD5={PASSWORD}0"),
            Reason::Digest,
        ),
        (
            format!("user:{{DIGEST}}realm:SHA-1={PASSWORD}"),
            Reason::Digest,
        ),
        (
            format!("user:{{DIGEST}}realm:MD5={PASSWORD}:MD5={PASSWORD}"),
            Reason::Digest,
        ),
        (format!("user:{{DIGEST}}:MD5={PASSWORD}"), Reason::Realm),
        (
            format!("user:{{DIGEST}} realm:MD5={PASSWORD}"),
            Reason::Realm,
        ),
        (
            format!("user:{{DIGEST}}\"realm:MD5={PASSWORD}"),
            Reason::Realm,
        ),
        (format!("user:{{DIGEST}}é:MD5={PASSWORD}"), Reason::Realm),
        ("user:{NT}".to_owned(), Reason::Hash),
        (format!("user:{nt}0"), Reason::Hash),
        (format!("user:{{NT}}+{}", &PASSWORD[1..]), Reason::Hash),
        (format!("user:{{NT}}{}", &PASSWORD[1..]), Reason::Hash),
        (format!("user:{{NT}}é{}", &PASSWORD[2..]), Reason::Hash),
    ] {
        assert_eq!(refusal(&format!("# first\n{text}")), (2, reason), "{text}");
    }
}

#[test]
fn an_account_that_stands_there_twice_is_refused_naming_both_lines() {
    let text = format!("ACME\\host:{{NT}}{PASSWORD}\n\nacme\\HOST:{{NT}}{OTHER}");
    let error = users(&text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "users: ACME\\host is in line 1 and again in line 3"
    );
}

#[test]
fn errors_say_what_is_allowed_and_show_no_secret() {
    let error = users("user:hunter2").unwrap_err();
    let reason = error.to_string();
    assert!(reason.starts_with("users, line 1: "), "{reason}");
    assert!(
        reason.contains("{NT}HASH") && reason.contains("wecrelay passwd"),
        "{reason}"
    );
    for text in [
        "user:hunter2",
        "hunter2",
        "user:{hunter2}x",
        "user:{NT}hunter2",
    ] {
        assert!(!format!("{:?}", users(text)).contains("hunter2"), "{text}");
    }
    let debug = format!("{:?}", users(&format!("user:{{NT}}{PASSWORD}")).unwrap());
    assert!(
        debug.contains("redacted") && !debug.contains(PASSWORD),
        "{debug}"
    );
}

#[test]
fn a_file_is_loaded_and_a_missing_one_is_named() {
    let path = std::env::temp_dir().join(format!("wecrelay-{}-users", std::process::id()));
    fs::write(&path, format!("user:{{NT}}{PASSWORD}\n")).unwrap();
    assert_eq!(Users::load(&path).unwrap().len(), 1);
    fs::remove_file(&path).unwrap();
    let error = Users::load(&path).unwrap_err();
    assert!(error.to_string().contains("-users"), "{error}");
}

#[test]
fn a_digest_line_stands_beside_the_other_of_an_account() {
    let account: Account = "ACME\\host".parse().unwrap();
    let made = digest_line(&account, "Event collector", "password").unwrap();
    assert!(
        made.starts_with("ACME\\host:{DIGEST}Event collector:SHA-256="),
        "{}",
        *made
    );
    let users = users(&format!("{}\nACME\\host:{{NT}}{OTHER}\n", *made)).unwrap();
    assert_eq!((users.len(), users.realm()), (1, Some("Event collector")));
    assert_eq!(users.algorithms(), Algorithm::ALL);
    let ha1 = users.ha1("ACME\\host").unwrap();
    assert!(ha1.1.is_of("ACME\\host", "Event collector", "password"));
    assert!(!ha1.1.is_of("acme\\host", "Event collector", "password"));
    assert!(users.ha1("host").is_none());
    // The {NT} line comes first for Basic.
    assert_eq!(check(&users, "acme\\HOST", "Password"), Some(true));
    assert_eq!(check(&users, "ACME\\host", "password"), Some(false));
}

#[test]
fn basic_goes_by_either_form() {
    let digest = digest_line(&"b".parse().unwrap(), "here", "password").unwrap();
    let users = users(&format!("a:{{NT}}{PASSWORD}\n{}\n", *digest)).unwrap();
    for (name, password, want) in [
        ("a", "password", Some(true)),
        ("ACME\\A", "password", Some(true)),
        ("a", "Password", Some(false)),
        ("a", "", Some(false)),
        ("b", "password", Some(true)),
        ("b", "Password", Some(false)),
        ("ACME\\b", "password", None),
        ("c", "password", None),
        ("", "", None),
    ] {
        assert_eq!(check(&users, name, password), want, "{name} {password}");
    }
}

#[test]
fn only_the_algorithms_of_the_file_are_offered() {
    let line = format!("a:{{digest}}here:md5={}", PASSWORD.to_uppercase());
    let md5 = users(&line).unwrap();
    assert_eq!(md5.algorithms(), [Algorithm::Md5]);
    assert_eq!(md5.ha1("a").unwrap().1.get(Algorithm::Md5), Some(PASSWORD));
    assert!(md5.is_empty(), "NTLM has no account");
    assert!(users("").unwrap().algorithms().is_empty());
}

#[test]
fn digest_lines_of_two_realms_are_refused_naming_both() {
    let error = users(&format!(
        "a:{{DIGEST}}x:MD5={PASSWORD}\n\nb:{{DIGEST}}y:MD5={PASSWORD}"
    ));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("lines 1 and 3"), "{error}");
}

#[test]
fn an_account_has_the_name_of_its_line_whatever_a_client_calls_it() {
    let users = users(&format!(
        "Host:{{NT}}{PASSWORD}\nAcme\\Other:{{NT}}{PASSWORD}"
    ))
    .unwrap();
    let found = |domain, user| users.find(user, domain).unwrap().name.to_string();
    for domain in ["", "ACME", "X\\host/dc01.example/"] {
        assert_eq!(found(domain, "HOST"), "Host");
    }
    assert_eq!(found("ACME", "oTHER"), "Acme\\Other");
    let proved = users.check("x\\host", "password").unwrap();
    assert_eq!(proved.unwrap().to_string(), "Host");
}

#[test]
fn a_dotless_i_is_no_i() {
    let users = users(&format!("ılgaz:{{NT}}{PASSWORD}\nilgaz:{{NT}}{OTHER}")).unwrap();
    assert_eq!(hash(&users, "", "ıLGAZ").as_deref(), Some(PASSWORD));
    assert_eq!(hash(&users, "", "Ilgaz").as_deref(), Some(OTHER));
}
