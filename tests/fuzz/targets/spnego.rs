//! SPNEGO tokens: a parsed token is the same after it is written and parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::spnego::{
    MAX_MECHANISMS, MAX_TOKEN, Mechanism, NegTokenInit, Negotiation, Token,
};

fuzz_target!(|data: &[u8]| match Token::parse(data) {
    Err(_) => {}
    Ok(Token::Resp(resp)) => {
        assert_eq!(Token::parse(&resp.emit()), Ok(Token::Resp(resp)));
    }
    Ok(Token::Init(init)) => {
        assert!(init.mechanisms.len() <= MAX_MECHANISMS);
        assert!(init.list.len() <= MAX_TOKEN);
        assert_eq!(Token::parse(&init.emit()), Ok(Token::Init(init.clone())));
        negotiate(init);
    }
});

/// A token is passed only to the mechanism that it is for.
fn negotiate(init: NegTokenInit) {
    let offered = init.mechanisms.clone();
    let (token, list) = (init.token.clone(), init.list.clone());
    let Ok((mut negotiation, given)) = Negotiation::start(init, &[Mechanism::Ntlm]) else {
        assert!(!offered.contains(&Mechanism::Ntlm));
        return;
    };
    let first = offered.first() == Some(&Mechanism::Ntlm);
    assert_eq!(given, token.filter(|_| first));
    assert_eq!(negotiation.mic_required(), !first);
    assert_eq!(negotiation.list(), list);
    for answer in [negotiation.challenge(given), negotiation.accept(None)] {
        assert!(matches!(Token::parse(&answer), Ok(Token::Resp(_))));
    }
}
