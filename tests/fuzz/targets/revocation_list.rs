//! Revocation lists and certificates in PEM: parsed items are in the input, and a list is
//! either usable, or rejected with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::tls::{list_kind, lists_in};

fuzz_target!(|data: &[u8]| {
    if let Err(unfit) = list_kind(data) {
        assert!(!unfit.to_string().is_empty());
    }
    let begins = data.windows(BEGIN.len()).filter(|part| *part == BEGIN);
    let most = begins.count();
    for list in lists_in(data).unwrap_or_default() {
        let der = list.to_der().expect("what was read can be written");
        let pem = list.to_pem().expect("what was read can be written");
        let again = lists_in(&pem).expect("what was written can be read");
        assert_eq!(again.len(), 1);
        assert_eq!(again[0].to_der().expect("as before"), der);
        assert_eq!(
            list_kind(&der),
            list_kind(&again[0].to_der().expect("as before"))
        );
    }
    assert!(lists_in(data).unwrap_or_default().len() <= most);
});

const BEGIN: &[u8] = b"-----BEGIN X509 CRL-----";
