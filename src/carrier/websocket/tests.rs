use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::inflate::Inflation;
use super::*;

const UP: Direction = Direction::Forward;
const DOWN: Direction = Direction::Backward;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn request(fields: &str) -> Vec<u8> {
    let head = format!(
        "GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n"
    );
    head.into_bytes()
}

fn response(fields: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n{fields}\r\n");
    head.into_bytes()
}

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";
const DEFLATE: &str =
    "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";

/// A frame with `first` as its first byte, masked where it is a client's.
fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    let masked = if direction == UP { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(masked | length as u8),
        length @ ..65_536 => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(masked | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    if masked == 0 {
        frame.extend(payload);
    } else {
        frame.extend(KEY);
        frame.extend(
            payload
                .iter()
                .enumerate()
                .map(|(at, byte)| byte ^ KEY[at % 4]),
        );
    }
    frame
}

/// Compresses messages one after the other, the window going on.
struct Deflater(Compress);

impl Deflater {
    fn new() -> Self {
        Self(Compress::new(Compression::best(), false))
    }

    fn message(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 100);
        self.0
            .compress_vec(bytes, &mut out, FlushCompress::Sync)
            .unwrap();
        if out.is_empty() {
            // It was flushed already: an empty block (RFC 7692 §7.2.3.6).
            return vec![0];
        }
        assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
        out
    }
}

/// A connection, and what came out of it.
#[derive(Default)]
struct Run {
    shared: Shared,
    websocket: Option<WebSocket>,
    bytes: ByDirection<Vec<u8>>,
    /// Anything else, in words.
    others: Vec<String>,
}

impl Run {
    /// A connection whose heads name these fields.
    fn opened(asked: &str, granted: &str) -> Self {
        let mut run = Self::default();
        run.segment(UP, &request(asked));
        run.segment(DOWN, &response(granted));
        run
    }

    fn segment(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        if self.websocket.is_none() {
            self.websocket = WebSocket::open(&self.shared, direction, bytes);
        }
        let Some(websocket) = &mut self.websocket else {
            return self;
        };
        let (out, others) = (self.bytes.of_mut(direction), &mut self.others);
        websocket.push(&mut self.shared, direction, bytes, &mut |carried| {
            match carried {
                Carried::Bytes(bytes) => {
                    assert!(!bytes.is_empty());
                    out.extend_from_slice(bytes);
                }
                Carried::Mistaken { direction, bytes } => {
                    others.push(format!("other {direction:?} {}", bytes.len()));
                }
                Carried::Failed(error) => others.push(format!("{error:?}")),
                other => others.push(format!("{other:?}")),
            }
            0
        });
        self
    }

    fn gap(&mut self, direction: Direction, length: u64) -> Option<u64> {
        let websocket = self.websocket.as_mut().unwrap();
        websocket.gap(&mut self.shared, direction, length)
    }

    /// The end. Nothing must be held then.
    fn close(&mut self) {
        if let Some(websocket) = &mut self.websocket {
            websocket.close(&mut self.shared);
        }
        assert_eq!(self.shared.held, 0);
        assert!(Inflater::new(&mut self.shared.own.inflation).is_ok());
    }
}

#[test]
fn what_is_no_request_for_websocket_opens_nothing() {
    let heads: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"POST / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
        b"GET nonsense\r\n\r\n",
        b"\x10\x00",
    ];
    for head in heads {
        assert!(WebSocket::open(&Shared::default(), UP, head).is_none());
    }
}

#[test]
fn a_message_in_several_frames_goes_on_behind_a_ping() {
    let mut run = Run::opened(MQTT, MQTT);
    run.segment(UP, &frame(UP, 0x02, b"one "));
    run.segment(UP, &frame(UP, 0x89, b"are you there"));
    run.segment(DOWN, &frame(DOWN, 0x8a, b"are you there"));
    run.segment(UP, &frame(UP, 0x80, b"message"));
    assert_eq!(run.bytes.of(UP), b"one message");
    assert!(run.bytes.of(DOWN).is_empty() && run.others.is_empty());
    run.close();
}

#[test]
fn frames_may_follow_the_response_in_its_segment() {
    let mut run = Run::default();
    run.segment(UP, &request(MQTT));
    let both = [response(MQTT), frame(DOWN, 0x82, b"early")].concat();
    run.segment(DOWN, &both);
    assert_eq!(run.bytes.of(DOWN), b"early");
}

