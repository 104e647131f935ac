use super::*;
use crate::windows::sid;

const DOMAIN: &str = "S-1-5-21-1000-2000-3000";

fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

/// An account or group of the test's domain.
fn own(rid: u32) -> Sid {
    sid(DOMAIN).with_rid(rid).unwrap()
}

fn sd(text: &str) -> SecurityDescriptor {
    text.parse().unwrap()
}

fn refusal(text: &str) -> Error {
    text.parse::<SecurityDescriptor>().unwrap_err()
}

/// A workstation in Domain Computers and in group 1105.
fn workstation() -> Token {
    Token::new(own(1102), vec![own(515), own(1105)], vec![])
}

fn lets_in(text: &str, token: &Token) -> bool {
    sd(text).decide(token).allows()
}

#[test]
fn the_default_of_windows_lets_domain_computers_in() {
    let default = "O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)";
    assert!(lets_in(default, &workstation()));
    let controller = Token::new(own(1000), vec![own(516), sid("S-1-5-9")], vec![]);
    assert!(!lets_in(default, &controller));
    assert!(lets_in("O:NSG:NSD:(A;;GA;;;DD)", &controller));
    assert!(lets_in("D:(A;;GA;;;ED)", &controller));
    assert!(!lets_in(default, &Token::unknown()));
}

#[test]
fn parts_of_a_descriptor_are_read() {
    let descriptor = sd("O:NSG:S-1-5-20D:PARAI(A;CIIO;GRGW;;;DC)(D;;0x10;;;S-1-5-21-1-2-3-4)");
    assert_eq!(descriptor.owner, Some(Trustee::Sid(sid("S-1-5-20"))));
    assert_eq!(descriptor.group, descriptor.owner);
    let acl = descriptor.dacl.unwrap();
    assert!(acl.protected && acl.inherited && acl.inherit_required);
    let [first, second] = &*acl.entries else {
        panic!("{acl:?}");
    };
    assert_eq!(
        (first.effect, first.flags, first.rights),
        (Effect::Allow, 0x0a, 0xc000_0000)
    );
    assert_eq!(first.trustee, Trustee::Domain(515));
    assert_eq!(
        (second.effect, second.flags, second.rights),
        (Effect::Deny, 0, 0x10)
    );
    assert_eq!(second.trustee, Trustee::Sid(sid("S-1-5-21-1-2-3-4")));
}

#[test]
fn hex_digits_of_an_owner_end_before_the_next_part() {
    let descriptor = sd("O:S-1-5-20D:(A;;GA;;;WD)");
    assert_eq!(descriptor.owner, Some(Trustee::Sid(sid("S-1-5-20"))));
    assert!(descriptor.dacl.is_some());
}

#[test]
fn what_is_written_reads_the_same() {
    for text in [
        "O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)",
        "D:",
        "D:NO_ACCESS_CONTROL",
        "O:SYD:PARAI(D;OICINPIOID;GAGXCCDC;;;WD)",
        "D:(OA;CI;RPWP;bf967a7f-0de6-11d0-a285-00aa003049e2;;AU)",
        "D:(OD;;CR;;bf967a86-0de6-11d0-a285-00aa003049e2;S-1-5-21-1-2-3-4)",
        "D:(A;;0x1201;;;EA)(A;;;;;LA)",
    ] {
        assert_eq!(sd(text).to_string(), text);
    }
    // Texts with several forms are normalized.
    assert_eq!(
        sd(" g:sy  o:ba d: ai ( a ; ci ; ga gr ; ; ; s-1-5-21-0x10-2-3-515 ) ").to_string(),
        "O:BAG:SYD:AI(A;CI;GAGR;;;S-1-5-21-16-2-3-515)"
    );
    assert_eq!(
        sd("D:(A;;FA;;;S-1-1-0)").to_string(),
        "D:(A;;0x1f01ff;;;WD)"
    );
    assert_eq!(
        sd("O:SYG:SYD:(A;;GA;;;SY)S:AI(AU;SAFA;GA;;;WD)(ML;;NW;;;LW)").to_string(),
        "O:SYG:SYD:(A;;GA;;;SY)"
    );
}

#[test]
fn each_right_is_known_by_name_and_by_number() {
    let rights = |text: &str| sd(&format!("D:(A;;{text};;;WD)")).dacl.unwrap().entries[0].rights;
    for (text, mask) in [
        ("", 0),
        ("GA", 0x1000_0000),
        ("GR", 0x8000_0000),
        ("GW", 0x4000_0000),
        ("GX", 0x2000_0000),
        ("KA", 0xf003f),
        ("KR", 0x20019),
        ("KW", 0x20006),
        ("KX", 0x20019),
        ("FA", 0x1f01ff),
        ("FR", 0x120089),
        ("FW", 0x120116),
        ("FX", 0x1200a0),
        ("CCDCLCSWRPWPDTLOCR", 0x1ff),
        ("SDRCWDWO", 0xf0000),
        ("0x10000000", 0x1000_0000),
        ("0XFFFFFFFF", 0xffff_ffff),
        ("268435456", 0x1000_0000),
        ("010", 8),
        ("0", 0),
        ("ga", 0x1000_0000),
    ] {
        assert_eq!(rights(text), mask, "{text}");
    }
}

