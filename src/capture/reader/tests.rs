//! Tests of whole captures: every format, every cut, any damage.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::base::{Precision, Timestamp};
use crate::capture::codec::testing::{gzip, lz4, zstd};
use crate::capture::order::Order;
use crate::capture::{Format, LinkType, LooksLike, MAX_BLOCK, MAX_FRAME, Sequence, Writer};

/// The items of a capture: a line an item, and the error. Now and then the next frames are taken
/// from those at hand, so that what is true of one way is true of both.
fn seen(source: impl Read) -> (Vec<String>, Option<CaptureError>) {
    let mut reader = Reader::new(source, "test");
    let mut lines = Vec::new();
    loop {
        let wanted = lines.len() % 3;
        let mut taken = Vec::new();
        if wanted > 0 {
            let flow = reader.frames_at_hand(&mut |frame| {
                taken.push(frame.stamp);
                lines.push(line(&Item::Frame(Frame { ..*frame })));
                if taken.len() < wanted {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            assert_eq!(flow.is_break(), taken.len() == wanted);
            if let Some(last) = taken.last() {
                assert_eq!(reader.last_number(), last.number);
            }
        }
        match reader.next_item() {
            Ok(None) => return (lines, None),
            Ok(Some(item)) => lines.push(line(&item)),
            Err(error) => {
                assert!(reader.next_item().unwrap().is_none());
                let mut frames = lines.iter().filter(|line| line.starts_with('#'));
                assert_eq!(
                    error.after_frame().unwrap_or(0),
                    frames.clone().count() as u64
                );
                assert_eq!(reader.summary().frames, frames.by_ref().count() as u64);
                return (lines, Some(error));
            }
        }
    }
}

fn line(item: &Item<'_>) -> String {
    match item {
        Item::Frame(Frame {
            stamp,
            link_type,
            bytes,
        }) => {
            assert!(bytes.len() <= stamp.length as usize);
            let time = stamp.time.map(Timestamp::nanos);
            let digits = stamp.precision.digits();
            let (number, length, link) = (stamp.number, stamp.length, link_type.0);
            format!("#{number} {time:?}.{digits} {length} on {link}: {bytes:?}")
        }
        Item::Secrets(secrets) => format!("secrets {:#x}: {:?}", secrets.kind, secrets.bytes),
        Item::Comment(comment) => format!("{:?}: {}", comment.of, comment.text()),
    }
}

fn fault(bytes: &[u8]) -> String {
    seen(bytes).1.unwrap().to_string()
}

/// A source that gives as many bytes a read as it is asked for, and is interrupted in between.
struct Drip<'a> {
    rest: &'a [u8],
    steps: Vec<usize>,
    turn: usize,
}

impl Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let step = self.steps[self.turn % self.steps.len()];
        let count = step.min(into.len()).min(self.rest.len());
        let (now, later) = self.rest.split_at(count);
        into[..count].copy_from_slice(now);
        self.rest = later;
        Ok(count)
    }
}

/// Blocks of a pcapng file in either byte order.
struct Blocks(Order, Vec<u8>);

