use super::*;

#[test]
fn each_entry_stands_there_once_and_says_where_to_look() {
    let mut numbers: Vec<_> = codes().map(|(code, _)| *code).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), codes().count());
    assert!((100..=107).all(|id| event(id).is_some()));
    let all = codes().map(|(_, remedy)| remedy);
    let all = all.chain(EVENTS.iter().map(|(_, remedy)| remedy));
    for remedy in all.chain(REFUSALS.iter().map(|(_, remedy)| remedy)) {
        assert!(!remedy.meaning.is_empty() && !remedy.look.is_empty());
        assert!(!remedy.meaning.ends_with('.') && !remedy.remedy.ends_with('.'));
    }
}

#[test]
fn an_entry_is_shown_with_all_its_parts() {
    let text = code(12175).unwrap().to_string();
    for part in ["meaning: TLS", "do: ", "run on the host: ", "look at: "] {
        assert!(text.contains(part), "{text}");
    }
    assert!(event(99).is_none() && code(1).is_none() && refusal("x").is_none());
}

#[test]
fn codes_of_windows_are_known_with_cause_and_remedy() {
    for (number, cause) in [
        (2_150_858_882, "no client certificate"),
        (2_150_858_999, "no content type"),
        (2_150_859_019, "IP address"),
        (2_150_858_981, "user name and password"),
        (2_150_859_120, "500"),
        (2_150_859_121, "400"),
        (2_150_859_025, "413"),
        (2_150_859_101, "delivery policy"),
        (2_150_859_102, "none of the policies"),
        (15_008, "not well-formed"),
        (15_009, "analytic or debug"),
        (12_037, "expired"),
        (12_038, "another name"),
        (12_044, "client certificate"),
        (12_057, "revoked"),
        (12_175, "https"),
        (12_185, "no private key"),
        (12_186, "cannot be read"),
        (1396, "an account other than"),
        (1398, "clocks"),
        (0x8009_0322, "SEC_E_WRONG_PRINCIPAL"),
        (0x8009_2013, "CRYPT_E_REVOCATION_OFFLINE"),
    ] {
        let remedy = code(number).unwrap_or_else(|| panic!("{number} is unknown"));
        assert!(
            remedy.meaning.contains(cause),
            "{number}: {}",
            remedy.meaning
        );
        assert!(!remedy.remedy.is_empty(), "{number}");
    }
}

#[test]
fn remedies_for_client_certificates_name_the_issuer_and_who_reads_the_key() {
    let no_certificate = code(2_150_858_882).unwrap();
    assert!(no_certificate.meaning.contains("NETWORK SERVICE"));
    for number in [2_150_858_882, 2_150_859_102] {
        let remedy = code(number).unwrap().remedy;
        assert!(
            remedy.contains("thumbprint") && remedy.contains("the authority that issued"),
            "{number}: {remedy}"
        );
    }
    let not_the_leaf = code(2_150_859_102).unwrap().remedy;
    assert!(not_the_leaf.contains("not of the certificate itself"));
}
