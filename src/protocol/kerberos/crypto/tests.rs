//! Vectors of the RFCs, and the laws that any key must obey.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hmac::{Hmac, Mac};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha1::Sha1;
use sha2::{Sha256, Sha384};

use super::cts::{Aes, Iv};
use super::derive::{Purpose, derive, encrypt_fold, expand, fold, keyed};
use super::*;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

fn key(enctype: Enctype, digits: &str) -> Key {
    Key::new(enctype, &hex(digits)).unwrap()
}

/// RFC 3961 appendix A.1.
#[test]
fn n_fold_is_that_of_rfc_3961() {
    let vectors = [
        ("012345", "be072631276b1955"),
        ("password", "78a07b6caf85fa"),
        ("Rough Consensus, and Running Code", "bb6ed30870b7f0e0"),
        ("password", "59e4a8ca7c0385c3c37b3f6d2000247cb6e6bd5b3e"),
        ("kerberos", "6b65726265726f737b9b5b2b93132b93"),
        ("kerberos", "6b65726265726f73"),
        (
            "kerberos",
            "6b65726265726f737b9b5b2b93132b935c9bdcdad95c9899c4cae4dee6d6cae4",
        ),
        (
            "MASSACHVSETTS INSTITVTE OF TECHNOLOGY",
            "db3b0d8f0b061e603282b308a50841229ad798fab9540c1b",
        ),
        ("Q", "518a54a215a8452a518a54a215a8452a518a54a215"),
        ("ba", "fb25d531ae8974499f52fd92ea9857c4ba24cf297e"),
    ];
    for (input, folded) in vectors {
        let mut output = vec![0; folded.len() / 2];
        fold(input.as_bytes(), &mut output);
        assert_eq!(output, hex(folded), "{input}");
    }
}

/// RFC 3962 appendix B: 17 to 64 bytes.
#[test]
fn ciphertext_stealing_is_that_of_rfc_3962() {
    let plain = b"I would like the General Gau's Chicken, please, and wonton soup.";
    let vectors = [
        "c6353568f2bf8cb4d8a580362da7ff7f97",
        "fc00783e0efdb2c1d445d4c8eff7ed2297687268d6ecccc0c07b25e25ecfe5",
        "39312523a78662d5be7fcbcc98ebf5a897687268d6ecccc0c07b25e25ecfe584",
        "97687268d6ecccc0c07b25e25ecfe584b3fffd940c16a18c1b5549d2f838029e39312523a78662d5be7fcbcc98ebf5",
        "97687268d6ecccc0c07b25e25ecfe5849dad8bbb96c4cdc03bc103e1a194bbd839312523a78662d5be7fcbcc98ebf5a8",
        "97687268d6ecccc0c07b25e25ecfe58439312523a78662d5be7fcbcc98ebf5a84807efe836ee89a526730dbc2f7bc8409dad8bbb96c4cdc03bc103e1a194bbd8",
    ];
    let aes = Aes::new(b"chicken teriyaki");
    for ciphertext in vectors.map(hex) {
        let plain = &plain[..ciphertext.len()];
        let mut bytes = plain.to_vec();
        let (head, tail) = bytes.split_last_chunk_mut().unwrap();
        aes.encrypt(Iv::default(), head, tail);
        assert_eq!(bytes, ciphertext);
        let (head, tail) = bytes.split_last_chunk_mut().unwrap();
        aes.decrypt(Iv::default(), head, tail);
        assert_eq!(bytes, plain);
    }
}