impl Blocks {
    fn two(&self, number: u16) -> [u8; 2] {
        match self.0 {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }

    fn four(&self, number: u32) -> [u8; 4] {
        match self.0 {
            Order::Little => number.to_le_bytes(),
            Order::Big => number.to_be_bytes(),
        }
    }

    fn block(mut self, kind: u32, words: &[u32], tail: &[u8]) -> Self {
        let padded = tail.len().next_multiple_of(4);
        let length = self.four((12 + 4 * words.len() + padded) as u32);
        self.1.extend(self.four(kind));
        self.1.extend(length);
        for &word in words {
            self.1.extend(self.four(word));
        }
        self.1.extend(tail);
        self.1.resize(self.1.len() + padded - tail.len(), 0);
        self.1.extend(length);
        self
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut option = [self.two(code), self.two(value.len() as u16)].concat();
        option.extend(value);
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    fn section(self, order: Order, options: &[u8]) -> Self {
        let version = match order {
            Order::Little => 1,
            Order::Big => 1 << 16,
        };
        let words = [0x1a2b_3c4d, version, u32::MAX, u32::MAX];
        Self(order, self.1).block(0x0a0d_0d0a, &words, options)
    }

    fn interface(self, link: u16, snaplen: u32, options: &[u8]) -> Self {
        let mut tail = self.two(link).to_vec();
        tail.extend([0, 0]);
        tail.extend(self.four(snaplen));
        tail.extend(options);
        self.block(1, &[], &tail)
    }
}

fn ng() -> Blocks {
    Blocks(Order::Little, Vec::new())
}

#[test]
fn every_kind_of_block_in_either_byte_order_is_read_or_passed_over() {
    for order in [Order::Little, Order::Big] {
        let o = Blocks(order, Vec::new());
        let seconds = match order {
            Order::Little => (-2_i64).to_le_bytes(),
            Order::Big => (-2_i64).to_be_bytes(),
        };
        let clock = [
            o.option(9, &[0x80 | 10]),
            o.option(14, &seconds),
            o.option(0, &[]),
        ]
        .concat();
        let remark = [o.option(2, b"no"), o.option(1, b"yes"), o.option(1, b"oui")].concat();
        let old = match order {
            Order::Little => 1 | 9 << 16,
            Order::Big => 1 << 16 | 9,
        };
        let file = o
            .section(order, &remark)
            .interface(1, 0, &clock)
            .interface(113, 4, &[])
            .block(4, &[1, 2, 3], b"names")
            .block(10, &[0x544c_534b, 5], b"AB CD and options")
            .block(6, &[0, 0, 3 << 10, 3, 60], b"abc")
            .block(0xbad, &[], &[7; 64])
            .block(2, &[old, 0, 1_000_001, 2, 2], b"de")
            .block(3, &[9], b"simple!!!")
            .block(5, &[0, 0, 0], &[]);
        let (lines, error) = seen(&file.1[..]);
        assert!(error.is_none(), "{error:?}");
        assert_eq!(
            lines,
            [
                "Section: yes",
                "Section: oui",
                "secrets 0x544c534b: [65, 66, 32, 67, 68]",
                "#1 Some(1000000000).6 60 on 1: [97, 98, 99]",
                "#2 Some(1000001000).6 2 on 113: [100, 101]",
                "#3 None.6 9 on 1: [115, 105, 109, 112, 108, 101, 33, 33, 33]",
            ]
        );
    }
}

#[test]
fn a_simple_packet_is_cut_by_the_snapshot_length_of_the_first_interface() {
    let file = ng()
        .section(Order::Little, &[])
        .interface(1, 4, &[])
        .block(3, &[9], b"simp");
    assert_eq!(
        seen(&file.1[..]).0,
        ["#1 None.6 9 on 1: [115, 105, 109, 112]"]
    );
}

#[test]
fn interfaces_start_over_at_every_section() {
    let packet = [0, 0, 0, 1, 1];
    let file = ng()
        .section(Order::Little, &[])
        .interface(1, 0, &[])
        .section(Order::Big, &[])
        .interface(101, 0, &[])
        .block(6, &packet, b"x");
    assert_eq!(seen(&file.1[..]).0, ["#1 Some(0).6 1 on 101: [120]"]);
    let file = file.section(Order::Little, &[]).block(6, &packet, b"x");
    let message = fault(&file.1);
    assert!(
        message.contains("unknown interface: a packet of interface 0, where 0"),
        "{message}"
    );
    assert!(message.contains("after frame 1"), "{message}");
}

#[test]
fn a_length_that_differs_at_the_end_of_a_block_stops_nothing_and_is_counted() {
    let mut file = ng().section(Order::Little, &[]).interface(1, 0, &[]).1;
    let end = file.len();
    file[end - 4] = 99;
    let mut file = Blocks(Order::Little, file)
        .block(6, &[0, 0, 0, 1, 1], b"x")
        .1;
    let end = file.len();
    file[end - 4] = 98;
    let mut reader = Reader::new(&file[..], "test");
    assert!(matches!(reader.next_item(), Ok(Some(Item::Frame(_)))));
    assert!(reader.next_item().unwrap().is_none());
    assert_eq!(reader.summary().disagreeing_lengths, 2);
}

#[test]
fn comments_of_a_frame_follow_it() {
    let mut file = Vec::new();
    let comment = Some("the whole");
    let micro = Precision::Micro;
    let mut writer = Writer::new(&mut file, Format::PcapNg, LinkType(1), micro, comment).unwrap();
    let time = Timestamp::from_nanos(5_000);
    writer
        .write_frame(time, b"abcde", 5, Some("\u{d55c}"))
        .unwrap();
    writer
        .write_secrets(Secrets::TLS_KEY_LOG, b"CLIENT")
        .unwrap();
    let (lines, _) = seen(&file[..]);
    assert_eq!(
        lines,
        [
            "Section: the whole",
            "#1 Some(5000).6 5 on 1: [97, 98, 99, 100, 101]",
            "Frame(1): \u{d55c}",
            "secrets 0x544c534b: [67, 76, 73, 69, 78, 84]",
        ]
    );
}

#[test]
fn impossible_lengths_end_the_reading() {
    let begun = || ng().section(Order::Little, &[]).interface(1, 0, &[]);
    for length in [
        0_u32,
        4,
        8,
        11,
        13,
        30,
        28,
        MAX_BLOCK + 4,
        u32::MAX - 3,
        u32::MAX,
    ] {
        for kind in [1_u32, 2, 3, 6, 10, 0xbad] {
            let mut file = begun().1;
            file.extend(kind.to_le_bytes());
            file.extend(length.to_le_bytes());
            file.extend([0; 20]);
            let (lines, error) = seen(&file[..]);
            assert!(
                length == 28 || lines.is_empty() && error.is_some(),
                "{kind} {length}"
            );
        }
    }
    let message = fault(&begun().block(6, &[0, 0, 0, 9, 9], b"eight...").1);
    assert!(
        message.contains("claims more captured octets than it has"),
        "{message}"
    );
    let message = fault(&begun().block(10, &[1, 9], b"eight...").1);
    assert!(
        message.contains("claims more octets of secrets than it has"),
        "{message}"
    );
    let message = fault(&begun().block(0x0a0d_0d0a, &[7, 7, 7, 7], &[]).1);
    assert!(
        message.contains("without its byte-order magic"),
        "{message}"
    );
    let message = fault(&begun().block(0x0a0d_0d0a, &[0x1a2b_3c4d, 2, 0, 0], &[]).1);
    assert!(
        message.contains("version 2.0 of pcapng is not known"),
        "{message}"
    );
}

#[test]
fn a_section_keeps_no_more_interfaces_than_the_cap() {
    let mut file = ng().section(Order::Little, &[]);
    for _ in 0..=crate::capture::MAX_INTERFACES {
        file = file.interface(1, 0, &[]);
    }
    let message = fault(&file.1);
    assert!(
        message.contains("more than 65536 interfaces in one section"),
        "{message}"
    );
}

fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer =
        Writer::new(&mut file, Format::Pcap, LinkType(1), Precision::Micro, None).unwrap();
    for bytes in frames {
        writer
            .write_frame(Timestamp::from_nanos(1_000_000_000), bytes, 0, None)
            .unwrap();
    }
    file
}

#[test]
fn a_record_that_claims_too_much_is_corrupt_and_takes_no_memory() {
    let mut file = pcap(&[b"one"]);
    file.extend([
        0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff, 0xff,
    ]);
    file.extend([b'x'; 50]);
    let (lines, error) = seen(&file[..]);
    assert_eq!(lines.len(), 1);
    let message = error.unwrap().to_string();
    assert!(
        message.starts_with("test: corrupt record: a packet that claims 4294967280 octets, where 262144 is the most (octet 43, after frame 1)"),
        "{message}"
    );
}

#[test]
fn zeros_in_place_of_a_record_are_an_error_behind_the_last_frame() {
    for zeros in [16, 17, 5000] {
        let mut file = pcap(&[b"one", b"", b"two"]);
        let end = file.len();
        file.resize(end + zeros, 0);
        let (lines, error) = seen(&file[..]);
        assert_eq!(lines.len(), 3);
        let error = error.unwrap();
        assert!(matches!(error.fault(), Fault::Zeros), "{error}");
        assert_eq!(
            (error.offset(), error.after_frame()),
            (Some(end as u64), Some(3))
        );
    }
    // An empty frame at the beginning of time was some bytes long.
    let mut file = pcap(&[]);
    file.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    let (lines, error) = seen(&file[..]);
    assert!(lines.len() == 1 && error.is_none());
}

#[test]
fn frames_up_to_the_cap_are_read_where_the_header_allows_them() {
    let mut file = pcap(&[]);
    file[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    for captured in [300_000, 10, MAX_FRAME, 20] {
        file.extend([0; 8]);
        file.extend(captured.to_le_bytes());
        file.extend(captured.to_le_bytes());
        file.resize(file.len() + captured as usize, 7);
    }
    let mut lengths = Vec::new();
    let mut reader = Reader::new(&file[..], "test");
    while let Some(Item::Frame(frame)) = reader.next_item().unwrap() {
        assert!(frame.bytes.iter().all(|&byte| byte == 7));
        lengths.push(frame.bytes.len() as u32);
    }
    assert_eq!(reader.summary().frames, 4);
    assert_eq!(lengths, [300_000, 10, MAX_FRAME, 20]);
}

#[test]
fn captures_joined_end_to_end_are_read_as_one() {
    let (little, ng) = (
        pcap(&[b"a", b""]),
        ng().section(Order::Little, &[]).interface(1, 0, &[]),
    );
    let mut big = vec![
        0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0,
    ];
    big.extend([0, 0, 0, 113]);
    big.extend([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9, b'z']);
    let joined = [&little[..], &big[..], &little[..]].concat();
    let (lines, error) = seen(&joined[..]);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(
        lines,
        [
            "#1 Some(1000000000).6 1 on 1: [97]",
            "#2 Some(1000000000).6 0 on 1: []",
            "#3 Some(1000000002).9 9 on 113: [122]",
            "#4 Some(1000000000).6 1 on 1: [97]",
            "#5 Some(1000000000).6 0 on 1: []",
        ]
    );
    let ng = ng.block(6, &[0, 0, 0, 1, 1], b"x").1;
    assert_eq!(seen(&[&ng[..], &ng[..]].concat()[..]).0.len(), 2);
}

#[test]
fn what_is_no_capture_is_named() {
    let looks = |bytes: &[u8]| match seen(bytes).1.unwrap().fault() {
        Fault::NotACapture(looks) => *looks,
        other => panic!("{other:?}"),
    };
    assert_eq!(looks(b"\x89PNG\r\n\x1a\n"), LooksLike::Known("a PNG image"));
    assert_eq!(
        looks(&gzip(b"\x89PNG\r\n\x1a\n")),
        LooksLike::Known("a PNG image")
    );
    assert_eq!(looks(b"hi"), LooksLike::Known("text"));
    assert!(matches!(
        looks(&gzip(&gzip(b"x"))),
        LooksLike::Packed("gzip inside gzip", _)
    ));
    assert!(fault(b"").starts_with("test: empty file"));
    assert!(fault(&gzip(b"")).starts_with("test: empty file"));
    assert!(fault(&pcap(&[])[..10]).contains("cut short in its header: 10 octets"));
    assert!(fault(&[0xd4, 0xc3]).contains("cut short in its header: 2 octets"));
    let mut version = pcap(&[]);
    version[4] = 9;
    assert!(fault(&version).contains("version 9.4 of pcap is not known"));
}

#[test]
fn an_empty_capture_is_no_error() {
    for format in [Format::Pcap, Format::PcapNg] {
        let mut file = Vec::new();
        Writer::new(&mut file, format, LinkType(1), Precision::Micro, None).unwrap();
        let (lines, error) = seen(&file[..]);
        assert!(lines.is_empty() && error.is_none());
    }
    let only_section = ng().section(Order::Little, &[]).1;
    assert!(seen(&only_section[..]).1.is_none());
}

#[test]
fn captures_in_sequence_are_numbered_on_and_a_broken_one_does_not_stop_the_next() {
    let (one, other) = (pcap(&[b"a", b"b", b"c"]), pcap(&[b"d", b"e"]));
    let readers = [&one[..one.len() - 1], &other[..]].map(|file| Reader::new(file, "test"));
    let mut sequence = Sequence::new(readers);
    let (mut stamps, mut errors) = (Vec::new(), 0);
    loop {
        let mut keep = |stamp: FrameStamp| stamps.push((stamp.number, stamp.file));
        match sequence.next_item() {
            Ok(Some(Item::Frame(frame))) => keep(frame.stamp),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => errors += 1,
        }
        let flow = sequence.frames_at_hand(&mut |frame| {
            keep(frame.stamp);
            ControlFlow::Continue(())
        });
        assert!(flow.is_continue());
    }
    assert_eq!(stamps, [(1, 0), (2, 0), (3, 1), (4, 1)]);
    assert_eq!(errors, 1);
    assert_eq!(sequence.summary().frames, 4);
    assert_eq!(sequence.taken(), (one.len() - 1 + other.len()) as u64);
}

/// A source that fails behind these bytes.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::Error::other("the disk is gone"));
        }
        self.0.read(into)
    }
}

