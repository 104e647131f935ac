//! Keytabs as others write them, and damaged ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

/// An entry of format 0x0502, without its size.
fn entry(components: &[&str], kvno: u8, enctype: u16, key: &[u8], wide: Option<u32>) -> Vec<u8> {
    let mut bytes = u16::try_from(components.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    for text in ["EXAMPLE.COM"].iter().chain(components) {
        bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend([0, 0, 0, 1, 0x63, 0, 0, 0, kvno]);
    bytes.extend(enctype.to_be_bytes());
    bytes.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
    bytes.extend(key);
    bytes.extend(wide.into_iter().flat_map(u32::to_be_bytes));
    bytes
}

fn file(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![5, 2];
    for entry in entries {
        bytes.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

const NAME: [&str; 2] = ["HTTP", "collector.example.com"];
const PRINCIPAL: &str = "HTTP/collector.example.com@EXAMPLE.COM";

fn many() -> Vec<u8> {
    file(&[
        entry(&NAME, 3, 18, &[1; 32], None),
        entry(&NAME, 3, 17, &[2; 16], Some(3)),
        entry(&NAME, 44, 18, &[3; 32], Some(300)),
        entry(&["HOST", "collector"], 1, 23, &[4; 16], Some(0)),
        entry(&NAME, 3, 3, &[5; 8], Some(3)),
    ])
}

#[test]
fn entries_are_read_with_all_they_have() {
    let keytab = Keytab::parse(&many()).unwrap();
    let found: Vec<_> = keytab
        .entries
        .iter()
        .map(|e| (e.principal.as_str(), e.kvno, e.key.enctype()))
        .collect();
    let host = "HOST/collector@EXAMPLE.COM";
    let expected = [
        (PRINCIPAL, 3, Enctype::Aes256Sha1),
        (PRINCIPAL, 3, Enctype::Aes128Sha1),
        (PRINCIPAL, 300, Enctype::Aes256Sha1),
        (host, 1, Enctype::Rc4Hmac),
    ];
    assert_eq!(found, expected);
    let first = &keytab.entries[0];
    assert_eq!((first.name_type, first.timestamp), (1, 0x6300_0000));
    assert_eq!(first.key.as_bytes(), [1; 32]);
    assert_eq!(keytab.unusable.len(), 1);
    assert_eq!(
        keytab.to_string(),
        "HOST/collector@EXAMPLE.COM kvno 1 (rc4-hmac), \
         HTTP/collector.example.com@EXAMPLE.COM kvno 3 (aes256-cts-hmac-sha1-96, \
         aes128-cts-hmac-sha1-96, enctype 3 is not supported), \
         HTTP/collector.example.com@EXAMPLE.COM kvno 300 (aes256-cts-hmac-sha1-96)"
    );
    assert_eq!(keytab.principals(), [host, PRINCIPAL]);
}

#[test]
fn a_key_is_found_by_service_version_and_enctype() {
    let keytab = Keytab::parse(&many()).unwrap();
    let find = |name: &str, kvno, enctype| keytab.find(name, kvno, enctype);
    let aes = Enctype::Aes256Sha1;
    let lower = "http/COLLECTOR.example.com@example.com";
    match find(lower, Some(300), aes) {
        Lookup::Keys(keys) => assert_eq!(keys[0].as_bytes(), [3; 32]),
        other => panic!("{other:?}"),
    }
    let any = find(PRINCIPAL, None, aes);
    assert!(matches!(any, Lookup::Keys(keys) if keys.len() == 2));
    let other = find("HTTP/other@EXAMPLE.COM", Some(3), aes);
    assert!(matches!(other, Lookup::NoPrincipal));
    let version = find(PRINCIPAL, Some(4), aes);
    assert!(matches!(version, Lookup::NoVersion { known } if known == [3, 300]));
    let enctype = find(PRINCIPAL, Some(300), Enctype::Aes128Sha1);
    assert!(matches!(enctype, Lookup::NoEnctype { known } if known == [aes]));
}

#[test]
fn holes_are_skipped_and_zeros_end_the_file() {
    let mut bytes = file(&[entry(&NAME, 1, 18, &[1; 32], None)]);
    bytes.extend((-20_i32).to_be_bytes());
    bytes.extend([0xee; 20]);
    bytes.extend(&file(&[entry(&NAME, 2, 18, &[2; 32], None)])[2..]);
    bytes.extend((-1000_i32).to_be_bytes());
    let keytab = Keytab::parse(&bytes).unwrap();
    let versions: Vec<_> = keytab.entries.iter().map(|e| e.kvno).collect();
    assert_eq!(versions, [1, 2]);
    let mut padded = file(&[entry(&NAME, 1, 18, &[1; 32], None)]);
    padded.extend([0; 7]);
    assert_eq!(Keytab::parse(&padded).unwrap().entries.len(), 1);
    assert!(Keytab::parse(&[5, 2]).unwrap().is_empty());
}

/// Format 0x0501: little-endian, no type of the name, the realm counted as a component.
#[test]
fn the_old_format_is_read() {
    let mut entry = vec![3, 0];
    for text in ["EXAMPLE.COM", "HTTP", "collector.example.com"] {
        entry.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        entry.extend(text.as_bytes());
    }
    entry.extend([9, 0, 0, 0, 7, 18, 0, 32, 0]);
    entry.extend([8; 32]);
    let size = u32::try_from(entry.len()).unwrap().to_le_bytes();
    let bytes = [&[5, 1], &size[..], &entry].concat();
    let keytab = Keytab::parse(&bytes).unwrap();
    let first = &keytab.entries[0];
    assert_eq!(first.principal, PRINCIPAL);
    assert_eq!((first.kvno, first.timestamp), (7, 9));
}

#[test]
fn each_cut_is_told_or_leaves_whole_entries() {
    let bytes = many();
    let whole = Keytab::parse(&bytes).unwrap();
    for size in 2..bytes.len() {
        match Keytab::parse(&bytes[..size]) {
            Ok(keytab) => assert!(keytab.entries.len() <= whole.entries.len()),
            Err(Error::Truncated { offset, .. }) => assert!(offset <= size),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(Keytab::parse(&bytes[..1]).unwrap_err(), Error::Empty);
}

#[test]
fn damage_is_told_with_its_place() {
    let short = file(&[entry(&NAME, 1, 18, &[1; 16], None)]);
    assert_eq!(
        Keytab::parse(&short).unwrap_err().to_string(),
        "keytab is damaged: the aes256-cts-hmac-sha1-96 key of \
         HTTP/collector.example.com@EXAMPLE.COM at byte 63 has 16 bytes instead of 32"
    );
    let mut cut = file(&[entry(&NAME, 1, 18, &[1; 32], None)]);
    cut.truncate(40);
    assert_eq!(
        Keytab::parse(&cut).unwrap_err().to_string(),
        "keytab is truncated: no whole entry at byte 6"
    );
    let absurd = file(&[vec![0xff, 0xff, 0, 0]]);
    assert_eq!(
        Keytab::parse(&absurd).unwrap_err().to_string(),
        "keytab is damaged: a name of 65535 components at byte 6"
    );
    let mut text = file(&[entry(&NAME, 1, 18, &[1; 32], None)]);
    text[10] = 0xff;
    assert_eq!(
        Keytab::parse(&text).unwrap_err().to_string(),
        "keytab is damaged: a name at byte 10 is not UTF-8"
    );
}

#[test]
fn keys_are_not_printed() {
    let keytab = Keytab::parse(&many()).unwrap();
    assert!(!format!("{keytab:?}").contains("[1, 1"));
}