/// RFC 3962 appendix B and RFC 8009 appendix A: from password to key.
#[test]
fn keys_of_passwords_are_those_of_the_rfcs() {
    let salt = b"ATHENA.MIT.EDUraeburn";
    let vectors = [
        (Enctype::Aes128Sha1, 1, "42263c6e89f4fc28b8df68ee09799f15"),
        (
            Enctype::Aes256Sha1,
            1,
            "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
        ),
        (Enctype::Aes128Sha1, 2, "c651bf29e2300ac27fa469d693bdda13"),
        (
            Enctype::Aes256Sha1,
            1200,
            "55a6ac740ad17b4846941051e1e8b0a7548d93b0ab30a8bc3ff16280382b8c2a",
        ),
    ];
    for (enctype, iterations, expected) in vectors {
        let size = enctype.key_len();
        let seed = pbkdf2::<Hmac<Sha1>>(b"password", salt, iterations, size);
        assert_eq!(*encrypt_fold(&seed, b"kerberos"), hex(expected));
    }
    let salted = |name: &str| {
        let random = hex("10df9dd783e5bc8acea1730e74355f61");
        [name.as_bytes(), &[0], &random, salt].concat()
    };
    let salt = salted("aes128-cts-hmac-sha256-128");
    let seed = pbkdf2::<Hmac<Sha256>>(b"password", &salt, 32768, 16);
    let made = expand::<Sha256>(&seed, b"kerberos", 16);
    assert_eq!(*made, hex("089bca48b105ea6ea77ca5d2f39dc5e7"));
    let salt = salted("aes256-cts-hmac-sha384-192");
    let seed = pbkdf2::<Hmac<Sha384>>(b"password", &salt, 32768, 32);
    let made = expand::<Sha384>(&seed, b"kerberos", 32);
    let expected = "45bd806dbf6a833a9cffc1c94589a222367a79bc21c413718906e9f578a78467";
    assert_eq!(*made, hex(expected));
}

/// PBKDF2 (RFC 8018 5.2); only tests need it, as a keytab has keys and no passwords.
fn pbkdf2<M: Mac + hmac::KeyInit + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    size: usize,
) -> Vec<u8> {
    let mac: M = keyed(password);
    let run = |data: &[u8]| {
        let mut mac = mac.clone();
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    };
    let mut key = Vec::new();
    for block in 1_u32.. {
        let mut last = run(&[salt, &block.to_be_bytes()].concat());
        let mut sum = last.clone();
        for _ in 1..iterations {
            last = run(&last);
            sum.iter_mut()
                .zip(&last)
                .for_each(|(sum, last)| *sum ^= last);
        }
        key.extend(sum);
        if key.len() >= size {
            break;
        }
    }
    key.truncate(size);
    key
}

/// RFC 8009 appendix A, and MIT krb5's own of RFC 3961 keys.
#[test]
fn derived_keys_are_those_of_the_rfcs() {
    let vectors = [
        (
            key(Enctype::Aes128Sha1, "42263c6e89f4fc28b8df68ee09799f15"),
            [
                "34280a382bc92769b2da2f9ef066854b",
                "5b14fc4e250e14ddf9dccf1af6674f53",
                "4ed31063621684f09ae8d89991af3e8f",
            ],
        ),
        (
            key(
                Enctype::Aes256Sha1,
                "fe697b52bc0d3ce14432ba036a92e65bbb52280990a2fa27883998d72af30161",
            ),
            [
                "bfab388bdcb238e9f9c98d6a878304f04d30c82556375ac507a7a852790f4674",
                "c7cfd9cd75fe793a586a542d87e0d1396f1134a104bb1a9190b8c90ada3ddf37",
                "97151b4c76945063e2eb0529dc067d97d7bba90776d8126d91f34f3101aea8ba",
            ],
        ),
        (
            key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c"),
            [
                "b31a018a48f54776f403e9a396325dc3",
                "9b197dd1e8c5609d6e67c3e37c62c72e",
                "9fda0e56ab2d85e1569a688696c26a6c",
            ],
        ),
        (
            key(
                Enctype::Aes256Sha2,
                "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
            ),
            [
                "ef5718be86cc84963d8bbb5031e9f5c4ba41f28faf69e73d",
                "56ab22bee63d82d7bc5227f6773f8ea7a5eb1c825160c38312980c442e5c7e49",
                "69b16514e3cd8e56b82010d5c73012b622c4d00ffc23ed1f",
            ],
        ),
    ];
    for (key, derived) in vectors {
        let purposes = [Purpose::Checksum, Purpose::Encryption, Purpose::Integrity];
        for (purpose, derived) in purposes.into_iter().zip(derived) {
            assert_eq!(
                *derive(&key, 2, purpose),
                hex(derived),
                "{key:?} {purpose:?}"
            );
        }
    }
}