#[test]
fn the_error_of_the_source_comes_through_every_compression() {
    let file = pcap(&[&[9; 4000], &[8; 4000]]);
    for file in [file.clone(), gzip(&file), zstd(&file), lz4(&file)] {
        let (_, error) = seen(Failing(&file[..file.len() - 9]));
        let message = error.unwrap().to_string();
        assert!(
            message.contains("it cannot be read: the disk is gone"),
            "{message}"
        );
    }
}

/// A frame as a test makes it: nanoseconds, bytes, bytes more on the wire, a comment.
type Made = (u64, Vec<u8>, u32, Option<String>);

fn made() -> impl Strategy<Value = Vec<Made>> {
    let bytes = prop_oneof![
        20 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 70_000..200_000),
    ];
    let frame = (
        0..4_000_000_000_000_000_000_u64,
        bytes,
        0..2_u32,
        prop::option::of("\\PC{0,9}"),
    );
    prop::collection::vec(frame, 0..12)
}

fn write(format: Format, precision: Precision, frames: &[Made]) -> (Vec<u8>, Vec<usize>) {
    let mut ends = Vec::new();
    let mut writer =
        Writer::new(Vec::new(), format, LinkType(276), precision, Some("made")).unwrap();
    for (time, bytes, more, comment) in frames {
        let time = Timestamp::from_nanos(*time as i64);
        let length = bytes.len() as u32 + more;
        writer
            .write_frame(time, bytes, length, comment.as_deref())
            .unwrap();
        ends.push(writer.get_ref().len());
    }
    (writer.into_inner(), ends)
}

