use super::*;

const PATH: &str = "/etc/wecrelay/wecrelay.toml";

fn arguments(text: &str) -> Vec<String> {
    let settings = settings(text, Path::new(PATH)).unwrap();
    let occurrences = settings.into_iter().flat_map(|s| s.occurrences);
    let arguments = occurrences.map(|o| o.argument.into_string().unwrap());
    arguments.collect()
}

fn refusal(text: &str) -> String {
    let error = settings(text, Path::new(PATH)).unwrap_err().to_string();
    let rest = error.strip_prefix(PATH).unwrap_or(&error);
    rest.to_owned()
}

/// The flags of both, without reading a file.
fn both(given: &[&str], text: &str) -> Result<Options, Error> {
    let given = ["wecrelay"].iter().chain(given).map(OsString::from);
    let arguments = Arguments {
        given: given.collect(),
        file: Some((PATH.into(), settings(text, Path::new(PATH)).unwrap())),
    };
    arguments.options()
}

#[test]
fn keys_become_flags() {
    let text = "listen = 'http://192.0.2.1' # one of an array\n\
                anonymous = ['192.0.2.0/24', \"2001:db8::/32\"]\n\
                ntlmv1 = true\nbom = false\nverbose = 2\nenterprise = 0x7e\n\
                require-computer-match = true\n";
    assert_eq!(
        arguments(text),
        [
            "--listen=http://192.0.2.1",
            "--anonymous=192.0.2.0/24",
            "--anonymous=2001:db8::/32",
            "--ntlmv1",
            "--verbose",
            "--verbose",
            "--enterprise=126",
            "--require-computer-match",
        ]
    );
    assert_eq!(
        arguments("require-computer-match = 'mark'"),
        ["--require-computer-match=mark"]
    );
}