/// RFC 8009 appendix A; of the others what MIT krb5 encrypts.
#[test]
fn ciphertexts_open_that_others_made() {
    let vectors = [
        (
            key(
                Enctype::Aes256Sha1,
                "e5a72be9b7926c1225bafef9c1872e7ba4cdb2b17893d84abd90acdd8764d966",
            ),
            3,
            "31332062797465732062797465",
            "d8f1aafeec84587cc3e700a774e56651a6d693e174ec4473b5e6d96f80297a653fb818ad893e719f96",
        ),
        (
            key(
                Enctype::Aes256Sha1,
                "f1c795e9248a09338d82c3f8d5b567040b0110736845041347235b1404231398",
            ),
            4,
            "333020627974657320627974657320627974657320627974657320627974",
            "d1137a4d634cfece924dbc3bf6790648bd5cff7de0e7b99460211d0daef3d79a295c688858f3b34b9cbd6eebae81daf6b734d4d498b6714f1c1d",
        ),
        (
            key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c"),
            2,
            "",
            "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718",
        ),
        (
            key(
                Enctype::Aes256Sha2,
                "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
            ),
            2,
            "",
            "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
        ),
        (
            key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c"),
            2,
            "000102030405",
            "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
        ),
        (
            key(Enctype::Aes128Sha1, "67066dd19bab69ee453745b0e7130018"),
            24,
            "333020627974657320627974657320627974657320627974657320627974",
            "f1bdb842d7a986eb5e092f5004b08a09250b346e059d79e779143e7454918c81439578f719b3abc6505ee2fabd7520d32c98376c28d927d8933a",
        ),
        (
            key(
                Enctype::Aes256Sha2,
                "7b7f2891c69d7c0047fa552bc8ffb4410538ff504a9185fd49b675b25b420673",
            ),
            11,
            "31",
            "d46d3a8946d9b163c18557f75c840cd8e36dcbcfdd740f7205c2f28fcec66c8c5b70e03d1ae959d3c1",
        ),
        (
            key(Enctype::Rc4Hmac, "0d09b75e99488f3fc4406fddb083e21b"),
            2,
            "",
            "ead5fb41d790b2ba4c724789bdc7b6d76cb99902635d9356",
        ),
        (
            key(Enctype::Rc4Hmac, "f6e8bc0488c1fc81ae229a46459617e3"),
            22,
            "31332062797465732062797465",
            "523055f70e1c79bc39dbddf9db4332ec737f85cf486ebb11c1289246effb3db849175ae69e",
        ),
    ];
    for (key, usage, plain, ciphertext) in vectors {
        assert_eq!(
            key.decrypt(usage, &hex(ciphertext)),
            Ok(hex(plain)),
            "{key:?}"
        );
    }
}

/// RFC 8009 appendix A, with its confounders.
#[test]
fn encryption_is_that_of_rfc_8009() {
    let vectors = [
        (
            key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c"),
            "7e5895eaf2672435bad817f545a37148",
            "",
            "ef85fb890bb8472f4dab20394dca781dad877eda39d50c870c0d5a0a8e48c718",
        ),
        (
            key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c"),
            "7bca285e2fd4130fb55b1a5c83bc5b24",
            "000102030405",
            "84d7f30754ed987bab0bf3506beb09cfb55402cef7e6877ce99e247e52d16ed4421dfdf8976c",
        ),
        (
            key(
                Enctype::Aes256Sha2,
                "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52",
            ),
            "f764e9fa15c276478b2c7d0c4e5f58e4",
            "",
            "41f53fa5bfe7026d91faf9be959195a058707273a96a40f0a01960621ac612748b9bbfbe7eb4ce3c",
        ),
    ];
    for (key, confounder, plain, ciphertext) in vectors {
        let mut random = |bytes: &mut [u8]| bytes.copy_from_slice(&hex(confounder));
        let made = key.encrypt(2, &hex(plain), &mut random);
        assert_eq!(made, hex(ciphertext), "{key:?}");
    }
}

