//! Vectors of MS-NLMP 4.2: user `User`, domain `Domain`, password `Password`.

use super::*;
use crate::protocol::ntlm::sealing::{Sealer, UnsealError, Unsealer};

const SERVER: [u8; 8] = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
const CLIENT: [u8; 8] = [0xaa; 8];
const SESSION_KEY: [u8; 16] = [0x55; 16];
const V1_ESS_FLAGS: Flags = Flags::from_bits(0x820a_8233);
const V2_FLAGS: Flags = Flags::from_bits(0xe28a_8233);

fn hex<const N: usize>(digits: &str) -> [u8; N] {
    bytes(digits).try_into().unwrap()
}

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| hex_digit(pair[0]).unwrap() << 4 | hex_digit(pair[1]).unwrap();
    pairs.iter().map(byte).collect()
}

fn plaintext() -> Vec<u8> {
    wire::utf16("Plaintext")
}

fn pair(key: &Key, flags: Flags) -> (Sealer, Unsealer) {
    let direction = Direction::ClientToServer;
    (
        Sealer::new(key, flags, direction),
        Unsealer::new(key, flags, direction),
    )
}

#[test]
fn ntlmv2_agrees_with_ms_nlmp_4_2_4() {
    let hash = NtHash::from_password("Password");
    assert_eq!(hash.to_hex(), "a4f49c406510bdcab6824ee7c30fd852");
    let key = hash.response_key("User", "Domain");
    assert_eq!(key.0, hex("0c868a403bfd7a93a3001ef22ef02e3f"));
    let temp = bytes(concat!(
        "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000",
        "02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
    ));
    let proof = ntlmv2_proof(&key, &SERVER, &temp);
    assert_eq!(proof, hex("68cd0ab851e51c96aabc927bebef6a1c"));
    let exchange = ntlmv2_key(&key, &proof);
    assert_eq!(exchange.0, hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
    let encrypted = exchange_key(&exchange, &SESSION_KEY);
    assert_eq!(encrypted.0, hex("c5dad2544fc9799094ce1ce90bc9d03e"));
    assert_eq!(exchange_key(&exchange, &encrypted.0).0, SESSION_KEY);
}

#[test]
fn ntlmv2_sealing_agrees_with_ms_nlmp_4_2_4() {
    let key = Key::new(SESSION_KEY);
    let (client, server) = (Direction::ClientToServer, Direction::ServerToClient);
    let seal = |direction| seal_key(&key, V2_FLAGS, direction).0;
    assert_eq!(seal(client), hex("59f600973cc4960a25480a7c196e4c58"));
    assert_eq!(seal(server), hex("9355f3a957c1583d25c4c2f11e40390e"));
    assert_eq!(
        sign_key(&key, client).0,
        hex("4788dc861b4782f35d43fd98fe1a2d39")
    );
    assert_eq!(
        sign_key(&key, server).0,
        hex("d04d6f10741041d1d246d64188d7a8ad")
    );

    let (mut sealer, mut unsealer) = pair(&key, V2_FLAGS);
    let mut data = plaintext();
    let token = sealer.seal(&mut data);
    assert_eq!(data, bytes("54e50165bf1936dc996020c1811b0f06fb5f"));
    assert_eq!(token, hex("010000007fb38ec5c55d497600000000"));
    assert_eq!(unsealer.unseal(&token, &mut data), Ok(()));
    assert_eq!(data, plaintext());
}

/// They are sealed whole and opened in pieces; what follows shows that the key stream and the
/// sequence are where they have to be.
#[test]
fn messages_of_any_length_open() {
    let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
    let message: Vec<u8> = (0_u32..13_000).map(|byte| byte.to_le_bytes()[0]).collect();
    for length in (0..300).chain([1000, 4095, 4096, 4097, 8192, 13_000]) {
        let plain = &message[..length];
        let mut data = plain.to_vec();
        let token = sealer.seal(&mut data);
        assert_eq!(unsealer.unseal(&token, &mut data), Ok(()), "{length}");
        assert_eq!(data, plain, "{length}");
    }
}

#[test]
fn ntlmv1_with_ess_agrees_with_ms_nlmp_4_2_3() {
    let hash = NtHash::from_password("Password");
    let response = hash.ntlmv1_response(&SERVER, &CLIENT);
    assert_eq!(
        response,
        hex("7537f803ae367128ca458204bde7caf81e97ed2683267232")
    );
    let key = hash.ntlmv1_key(&SERVER, &CLIENT);
    assert_eq!(key.0, hex("eb93429a8bd952f8b89c55b87f475edc"));
    let direction = Direction::ClientToServer;
    let seal = seal_key(&key, V1_ESS_FLAGS, direction);
    assert_eq!(seal.0, hex("04dd7f014d8504d265a25cc86a3a7c06"));
    assert_eq!(
        sign_key(&key, direction).0,
        hex("60e799be5c72fc92922ae8ebe961fb8d")
    );

    // No key exchange here: the checksum is not encrypted.
    let (mut sealer, mut unsealer) = pair(&key, V1_ESS_FLAGS);
    let mut data = plaintext();
    let token = sealer.seal(&mut data);
    assert_eq!(data, bytes("a02372f6530273f3aa1eb90190ce5200c99d"));
    assert_eq!(token, hex("01000000ff2aeb52f681793a00000000"));
    assert_eq!(unsealer.unseal(&token, &mut data), Ok(()));
}

#[test]
fn seal_keys_of_128_56_and_40_bits_differ() {
    let key = Key::new(SESSION_KEY);
    let seal = |flags| seal_key(&key, flags, Direction::ClientToServer).0;
    let keys = [Flags::KEY_128, Flags::KEY_56, Flags::default()].map(seal);
    assert_ne!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert_eq!(seal(Flags::KEY_128 | Flags::KEY_56), keys[0]);
}

#[test]
fn unseal_undoes_seal_for_every_size_and_in_order() {
    let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
    for size in (0..200).chain([2600, 65_537]) {
        let plain: Vec<u8> = (0..size).map(|i: u32| i.to_le_bytes()[0]).collect();
        let mut data = plain.clone();
        let token = sealer.seal(&mut data);
        assert_eq!(unsealer.unseal(&token, &mut data), Ok(()));
        assert_eq!(data, plain);
    }
}

#[test]
fn a_replayed_message_is_refused_and_everything_after_it() {
    let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
    let mut data = plaintext();
    let token = sealer.seal(&mut data);
    let again = data.clone();
    assert_eq!(unsealer.unseal(&token, &mut data), Ok(()));
    let (expected, found) = (1, 0);
    let replayed = unsealer.unseal(&token, &mut again.clone());
    assert_eq!(replayed, Err(UnsealError::Sequence { expected, found }));
    let token = sealer.seal(&mut data);
    assert_eq!(unsealer.unseal(&token, &mut data), Err(UnsealError::Lost));
}

#[test]
fn a_message_out_of_order_is_refused() {
    let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
    sealer.seal(&mut plaintext());
    let mut second = plaintext();
    let token = sealer.seal(&mut second);
    let (expected, found) = (0, 1);
    assert_eq!(
        unsealer.unseal(&token, &mut second),
        Err(UnsealError::Sequence { expected, found })
    );
}

#[test]
fn every_flipped_bit_is_refused_and_the_plaintext_cleared() {
    for bit in 0..(16 + 18) * 8 {
        let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
        let mut data = plaintext();
        let token = sealer.seal(&mut data);
        let mut message = [&token, data.as_slice()].concat();
        message[bit / 8] ^= 1 << (bit % 8);
        let (token, data) = message.split_at_mut(16);
        assert!(unsealer.unseal(token, data).is_err(), "bit {bit}");
        assert_eq!(data, [0; 18]);
    }
}

#[test]
fn tokens_of_other_sizes_are_refused() {
    for size in [0, 15, 17, 60] {
        let (_, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
        let refused = unsealer.unseal(&vec![1; size], &mut plaintext());
        assert_eq!(refused, Err(UnsealError::Length { found: size }));
    }
}

#[test]
fn a_restarted_cipher_keeps_the_sequence() {
    let (mut sealer, mut unsealer) = pair(&Key::new(SESSION_KEY), V2_FLAGS);
    let mic = sealer.sign(b"list");
    assert_eq!(unsealer.verify(&mic, b"list"), Ok(()));
    sealer.restart_cipher();
    unsealer.restart_cipher();
    let mut data = plaintext();
    let token = sealer.seal(&mut data);
    assert_eq!(data, bytes("54e50165bf1936dc996020c1811b0f06fb5f"));
    assert_eq!(token[12..], [1, 0, 0, 0]);
    assert_eq!(unsealer.unseal(&token, &mut data), Ok(()));
}

#[test]
fn hashes_survive_hexadecimal_and_bad_digits_are_refused() {
    let hash = NtHash::from_password("Password");
    let again = NtHash::from_hex(&hash.to_hex().to_uppercase()).unwrap();
    assert_eq!(again.to_hex(), hash.to_hex());
    let digits = hash.to_hex();
    for bad in [
        "",
        &digits[1..],
        &digits[2..],
        &(digits.clone() + "00"),
        &digits.replace('a', "g"),
    ] {
        assert!(NtHash::from_hex(bad).is_none(), "{bad}");
    }
}

#[test]
fn users_are_upper_cased_one_to_one() {
    let hash = NtHash::from_password("x");
    let key = |user, domain| hash.response_key(user, domain).0;
    assert_eq!(key("jürgen", "D"), key("JÜRGEN", "D"));
    assert_ne!(key("straße", "D"), key("STRASSE", "D"));
    assert_ne!(key("user", "d"), key("user", "D"));
}

#[test]
fn secrets_print_as_redacted() {
    let key = Key::new(SESSION_KEY);
    let (sealer, unsealer) = pair(&key, V2_FLAGS);
    let hash = NtHash::from_password("x");
    for text in [
        format!("{key:?}"),
        format!("{hash:?}"),
        format!("{sealer:?}"),
        format!("{unsealer:?}"),
    ] {
        assert!(text.contains("redacted") && !text.contains("85"), "{text}");
    }
}