fn expected(format: Format, precision: Precision, frames: &[Made]) -> Vec<String> {
    let mut lines = Vec::new();
    if format == Format::PcapNg {
        lines.push("Section: made".to_owned());
    }
    for (at, (time, bytes, more, comment)) in frames.iter().enumerate() {
        let tick = if precision == Precision::Nano {
            1
        } else {
            1_000
        };
        lines.push(line(&Item::Frame(Frame {
            stamp: FrameStamp {
                number: at as u64 + 1,
                time: Some(Timestamp::from_nanos((time / tick * tick) as i64)),
                precision,
                length: bytes.len() as u32 + more,
                file: 0,
            },
            link_type: LinkType(276),
            bytes,
        })));
        if let (Some(comment), Format::PcapNg) = (comment, format) {
            lines.push(format!("Frame({}): {comment}", at + 1));
        }
    }
    lines
}

/// A little-endian pcap file whose records' heads end with `rest`, behind the 16 bytes that all have.
fn with_heads(magic: u32, rest: &[u8], frames: &[&[u8]]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut file: Vec<u8> = words(&[magic, 0x0004_0002, 0, 0, 65_535, 1]);
    for (at, frame) in frames.iter().enumerate() {
        let length = frame.len() as u32;
        file.extend::<Vec<u8>>(words(&[1_700_000_000 + at as u32, 7, length, length]));
        file.extend([rest, frame].concat());
    }
    file
}

