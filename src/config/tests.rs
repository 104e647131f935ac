use clap::{CommandFactory, Parser};

use super::*;
use crate::base::causes::Causes;
use crate::cli::Options;

fn options(line: &str) -> RelayOptions {
    let words = std::iter::once("wecrelay").chain(line.split_whitespace());
    Options::try_parse_from(words)
        .map(|options| options.relay)
        .unwrap()
}

fn check(line: &str) -> Config {
    check_with(line, None)
}

fn check_with(line: &str, state_directory: Option<&str>) -> Config {
    let line = format!("--anonymous 192.0.2.1 {line}");
    let environment = Environment {
        state_directory: state_directory.map(OsString::from),
        ..Environment::default()
    };
    Config::check(&options(&line), &environment).unwrap()
}

/// The whole message, sources too.
fn refusal(line: &str) -> String {
    let line = format!("--anonymous 192.0.2.1 {line}");
    let error = Config::check(&options(&line), &Environment::default()).unwrap_err();
    let text = Causes(&error).to_string();
    let flag = error.flag().unwrap();
    assert!(text.contains(flag.name()), "{text}: {flag:?}");
    text
}

fn addresses(config: &Config) -> Vec<String> {
    config
        .listeners
        .iter()
        .map(|listener| listener.address.to_string())
        .collect()
}

#[test]
fn the_definitions_are_sound() {
    Options::command().debug_assert();
}

#[test]
fn without_a_method_nothing_starts() {
    let error = Config::check(&options(""), &Environment::default()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("--anonymous") && text.contains("--users"),
        "{text}"
    );
    assert!(Config::check(&options("--users u"), &Environment::default()).is_ok());
    assert!(Config::check(&options("--anonymous ::1"), &Environment::default()).is_ok());
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = check("");
    assert_eq!(addresses(&config), ["0.0.0.0:5985", "[::]:5985"]);
    assert_eq!(
        config.outputs,
        [output::Settings::parse("stdout:").unwrap()]
    );
    assert_eq!(config.channels, CHANNELS);
    assert_eq!(config.state, Path::new("wecrelay-state"));
    assert_eq!(config.hostname, None);
    assert!(!config.ntlmv1 && !config.allow_unencrypted);
    let mapping = Mapping {
        facility: FacilityRule::Auto,
        enterprise: 32473,
        bom: false,
        version: env!("CARGO_PKG_VERSION"),
    };
    assert_eq!(config.mapping, mapping);
}

#[test]
fn only_an_ipv6_address_that_came_along_is_optional() {
    let optional = |line: &str| -> Vec<bool> {
        check(line)
            .listeners
            .iter()
            .map(|listener| listener.optional)
            .collect()
    };
    assert_eq!(optional(""), [false, true]);
    assert_eq!(optional("--listen http://[::1]"), [false]);
    assert_eq!(
        optional("--listen http://127.0.0.1 --listen http://[::1]"),
        [false, false]
    );
}

#[test]
fn addresses_to_listen_on_are_read() {
    let config = check("-l http://127.0.0.1 -l HTTP://[::1]:0/ -l http://127.0.0.1:80");
    assert_eq!(
        addresses(&config),
        ["127.0.0.1:5985", "[::1]:0", "127.0.0.1:80"]
    );
    let local = check("--listen http://localhost:7");
    assert!(
        local
            .listeners
            .iter()
            .all(|listener| listener.address.ip().is_loopback())
    );
    assert!(!local.listeners.is_empty());
    assert_eq!(
        check("-l http://127.0.0.1:0 -l http://127.0.0.1:0")
            .listeners
            .len(),
        2
    );
}

#[test]
fn wrong_addresses_to_listen_on_are_refused() {
    for url in ["127.0.0.1:5985", "ftp://127.0.0.1", "http:127.0.0.1"] {
        let text = refusal(&format!("--listen {url}"));
        assert!(
            text.contains("allowed are http://ADDR[:PORT] and https://"),
            "{text}"
        );
    }
    let text = refusal("--listen http://h:99999");
    assert_eq!(
        text,
        "--listen http://h:99999: \"99999\" is not a port from 1 to 65535"
    );
    assert!(refusal("--listen http://127.0.0.1/wsman").contains("a path is not allowed"));
    assert!(refusal("--listen http://").contains("is not a host name"));
    let twice = refusal("--listen http://127.0.0.1 --listen http://127.0.0.1:5985");
    assert!(twice.ends_with("given twice"), "{twice}");
    let unknown = refusal("--listen http://no-such-host.invalid");
    assert!(
        unknown.starts_with("--listen http://no-such-host.invalid: "),
        "{unknown}"
    );
}