#[test]
fn relative_paths_begin_at_the_file() {
    let text = "users = 'users'\nstate = '/var/lib/x'\ntls-cert = ['a.pem']\n\
                output = ['file:events', 'tls://h?ca=ca.pem']\nhostname = 'a'\n";
    assert_eq!(
        arguments(text),
        [
            "--users=/etc/wecrelay/users",
            "--state=/var/lib/x",
            "--tls-cert=/etc/wecrelay/a.pem",
            "--output=file:/etc/wecrelay/events",
            "--output=tls://h?ca=/etc/wecrelay/ca.pem",
            "--hostname=a",
        ]
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let cases = [
        (
            "\nlisen = 'a'",
            ":2: unknown flag \"lisen\"; did you mean \"listen\"?",
        ),
        (
            "tls_cert = 'a'",
            ":1: unknown flag \"tls_cert\"; did you mean \"tls-cert\"?",
        ),
        (
            "zzz = 1",
            ":1: unknown flag \"zzz\"; allowed are those in wecrelay.toml(5)",
        ),
        (
            "[wecrelay]\nlisten = 'http://127.0.0.1'",
            ":1: sections are not allowed: delete the line [wecrelay]",
        ),
        ("config = 'a'", ":1: unknown flag \"config\""),
        ("help = true", ":1: unknown flag \"help\""),
        (
            "[output]\nx = 1",
            ":1: output is a table; allowed is a string, or an array",
        ),
        (
            "users = ['a']",
            ":1: users is an array; allowed is a string",
        ),
        (
            "listen = [\n 'a',\n 5985 ]",
            ":3: listen is a number; allowed is a string, or an array",
        ),
        (
            "bom = 'yes'",
            ":1: bom is a string; allowed is true or false",
        ),
        (
            "enterprise = '1'",
            ":1: enterprise is a string; allowed is a number",
        ),
        (
            "enterprise = 1.5",
            ":1: enterprise is a fraction; allowed is a number",
        ),
        (
            "verbose = -1",
            ":1: verbose is below zero; allowed is a number",
        ),
        (
            "enterprise = 0",
            ":1: invalid value '0' for '--enterprise <N>'",
        ),
        (
            "ntlm-helpers = 65",
            ":1: invalid value '65' for '--ntlm-helpers <N>': 65 is not in 1..=64",
        ),
        (
            "\n\nmessage = 'yaml'",
            ":3: invalid value 'yaml' for '--message <KIND>' [possible values: text, xml, json, ecs,",
        ),
        ("a = 1\na = 2", ":2: not valid TOML: duplicate key"),
        ("listen = ", ":1: not valid TOML: "),
    ];
    for (text, expected) in cases {
        let refusal = refusal(text);
        assert!(refusal.starts_with(expected), "{text}: {refusal}");
    }
}

#[test]
fn what_is_given_replaces_what_stands_in_the_file() {
    let text = "anonymous = ['192.0.2.1', '192.0.2.2']\nusers = '/a'\nquiet = 1\n";
    let options = both(&["--anonymous", "192.0.2.9"], text).unwrap();
    assert_eq!(options.relay.anonymous, ["192.0.2.9"]);
    assert_eq!(options.relay.users, Some("/a".into()));
    assert_eq!(options.verbosity.quiet, 1);
    let options = both(&["-v"], text).unwrap();
    assert_eq!((options.verbosity.verbose, options.verbosity.quiet), (1, 0));
    assert_eq!(options.relay.anonymous, ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_subcommand_takes_those_flags_that_it_has() {
    let text = "anonymous = '192.0.2.1'\nquiet = 1\n";
    let options = both(&["check", "--users", "/b"], text).unwrap();
    let Some(crate::cli::Command::Check(check)) = options.command else {
        panic!("{:?}", options.command);
    };
    assert_eq!(check.relay.anonymous, ["192.0.2.1"]);
    assert_eq!(check.relay.users, Some("/b".into()));
    assert!(both(&["ca", "list"], text).is_ok());
}

#[test]
fn what_flags_need_may_stand_in_the_other_place() {
    assert!(both(&["--digest"], "users = '/a'").is_ok());
    assert!(both(&["--users", "/a"], "digest = true").is_ok());
    assert!(both(&[], "digest = true").is_err());
    assert!(config(&["wecrelay", "--digest", "--config", "x"].map(Into::into)).is_some());
    assert!(config(&["wecrelay", "check", "--config=x"].map(Into::into)).is_some());
    assert!(config(&["wecrelay", "--digest"].map(Into::into)).is_none());
}

#[test]
fn an_error_is_placed_by_its_flag_and_value() {
    let text =
        "listen = [\n'http://a',\n'ftp://b' ]\nusers = 'x'\nsubscription = ['/s/a',\n'/s/b']\n";
    let arguments = Arguments {
        given: vec!["wecrelay".into()],
        file: Some((PATH.into(), settings(text, Path::new(PATH)).unwrap())),
    };
    let line = |flag: Flag| arguments.place(&flag).map(|place| place.line);
    assert_eq!(line(Flag::with("--listen", "ftp://b")), Some(3));
    // Such as an address that a name has: the key is what can be told.
    assert_eq!(line(Flag::with("--listen", "http://192.0.2.1")), Some(1));
    assert_eq!(line(Flag::new("--users")), Some(4));
    let file = Flag::file("--subscription", Path::new("/s/b/c.xml"));
    assert_eq!(line(file), Some(6));
    assert_eq!(line(Flag::new("--keytab")), None);
    let error = super::super::Error::ListenScheme("ftp://b".to_owned());
    let flag = error.flag();
    let placed = arguments.placed(flag.as_ref(), error).to_string();
    assert!(
        placed.starts_with("/etc/wecrelay/wecrelay.toml:3: --listen ftp://b: "),
        "{placed}"
    );
}

#[test]
fn what_needs_a_restart_is_found() {
    let settings = |text| settings(text, Path::new(PATH)).unwrap();
    let before = settings("listen = ['http://a']\nusers = 'a'\nstate = 's'");
    let after = settings("\nlisten = 'http://a'\nusers = 'b'\nmetrics = '127.0.0.1:1'\n");
    assert_eq!(waiting(&before, &after), ["metrics", "state"]);
}

#[test]
fn every_reloaded_name_is_a_key() {
    let command = keys::command();
    for name in RELOADED {
        assert!(
            keys(&command).any(|arg| arg.get_long() == Some(name)),
            "{name}"
        );
    }
}