#[test]
fn the_head_of_a_record_is_as_long_as_the_second_record_shows() {
    const USUAL: u32 = 0xa1b2_c3d4;
    const MODIFIED: u32 = 0xa1b2_cd34;
    let old = [2, 0, 0, 0, 8, 0, 4, 0];
    let older = [2, 0, 0, 0, 8, 0, 4, 0, 1, 2, 0, 0];
    // A frame that begins like the rest of a modified head.
    let alike = [&old[..], &[0x55; 60]].concat();
    let plain = [0x55; 60];
    for frames in [
        vec![&plain[..]],
        vec![&alike[..]; 3],
        vec![&plain, &alike, &plain],
    ] {
        for (magic, rest) in [
            (USUAL, &[][..]),
            (USUAL, &old),
            (USUAL, &[2, 0, 0, 0, 0, 0, 0, 0]),
            (MODIFIED, &old),
            (MODIFIED, &older),
        ] {
            let file = with_heads(magic, rest, &frames);
            for steps in [vec![1], vec![40_000]] {
                let turn = 0;
                let rest = &file;
                let (lines, error) = seen(Drip { rest, steps, turn });
                assert!(error.is_none(), "{error:?}");
                let ends = frames.iter().map(|frame| format!("{frame:?}"));
                assert_eq!(lines.len(), frames.len());
                assert!(
                    lines
                        .iter()
                        .zip(ends)
                        .all(|(line, end)| line.ends_with(&end))
                );
            }
        }
    }
}