#[test]
fn https_goes_with_a_certificate_and_its_key() {
    let text = refusal("--listen https://0.0.0.0");
    assert_eq!(
        text,
        "--listen https://0.0.0.0:5986: https needs --tls-cert and --tls-key"
    );
    assert!(refusal("--tls-cert a --tls-key b").contains("no listener uses it"));
    let text = refusal("-l https://0.0.0.0 --tls-cert a --tls-key b --tls-key c");
    assert!(
        text.contains("belong together: 1 of one, 2 of the other"),
        "{text}"
    );
    let config = check("-l https://0.0.0.0 --tls-cert a --tls-key b --client-ca c --crl d");
    assert_eq!(addresses(&config), ["0.0.0.0:5986"]);
    assert!(config.listeners.iter().all(|listener| listener.secure));
    let files = config.tls.unwrap();
    assert_eq!(files.pairs, [("a".into(), "b".into())]);
    assert_eq!(
        (files.client_ca, files.crl),
        (Some("c".into()), Some("d".into()))
    );
}

#[test]
fn outputs_are_read_and_none_twice() {
    let config = check("--output udp://h --output file:/a --output file:/b");
    assert_eq!(config.outputs.len(), 3);
    for (first, second) in [
        ("udp://h", "udp://h:514"),
        ("tcp://h", "tcp://h?framing=lf"),
        ("file:/a", "file:/a?sync=yes"),
        ("unix:/a", "unix:/a?type=stream"),
        ("stdout:", "stdout:?required=no"),
    ] {
        let text = refusal(&format!("--output {first} --output {second}"));
        assert!(
            text.contains(&format!("same destination as {first}")),
            "{text}"
        );
    }
    let text = refusal("--output tcp://h?max=1");
    assert_eq!(
        text,
        "--output tcp://h?max=1: max= must be at least 480 bytes"
    );
}

#[test]
fn networks_are_read() {
    let networks = |line: &str| -> Vec<String> {
        let options = options(line);
        let config = Config::check(&options, &Environment::default()).unwrap();
        config.anonymous.iter().map(ToString::to_string).collect()
    };
    assert_eq!(networks("--anonymous 192.0.2.7"), ["192.0.2.7/32"]);
    assert_eq!(networks("--anonymous 0.0.0.0/0"), ["0.0.0.0/0"]);
    assert_eq!(
        networks("--anonymous 192.0.2.0/24 --anonymous 2001:db8::/32"),
        ["192.0.2.0/24", "2001:db8::/32"]
    );
    assert_eq!(networks("--anonymous ::ffff:192.0.2.7"), ["192.0.2.7/32"]);
    assert_eq!(
        networks("--anonymous ::ffff:192.0.2.0/120"),
        ["192.0.2.0/24"]
    );
}

#[test]
fn wrong_networks_are_refused_with_an_example() {
    for text in [
        "localhost",
        "192.0.2.0/33",
        "192.0.2",
        "",
        "[::1]",
        "192.0.2.0-192.0.2.9",
    ] {
        let error = network("--anonymous", text).unwrap_err().to_string();
        assert!(error.contains("for example 192.0.2.0/24"), "{error}");
    }
    let error = network("--proxy-protocol", "192.0.2.7/24")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("use 192.0.2.0/24 for the network"),
        "{error}"
    );
}

#[test]
fn ntlmv1_needs_accounts() {
    let error = Config::check(
        &options("--anonymous ::1 --ntlmv1"),
        &Environment::default(),
    )
    .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("--users or --ntlm-helper"), "{error}");
    assert!(check("--users u --ntlmv1").ntlmv1);
    assert!(check("--ntlm-helper u --ntlmv1").ntlmv1);
}