#[test]
fn each_broken_rule_is_reported() {
    let chat = "Sec-WebSocket-Protocol: chat\r\n";
    assert_eq!(Run::opened(MQTT, chat).others, ["Breach(NotSelected)"]);
    // Nothing can be selected that was not offered.
    let mut run = Run::opened("", chat);
    run.segment(UP, &frame(DOWN, 0x82, b"bare"));
    run.segment(DOWN, &frame(DOWN, 0x81, b"text"));
    let others = ["Breach(NotOffered)", "Breach(Masking)", "Breach(TextFrame)"];
    assert_eq!(run.others, others);
    assert_eq!(
        (&run.bytes.of(UP)[..], &run.bytes.of(DOWN)[..]),
        (&b"bare"[..], &b"text"[..])
    );
    let mut old = Run::opened("Sec-WebSocket-Protocol: mqttv3.1\r\n", MQTT);
    assert_eq!(old.others, ["Breach(NotOffered)"]);
    assert!(old.websocket.as_ref().unwrap().announces_mqtt());
    old.close();
}

#[test]
fn a_refused_connection_is_no_websocket() {
    let mut run = Run::default();
    run.segment(UP, &request(MQTT));
    run.segment(DOWN, b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(run.others, ["Refused(403)", "other Backward 45"]);
}

#[test]
fn a_head_that_does_not_end_is_held_up_to_its_cap() {
    let mut run = Run::default();
    run.segment(UP, b"GET / HTTP/1.1\r\n");
    let line = [&b"X: "[..], &[b'x'; 95], b"\r\n"].concat();
    for _ in 0..run.shared.limits.head_bytes / line.len() {
        run.segment(UP, &line);
        assert!(run.others.is_empty());
    }
    run.segment(UP, &line);
    assert_eq!(run.others.len(), 1, "{:?}", run.others);
    run.close();
}

#[test]
fn heads_of_all_connections_are_held_up_to_their_cap() {
    let mut run = Run::default();
    run.shared.limits.heads = 10;
    run.segment(UP, b"GET / HTTP/1.1\r\n");
    assert_eq!(run.others, ["other Forward 16"]);
    run.close();
}

#[test]
fn what_is_no_frame_ends_a_direction() {
    let mut run = Run::opened(MQTT, MQTT);
    run.segment(UP, &[0xf5, 1, 2, 3]);
    run.segment(UP, &frame(UP, 0x82, b"late"));
    assert_eq!(run.others, ["Broken"]);
    assert!(run.bytes.of(UP).is_empty());
    assert_eq!(run.shared.lost.given_up, 4 + 10);
    // No end agreed to compression.
    run.segment(DOWN, &frame(DOWN, 0xc2, b"?"));
    assert_eq!(run.others, ["Broken", "Broken"]);
}

#[test]
fn a_gap_within_a_payload_is_as_long_as_what_is_missing() {
    let mut run = Run::opened(MQTT, MQTT);
    let sent = frame(UP, 0x82, b"0123456789");
    run.segment(UP, &sent[..8]);
    assert_eq!(run.gap(UP, 3), Some(3));
    run.segment(UP, &sent[11..]);
    run.segment(UP, &frame(UP, 0x82, b"more"));
    assert_eq!(run.bytes.of(UP), b"0156789more");
    let ping = frame(UP, 0x89, b"0123456789");
    run.segment(UP, &ping[..8]);
    assert_eq!(run.gap(UP, 8), None);
    run.segment(UP, &frame(UP, 0x82, b"!"));
    assert_eq!(run.bytes.of(UP), b"0156789more!");
    assert!(run.others.is_empty());
    run.close();
}

#[test]
fn behind_any_other_gap_frames_go_on_where_a_segment_is_frames() {
    let mut run = Run::opened(MQTT, MQTT);
    let sent = frame(UP, 0x82, b"0123456789");
    run.segment(UP, &sent[..8]);
    assert_eq!(run.gap(UP, 100), Some(0));
    run.segment(UP, b"the middle of something");
    run.segment(UP, &frame(DOWN, 0x82, b"not masked"));
    assert_eq!(run.shared.lost.discarded, 23 + 12);
    run.segment(UP, &frame(UP, 0x82, b"found"));
    assert_eq!(run.bytes.of(UP), b"01found");
    // A wrong find ends nothing.
    run.segment(UP, &[0xf5, 1, 2, 3]);
    run.segment(UP, &frame(UP, 0x82, b" again"));
    assert_eq!(run.bytes.of(UP), b"01found again");
    assert_eq!(run.others, ["Gap"]);
    run.close();
}

#[test]
fn a_connection_is_joined_where_a_segment_is_frames() {
    let two = [frame(UP, 0x82, b"0123"), frame(UP, 0x89, b"")].concat();
    let (mut joined, begin) = WebSocket::join(UP, &two).unwrap();
    assert_eq!((&begin[..], joined.client()), (&b"0123"[..], UP));
    let mut out = Vec::new();
    joined.push(&mut Shared::default(), UP, &two, &mut |carried| {
        match carried {
            Carried::Bytes(bytes) => out.extend_from_slice(bytes),
            other => panic!("{other:?}"),
        }
        0
    });
    assert_eq!(out, b"0123");
    let (joined, ..) = WebSocket::join(UP, &frame(DOWN, 0x82, b"0123")).unwrap();
    assert_eq!(joined.client(), DOWN);
    assert!(WebSocket::join(UP, &two[..5]).is_none());
}

#[test]
fn what_no_end_agreed_to_is_passed_over_behind_a_gap() {
    let mut run = Run::opened(MQTT, MQTT);
    assert_eq!(run.gap(UP, 100), Some(0));
    run.segment(UP, &frame(UP, 0xc2, &[0; 200]));
    run.segment(UP, &frame(UP, 0x82, b"found"));
    assert_eq!(run.bytes.of(UP), b"found");
    assert!(run.others.is_empty());
    run.close();
}

#[test]
fn frames_that_fill_segments_are_found_again_behind_a_gap() {
    let mut run = Run::opened(MQTT, MQTT);
    let frames: Vec<_> = (0..400_u16)
        .map(|at| frame(DOWN, 0x82, &[at as u8; 40]))
        .collect();
    let bytes = frames.concat();
    for (number, segment) in bytes.chunks(1448).enumerate() {
        if number == 2 {
            assert!(run.gap(DOWN, segment.len() as u64).is_some());
        } else {
            run.segment(DOWN, segment);
        }
    }
    // What the lost segment held, and the frame that it cut at its end.
    let others = run.bytes.of(DOWN).len() / 40;
    assert!((350..400).contains(&others), "{others}");
    assert!(run.bytes.of(DOWN).ends_with(&[399_u16 as u8; 40]));
    run.close();
}

#[test]
fn an_interim_response_refuses_nothing() {
    let mut run = Run::default();
    run.segment(UP, &request(MQTT));
    let both = [&b"HTTP/1.1 103 Early Hints\r\n\r\n"[..], &response(MQTT)].concat();
    run.segment(DOWN, &both)
        .segment(DOWN, &frame(DOWN, 0x82, b"granted"));
    assert_eq!(run.bytes.of(DOWN), b"granted");
    assert!(run.others.is_empty(), "{:?}", run.others);
    run.close();
}

#[test]
fn compressed_messages_lean_on_those_before() {
    let mut run = Run::opened(DEFLATE, DEFLATE);
    let mut deflater = Deflater::new();
    let text = b"some words that come again, some words that come again";
    let first = deflater.message(text);
    let second = deflater.message(text);
    assert!(second.len() < 12);
    run.segment(UP, &frame(UP, 0xc2, &first));
    // In two frames, the last one empty, with a message between that is not compressed.
    run.segment(UP, &frame(UP, 0x82, b" plain "));
    run.segment(UP, &frame(UP, 0x42, &second));
    run.segment(UP, &frame(UP, 0x80, b""));
    let wanted = [&text[..], b" plain ", text].concat();
    assert_eq!(run.bytes.of(UP), &wanted);
    // RFC 7692 §7.2.3.4: a last block, and an empty one behind it.
    let mut other = Run::opened(DEFLATE, DEFLATE);
    let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    other.segment(DOWN, &frame(DOWN, 0xc2, &hello));
    other.segment(DOWN, &frame(DOWN, 0xc2, &hello));
    assert_eq!(other.bytes.of(DOWN), b"HelloHello");
    assert!(run.others.is_empty() && other.others.is_empty());
    run.close();
    other.close();
}

#[test]
fn a_gap_in_a_compressed_message_costs_what_leans_on_it() {
    let mut run = Run::opened(DEFLATE, DEFLATE);
    let mut deflater = Deflater::new();
    let text = b"some words that come again and again";
    let sent = frame(UP, 0xc2, &deflater.message(text));
    run.segment(UP, &sent[..10]);
    assert_eq!(run.gap(UP, 5), Some(0));
    run.segment(UP, &sent[15..]);
    assert!(run.shared.lost.discarded > 0 && run.others.is_empty());
    run.segment(UP, &frame(UP, 0x82, b"plain"));
    assert!(run.bytes.of(UP).ends_with(b"plain"));
    run.segment(UP, &frame(UP, 0xc2, &deflater.message(text)));
    run.segment(UP, &frame(UP, 0xc2, &deflater.message(text)));
    run.segment(UP, &frame(UP, 0x82, b" again"));
    assert!(run.bytes.of(UP).ends_with(b"plain again"));
    assert_eq!(run.others, ["Gap"]);
    run.close();
}

#[test]
fn directions_beyond_the_cap_on_inflaters_are_given_up() {
    let mut run = Run::opened(DEFLATE, DEFLATE);
    let mut inflaters = Vec::new();
    for _ in 0..run.shared.limits.inflaters {
        inflaters.push(Inflater::new(&mut run.shared.own.inflation).unwrap());
    }
    run.segment(
        UP,
        &frame(UP, 0xc2, &Deflater::new().message(b"one too many")),
    );
    assert_eq!(
        (&run.others[..], run.shared.own.inflation.refused),
        (&["OverLimit".to_owned()][..], 1)
    );
    for inflater in inflaters {
        inflater.release(&mut run.shared.own.inflation);
    }
    run.close();
}

#[test]
fn messages_that_expand_without_end_are_given_up() {
    let mut run = Run::opened(DEFLATE, DEFLATE);
    let zeros = Deflater::new().message(&vec![0; 1 << 20]);
    run.segment(UP, &frame(UP, 0xc2, &zeros));
    assert_eq!(run.bytes.of(UP).len(), 1 << 20);
    run.shared.own.inflation = Inflation::after_free(std::mem::take(&mut run.shared.own.inflation));
    run.segment(UP, &frame(UP, 0xc2, &zeros));
    assert_eq!(
        (&run.others[..], run.shared.own.inflation.too_far),
        (&["OverLimit".to_owned()][..], 1)
    );
    run.close();
}

/// The traffic of one end: messages in frames, control frames between them.
fn sent(direction: Direction) -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    let messages = proptest::collection::vec((payload, 0..3_u8, 1..4_usize), 0..8);
    messages.prop_map(move |messages| {
        let (mut frames, mut plain) = (Vec::new(), Vec::new());
        let mut deflater = Deflater::new();
        for (payload, kind, parts) in messages {
            plain.extend_from_slice(&payload);
            let (body, compressed) = match kind {
                0 => (deflater.message(&payload), 0x40),
                _ => (payload, 0),
            };
            let part = body.len().div_ceil(parts).max(1);
            let chunks: Vec<&[u8]> = match body.is_empty() {
                true => vec![&[]],
                false => body.chunks(part).collect(),
            };
            for (at, chunk) in chunks.iter().enumerate() {
                let fin = if at + 1 == chunks.len() { 0x80 } else { 0 };
                let first = if at == 0 { 2 | compressed } else { 0 };
                frames.extend(frame(direction, fin | first, chunk));
                if kind == 2 {
                    frames.extend(frame(direction, 0x89, b"ping"));
                }
            }
        }
        (frames, plain)
    })
}

proptest! {
    #[test]
    fn however_a_connection_is_cut_the_same_comes_out(
        up in sent(UP),
        down in sent(DOWN),
        cuts in proptest::collection::vec(1..40_usize, 1..60),
    ) {
        let mut run = Run::default();
        let sides = [
            (UP, [request(DEFLATE), up.0].concat()),
            (DOWN, [response(DEFLATE), down.0].concat()),
        ];
        for (direction, bytes) in sides {
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (segment, behind) = rest.split_at(rest.len().min(*cut));
                run.segment(direction, segment);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
        }
        prop_assert_eq!(run.bytes.of(UP), &up.1);
        prop_assert_eq!(run.bytes.of(DOWN), &down.1);
        prop_assert!(run.others.is_empty(), "{:?}", run.others);
        run.close();
    }

    #[test]
    fn nothing_that_follows_a_request_panics(
        parts in proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40), 0..9_u64), 0..40),
    ) {
        let mut run = Run::opened(DEFLATE, DEFLATE);
        for (up, bytes, gap) in parts {
            let direction = if up { UP } else { DOWN };
            run.segment(direction, &bytes);
            if gap > 6 {
                run.gap(direction, gap);
            }
        }
        run.close();
    }
}