#[test]
fn rights_that_read_let_subscribe_and_others_do_not() {
    for (rights, subscribes) in [
        ("GA", true),
        ("GR", true),
        ("CC", true),
        ("FA", true),
        ("FR", true),
        ("KA", true),
        ("0x1", true),
        ("GW", false),
        ("GX", false),
        ("RCWDWOSD", false),
        ("DCLCSWRPWPDTLOCR", false),
        ("", false),
    ] {
        let text = format!("D:(A;;{rights};;;WD)");
        assert_eq!(lets_in(&text, &workstation()), subscribes, "{text}");
        let text = format!("D:(D;;{rights};;;WD)(A;;GA;;;WD)");
        assert_eq!(lets_in(&text, &workstation()), !subscribes, "{text}");
    }
}

#[test]
fn the_first_entry_that_fits_decides() {
    let host = workstation();
    let deny = format!("(D;;GA;;;{})", own(1105));
    assert!(!lets_in(&format!("D:{deny}(A;;GA;;;DC)"), &host));
    assert!(lets_in(&format!("D:(A;;GA;;;DC){deny}"), &host));
    let verdict = sd(&format!("D:{deny}(A;;GA;;;DC)"));
    let verdict = verdict.decide(&host).to_string();
    assert_eq!(
        verdict,
        format!("{deny} denies {} and its members", own(1105))
    );
}

#[test]
fn no_list_lets_everyone_in_and_an_empty_one_nobody() {
    for everyone in [
        "",
        "O:NSG:NS",
        "D:NO_ACCESS_CONTROL",
        "D:PNO_ACCESS_CONTROL",
    ] {
        assert!(lets_in(everyone, &Token::unknown()), "{everyone}");
        assert!(!sd(everyone).is_for_nobody());
    }
    for nobody in [
        "D:",
        "D:P",
        "O:NSG:NSD:",
        "D:(D;;GA;;;WD)",
        "D:(A;IO;GA;;;WD)",
    ] {
        assert!(!lets_in(nobody, &workstation()), "{nobody}");
        assert!(sd(nobody).is_for_nobody(), "{nobody}");
    }
}

#[test]
fn groups_of_a_domain_are_those_of_the_host_that_asks() {
    let elsewhere = |rid| sid("S-1-5-21-9-9-9").with_rid(rid).unwrap();
    // A member of the group of that name in another domain only.
    let guest = Token::new(own(1102), vec![elsewhere(515)], vec![]);
    assert!(!lets_in("D:(A;;GA;;;DC)", &guest));
    let foreign = Token::new(elsewhere(1102), vec![elsewhere(515)], vec![]);
    assert!(lets_in("D:(A;;GA;;;DC)", &foreign));
    assert!(!lets_in(&format!("D:(A;;GA;;;{})", own(515)), &foreign));
    // Groups of a forest belong to its root domain.
    let child = Token::new(own(1102), vec![elsewhere(519)], vec![]);
    assert!(lets_in("D:(A;;GA;;;EA)", &child));
    assert!(!lets_in("D:(A;;GA;;;SA)", &child));
    // The collector's own accounts match no host, whatever its relative ID.
    let administrator = Token::new(own(500), vec![own(501)], vec![]);
    assert!(!lets_in("D:(A;;GA;;;LA)(A;;GA;;;LG)", &administrator));
}

#[test]
fn what_each_account_holds_is_implied() {
    for everyone in ["WD", "AU", "NU", "S-1-5-15"] {
        let text = format!("D:(A;;GA;;;{everyone})");
        assert!(lets_in(&text, &Token::unknown()), "{everyone}");
        assert!(lets_in(&text, &workstation()), "{everyone}");
    }
    for nobody in [
        "AN", "IU", "SY", "LS", "NS", "BA", "BU", "CO", "PS", "DU", "LA",
    ] {
        assert!(
            !lets_in(&format!("D:(A;;GA;;;{nobody})"), &workstation()),
            "{nobody}"
        );
    }
}

#[test]
fn groups_for_denial_only_never_let_in() {
    let host = Token::new(own(1102), vec![own(515)], vec![own(1106)]);
    assert!(!lets_in(&format!("D:(A;;GA;;;{})", own(1106)), &host));
    assert!(!lets_in(
        &format!("D:(D;;GA;;;{})(A;;GA;;;DC)", own(1106)),
        &host
    ));
}

#[test]
fn the_owner_may_be_asked_for() {
    let owned = format!("O:{}D:(A;;GA;;;OW)", own(1105));
    assert!(lets_in(&owned, &workstation()));
    assert!(!lets_in("O:NSD:(A;;GA;;;OW)", &workstation()));
    assert!(!lets_in("D:(A;;GA;;;OW)", &workstation()));
}