#[test]
fn a_helper_is_a_command_in_words() {
    assert_eq!(check("").ntlm_helper, None);
    let helper = check("--ntlm-helper ntlm_auth --ntlm-helpers 9").ntlm_helper;
    let helper = helper.unwrap();
    assert_eq!(
        (&helper.command[..], helper.size),
        (&["ntlm_auth".to_owned()][..], 9)
    );
    let mut options = options("--ntlm-helper x");
    options.ntlm_helper = Some("ntlm_auth 'x".into());
    let error = Config::check(&options, &Environment::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("ntlm_auth 'x: not a command"), "{error}");
    for bad in [
        "--ntlm-helpers 3",
        "--ntlm-helper x --ntlm-helpers 0",
        "--ntlm-helper x --ntlm-helpers 65",
    ] {
        let words = ["wecrelay"].into_iter().chain(bad.split(' '));
        assert!(Options::try_parse_from(words).is_err(), "{bad}");
    }
}

#[test]
fn channels_and_files_stand_beside_each_other() {
    assert_eq!(check("-c Security").channels, ["Security"]);
    assert!(check("-s /a").channels.is_empty());
    let both = check("-s /a -s /b -c Microsoft-Windows-Sysmon/Operational");
    assert_eq!(both.channels, ["Microsoft-Windows-Sysmon/Operational"]);
    assert_eq!(both.subscriptions, [Path::new("/a"), Path::new("/b")]);
    assert!(refusal("-c Security -c SECURITY").ends_with("given twice"));
}

#[test]
fn names_that_cannot_be_channels_are_refused() {
    for name in ["", " Security", "a\nb", "*", "a<b", "a\"b"] {
        assert!(!is_channel(name), "{name:?}");
    }
    assert!(is_channel(&"a".repeat(LONGEST_CHANNEL)));
    assert!(!is_channel(&"a".repeat(LONGEST_CHANNEL + 1)));
    assert!(refusal("--channel *").contains("wevtutil el"));
}

