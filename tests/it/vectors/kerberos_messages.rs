//! Kerberos: messages encrypted by MIT krb5 and in the RFCs can be decrypted, in both directions.

use serde_json::Value;
use wecrelay::protocol::http::{ContentType, multipart};
use wecrelay::protocol::kerberos::crypto::{Enctype, Error, Key};
use wecrelay::protocol::kerberos::wrap::Session;

use super::{base64, hex, list, side, text, vectors};

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn ciphertexts_of_others_open_and_changed_ones_do_not() {
    let mut found = Vec::new();
    for vector in list(&vectors("kerberos-crypto")["decrypt"]) {
        let key = key(&vector["etype"], &vector["key"]);
        let usage = u32::try_from(vector["usage"].as_u64().unwrap()).unwrap();
        let mut ciphertext = hex(&vector["ciphertext"]);
        let plain = key.decrypt(usage, &ciphertext);
        assert_eq!(plain, Ok(hex(&vector["plaintext"])), "{key:?} {usage}");
        *ciphertext.last_mut().unwrap() ^= 1;
        assert_eq!(key.decrypt(usage, &ciphertext), Err(Error::Checksum));
        found.push(key.enctype());
    }
    assert!(Enctype::ALL.iter().all(|enctype| found.contains(enctype)));
}

#[test]
#[ignore = ".ci/acceptance runs it with the folder that it needs"]
fn bodies_of_both_ends_of_a_session_open() {
    for session in list(&vectors("kerberos-session")["vectors"]) {
        let name = text(&session["name"]);
        let key = key(&session["message_etype"], &session["message_key"]);
        let number = |field: &str| session[field].as_u64().unwrap();
        let (source, collector) = (number("initiator_seq"), number("acceptor_seq"));
        let subkey = !session["acceptor_subkey"].is_null();
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let mut ends = [
            Session::accept(&key, subkey, collector, source, &mut random),
            Session::initiate(&key, subkey, source, collector, &mut random),
        ];
        let kind = format!(
            "multipart/encrypted;protocol=\"{}\";boundary=\"Encrypted Boundary\"",
            text(&session["protocol"])
        );
        let kind = ContentType::parse(&kind).unwrap();
        for message in list(&session["messages"]) {
            let mut body = base64(&message["body"]);
            let sealed = multipart::parse(&kind, &body).unwrap();
            let token = body[sealed.token].to_vec();
            let data = &mut body[sealed.data];
            let receiver = &mut ends[side(message)];
            let size = receiver.unseal(&token, data).unwrap();
            assert_eq!(data[..size], base64(&message["plaintext"]), "{name}");
            // The relay's message has the same form.
            let sender = &mut ends[1 - side(message)];
            let mut plain = base64(&message["plaintext"]);
            let ours = sender.seal(&mut plain);
            assert_eq!(
                (ours.len(), plain.len()),
                (token.len(), data.len()),
                "{name}"
            );
            if key.enctype() != Enctype::Rc4Hmac {
                assert_eq!(ours[..16], token[..16], "{name}");
            }
        }
    }
}

fn key(etype: &Value, bytes: &Value) -> Key {
    let number = i32::try_from(etype.as_i64().unwrap()).unwrap();
    Key::new(Enctype::from_number(number).unwrap(), &hex(bytes)).unwrap()
}
