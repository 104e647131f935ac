//! Two ends of a context talk; someone in between meddles.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn random() -> impl FnMut(&mut [u8]) {
    let mut rng = StdRng::seed_from_u64(4121);
    move |bytes: &mut [u8]| rng.fill_bytes(bytes)
}

/// Source and collector, with a subkey of the collector.
fn pair(enctype: Enctype) -> (Session, Session) {
    let mut random = random();
    let key = Key::generate(enctype, &mut random);
    let source = Session::initiate(&key, true, 267_182_760, u64::from(u32::MAX), &mut random);
    let collector = Session::accept(&key, true, u64::from(u32::MAX), 267_182_760, &mut random);
    (source, collector)
}

fn text(size: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(size).collect()
}

#[test]
fn unseal_undoes_seal_in_both_directions() {
    for enctype in Enctype::ALL {
        let (mut source, mut collector) = pair(enctype);
        for size in (0..70).chain([2600, 130_000]) {
            for way in [true, false] {
                let (from, to) = if way {
                    (&mut source, &mut collector)
                } else {
                    (&mut collector, &mut source)
                };
                let mut data = text(size);
                let token = from.seal(&mut data);
                if size > 8 {
                    assert_ne!(data[..size], text(size));
                }
                assert_eq!(to.unseal(&token, &mut data), Ok(size), "{enctype} {size}");
                assert_eq!(data[..size], text(size), "{enctype} {size}");
            }
        }
    }
}

#[test]
fn tokens_have_the_shape_of_windows() {
    let sizes = [
        (Enctype::Aes128Sha1, 60, 28),
        (Enctype::Aes256Sha1, 60, 28),
        (Enctype::Aes128Sha2, 64, 32),
        (Enctype::Aes256Sha2, 72, 40),
    ];
    for (enctype, size, rotation) in sizes {
        let (mut source, mut collector) = pair(enctype);
        let mut data = text(100);
        let token = source.seal(&mut data);
        assert_eq!((token.len(), data.len()), (size, 100));
        let header = [
            5, 4, 6, 0xff, 0, 0, 0, rotation, 0, 0, 0, 0, 0x0f, 0xec, 0xe2, 0xa8,
        ];
        assert_eq!(token[..16], header);
        assert_eq!(collector.seal(&mut data)[2], 7);
    }
    let (mut source, _) = pair(Enctype::Rc4Hmac);
    let mut data = text(3000);
    let token = source.seal(&mut data);
    assert_eq!((token.len(), data.len()), (47, 3001));
    assert_eq!(token[..4], [0x60, 0x82, 0x0b, 0xe4]);
}

#[test]
fn any_flipped_bit_is_refused_and_ends_the_session() {
    for enctype in Enctype::ALL {
        let (mut source, _) = pair(enctype);
        // With this size no bit of the rotation, which is not signed, turns full circles.
        let mut data = text(21);
        let token = source.seal(&mut data);
        for bit in 0..(token.len() + data.len()) * 8 {
            let (mut token, mut data) = (token.clone(), data.clone());
            let bytes = token.iter_mut().chain(&mut data);
            *bytes.into_iter().nth(bit / 8).unwrap() ^= 1 << (bit % 8);
            let (_, mut collector) = pair(enctype);
            assert!(
                collector.unseal(&token, &mut data).is_err(),
                "{enctype} bit {bit}"
            );
            assert!(data.iter().all(|byte| *byte == 0));
            assert_eq!(collector.unseal(&token, &mut data), Err(Error::Lost));
        }
    }
}

#[test]
fn a_cut_token_or_cut_data_are_refused() {
    for enctype in Enctype::ALL {
        let (mut source, _) = pair(enctype);
        let mut data = text(20);
        let token = source.seal(&mut data);
        for size in 0..token.len() {
            let (_, mut collector) = pair(enctype);
            assert!(collector.unseal(&token[..size], &mut data.clone()).is_err());
        }
        for size in 0..data.len() {
            let (_, mut collector) = pair(enctype);
            assert!(
                collector
                    .unseal(&token, &mut data[..size].to_vec())
                    .is_err()
            );
        }
    }
}

/// RFC 4121 4.2.5: whoever sends chooses rotation and filler.
#[test]
fn any_rotation_filler_and_cut_is_read() {
    for enctype in [
        Enctype::Aes128Sha1,
        Enctype::Aes256Sha1,
        Enctype::Aes256Sha2,
    ] {
        let key = Key::generate(enctype, &mut random());
        for extra in [0, 1, 7, 16, 300] {
            for rotation in [0, 1, 13, 28, 40, 76, 100, 65535] {
                let size = 50;
                let header = |rotation: u16| {
                    let (ec, rrc) = (u16::to_be_bytes(extra), rotation.to_be_bytes());
                    [&[5, 4, 6, 0xff], &ec[..], &rrc, &[0, 0, 0, 0, 0, 0, 0, 9]].concat()
                };
                let filler = vec![0xff; usize::from(extra)];
                let plain = [text(size), filler, header(0)].concat();
                let mut sealed = key.encrypt(24, &plain, &mut random());
                let by = usize::from(rotation) % sealed.len();
                sealed.rotate_right(by);
                let token = [header(rotation), sealed].concat();
                for cut in [16, 17, 60, token.len() - size] {
                    let mut collector = Session::accept(&key, true, 0, 9, &mut random());
                    let (token, data) = token.split_at(cut);
                    let mut data = data.to_vec();
                    let found = collector.unseal(token, &mut data);
                    assert_eq!(found, Ok(size), "EC {extra} RRC {rotation} cut {cut}");
                    assert_eq!(data[..size], text(size));
                }
            }
        }
    }
}