#[test]
fn entries_for_parts_of_objects_only_take() {
    let guid = "bf967a86-0de6-11d0-a285-00aa003049e2";
    assert!(!lets_in(&format!("D:(OA;;GA;{guid};;WD)"), &workstation()));
    assert!(lets_in(&format!("D:(OA;;GA;;{guid};WD)"), &workstation()));
    let denied = format!("D:(OD;;GA;{guid};;WD)(A;;GA;;;WD)");
    assert!(!lets_in(&denied, &workstation()));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, message) in [
        (
            "X:(A)",
            "at character 1: \"X:(A)\" where O:, G:, D: or S: is expected",
        ),
        ("O:NSO:NS", "at character 5: O: occurs twice"),
        (
            "O:",
            "at character 3: \"\" is neither an alias such as DC nor a SID such as S-1-5-21-1-2-3-1105",
        ),
        (
            "O:QQ",
            "at character 3: \"QQ\" is neither an alias such as DC nor a SID such as S-1-5-21-1-2-3-1105",
        ),
        (
            "D:PX(A;;GA;;;WD)",
            "at character 4: \"X\" is not a flag of a list: P, AR, AI, NO_ACCESS_CONTROL",
        ),
        (
            "D:NO_ACCESS_CONTROL(A;;GA;;;WD)",
            "at character 20: entries after NO_ACCESS_CONTROL",
        ),
        (
            "D:(A;;GA;;;WD",
            "at character 3: this entry has no closing bracket",
        ),
        (
            "D:(A;;GA;;;WD) x",
            "at character 16: \"x\" where O:, G:, D: or S: is expected",
        ),
        (
            "D:(A;;GA;;WD)",
            "at character 4: an entry of 5 fields: six are needed, (kind;flags;rights;object;inherited object;account)",
        ),
        (
            "D:(B;;GA;;;WD)",
            "at character 4: \"B\" is not a kind of entry: A, D, OA, OD",
        ),
        (
            "D:(XA;;GA;;;WD;(@User.Title == \"x\"))",
            "at character 4: entries of kind XA depend on claims, which are not evaluated: name \
             groups in A and D entries instead",
        ),
        (
            "D:(AU;;GA;;;WD)",
            "at character 4: AU does not belong in this list",
        ),
        (
            "S:(A;;GA;;;WD)",
            "at character 4: A does not belong in this list",
        ),
        (
            "D:(A;XX;GA;;;WD)",
            "at character 6: \"XX\" is not a flag of an entry: OI, CI, NP, IO, ID, CR, SA, FA",
        ),
        (
            "D:(A;;GAZZ;;;WD)",
            "at character 9: \"ZZ\" is not a right: GA, GR, GW, GX, another two letters, or a \
             number",
        ),
        (
            "D:(A;;0xG;;;WD)",
            "at character 7: \"0xG\" is not a right: GA, GR, GW, GX, another two letters, or a \
             number",
        ),
        ("D:(A;;GA;x;;WD)", "at character 10: \"x\" is not a GUID"),
        (
            "D:(A;;GA;bf967a86-0de6-11d0-a285-00aa003049e2;;WD)",
            "at character 4: a GUID needs an entry of kind OA or OD",
        ),
        (
            "D:(A;;GA;;;S-1-5-x)",
            "at character 12: no SID: a part is not a number, or too large",
        ),
        (
            "D:(A;;GA;;;ü€)",
            "at character 12: \"ü€\" is neither an alias such as DC nor a SID such as S-1-5-21-1-2-3-1105",
        ),
    ] {
        assert_eq!(refusal(text).to_string(), message, "{text}");
    }
    assert_eq!(refusal(&" ".repeat(MAX_LENGTH + 1)).reason, Reason::TooLong);
}

#[test]
fn descriptors_are_explained_in_words() {
    for (text, words) in [
        (
            "O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)",
            "members of Domain Computers of the host's own domain, Network Service (no host) may \
             subscribe; no other",
        ),
        (
            "D:(D;;GA;;;S-1-5-21-1-2-3-1106)(A;;GA;;;S-1-5-21-1-2-3-515)(A;;GA;;;EA)",
            "the first match counts: S-1-5-21-1-2-3-1106 and its members may not subscribe; \
             members of Domain Computers of S-1-5-21-1-2-3, members of Enterprise Admins of the \
             host's forest may subscribe; no other",
        ),
        (
            "D:(A;;GA;;;AU)",
            "every domain account may subscribe; no other",
        ),
        ("D:", "no host can subscribe"),
        (
            "D:(A;;GW;;;WD)",
            "no host can subscribe; (A;;GW;;;WD) does not apply to subscribing",
        ),
        ("O:NS", "every host can subscribe: there is no access list"),
    ] {
        assert_eq!(sd(text).explain(), words, "{text}");
    }
}

#[test]
fn a_token_is_described_with_names() {
    assert_eq!(
        workstation().describe(),
        "account S-1-5-21-1000-2000-3000-1102, in Domain Computers \
         (S-1-5-21-1000-2000-3000-515), S-1-5-21-1000-2000-3000-1105"
    );
    assert_eq!(Token::unknown().describe(), "account and groups unknown");
    let error = sid::Error::Prefix;
    assert_eq!("S1".parse::<Sid>(), Err(error));
}
