//! Headers of both versions, whole and in pieces, and what only begins like them.

use super::header::{Header, LONGEST, begins, read};
use super::*;
use crate::carrier::Proxied;

/// The output: the ends that were named, the content, and the bytes that were mistaken.
#[derive(Debug, Default, Eq, PartialEq)]
struct Out {
    named: Vec<String>,
    content: Vec<u8>,
    mistaken: Vec<u8>,
}

fn run(parts: &[&[u8]]) -> Option<Out> {
    let mut shared = Shared::default();
    let mut out = Out::default();
    let mut one = ProxyProtocol::open(&shared, Direction::Forward, parts.first()?)?;
    for part in parts {
        one.push(&mut shared, Direction::Forward, part, &mut |carried| {
            match carried {
                Carried::Proxied(Proxied { client, server }) => out.named.push(format!(
                    "{} {} {} {}",
                    client.address, client.port, server.address, server.port
                )),
                Carried::Bytes(bytes) => out.content.extend(bytes),
                Carried::Mistaken { bytes, .. } => out.mistaken.extend(bytes),
                other => panic!("{other:?}"),
            }
            0
        });
    }
    one.close(&mut shared);
    assert_eq!(shared.held, 0);
    Some(out)
}

fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length,
        body,
    ]
    .concat()
}

#[test]
fn the_header_falls_away_however_it_is_cut_and_its_ends_are_named() {
    let four = [203, 0, 113, 7, 192, 0, 2, 1, 0xdc, 4, 7, 0x5b];
    let mut six = [0; 36];
    (six[15], six[31], six[33], six[35]) = (1, 2, 9, 8);
    let more = [&four[..], &[4, 0, 1, 9]].concat();
    let cases: [(Vec<u8>, Option<&str>); 8] = [
        (
            b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883\r\n".to_vec(),
            Some("203.0.113.7 56324 192.0.2.1 1883"),
        ),
        (
            b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(),
            Some("2001:db8::1 1 ::1 65535"),
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (b"PROXY UNKNOWN whatever else\r\n".to_vec(), None),
        (
            version_2(0x21, 0x11, &more),
            Some("203.0.113.7 56324 192.0.2.1 1883"),
        ),
        (version_2(0x21, 0x21, &six), Some("::1 9 ::2 8")),
        // A connection of the proxy's own, and addresses that are cut.
        (version_2(0x20, 0x11, &four), None),
        (version_2(0x21, 0x11, &four[..3]), None),
    ];
    for (header, named) in cases {
        let all = [header.as_slice(), b"\x10\x0ccontent"].concat();
        let least = if header[0] == b'P' { 6 } else { 12 };
        for cut in least..all.len() {
            let out = run(&[&all[..cut], &all[cut..]]).unwrap();
            assert_eq!(out.content, b"\x10\x0ccontent", "{cut}");
            assert_eq!(out.named, named.into_iter().collect::<Vec<_>>());
            assert!(out.mistaken.is_empty());
        }
    }
}

#[test]
fn what_only_begins_like_a_header_is_handed_back() {
    for bytes in [
        &b"PROXY TCP4 203.0.113.7 ::1 56324 1883\r\n"[..],
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 70000\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883 7\r\n",
        b"PROXY \x00\x01\x02",
        b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
    ] {
        assert!(begins(bytes));
        assert_eq!(run(&[bytes]), None, "{bytes:?}");
        if let Some(out) = run(&[&bytes[..8], &bytes[8..]]) {
            assert_eq!((out.mistaken.as_slice(), out.named.len()), (bytes, 0));
        }
    }
    assert!(!begins(b"PROX") && !begins(b"\x50\x02\x00\x01"));
    let endless = [b"PROXY ", [b'a'; LONGEST].as_slice()].concat();
    assert_eq!(read(&endless), Header::Broken);
    let large = version_2(0x21, 0x11, &[0; LONGEST]);
    let out = run(&[&large[..15], &large[15..]]).unwrap();
    assert_eq!((&out.mistaken, out.content.len()), (&large, 0));
    assert_eq!(run(&[&large[..16], &large[16..]]), None);
}

#[test]
fn a_gap_in_the_content_keeps_its_length_and_one_in_the_header_does_not() {
    let mut shared = Shared::default();
    let header = b"PROXY UNKNOWN\r\n";
    let mut one = ProxyProtocol::open(&shared, Direction::Forward, header).unwrap();
    assert_eq!(one.gap(&mut shared, Direction::Backward, 7), Some(7));
    one.push(&mut shared, Direction::Forward, &header[..9], &mut |_| 0);
    assert_eq!(one.gap(&mut shared, Direction::Forward, 7), Some(0));
    assert_eq!((shared.lost.discarded, shared.held), (9, 0));
    let mut content: Vec<u8> = Vec::new();
    one.push(&mut shared, Direction::Forward, b"x", &mut |carried| {
        if let Carried::Bytes(bytes) = carried {
            content.extend(bytes);
        }
        0
    });
    assert_eq!(content, b"x");
}

#[test]
fn headers_that_go_on_are_held_up_to_a_limit_over_all_connections() {
    let front = &version_2(0x21, 0x11, &[0; 3000])[..2000];
    let mut shared = Shared::default();
    shared.limits.heads = 3999;
    let mut mistaken = 0;
    let mut all: Vec<_> = (0..2)
        .map(|_| ProxyProtocol::open(&shared, Direction::Forward, front).expect("a header"))
        .collect();
    for one in &mut all {
        one.push(&mut shared, Direction::Forward, front, &mut |carried| {
            mistaken += usize::from(matches!(carried, Carried::Mistaken { .. }));
            0
        });
    }
    assert_eq!((mistaken, shared.held), (1, 2000));
    let refused = ProxyProtocol::limits(&shared.own);
    assert_eq!(refused, [(Limit::Heads, 1)]);
    // One that cannot end within the longest header is none from the start.
    let long = version_2(0x21, 0x11, &[0; LONGEST]);
    assert!(ProxyProtocol::open(&shared, Direction::Forward, &long[..40]).is_none());
}
