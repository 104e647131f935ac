use super::output::ROOM;
use super::*;

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap();
    let pairs = text.as_bytes().as_chunks::<2>().0;
    let byte = |[a, b]: &[u8; 2]| u8::try_from(digit(*a) * 16 + digit(*b)).unwrap();
    pairs.iter().map(byte).collect()
}

/// A record from its symbols, written as bits. Spaces are ignored.
fn record(symbols: &[&str]) -> Vec<u8> {
    let bits: Vec<u8> = symbols.concat().bytes().filter(|b| *b != b' ').collect();
    let byte = |eight: &[u8]| {
        let padded = eight.iter().chain(std::iter::repeat(&b'0')).take(8);
        padded.fold(0, |all, bit| all << 1 | (bit - b'0'))
    };
    bits.chunks(8).map(byte).collect()
}

fn literal(byte: u8) -> String {
    format!("0{byte:08b}")
}

fn pseudo_random(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(99);
        (state >> 33).to_le_bytes()[0]
    };
    (0..count).map(|_| next()).collect()
}

fn envelope_like(count: usize) -> Vec<u8> {
    let event = |i: usize| {
        format!(
            "<Event><EventID>{}</EventID><Data Name='User'>u{}</Data></Event>",
            4624 + i % 40,
            i * i
        )
    };
    let text: String = (0..count).map(event).collect();
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

const RESET_1: &str = "111111111 0101";
const RESET_2: &str = "111111111 0110";
const SCHEME_1: &str = "111111111 0001";
const SCHEME_2: &str = "111111111 0010";
const END: &str = "111111111 0100";

/// The longest match count, at history position 0.
const LONGEST: &str = "1 1111 11101111 0000000000";

#[test]
fn records_of_both_schemes_expand_to_their_text() {
    let known = [
        (
            "ffb3a32b9ba1039ba3934b733ffd0000",
            b"test string".as_slice(),
        ),
        ("ffa907c8007fd0", &[b'A'; 21]),
        (
            "ffb7f803fdfdff121400bfe487ff40",
            b"\xff\x00\xff\xfeB\xff\xfeC",
        ),
        ("ffa984c5ff531c003fe8", b"abccc"),
        ("ffaffd00", b""),
    ];
    for (packed, text) in known {
        assert_eq!(decode(&unhex(packed), 100).unwrap(), text, "{packed}");
    }
}

#[test]
fn every_class_of_match_count_is_read() {
    let packed = "ffa984c46332194cc67344002801800360070003b801e0003de007c0000ff7801ff4";
    let mut text = b"abcdefgh".to_vec();
    for length in [2, 3, 4, 7, 8, 15, 16, 31, 32, 271] {
        (0..length).for_each(|i| text.push(text[i]));
    }
    assert_eq!(decode(&unhex(packed), 1000), Ok(text));
}

#[test]
fn decoding_undoes_encoding() {
    let mut texts = vec![Vec::new(), vec![7], vec![0; 5000], vec![0xff; 3000]];
    texts.extend((1..40).map(|n| pseudo_random(n, 97 * usize::try_from(n).unwrap())));
    texts.extend((1..40).map(envelope_like));
    texts.extend((1..20).map(|period| {
        let cycle = pseudo_random(1, period).into_iter().cycle();
        cycle.take(2000 + period).collect::<Vec<u8>>()
    }));
    for text in texts {
        let packed = encode(&text);
        for length in [0, 1, 5000, 20_000] {
            let earlier = vec![0xAA; length];
            assert_eq!(
                decode_into(earlier, &packed, text.len()).as_ref(),
                Ok(&text)
            );
        }
    }
}

#[test]
fn text_of_events_packs_well() {
    let text = envelope_like(500);
    assert!(encode(&text).len() * 4 < text.len());
}

#[test]
fn random_symbols_decode_as_a_plain_ring_does() {
    for seed in 1..400 {
        let body = pseudo_random(seed, 600);
        let mut packed = record(&[RESET_1]);
        packed.extend(&body);
        packed.extend([0; 8]);
        assert_eq!(decode(&packed, 4000), ring::decode(&packed, 4000), "{seed}");
    }
}

/// The start of a copy pointer, through the match count.
fn match_count(length: usize) -> String {
    match length {
        ..4 => format!("1 0 {:01b}", length - 2),
        4..8 => format!("1 10 {:02b}", length - 4),
        8..16 => format!("1 110 {:03b}", length - 8),
        16..32 => format!("1 1110 {:04b}", length - 16),
        _ => format!("1 1111 {:08b}", length - 32),
    }
}

/// Before and after the history is full, after a reset, and up to the end of the input and of
/// the output's room.
#[test]
fn copies_of_each_length_from_each_distance_follow_each_other() {
    let literals = |seed, count| -> String {
        let bytes = pseudo_random(seed, count).into_iter();
        bytes.map(literal).collect()
    };
    for distance in (1..40).chain([500, 1000, 1022, 1023, 1024]) {
        let mut written = 1021;
        let mut symbols = vec![RESET_1.to_owned(), literals(1, written)];
        for length in (2..36).chain([270, 271]).chain((2..36).rev()) {
            for _ in 0..3 {
                let position = (written + HISTORY - distance) % HISTORY;
                symbols.push(format!("{}{position:010b}", match_count(length)));
                written += length;
            }
            symbols.push(literals(2, length % 8));
            written += length % 8;
        }
        let symbols = symbols.concat();
        let packed = record(&[&symbols, &symbols, END]);
        let text = ring::decode(&packed, 1 << 20);
        assert!(text.is_ok());
        assert_eq!(decode(&packed, 1 << 20), text, "{distance}");
    }
}

#[test]
fn schemes_change_on_one_history() {
    let packed = record(&[
        RESET_2,
        "01100001 01100010 11111111 0", // a b FF
        SCHEME_1,
        "1 00 0000000000", // copy two from 0
        SCHEME_2,
        "11111111 0 01100011", // FF c
        SCHEME_1,
        "1 01 0000000101", // copy three from 5
        END,
    ]);
    assert_eq!(decode(&packed, 99).unwrap(), b"ab\xffab\xffc\xffc\xff");
}

#[test]
fn unwritten_history_is_zero_and_a_reset_forgets() {
    let (a, b) = (literal(b'a'), literal(b'b'));
    // Two bytes from position 1023 after one byte was written: a zero, then position 0.
    let packed = record(&[
        RESET_1,
        &a,
        "1 00 1111111111",
        RESET_1,
        &b,
        "1 01 0000000101",
        END,
    ]);
    assert_eq!(decode(&packed, 99).unwrap(), b"a\0ab\0\0\0");
}

#[test]
fn flush_file_mark_and_end_marker_mean_nothing() {
    let idle = ["111111111 0000", "111111111 0011", "111111111 1111"].concat();
    let packed = record(&[&idle, RESET_1, &idle, &literal(b'x'), &idle, END]);
    assert_eq!(decode(&packed, 9).unwrap(), b"x");
}

#[test]
fn plain_text_is_told_from_a_record() {
    let plain = [
        b"\xff\xfe<\0".as_slice(),
        b"<s:",
        b"\xef\xbb\xbf<",
        b"\xfe\xff\0<",
    ];
    assert!(plain.into_iter().all(is_plain));
    assert!(!is_plain(&encode(b"x")) && !is_plain(&unhex("ffb3")) && !is_plain(b""));
    assert_eq!(
        decode(b"\xff\xfe<\0s\0:\0", 99),
        Err(Error::NoScheme { bit: 13 })
    );
}

#[test]
fn data_or_end_before_a_scheme_is_refused() {
    assert_eq!(decode(b"abc", 9), Err(Error::NoScheme { bit: 0 }));
    assert_eq!(decode(&record(&[END]), 9), Err(Error::NoScheme { bit: 0 }));
    assert_eq!(decode(b"", 9), Err(Error::Truncated { bit: 0 }));
}

#[test]
fn reserved_symbols_are_refused() {
    for code in [7, 8, 9, 10, 11, 12, 13, 14] {
        let packed = record(&[RESET_1, &format!("111111111 {code:04b}"), END]);
        assert_eq!(decode(&packed, 9), Err(Error::Reserved { code, bit: 13 }));
    }
}

#[test]
fn a_record_cut_at_any_byte_is_truncated() {
    for text in [envelope_like(9), pseudo_random(5, 300)] {
        let packed = encode(&text);
        let record = packed.len() - 5;
        for cut in 0..record {
            let result = decode(&packed[..cut], 9999);
            assert!(matches!(result, Err(Error::Truncated { .. })), "{cut}");
        }
        // Without a trailer, and with part of one.
        for cut in record + 1..packed.len() - 1 {
            assert_eq!(decode(&packed[..cut], 9999).as_ref(), Ok(&text), "{cut}");
        }
    }
}

#[test]
fn the_trailing_length_is_checked_when_there_is_one() {
    let mut packed = record(&[RESET_1, &literal(b'x'), END]);
    packed.extend([1, 0, 0, 0]);
    assert_eq!(decode(&packed, 9).unwrap(), b"x");
    *packed.last_mut().unwrap() = 1;
    let wrong = Error::WrongLength {
        declared: 0x0100_0001,
        actual: 1,
    };
    assert_eq!(decode(&packed, 9), Err(wrong));
}

#[test]
fn fewer_than_four_bytes_after_the_record_are_no_length() {
    // 80 bits: the record ends with its last byte.
    let mut packed = record(&[RESET_1, &literal(b'x').repeat(6), END]);
    for after in 0..4 {
        assert_eq!(decode(&packed, 9).unwrap(), b"xxxxxx", "{after} bytes");
        assert_eq!(
            ring::decode(&packed, 9).unwrap(),
            b"xxxxxx",
            "{after} bytes"
        );
        packed.push(9);
    }
    assert!(matches!(decode(&packed, 9), Err(Error::WrongLength { .. })));
    assert_eq!(decode(&packed, 9), ring::decode(&packed, 9));
}

#[test]
fn output_may_reach_the_cap_but_not_pass_it() {
    let copies = LONGEST.repeat(400);
    let packed = record(&[RESET_1, &literal(0), &literal(0), &copies, END]);
    let size = 2 + 400 * MAX_MATCH;
    assert_eq!(decode(&packed, size).unwrap(), vec![0; size]);
    for cap in [0, 1, 2, 1000, size - 1] {
        assert_eq!(decode(&packed, cap), Err(Error::TooLong { cap }));
    }
}

#[test]
fn a_bomb_allocates_no_more_than_the_cap() {
    let mut packed = record(&[RESET_1, &literal(0), &LONGEST.repeat(100_000), END]);
    packed.extend(u32::MAX.to_le_bytes());
    let mut output = Output::new(Vec::new(), &packed, 10_000);
    while output.make_room().is_ok() {
        output.at += MAX_MATCH;
    }
    assert!(output.bytes.capacity() <= 2 * (10_000 + ROOM));
    assert_eq!(decode(&packed, 10_000), Err(Error::TooLong { cap: 10_000 }));
}

#[test]
fn errors_explain_themselves() {
    let text = Error::WrongLength {
        declared: 5,
        actual: 4,
    }
    .to_string();
    assert_eq!(text, "sldc record has 4 bytes, but its trailer declares 5");
    let text = Error::Reserved { code: 7, bit: 13 }.to_string();
    assert_eq!(text, "reserved sldc control symbol 0111 at bit 13");
}

/// In ECMA-321 padding, a flush, or an end marker can follow; none of these is a length.
#[test]
fn only_a_length_of_windows_form_is_checked() {
    const FLUSH: &str = "111111111 0000";
    const MARKER: &str = "111111111 1111";
    // 80 bits, and 75.
    let even = [RESET_1, &literal(b'x').repeat(6), END].concat();
    let odd = [RESET_1, &literal(b'x'), END].concat();
    for (symbols, text) in [(&even, b"xxxxxx".as_slice()), (&odd, b"x")] {
        for after in [
            vec![],
            vec![FLUSH],
            vec![MARKER],
            vec![FLUSH, MARKER],
            vec![MARKER, FLUSH, "0000 0000"],
        ] {
            let symbols = [symbols.as_str(), &after.concat()].concat();
            for pads in 0..12 {
                let mut packed = record(&[&symbols]);
                packed.resize(packed.len() + pads, 0);
                assert_eq!(decode(&packed, 99).as_deref(), Ok(text), "{after:?} {pads}");
                assert_eq!(ring::decode(&packed, 99).as_deref(), Ok(text));
            }
        }
        // A length as Windows appends it, correct and wrong, and bytes that only look like one.
        let length = u32::try_from(text.len()).unwrap();
        let with = |gap: &[u8], length: u32, more: &[u8]| {
            let mut packed = record(&[symbols]);
            packed.extend([gap, &length.to_le_bytes(), more].concat());
            assert_eq!(decode(&packed, 99), ring::decode(&packed, 99));
            decode(&packed, 99)
        };
        for gap in [b"".as_slice(), b"\0"] {
            assert_eq!(with(gap, length, b"").as_deref(), Ok(text));
            let declared = length + 1;
            let actual = text.len();
            let wrong = Error::WrongLength { declared, actual };
            assert_eq!(with(gap, declared, b""), Err(wrong));
            assert_eq!(with(gap, declared, b"\0").as_deref(), Ok(text));
        }
        assert_eq!(with(b"\0\0", length + 1, b"").as_deref(), Ok(text));
        assert_eq!(with(b"\x01", length + 1, b"").as_deref(), Ok(text));
    }
}

/// The text of a record that follows another one is decoded as well.
#[test]
fn records_that_follow_are_expanded_too() {
    const FLUSH: &str = "111111111 0000";
    const MARKER: &str = "111111111 1111";
    let first = [RESET_1, &literal(b'a').repeat(4), END].concat();
    // A copy from the first record, because the history continues.
    let second = [SCHEME_1, "1 00 0000000000", &literal(b'b').repeat(3), END].concat();
    let both = |between: &str, pads: usize, more: &[u8]| {
        let mut packed = match between {
            "" => record(&[&first]),
            symbols => record(&[&first, symbols]),
        };
        packed.resize(packed.len() + pads, 0);
        packed.extend(record(&[&second]));
        packed.extend(more);
        assert_eq!(decode(&packed, 99), ring::decode(&packed, 99));
        decode(&packed, 99)
    };
    for pads in 0..9 {
        assert_eq!(both("", pads, b"").unwrap(), b"aaaaaabbb", "{pads}");
        assert_eq!(both("", pads, &[9, 0, 0, 0]).unwrap(), b"aaaaaabbb");
        let (declared, actual) = (4, 9);
        let wrong = Error::WrongLength { declared, actual };
        assert_eq!(both("", pads, &[4, 0, 0, 0]), Err(wrong));
    }
    // Everything after an end marker is ignored.
    assert_eq!(both(MARKER, 0, b"").unwrap(), b"aaaa");
    let unaligned = record(&[&first, FLUSH, &second]);
    assert_eq!(decode(&unaligned, 99).unwrap(), b"aaaaaabbb");
    assert_eq!(ring::decode(&unaligned, 99).unwrap(), b"aaaaaabbb");
    // A truncated record is an error instead of a shorter text.
    let cut = &unaligned[..unaligned.len() - 3];
    assert!(matches!(decode(cut, 99), Err(Error::Truncated { .. })));
    // The length that Windows appends can look like the beginning of a record.
    let mut packed = record(&[RESET_1, &literal(b'x'), END]);
    packed.extend([0, 0xff, 0xa8, 0x01, 0x00]);
    assert_eq!(decode(&packed, 99).unwrap(), b"x");
}