#[test]
fn host_names_fit_into_urls() {
    for (given, made) in [
        ("collector.example.com", "collector.example.com"),
        ("WEC_1", "WEC_1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ] {
        assert_eq!(
            check(&format!("--hostname {given}")).hostname.as_deref(),
            Some(made)
        );
    }
    for name in [
        "http://h",
        "h:5985",
        "a b",
        "",
        "h/p",
        "192.0.2.256",
        "[h]",
        "h;&",
    ] {
        assert!(matches!(hostname(name), Err(Error::Hostname(_))), "{name}");
    }
}

#[test]
fn facilities_are_names_or_numbers() {
    let parsed = |text: &str| facility(text).ok();
    assert_eq!(parsed("auto"), Some(FacilityRule::Auto));
    assert_eq!(
        parsed("authpriv"),
        Facility::from_name("10").map(FacilityRule::Fixed)
    );
    assert_eq!(
        parsed("local7"),
        Facility::from_name("23").map(FacilityRule::Fixed)
    );
    assert_eq!(
        parsed("0"),
        Facility::from_name("0").map(FacilityRule::Fixed)
    );
    assert_eq!(
        parsed("23"),
        Facility::from_name("23").map(FacilityRule::Fixed)
    );
    for text in ["24", "-1", "+1", "", "AUTO", "local8"] {
        assert_eq!(parsed(text), None, "{text}");
    }
    assert!(refusal("--facility local8").contains("local7"));
}

#[test]
fn the_state_folder_comes_from_the_flag_then_systemd() {
    assert_eq!(check_with("--state /a", Some("/b")).state, Path::new("/a"));
    assert_eq!(check_with("", Some("/b:/c")).state, Path::new("/b"));
    assert_eq!(check_with("", Some("")).state, Path::new("wecrelay-state"));
}

#[test]
fn subcommands_take_no_relay_flags() {
    let parse = |line: &str| Options::try_parse_from(line.split_whitespace());
    assert!(parse("wecrelay send -q --count 5").is_ok());
    assert!(parse("wecrelay passwd DOMAIN\\user").is_ok());
    assert!(parse("wecrelay passwd").is_err());
    assert!(parse("wecrelay --bom send").is_err());
    assert!(parse("wecrelay send --count 0").is_err());
    assert!(parse("wecrelay -v -q").is_err());
}

fn inherited(line: &str, sockets: &[(&str, &str)]) -> Result<Config, Error> {
    let socket = |(name, address): &(&str, &str)| Inherited {
        name: (*name).to_owned(),
        address: address.parse().unwrap(),
    };
    let environment = Environment {
        sockets: sockets.iter().map(socket).collect(),
        ..Environment::default()
    };
    let line = format!("--anonymous 192.0.2.1 {line}");
    Config::check(&options(&line), &environment)
}

#[test]
fn inherited_sockets_take_the_place_of_the_default() {
    let config = inherited("", &[("wecrelay.socket", "192.0.2.1:80")]).unwrap();
    assert_eq!(addresses(&config), ["192.0.2.1:80"]);
    let beside = inherited("--listen http://127.0.0.1", &[("x", "192.0.2.1:80")]).unwrap();
    assert_eq!(addresses(&beside), ["192.0.2.1:80", "127.0.0.1:5985"]);
    let numbers = beside.listeners.iter().map(|listener| listener.inherited);
    assert_eq!(numbers.collect::<Vec<_>>(), [Some(0), None]);
}

#[test]
fn inherited_sockets_are_secure_by_name_or_port() {
    let files = "--tls-cert c --tls-key k";
    let secure = |sockets| inherited(files, sockets).unwrap().listeners[0].secure;
    assert!(secure(&[("https", "192.0.2.1:443")]));
    assert!(secure(&[("", "[::]:5986")]));
    let error = inherited("", &[("https", "192.0.2.1:443")]).unwrap_err();
    assert!(error.to_string().contains("--tls-cert"), "{error}");
    let plain = inherited(files, &[("http", "192.0.2.1:443")]).unwrap_err();
    assert!(plain.to_string().contains("https"), "{plain}");
}

#[test]
fn an_age_has_a_unit() {
    assert_eq!(age("90d"), Some(7_776_000));
    assert_eq!(age("0s"), Some(0));
    for wrong in ["", "90", "d", "9 d", "-1d", "1y", "99999999999999999999d"] {
        assert_eq!(age(wrong), None, "{wrong}");
    }
}

#[test]
fn hosts_are_forgotten_after_three_months_or_as_it_is_said() {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!(check_with("", None).forget_after, days(90));
    assert_eq!(check_with("--forget-after 2w", None).forget_after, days(14));
    assert_eq!(check_with("--forget-after never", None).forget_after, None);
    for wrong in ["0d", "90", "forever"] {
        let error = forget_after(wrong).unwrap_err().to_string();
        assert!(error.contains("such as 90d, or never"), "{error}");
    }
}

#[test]
fn texts_are_asked_for_only_if_an_output_needs_them() {
    assert!(check("").wants_rendering());
    assert!(!check("--message json").wants_rendering());
    assert!(!check("--output tcp://h?message=cef --output stdout:?message=xml").wants_rendering());
    assert!(
        check("--message xml --output stdout: --output tcp://h?message=snare").wants_rendering()
    );
}

#[test]
fn the_own_log_has_no_form_without_a_header() {
    let refused = refusal("--log-to-outputs --output stdout:?message=ecs&header=none");
    assert!(refused.contains("use header=rfc5424"), "{refused}");
    check("--log-to-outputs --output stdout:?message=ecs");
}

#[test]
fn rules_of_the_relay_stand_before_those_of_an_output() {
    let line = "--drop id:1 --only channel:Security --output stdout:?drop=level:verbose&only=id:2 --output udp://h";
    let reasons = |output: &output::Settings| output.filter.reasons();
    let expected = [
        vec![
            "only=channel:Security",
            "drop=id:1",
            "only=id:2",
            "drop=level:verbose",
        ],
        vec!["only=channel:Security", "drop=id:1"],
    ];
    let config = check(line);
    assert_eq!(
        config.outputs.iter().map(reasons).collect::<Vec<_>>(),
        expected
    );
    assert!(refusal("--drop 4688").contains("--drop: \"4688\" is not a condition"));
    assert!(refusal("--output stdout:?only=id:x").contains("only=: id: cannot be \"x\""));
}
