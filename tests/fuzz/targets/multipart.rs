//! Sealed bodies: ranges are in order and within the body, and written bodies can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::base::wire::Charset;
use wecrelay::protocol::http::ContentType;
use wecrelay::protocol::http::multipart::{self, MAX_TOKEN, Mechanism, Sealed, Style};

// The first line is the Content-Type, the rest the body.
fuzz_target!(|data: &[u8]| {
    let end = data
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(data.len());
    let (line, body) = data.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    if let Some(kind) = ContentType::parse(&String::from_utf8_lossy(line)) {
        read(&kind, body);
    }
    let windows = ContentType::parse(multipart::content_type(Mechanism::Spnego)).unwrap();
    read(&windows, body);
    let (token, sealed) = body.split_at(body.len() / 4);
    comes_back(token, sealed);
    let several = multipart::content_type(Mechanism::Spnego);
    let several = several.replace("multipart/encrypted", "multipart/x-multi-encrypted");
    several_parts(&ContentType::parse(&several).unwrap(), body);
});

/// Parts are in order and do not overlap, and each has the length that it declares.
fn several_parts(kind: &ContentType, body: &[u8]) {
    let mut end = 0;
    for sealed in multipart::parse_all(kind, body).unwrap_or_default() {
        assert!(end < sealed.token.start && sealed.token.end <= sealed.data.start);
        assert_eq!(sealed.data.len(), sealed.length);
        end = sealed.data.end;
        assert!(end < body.len());
    }
}

fn read(kind: &ContentType, body: &[u8]) {
    let Ok(sealed) = multipart::parse(kind, body) else {
        return;
    };
    assert!(sealed.token.end <= sealed.data.start && sealed.data.end <= body.len());
    assert!(sealed.token.len() <= MAX_TOKEN && sealed.length <= sealed.data.len());
    comes_back(&body[sealed.token], &body[sealed.data]);
}

fn comes_back(token: &[u8], data: &[u8]) {
    for mechanism in [Mechanism::Spnego, Mechanism::Kerberos] {
        for charset in [Charset::Utf16, Charset::Utf8] {
            let mut out = Vec::new();
            let style = Style {
                mechanism,
                charset,
                tab: token.len() % 2 == 1,
            };
            multipart::emit(style, data.len(), token, data, &mut out);
            let kind = ContentType::parse(multipart::content_type(mechanism)).unwrap();
            let parsed = multipart::parse(&kind, &out);
            if token.len() > MAX_TOKEN {
                assert!(parsed.is_err(), "a token over the limit");
                continue;
            }
            let Sealed {
                token: at,
                data: place,
                ..
            } = parsed.clone().unwrap();
            assert_eq!((&out[at], &out[place]), (token, data));
            let parsed = parsed.unwrap();
            assert_eq!((parsed.style, parsed.length), (style, data.len()));
        }
    }
}