/// RFC 8009 appendix A.
#[test]
fn checksums_are_those_of_rfc_8009() {
    let data = hex("000102030405060708090a0b0c0d0e0f1011121314");
    let small = key(Enctype::Aes128Sha2, "3705d96080c17728a0e800eab6e0d23c");
    let expected = hex("d78367186643d67b411cba9139fc1dee");
    assert_eq!(small.checksum(2, &data), expected);
    assert!(small.verify_checksum(2, &data, &expected));
    let large = "6d404d37faf79f9df0d33568d320669800eb4836472ea8a026d16b7182460c52";
    let expected = hex("45ee791567eefca37f4ac1e0222de80d43c3bfa06699672a");
    assert_eq!(key(Enctype::Aes256Sha2, large).checksum(2, &data), expected);
}

#[test]
fn each_key_opens_what_it_sealed_and_nothing_else() {
    let mut rng = StdRng::seed_from_u64(3961);
    for enctype in Enctype::ALL {
        let mut random = |bytes: &mut [u8]| rng.fill_bytes(bytes);
        let key = Key::generate(enctype, &mut random);
        let other = Key::generate(enctype, &mut random);
        for size in (0..70).chain([1000, 4096]) {
            let mut plain = vec![0; size];
            random(&mut plain);
            let sealed = key.encrypt(24, &plain, &mut random);
            assert_eq!(key.decrypt(24, &sealed), Ok(plain), "{enctype} {size}");
            assert_eq!(key.decrypt(22, &sealed), Err(Error::Checksum));
            assert_eq!(other.decrypt(24, &sealed), Err(Error::Checksum));
        }
    }
}

#[test]
fn a_flipped_bit_or_a_cut_is_refused() {
    let mut random = |bytes: &mut [u8]| bytes.fill(9);
    for enctype in Enctype::ALL {
        let key = Key::generate(enctype, &mut random);
        let sealed = key.encrypt(2, b"seventeen bytes..", &mut random);
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.decrypt(2, &changed), Err(Error::Checksum), "{enctype}");
        }
        for size in 0..sealed.len() {
            assert!(key.decrypt(2, &sealed[..size]).is_err(), "{enctype} {size}");
        }
        let checksum = key.checksum(17, b"data");
        assert_eq!(checksum.len(), enctype.checksum_len());
        assert!(key.verify_checksum(17, b"data", &checksum));
        assert!(!key.verify_checksum(17, b"datb", &checksum));
        assert!(!key.verify_checksum(23, b"data", &checksum));
        assert!(!key.verify_checksum(17, b"data", &checksum[1..]));
    }
}

#[test]
fn numbers_and_names_are_those_of_the_field() {
    for enctype in Enctype::ALL {
        assert_eq!(Enctype::from_number(enctype.number()), Some(enctype));
        let checksum = enctype.checksum_type();
        assert_eq!(Enctype::from_checksum_type(checksum), Some(enctype));
    }
    assert_eq!(Enctype::from_number(3), None);
    assert_eq!(Enctype::from_checksum_type(7), None);
    let key = Key::new(Enctype::Aes256Sha1, &[7; 32]).unwrap();
    assert_eq!(format!("{key:?}"), "Key(aes256-cts-hmac-sha1-96, redacted)");
    assert!(Key::new(Enctype::Aes256Sha1, &[7; 16]).is_none());
}

/// Where the processor has AES instructions they are used: whoever builds this with
/// settings that turn them off should know.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_processor_encrypts_where_it_can() {
    let able = std::is_x86_feature_detected!("aes");
    assert_eq!(::aes::hardware_accelerated(), able);
}
