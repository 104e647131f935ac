use super::*;

#[test]
fn each_entry_stands_there_once_and_says_where_to_look() {
    let mut codes: Vec<_> = CODES.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), CODES.len());
    assert!((100..=107).all(|id| event(id).is_some()));
    let all = CODES.iter().map(|(_, remedy)| remedy);
    let all = all.chain(EVENTS.iter().map(|(_, remedy)| remedy));
    for remedy in all.chain(REFUSALS.iter().map(|(_, remedy)| remedy)) {
        assert!(!remedy.meaning.is_empty() && !remedy.look.is_empty());
        assert!(!remedy.meaning.ends_with('.') && !remedy.remedy.ends_with('.'));
    }
}

#[test]
fn an_entry_is_shown_with_all_its_parts() {
    let text = code(12175).unwrap().to_string();
    for part in ["meaning: TLS", "do: ", "type on the host: ", "look at: "] {
        assert!(text.contains(part), "{text}");
    }
    assert!(event(99).is_none() && code(1).is_none() && refusal("x").is_none());
}
