//! The files are from tickets of a Samba 4.17 domain made for this; those that no ticket
//! held were written anew by Samba's own NDR library after a change.

use super::*;
use crate::protocol::kerberos::crypto::Key;

const WORKSTATION: &[u8] = include_bytes!("tests/workstation.bin");
const CONTROLLER: &[u8] = include_bytes!("tests/controller.bin");
const RC4: &[u8] = include_bytes!("tests/workstation-rc4.bin");
const RESOURCE_GROUPS: &[u8] = include_bytes!("tests/resource-groups.bin");
const WITHOUT_FLAGS: &[u8] = include_bytes!("tests/without-flags.bin");
const WITHOUT_RID: &[u8] = include_bytes!("tests/without-rid.bin");

/// When the workstation logged on.
const AUTHTIME: u64 = 1_795_627_647;
const DOMAIN: &str = "S-1-5-21-3130100983-1577131676-2651245389";

fn sid(text: &str) -> Sid {
    text.parse().unwrap()
}

fn own(rid: u32) -> Sid {
    sid(DOMAIN).with_rid(rid).unwrap()
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn logon(pac: &[u8]) -> Result<Logon, Error> {
    Pac::parse(pac)?.logon("web1$", time(AUTHTIME))
}

/// The bytes with these at `offset`.
fn patched(pac: &[u8], offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut pac = pac.to_vec();
    pac[offset..offset + bytes.len()].copy_from_slice(bytes);
    pac
}

/// Where the logon information begins, after its NDR headers.
const INFORMATION: usize = 0x78 + 16;

#[test]
fn an_account_and_its_groups_are_read() {
    let logon = logon(WORKSTATION).unwrap();
    assert_eq!(
        logon,
        Logon {
            account: own(1102),
            domain: sid(DOMAIN),
            name: "web1$".into(),
            domain_name: "RELAY".into(),
            principal_name: Some("web1$@relay.test".into()),
            dns_domain: Some("RELAY.TEST".into()),
            is_machine: true,
            groups: vec![own(515), own(1105), own(1106), sid("S-1-18-1")],
            deny_only: vec![],
        }
    );
    let descriptor: crate::windows::sddl::SecurityDescriptor = "D:(A;;GA;;;DC)".parse().unwrap();
    assert!(descriptor.decide(&logon.token()).allows());
}

#[test]
fn a_controller_is_in_groups_of_its_own() {
    let pac = Pac::parse(CONTROLLER).unwrap();
    let logon = pac.logon("dc1$", time(CONTROLLER_AUTHTIME)).unwrap();
    assert_eq!(logon.account, own(1000));
    let groups = [own(516), own(572), sid("S-1-5-9"), sid("S-1-18-1")];
    assert_eq!(logon.groups, groups);
}

#[test]
fn resource_groups_count_in_their_own_domain() {
    let logon = logon(RESOURCE_GROUPS).unwrap();
    let (groups, resource) = logon.groups.split_at(4);
    assert_eq!(groups, [own(515), own(1105), own(1106), sid("S-1-18-1")]);
    assert_eq!(
        resource,
        [sid("S-1-5-21-7-8-9-2001"), sid("S-1-5-21-7-8-9-2002")]
    );
    assert_eq!(logon.deny_only, [sid("S-1-5-21-7-8-9-2003")]);
}

#[test]
fn without_their_flags_extra_and_resource_groups_do_not_count() {
    let logon = logon(WITHOUT_FLAGS).unwrap();
    assert_eq!(logon.groups, [own(515), own(1105), own(1106)]);
}

#[test]
fn an_account_without_a_relative_id_is_the_first_extra_sid() {
    // Its names say otherwise, as they were left alone.
    assert_eq!(logon(WITHOUT_RID), Err(Error::Contradiction));
    let pac = Pac::parse(WITHOUT_RID).unwrap();
    let information = pac.buffer(kind::LOGON_INFORMATION).unwrap();
    let information = ValidationInfo::parse(information.data).unwrap();
    assert_eq!(information.account, Some(sid("S-1-5-21-4-5-6-3001")));
    assert_eq!(information.deny_only, [sid("S-1-5-21-4-5-6-512")]);
    assert!(!information.groups.contains(&sid("S-1-5-21-4-5-6-3001")));
}

#[test]
fn a_pac_of_another_ticket_is_refused() {
    let pac = Pac::parse(WORKSTATION).unwrap();
    assert!(pac.logon("WEB1$", time(AUTHTIME)).is_ok());
    let name = pac.logon("web2$", time(AUTHTIME)).unwrap_err();
    assert_eq!(
        name.to_string(),
        "made for \"web1$\", but the ticket is of \"web2$\""
    );
    let later = pac.logon("web1$", time(AUTHTIME + 1)).unwrap_err();
    assert_eq!(
        later,
        Error::Time {
            pac: 1_795_627_647,
            ticket: 1_795_627_648
        }
    );
    let before = UNIX_EPOCH - Duration::from_secs(5);
    let before = pac.logon("web1$", before).unwrap_err();
    assert!(matches!(before, Error::Time { ticket: -5, .. }));
}

#[test]
fn the_client_of_a_ticket_is_the_account_or_its_principal_name() {
    let mut logon = logon(WORKSTATION).unwrap();
    assert!(logon.is("WEB1$", "RELAY.TEST"));
    assert!(!logon.is("web1", "RELAY.TEST"), "without the dollar");
    assert!(!logon.is("dc1$", "RELAY.TEST"));
    logon.principal_name = Some("Alice@relay.example".into());
    for (client, realm, is_it) in [
        ("alice", "RELAY.EXAMPLE", true),
        ("alice@relay.example", "RELAY.TEST", true),
        ("alice", "RELAY.TEST", false),
        ("web1$", "ANY", true),
    ] {
        assert_eq!(logon.is(client, realm), is_it, "{client} {realm}");
    }
}

#[test]
fn machines_are_told_from_people() {
    // UserAccountControl, behind what the other fixed fields take.
    const CONTROL: usize = INFORMATION + 168;
    let is_machine = |control: u32| {
        let pac = patched(WORKSTATION, CONTROL, &control.to_le_bytes());
        logon(&pac).unwrap().is_machine
    };
    assert!(is_machine(0x80) && is_machine(0x100));
    assert!(!is_machine(0x10) && !is_machine(0x210));
    // Where that is not told, Domain Computers is.
    assert!(is_machine(0));
    let controller = Pac::parse(CONTROLLER).unwrap();
    let controller = controller.logon("dc1$", time(CONTROLLER_AUTHTIME));
    assert!(controller.unwrap().is_machine);
}

#[test]
fn signatures_are_found_and_left_out_of_what_they_sign() {
    for (bytes, kind, length) in [(WORKSTATION, 16, 12), (RC4, -138, 16)] {
        let pac = Pac::parse(bytes).unwrap();
        let signature = pac.server_signature().unwrap();
        assert_eq!((signature.kind, signature.length()), (kind, Some(length)));
        let checksum = signature.checksum().unwrap();
        assert!(checksum.iter().any(|byte| *byte != 0));
        let signed = pac.signed();
        assert_eq!(signed.len(), bytes.len());
        let changed = bytes.iter().zip(&signed).filter(|(a, b)| a != b);
        // Twelve of the controller's, and bytes that are 0 anyway.
        assert!((20..=length + 12).contains(&changed.count()));
        let signed = Pac::parse(&signed).unwrap();
        let zeros = signed.server_signature().unwrap();
        assert_eq!(zeros.kind, kind);
        assert!(zeros.checksum().unwrap().iter().all(|byte| *byte == 0));
        assert_eq!(signed.signed(), signed.bytes);
    }
    let server = Pac::parse(WORKSTATION).unwrap().buffer(6).unwrap().offset;
    let odd = patched(WORKSTATION, server, &[99, 0, 0, 0]);
    let signature = Pac::parse(&odd).unwrap().server_signature().unwrap();
    assert_eq!(signature.checksum(), None);
}

/// The service's keys of that domain.
const AES256_KEY: [u8; 32] = [
    0x69, 0x71, 0xdd, 0x66, 0xdc, 0x84, 0xc9, 0xc1, 0xc5, 0x84, 0xb0, 0x6c, 0x91, 0x20, 0x36, 0xb2,
    0x32, 0xae, 0xad, 0xcd, 0x74, 0xf8, 0xa3, 0x0d, 0x3e, 0x77, 0x5a, 0x40, 0x75, 0x11, 0x46, 0x9f,
];
const RC4_KEY: [u8; 16] = [
    0xca, 0x62, 0x3d, 0xa3, 0x1d, 0x7f, 0x2d, 0x28, 0x35, 0xb2, 0x1a, 0xce, 0xd9, 0x55, 0xb1, 0x93,
];

#[test]
fn the_server_signature_is_verified() {
    let aes = Key::new(Enctype::Aes256Sha1, &AES256_KEY).unwrap();
    let rc4 = Key::new(Enctype::Rc4Hmac, &RC4_KEY).unwrap();
    let logon = verify(WORKSTATION, &aes, "web1$", time(AUTHTIME)).unwrap();
    assert_eq!(logon.account, own(1102));
    let controller = verify(CONTROLLER, &aes, "dc1$", time(CONTROLLER_AUTHTIME));
    assert_eq!(controller.unwrap().account, own(1000));
    assert!(verify(RC4, &rc4, "web1$", time(1_795_628_721)).is_ok());

    let with = |pac: &[u8], key: &Key| verify(pac, key, "web1$", time(AUTHTIME)).unwrap_err();
    let enctype = Enctype::Rc4Hmac;
    assert_eq!(
        with(WORKSTATION, &rc4),
        Error::SignatureKind { found: 16, enctype }
    );
    let other = Key::new(Enctype::Aes256Sha1, &[1; 32]).unwrap();
    assert_eq!(with(WORKSTATION, &other), Error::Signature);
    assert_eq!(with(RESOURCE_GROUPS, &aes), Error::Signature);
}

#[test]
fn each_bit_that_is_changed_breaks_the_signature_but_in_that_of_the_kdc() {
    let aes = Key::new(Enctype::Aes256Sha1, &AES256_KEY).unwrap();
    let pac = Pac::parse(WORKSTATION).unwrap();
    let kdc = pac.buffer(kind::KDC_SIGNATURE).unwrap().offset + 4;
    for at in 0..WORKSTATION.len() {
        let mut changed = WORKSTATION.to_vec();
        changed[at] ^= 1;
        let verified = verify(&changed, &aes, "web1$", time(AUTHTIME)).is_ok();
        assert_eq!(verified, (kdc..kdc + 12).contains(&at), "{at}");
    }
}

#[test]
fn each_cut_is_an_error() {
    for pac in [WORKSTATION, RESOURCE_GROUPS] {
        for end in 0..pac.len() {
            let whole = Pac::parse(&pac[..end]).and_then(|pac| pac.logon("web1$", time(AUTHTIME)));
            assert!(whole.is_err(), "{end}");
        }
    }
    let pac = Pac::parse(RESOURCE_GROUPS).unwrap();
    let information = pac.buffer(kind::LOGON_INFORMATION).unwrap().data;
    for end in 0..information.len() - 4 {
        assert!(ValidationInfo::parse(&information[..end]).is_err(), "{end}");
    }
}

#[test]
fn malformed_pacs_are_told_apart() {
    let no = |offset: usize, bytes: &[u8]| logon(&patched(WORKSTATION, offset, bytes)).unwrap_err();
    assert_eq!(no(0, &[65]), Error::Buffers(65));
    assert_eq!(no(4, &[1]), Error::Version(1));
    // Kinds, size and offset of the first two buffers.
    assert_eq!(no(8, &[2]), Error::Missing("logon information"));
    assert_eq!(no(24, &[2]), Error::Missing("client information"));
    assert_eq!(no(12, &[0xff; 4]), Error::Truncated("buffer"));
    assert_eq!(no(16, &[0xff; 8]), Error::Truncated("buffer"));
    assert_eq!(no(12, &[100, 0]), Error::Truncated("logon information"));
    // NDR headers: version, byte order, pointer to the structure.
    assert_eq!(
        no(0x78, &[2]),
        Error::Encoding("a header of another format")
    );
    assert_eq!(
        no(0x79, &[0]),
        Error::Encoding("a header of another format")
    );
    assert_eq!(
        no(INFORMATION, &[0; 4]),
        Error::Encoding("a pointer to nothing")
    );
    // Counts: of GroupIds, in the structure.
    let groups = INFORMATION + 4 + 48 + 6 * 8 + 4 + 8;
    assert_eq!(
        no(groups, &[4]),
        Error::Encoding("two counts of one list differ")
    );
    assert_eq!(no(groups, &[1, 4]), Error::Groups(1025));
    assert_eq!(
        no(groups, &[3, 0, 0, 0, 0, 0, 0, 0]),
        Error::Encoding("a pointer to nothing")
    );
    // The length of the account's name.
    assert_eq!(
        no(INFORMATION + 52, &[8]),
        Error::Encoding("two counts of one list differ")
    );
    // The account in the names is another.
    let names = Pac::parse(WORKSTATION)
        .unwrap()
        .buffer(kind::NAMES)
        .unwrap();
    let account = names.offset + 0x5a + 24;
    assert_eq!(no(account, &[0x4f]), Error::Contradiction);
    assert_eq!(no(names.offset, &[0, 9]), Error::Truncated("names"));
    // Neither account nor extra SIDs.
    let domain = INFORMATION + 4 + 48 + 6 * 8 + 4 + 16 + 4 + 16 + 16;
    let without = patched(WORKSTATION, domain, &[0; 4]);
    assert!(logon(&without).is_err());
}

/// When the controller logged on.
const CONTROLLER_AUTHTIME: u64 = 1_795_628_718;
