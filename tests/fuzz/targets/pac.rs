//! PACs: any bytes are parsed or rejected, and a signature covers everything except signatures.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::kerberos::crypto::{Enctype, Key, usage};
use wecrelay::protocol::kerberos::pac::{Pac, verify};

/// The logon of the seeds.
const AUTHTIME: u64 = 1_795_627_647;

fuzz_target!(|bytes: &[u8]| {
    let time = UNIX_EPOCH + Duration::from_secs(AUTHTIME);
    let key = Key::new(Enctype::Aes256Sha1, &[7; 32]).expect("a key");
    let Ok(pac) = Pac::parse(bytes) else {
        return assert!(verify(bytes, &key, "web1$", time).is_err());
    };
    let signed = pac.signed();
    assert_eq!(signed.len(), bytes.len());
    let Ok(signature) = pac.server_signature() else {
        return assert!(verify(bytes, &key, "web1$", time).is_err());
    };
    let logon = pac.logon("web1$", time);
    if let Ok(logon) = &logon {
        assert!(!logon.groups.contains(&logon.account));
        assert_eq!(logon.token().account(), Some(logon.account));
    }
    // With a valid signature the result is the same; with any other, it is rejected.
    let verified = verify(bytes, &key, "web1$", time);
    let right = key.checksum(usage::PAC_SIGNATURE, &signed);
    let fits = signature.kind == 16 && signature.checksum() == Some(&*right);
    if fits {
        assert_eq!(verified, logon)
    } else {
        assert!(verified.is_err())
    }
});
