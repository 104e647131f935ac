//! Security descriptors and SIDs: after writing and parsing, the decisions are the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::base::wire::Reader;
use wecrelay::windows::sddl::{SecurityDescriptor, Token, Verdict};
use wecrelay::windows::sid::Sid;

fuzz_target!(|text: &str| {
    if let Ok(sid) = text.parse::<Sid>() {
        assert_eq!(sid.to_string().parse(), Ok(sid));
        assert_eq!(Sid::read(&mut Reader::new(&sid.to_bytes())), Ok(sid));
    }
    let descriptor: SecurityDescriptor = match text.parse() {
        Ok(descriptor) => descriptor,
        Err(error) => {
            // The error's position is in the text, or directly after it.
            assert!((1..=text.len() + 1).contains(&error.at), "{error}");
            return;
        }
    };
    let written = descriptor.to_string();
    assert_eq!(written.parse().as_ref(), Ok(&descriptor), "{written}");
    assert!(!descriptor.explain().is_empty());

    let sid = |text: &str| text.parse::<Sid>().expect("a SID");
    let groups = vec![sid("S-1-5-21-1-2-3-515"), sid("S-1-5-21-1-2-3-1105")];
    let host = Token::new(sid("S-1-5-21-1-2-3-1102"), groups.clone(), Vec::new());
    let verdict = descriptor.decide(&host);
    assert_eq!(
        verdict.allows(),
        descriptor.dacl.is_none() || matches!(verdict, Verdict::Allowed(_))
    );
    if descriptor.is_for_nobody() {
        assert!(!verdict.allows());
    }
    // Groups that are for denial only never allow.
    let barred = Token::new(sid("S-1-5-21-9-9-9-1102"), Vec::new(), groups);
    if let Verdict::Allowed(ace) = descriptor.decide(&barred) {
        let named = ace.trustee.describe();
        assert!(!named.contains("S-1-5-21-1-2-3-"), "{named}");
    }
});
