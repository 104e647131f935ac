//! Answers of brokers, whole, cut and hostile.

use super::*;

/// An answer to Metadata in version 7: broker 3 leads both partitions of `events`.
fn metadata() -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend([
        0, 0, 0, 1, 0, 0, 0, 3, 0, 2, b'k', b'1', 0, 0, 0x23, 0x84, 0xff, 0xff,
    ]);
    bytes.extend([0xff, 0xff, 0, 0, 0, 3]);
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 6]);
    bytes.extend(b"events");
    bytes.extend([0, 0, 0, 0, 2]);
    for index in 0..2 {
        bytes.extend([0, 0, 0, 0, 0, index, 0, 0, 0, 3, 0, 0, 0, 9]);
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 0]);
    }
    bytes
}

#[test]
fn brokers_and_leaders_are_read_and_cuts_are_found() {
    let bytes = metadata();
    let found = Metadata::parse(&bytes, 7, "events").unwrap();
    let broker = Broker {
        id: 3,
        host: "k1".into(),
        port: 9092,
    };
    assert_eq!(found.brokers, [broker]);
    let leaders: Vec<_> = found
        .partitions
        .iter()
        .map(|p| (p.index, p.leader))
        .collect();
    assert_eq!(leaders, [(0, 3), (1, 3)]);
    assert_eq!(Metadata::parse(&bytes, 7, "other"), Err(Error::Topic));
    for end in 0..bytes.len() {
        assert!(
            Metadata::parse(&bytes[..end], 7, "events").is_err(),
            "{end}"
        );
    }
}

#[test]
fn an_answer_with_huge_numbers_is_an_error() {
    for at in 0..metadata().len() - 4 {
        let mut bytes = metadata();
        bytes[at..at + 4].fill(0x7f);
        // Whatever comes of it, it comes at once.
        let _ = Metadata::parse(&bytes, 7, "events");
        let _ = parse_produced(&bytes, 8);
        let _ = Versions::parse(&bytes);
        let _ = parse_producer_id(&bytes, 1);
        let _ = parse_producer_id(&bytes, 3);
        let _ = parse_sasl_handshake(&bytes);
        let _ = parse_sasl_authenticate(&bytes);
    }
}

/// A mechanism of two bytes would take 24 bytes here.
#[test]
fn an_answer_may_list_so_much_and_no_more() {
    let offer = |count: usize| {
        let mut bytes = vec![0, 33];
        bytes.extend(i32::try_from(count).unwrap().to_be_bytes());
        bytes.resize(bytes.len() + 2 * count, 0);
        parse_sasl_handshake(&bytes)
    };
    let most = wire::LISTED_MAX;
    let Err(Error::Mechanism(offered)) = offer(most) else {
        panic!();
    };
    assert_eq!(offered.len(), most);
    assert_eq!(offer(most + 1), Err(Error::Listed("SaslHandshake")));
}

#[test]
fn versions_are_those_of_both() {
    let versions = |rows: &[(i16, i16, i16)]| {
        let mut bytes = vec![0, 0];
        bytes.extend(i32::try_from(rows.len()).unwrap().to_be_bytes());
        for (key, least, most) in rows {
            bytes.extend([key, least, most].map(|n| n.to_be_bytes()).concat());
        }
        Versions::parse(&bytes).unwrap()
    };
    let versions = versions(&[(0, 0, 5), (3, 9, 12), (22, 0, 99)]);
    assert_eq!(versions.of(Api::Produce), Ok(5));
    assert_eq!(
        versions.of(Api::Metadata),
        Err(Error::Unsupported("Metadata"))
    );
    assert_eq!(versions.of(Api::InitProducerId), Ok(3));
    assert!(versions.of(Api::SaslHandshake).is_err());
}

#[test]
fn refused_records_are_named() {
    let mut bytes = vec![0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1];
    bytes.extend([0, 0, 0, 4, 0, 87]);
    bytes.extend([0; 24]);
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 3]);
    bytes.extend(b"bad");
    bytes.extend([0, 2]);
    bytes.extend(b"no");
    bytes.extend([0; 4]);
    let found = parse_produced(&bytes, 8).unwrap();
    let expected = Produced {
        partition: 4,
        code: Code(87),
        records: vec![(2, Some("bad".into()))],
        message: Some("no".into()),
    };
    assert_eq!(found, [expected]);
}

#[test]
fn a_request_has_its_length_before_it() {
    let mut out = b"before".to_vec();
    push_request(&mut out, Api::Metadata, 5, 7, |out| push_metadata(out, "t"));
    let mut expected = b"before".to_vec();
    expected.extend([0, 0, 0, 26, 0, 3, 0, 5, 0, 0, 0, 7, 0, 8]);
    expected.extend(b"wecrelay");
    expected.extend([0, 0, 0, 1, 0, 1, b't', 0]);
    assert_eq!(out, expected);
}

#[test]
fn a_producer_id_is_asked_for_and_read_with_and_without_tagged_fields() {
    let asked = |version| {
        let mut out = Vec::new();
        push_request(&mut out, Api::InitProducerId, version, 7, |out| {
            push_init_producer_id(out, version);
        });
        assert_eq!(
            out[..4],
            u32::try_from(out.len() - 4).unwrap().to_be_bytes()
        );
        out.split_off(22)
    };
    let timeout = [0, 0, 0xea, 0x60];
    assert_eq!(asked(1), [&[0xff; 2], &timeout[..]].concat());
    assert_eq!(asked(2), [&[0, 0], &timeout[..], &[0]].concat());
    assert_eq!(
        asked(3),
        [&[0, 0], &timeout[..], &[0xff; 10], &[0]].concat()
    );
    let answer = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 2];
    let known = Ok(ProducerId { id: 5, epoch: 2 });
    assert_eq!(parse_producer_id(&answer, 1).unwrap(), known);
    let tagged = [&[0], &answer[..], &[0]].concat();
    for version in [2, 3] {
        assert_eq!(parse_producer_id(&tagged, version).unwrap(), known);
    }
}

#[test]
fn compressed_batches_are_smaller() {
    let mut record = Vec::new();
    push_record(&mut record, b"k", &[], |out| out.extend([b'x'; 1000]));
    for (name, compression) in Compression::NAMES {
        let mut batch = Batch::new(compression, 0);
        (0..10).for_each(|_| batch.push(&record));
        let bytes = batch.finish(None).unwrap();
        assert_eq!(
            bytes.len() > 10_000,
            compression == Compression::None,
            "{name}"
        );
    }
}