#[test]
fn a_plaintext_that_does_not_fit_its_data_is_refused() {
    let key = Key::generate(Enctype::Aes256Sha1, &mut random());
    let header = [5, 4, 6, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    let sealed = key.encrypt(24, &[&text(50)[..], &header].concat(), &mut random());
    let token = [&header[..], &sealed].concat();
    let mut collector = Session::accept(&key, true, 0, 9, &mut random());
    let (token, data) = token.split_at(token.len() - 10);
    let found = collector.unseal(token, &mut data.to_vec());
    assert_eq!(found, Err(Error::Padding));
}

#[test]
fn messages_come_in_order_and_once() {
    for enctype in Enctype::ALL {
        let (mut source, mut collector) = pair(enctype);
        let (mut first, mut second) = (text(30), text(30));
        let tokens = [source.seal(&mut first), source.seal(&mut second)];
        let mut repeated = first.clone();
        let (_, mut other) = pair(enctype);
        assert!(collector.unseal(&tokens[0], &mut first).is_ok());
        let found = collector.unseal(&tokens[0], &mut repeated);
        let (expected, found_number) = (267_182_761, 267_182_760);
        let error = Error::Sequence {
            expected,
            found: found_number,
        };
        assert_eq!(found, Err(error), "{enctype}");
        let found = other.unseal(&tokens[1], &mut second);
        let error = Error::Sequence {
            expected: found_number,
            found: expected,
        };
        assert_eq!(found, Err(error), "{enctype}");
    }
}

#[test]
fn our_own_message_is_not_taken_for_one_of_the_source() {
    for enctype in Enctype::ALL {
        let key = Key::generate(enctype, &mut random());
        let mut collector = Session::accept(&key, true, 5, 5, &mut random());
        let mut data = text(30);
        let token = collector.seal(&mut data);
        let found = collector.unseal(&token, &mut data);
        assert_eq!(found, Err(Error::Reflected), "{enctype}");
    }
}

#[test]
fn the_key_of_the_context_is_named_right() {
    let key = Key::generate(Enctype::Aes256Sha1, &mut random());
    let mut source = Session::initiate(&key, false, 5, 5, &mut random());
    let mut collector = Session::accept(&key, true, 5, 5, &mut random());
    let mut data = text(30);
    let token = source.seal(&mut data);
    assert_eq!(collector.unseal(&token, &mut data), Err(Error::OtherKey));
}

/// RFC 4121 4.2.6.2: without the flag the plaintext is signed and goes in the clear.
#[test]
fn a_message_that_is_only_signed_is_refused() {
    let (_, mut collector) = pair(Enctype::Aes256Sha1);
    let token = [
        5, 4, 4, 0xff, 0, 12, 0, 0, 0, 0, 0, 0, 0x0f, 0xec, 0xe2, 0xa8,
    ];
    let found = collector.unseal(&token, &mut text(42));
    assert_eq!(found, Err(Error::NotSealed));
}

#[test]
fn signatures_count_as_messages() {
    for enctype in Enctype::ALL {
        let (mut source, mut collector) = pair(enctype);
        let signature = source.sign(b"mechanisms");
        assert_eq!(collector.verify(&signature, b"mechanisms"), Ok(()));
        let signature = collector.sign(b"mechanisms");
        assert_eq!(source.verify(&signature, b"mechanisms"), Ok(()));
        let mut data = text(40);
        let token = source.seal(&mut data);
        assert_eq!(collector.unseal(&token, &mut data), Ok(40), "{enctype}");
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for enctype in Enctype::ALL {
        let (mut source, _) = pair(enctype);
        let signature = source.sign(b"mechanisms");
        for bit in 0..signature.len() * 8 {
            let mut changed = signature.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let (_, mut collector) = pair(enctype);
            assert!(
                collector.verify(&changed, b"mechanisms").is_err(),
                "{enctype} {bit}"
            );
        }
        let (_, mut collector) = pair(enctype);
        let found = collector.verify(&signature, b"mechanism");
        assert_eq!(found, Err(Error::Signature), "{enctype}");
        assert_eq!(
            collector.verify(&signature, b"mechanisms"),
            Err(Error::Lost)
        );
    }
}

#[test]
fn keys_are_not_printed() {
    let (source, _) = pair(Enctype::Aes256Sha1);
    assert!(format!("{source:?}").contains("redacted"));
}