#[test]
fn a_source_that_fails_behind_the_first_record_loses_no_frame() {
    // The head of the second record is looked at where the first frame begins like a modified head.
    let alike = [&[2, 0, 0, 0, 8, 0, 4, 0][..], &[0x55; 60]].concat();
    let file = with_heads(0xa1b2_c3d4, &[], &[&alike, &alike]);
    let first = 24 + 16 + alike.len();
    for (there, frames) in [(first, 1), (first + 10, 1), (first - 1, 0)] {
        let source = Failing(&file[..there]);
        let (lines, error) = seen(source);
        assert_eq!(lines.len(), frames, "{there}");
        assert!(error.unwrap().to_string().contains("the disk is gone"));
    }
}

#[test]
fn a_damaged_second_record_changes_no_layout() {
    let frame = [&[2, 0, 0, 0, 8, 0, 4, 0][..], &[0x55; 60]].concat();
    let mut file = with_heads(0xa1b2_c3d4, &[], &[&frame, &frame]);
    let second = 24 + 16 + frame.len() + 8;
    file[second..second + 4].fill(0xff);
    let (lines, error) = seen(&file[..]);
    assert!(lines.len() == 1 && lines[0].ends_with(&format!("{frame:?}")));
    assert!(error.is_some());
}

fn formats() -> impl Strategy<Value = (Format, Precision)> {
    (
        prop_oneof![Just(Format::Pcap), Just(Format::PcapNg)],
        prop_oneof![Just(Precision::Micro), Just(Precision::Nano)],
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_in_any_compression_and_any_split(
        (format, precision) in formats(),
        frames in made(),
        packing in 0..4,
        steps in prop::collection::vec(1..40_000_usize, 1..4),
    ) {
        let (file, _) = write(format, precision, &frames);
        let file = match packing {
            0 => file,
            1 => gzip(&file),
            2 => zstd(&file),
            _ => lz4(&file),
        };
        let (lines, error) = seen(Drip { rest: &file, steps, turn: 0 });
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(lines, expected(format, precision, &frames));
    }

    #[test]
    fn one_byte_a_read_gives_the_same_frames(
        (format, precision) in formats(),
        mut frames in made(),
    ) {
        frames.retain(|frame| frame.1.len() < 1_000);
        let (file, _) = write(format, precision, &frames);
        let (lines, error) = seen(Drip { rest: &file, steps: vec![1], turn: 0 });
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(lines, expected(format, precision, &frames));
    }

    #[test]
    fn a_prefix_gives_the_frames_wholly_in_it_and_an_error_unless_it_ends_between_two(
        (format, precision) in formats(),
        frames in made(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (file, ends) = write(format, precision, &frames);
        let cut = cut.index(file.len());
        let (lines, error) = seen(&file[..cut]);
        let whole = ends.iter().filter(|&&end| end <= cut).count();
        let seen = lines.iter().filter(|line| line.starts_with('#')).count();
        prop_assert_eq!(seen, whole);
        prop_assert!(expected(format, precision, &frames).starts_with(&lines));
        if !ends.contains(&cut) && whole > 0 {
            prop_assert!(error.is_some());
        }
    }

    #[test]
    fn no_damage_makes_a_panic_or_an_endless_reading(
        (format, precision) in formats(),
        frames in made(),
        packing in 0..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let (file, _) = write(format, precision, &frames);
        let mut file = match packing {
            0 => file,
            1 => gzip(&file),
            2 => zstd(&file),
            _ => lz4(&file),
        };
        for (at, byte) in flips {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let (lines, _) = seen(&file[..]);
        prop_assert!(lines.len() < 1_000_000);
    }

    #[test]
    fn any_bytes_are_a_capture_or_an_error(
        magic in prop::sample::select(vec![
            vec![], vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0], vec![0xa1, 0xb2, 0xcd, 0x34, 0, 2],
            vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
            vec![0x1f, 0x8b, 8, 0], vec![0x28, 0xb5, 0x2f, 0xfd], vec![4, 0x22, 0x4d, 0x18],
            vec![2, 0x21, 0x4c, 0x18], vec![0x50, 0x2a, 0x4d, 0x18],
        ]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..8_u8], 0..300),
    ) {
        let file = [magic, bytes].concat();
        let (_, error) = seen(&file[..]);
        if let Some(error) = error {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
