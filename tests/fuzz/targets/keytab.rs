//! Keytabs: each key has the size of its enctype and can be found, and every entry is reported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::kerberos::keytab::{Error, Keytab, Lookup};

fuzz_target!(|data: &[u8]| match Keytab::parse(data) {
    Ok(keytab) => check(&keytab, data),
    Err(error) => {
        assert!(!error.to_string().is_empty());
        if let Error::Truncated { offset, .. } | Error::Text { offset } = error {
            assert!(offset <= data.len());
        }
    }
});

fn check(keytab: &Keytab, data: &[u8]) {
    let told = keytab.to_string();
    // An entry of the file has at least 17 bytes in addition to its key.
    assert!((keytab.entries.len() + keytab.unusable.len()) * 17 <= data.len());
    assert_eq!(keytab.is_empty(), keytab.principals().is_empty());
    for entry in &keytab.entries {
        assert!(told.contains(&entry.principal));
        let enctype = entry.key.enctype();
        assert_eq!(entry.key.as_bytes().len(), enctype.key_len());
        let name = entry.principal.to_ascii_uppercase();
        let Lookup::Keys(keys) = keytab.find(&name, Some(entry.kvno), enctype) else {
            panic!("{name} is lost");
        };
        let same = |key: &&wecrelay::protocol::kerberos::crypto::Key| {
            key.as_bytes() == entry.key.as_bytes()
        };
        assert!(keys.iter().any(same));
    }
}
