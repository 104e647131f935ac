//! Wrap and MIC tokens: any bytes are parsed or rejected permanently, and data sealed by one
//! end can be unsealed by the other, unless a byte was changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::kerberos::crypto::{Enctype, Key};
use wecrelay::protocol::kerberos::wrap::{Error, Session};

// Two bytes select the case, one is the size of the token; token and data follow.
fuzz_target!(|data: &[u8]| {
    let [choice, change, size, rest @ ..] = data else {
        return;
    };
    let enctype = Enctype::ALL[usize::from(*choice) % Enctype::ALL.len()];
    let (token, data) = rest.split_at(rest.len().min(usize::from(*size)));
    read(enctype, token, data);
    let (mut source, mut collector) = ends(enctype);
    exchange(&mut source, &mut collector, rest);
    exchange(&mut collector, &mut source, rest);
    signed(&mut source, &mut collector, rest);
    exchange(&mut source, &mut collector, token);
    changed(enctype, usize::from(*change), *choice | 1, rest);
});

/// Key and sequence numbers are fixed, so that seeds can contain valid messages.
fn ends(enctype: Enctype) -> (Session, Session) {
    let mut random = |bytes: &mut [u8]| bytes.fill(7);
    let key = Key::generate(enctype, &mut random);
    let source = Session::initiate(&key, true, 1, 2, &mut random);
    (source, Session::accept(&key, true, 2, 1, &mut random))
}

fn read(enctype: Enctype, token: &[u8], data: &[u8]) {
    let (_, mut collector) = ends(enctype);
    let mut opened = data.to_vec();
    match collector.unseal(token, &mut opened) {
        Ok(size) => assert!(size <= data.len()),
        Err(_) => {
            assert!(opened.iter().all(|byte| *byte == 0));
            assert_eq!(collector.unseal(token, &mut opened), Err(Error::Lost));
            assert_eq!(collector.verify(token, data), Err(Error::Lost));
        }
    }
    let (_, mut collector) = ends(enctype);
    let _ = collector.verify(token, data);
}

fn exchange(from: &mut Session, to: &mut Session, plain: &[u8]) {
    let mut data = plain.to_vec();
    let token = from.seal(&mut data);
    assert!(data.len() - plain.len() <= 1 && token.len() <= 72);
    assert_eq!(to.unseal(&token, &mut data), Ok(plain.len()));
    assert_eq!(&data[..plain.len()], plain);
}

fn signed(from: &mut Session, to: &mut Session, message: &[u8]) {
    let signature = from.sign(message);
    assert_eq!(to.verify(&signature, message), Ok(()));
}

/// Only the rotation count is not signed; a rotation by the full length changes nothing.
fn changed(enctype: Enctype, at: usize, by: u8, plain: &[u8]) {
    let (mut source, mut collector) = ends(enctype);
    let mut data = plain.to_vec();
    let mut token = source.seal(&mut data);
    let all = token.len() + data.len();
    *token.iter_mut().chain(&mut data).nth(at % all).unwrap() ^= by;
    let rotation = enctype != Enctype::Rc4Hmac && (6..8).contains(&(at % all));
    match collector.unseal(&token, &mut data) {
        Ok(size) => assert!(rotation && data[..size] == *plain),
        Err(_) => assert!(data.iter().all(|byte| *byte == 0)),
    }
}
