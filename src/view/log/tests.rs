use super::super::samples::{BEGIN, Sample, written};
use super::connection::Held;
use super::connection::Phase;
use super::waiting::MOST_BYTES;
use super::*;
use crate::base::FrameStamp;
use crate::base::Timestamp;
use crate::event::{FirstEnd, Incomplete};
use crate::mqtt::PacketType;
use crate::view::{Filtered, Selection};

/// A step of a capture, each a millisecond after the one before it.
enum Happens {
    Opens(u32),
    Packet(Sample),
    /// A FIN (`false`) or RST (`true`), so many seconds after what came before.
    Ends(u32, Sender, bool, i64),
}
use Happens::{Ends, Opens, Packet};

/// Returns the log of these steps without the seconds, as `wrap` makes it from a page.
fn log_as<V: View>(
    steps: &[Happens],
    wrap: impl FnOnce(super::super::samples::Page) -> V,
) -> Vec<String> {
    let text = written(&[], |page| {
        let mut view = wrap(page);
        let mut micros = 0;
        for (at, step) in steps.iter().enumerate() {
            micros += 1_000;
            match step {
                Opens(id) => {
                    let opened = sample(*id, Sample::client(*id, &[0xc0, 0])).opened();
                    view.event(&Event::Opened(&opened)).unwrap();
                }
                Packet(sample) => {
                    let sample = self::sample(sample.connection, sample.clone());
                    let sample = Sample { micros, ..sample };
                    sample.emit(at, &mut view).unwrap();
                }
                Ends(id, by, reset, seconds) => {
                    micros += seconds * 1_000_000;
                    let nanos = BEGIN + micros * 1_000;
                    let end = FirstEnd {
                        connection: ConnectionId(*id),
                        by: *by,
                        reset: *reset,
                        stamp: FrameStamp {
                            time: Some(Timestamp::from_nanos(nanos)),
                            ..FrameStamp::default()
                        },
                        incomplete: None,
                    };
                    view.event(&Event::FirstEnd(&end)).unwrap();
                }
            }
        }
        view
    });
    let line = |line: &str| {
        line.split_once(": ")
            .map_or(line, |(_, rest)| rest)
            .to_owned()
    };
    text.lines().map(line).collect()
}

fn log(steps: &[Happens]) -> Vec<String> {
    log_as(steps, Log::new)
}

/// Each connection has a port of its own.
fn sample(id: u32, sample: Sample) -> Sample {
    Sample {
        ports: [40_000 + id as u16, 1883],
        ..sample
    }
}

/// A connection of the client `name` that was accepted.
fn comes(id: u32, name: &str, will: Option<&str>) -> Vec<Happens> {
    vec![
        Opens(id),
        Packet(Sample::connect(id, name, will)),
        Packet(Sample::server(id, &[0x20, 2, 0, 0])),
    ]
}

/// The lines after those of the beginnings of connections.
fn after(lines: &[String]) -> Vec<&str> {
    let skipped = [
        "New c",
        "No will",
        "Will message",
        "\tw/",
        "Sending CONNACK",
    ];
    let is_later = |line: &&str| !skipped.iter().any(|begin| line.starts_with(begin));
    lines.iter().map(String::as_str).filter(is_later).collect()
}

#[test]
fn a_run_is_logged_in_mosquittos_words() {
    let steps = [
        Opens(0),
        Packet(Sample::connect(0, "c", Some("w/t"))),
        Packet(Sample::server(0, &[0x20, 2, 0, 0])),
        Packet(Sample::client(0, b"\x82\x09\0\x01\0\x04test\x02")),
        Packet(Sample::server(0, &[0x90, 3, 0, 1, 1])),
        Packet(Sample::publish("test", b"hello")),
        Packet(Sample::client(0, &[0xe0, 0])),
        Ends(0, Sender::Client, false, 0),
    ];
    let expected = [
        "New connection from ::1:40000 on port 1883.",
        "New client connected from ::1:40000 as c (p2, c1, k60).",
        "Will message specified (4 bytes) (r0, q0).",
        "\tw/t",
        "Sending CONNACK to c (0, 0)",
        "Received SUBSCRIBE from c",
        // The QoS that is granted.
        "\ttest (QoS 1)",
        "c 1 test",
        "Sending SUBACK to c",
        "Received PUBLISH from c (d0, q0, r0, m0, 'test', ... (5 bytes))",
        "Received DISCONNECT from c",
        "Client c disconnected.",
    ];
    assert_eq!(log(&steps), expected);
}

#[test]
fn an_identifier_that_is_not_in_the_capture_is_not_invented() {
    let mut steps = comes(7, "", None);
    steps.push(Packet(Sample::client(7, &[0xc0, 0])));
    let lines = log(&steps);
    assert!(
        lines[1].ends_with("as ::1:40007 (p2, c1, k60)."),
        "{lines:?}"
    );
    assert_eq!(after(&lines), ["Received PINGREQ from ::1:40007"]);
}

#[test]
fn a_packet_waits_for_the_answer_to_the_one_before_it() {
    let publish = |id: u8| Sample::client(0, &[0x32, 6, 0, 1, b't', 0, id, b'x']);
    let puback = |id: u8| Sample::server(0, &[0x40, 2, 0, id]);
    let mut steps = vec![
        Opens(0),
        Packet(Sample::connect(0, "c", None)),
        Packet(publish(1)),
        Packet(publish(2)),
        Packet(Sample::client(0, &[0xe0, 0])),
        Packet(Sample::server(0, &[0x20, 2, 0, 0])),
    ];
    steps.extend([Packet(puback(1)), Packet(puback(2))]);
    let published = |id| format!("Received PUBLISH from c (d0, q1, r0, m{id}, 't', ... (1 bytes))");
    let expected = [
        published(1),
        "Sending PUBACK to c (m1, rc0)".to_owned(),
        published(2),
        "Sending PUBACK to c (m2, rc0)".to_owned(),
        "Received DISCONNECT from c".to_owned(),
        "Client c disconnected.".to_owned(),
    ];
    assert_eq!(after(&log(&steps)), expected);
}

#[test]
fn a_received_line_stands_before_its_first_visible_effect() {
    let mut steps = comes(0, "sub", None);
    steps.extend(comes(1, "pub", None));
    steps.extend([
        Packet(Sample::client(1, b"\x32\x06\0\x01t\0\x01x")),
        Packet(Sample::client(1, b"\x32\x06\0\x01u\0\x02x")),
        // Its copy comes before the PUBACK.
        Packet(Sample::server(0, b"\x30\x04\0\x01ux")),
    ]);
    let published = |id, topic| {
        format!("Received PUBLISH from pub (d0, q1, r0, m{id}, '{topic}', ... (1 bytes))")
    };
    let copy = "Sending PUBLISH to sub (d0, q0, r0, m0, 'u', ... (1 bytes))".to_owned();
    assert_eq!(
        after(&log(&steps)),
        [published(1, 't'), published(2, 'u'), copy]
    );
}

#[test]
fn a_takeover_stands_before_the_will_that_it_publishes() {
    let mut steps = comes(0, "watch", None);
    steps.extend(comes(1, "c", Some("w/c")));
    steps.extend([
        Opens(2),
        Packet(Sample::connect(2, "c", None)),
        Packet(Sample::server(0, b"\x30\x09\0\x03w/cgone")),
        Ends(1, Sender::Server, false, 0),
        Packet(Sample::server(2, &[0x20, 2, 0, 0])),
    ]);
    let expected = [
        "Client c already connected, closing old connection.",
        "Sending PUBLISH to watch (d0, q0, r0, m0, 'w/c', ... (4 bytes))",
    ];
    assert_eq!(after(&log(&steps)), expected);
    // A CONNECT that is refused takes nothing over.
    let mut steps = comes(1, "c", None);
    steps.extend([
        Opens(2),
        Packet(Sample::connect(2, "c", None)),
        Packet(Sample::server(2, &[0x20, 2, 0, 5])),
        Packet(Sample::client(1, &[0xc0, 0])),
    ]);
    let lines = log(&steps);
    let expected = [
        "Client <unknown> disconnected, not authorised.",
        "Received PINGREQ from c",
    ];
    assert_eq!(after(&lines), expected);
    assert!(
        lines.contains(&"Sending CONNACK to ::1 (0, 5)".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_end_has_the_cause_that_shows() {
    let end = |more: Vec<Happens>| {
        let mut steps = comes(0, "c", None);
        steps.extend(more);
        let lines = log(&steps);
        after(&lines)
            .last()
            .map(|line| (*line).to_owned())
            .unwrap_or_default()
    };
    let closed = "Client c closed its connection.";
    assert_eq!(end(vec![Ends(0, Sender::Client, false, 0)]), closed);
    assert_eq!(end(vec![Ends(0, Sender::Client, true, 0)]), closed);
    let timeout = "Client c has exceeded timeout, disconnecting.";
    assert_eq!(end(vec![Ends(0, Sender::Server, false, 91)]), timeout);
    // Not yet silent for too long: nothing shows why, and the server may have been stopped.
    assert_eq!(end(vec![Ends(0, Sender::Server, false, 89)]), "");
    let after_packet = |bytes: &[u8]| {
        end(vec![
            Packet(Sample::client(0, bytes)),
            Ends(0, Sender::Server, true, 0),
        ])
    };
    let malformed = "Client c disconnected due to malformed packet.";
    let protocol = "Client c disconnected due to protocol error.";
    for (bytes, words) in [
        (&b"\x36\x04\0\x01tx"[..], malformed),
        (b"\x30\x03\0\x05t", malformed),
        (b"\x30\x04\0\x01#x", protocol),
        (b"\x32\x06\0\x01t\0\0x", protocol),
        (b"\x82\x07\0\x01\0\x02a#\0", malformed),
        (b"\x80\x06\0\x01\0\x01a\0", malformed),
        (b"\xa2\x06\0\x01\0\x02a#", malformed),
        (b"\x40\x02\0\0", protocol),
        (b"\x00\x00", protocol),
        (b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0", protocol),
    ] {
        assert_eq!(after_packet(bytes), words, "{bytes:x?}");
    }
    // A message at QoS 1 that is acknowledged as one at QoS 2.
    let mistaken = end(vec![
        Packet(Sample::server(0, b"\x32\x05\0\x01t\0\x01")),
        Packet(Sample::client(0, &[0x70, 2, 0, 1])),
        Ends(0, Sender::Server, false, 0),
    ]);
    assert_eq!(mistaken, protocol);
    // The server takes it.
    let taken = end(vec![
        Packet(Sample::client(0, &[0xc1, 0])),
        Packet(Sample::server(0, &[0xd0, 0])),
    ]);
    assert_eq!(taken, "Sending PINGRESP to c");
}

#[test]
fn a_server_that_goes_on_after_an_end_that_nothing_explains_was_not_stopped() {
    let mut steps = comes(0, "c", None);
    steps.extend(comes(1, "other", None));
    steps.push(Ends(0, Sender::Server, false, 0));
    assert_eq!(after(&log(&steps)), [""; 0]);
    steps.push(Packet(Sample::server(1, &[0xd0, 0])));
    let expected = [
        "Client c disconnected: closed by the server.",
        "Sending PINGRESP to other",
    ];
    assert_eq!(after(&log(&steps)), expected);
}

#[test]
fn the_reason_code_of_a_refused_message_shows_in_its_line() {
    let lines = |code: u8| {
        let connect = Sample::client(0, b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c").v5();
        let steps = [
            Opens(0),
            Packet(connect),
            Packet(Sample::server(0, &[0x20, 3, 0, 0, 0]).v5()),
            Packet(Sample::client(0, b"\x32\x07\0\x01t\0\x01\0x").v5()),
            Packet(Sample::server(0, &[0x40, 3, 0, 1, code]).v5()),
        ];
        let lines = log(&steps);
        after(&lines)
            .first()
            .map(|line| (*line).to_owned())
            .unwrap_or_default()
    };
    assert!(
        lines(0x87).starts_with("Denied PUBLISH from c (d0"),
        "{}",
        lines(0x87)
    );
    assert!(lines(0x95).starts_with("Dropped too large PUBLISH from c"));
    assert!(lines(0x10).starts_with("Received PUBLISH from c (d0"));
}

#[test]
fn a_selection_loses_no_name() {
    let mut steps = comes(0, "a", None);
    steps.extend(comes(1, "b", None));
    steps.extend([
        Packet(Sample::client(0, b"\x30\x03\0\x01t")),
        Packet(Sample::client(1, b"\x30\x03\0\x01t")),
        Packet(Sample::client(1, &[0xe0, 0])),
        Ends(1, Sender::Client, false, 0),
        Ends(0, Sender::Client, false, 0),
    ]);
    let selected = |selection: Selection| {
        log_as(&steps, |page| {
            Filtered::new(selection, Log::new(page).selective(), &Default::default())
        })
    };
    let publish =
        |name| format!("Received PUBLISH from {name} (d0, q0, r0, m0, 't', ... (0 bytes))");
    let types = Selection {
        types: vec![PacketType::Publish],
        ..Selection::default()
    };
    assert_eq!(selected(types), [publish("a"), publish("b")]);
    let client = Selection {
        client: Some("a".to_owned()),
        ..Selection::default()
    };
    let expected = [
        "New connection from ::1:40000 on port 1883.".to_owned(),
        "New client connected from ::1:40000 as a (p2, c1, k60).".to_owned(),
        "No will message specified.".to_owned(),
        "Sending CONNACK to a (0, 0)".to_owned(),
        publish("a"),
        "Client a closed its connection.".to_owned(),
    ];
    assert_eq!(selected(client), expected);
}

#[test]
fn an_end_inside_a_packet_is_mosquittos_error_without_an_error() {
    let text = written(&[], |page| {
        let mut log = Log::new(page);
        let sample = Sample::connect(0, "c", None);
        log.event(&Event::Opened(&sample.opened())).unwrap();
        let incomplete = Incomplete {
            sender: Sender::Client,
            packet_type: PacketType::Connect,
            announced: 20,
            received: 7,
            stamp: FrameStamp::default(),
        };
        log.event(&Event::FirstEnd(&FirstEnd {
            connection: ConnectionId(0),
            by: Sender::Client,
            reset: false,
            stamp: FrameStamp::default(),
            incomplete: Some(incomplete),
        }))
        .unwrap();
        log
    });
    assert!(
        text.ends_with("Client <unknown> disconnected: Success.\n"),
        "{text}"
    );
}

#[test]
fn a_hostile_client_identifier_cannot_forge_a_line() {
    let mut steps = comes(0, "c\nClient d", None);
    steps.extend([
        Packet(Sample::connect(0, "c", None)),
        Ends(0, Sender::Server, false, 0),
    ]);
    let lines = log(&steps);
    assert!(
        lines.iter().any(|line| line.starts_with("Bad client c")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.starts_with("Client d")),
        "{lines:?}"
    );
}

/// Returns a log of samples with what it holds behind the last one.
fn held(samples: impl IntoIterator<Item = Sample>) -> Log<Vec<u8>> {
    let mut log = Log::new(Vec::new());
    for (at, one) in samples.into_iter().enumerate() {
        let one = sample(one.connection, one);
        if !log.connections.contains_key(&ConnectionId(one.connection)) {
            log.event(&Event::Opened(&one.opened())).unwrap();
        }
        one.emit(at, &mut log).unwrap();
    }
    log
}

#[test]
fn packets_that_wait_are_bounded_by_the_memory_that_they_take() {
    let waiting = |log: &Log<Vec<u8>>| -> usize {
        let all = log.connections.values();
        all.map(|one| one.waiting.len()).sum()
    };
    let unanswered = |id| {
        let pings = (0..62).map(move |_| Sample::client(id, &[0xc0, 0]));
        [Sample::connect(id, "c", None)].into_iter().chain(pings)
    };
    let few = held((0..10).flat_map(unanswered));
    assert_eq!(waiting(&few), 630);
    let most = MOST_BYTES / size_of::<Held>();
    let many = held((0..most as u32 / 50).flat_map(unanswered));
    assert!(waiting(&many) <= most && waiting(&many) > most / 2);
}

#[test]
fn a_message_that_is_sent_before_its_connack_has_no_effect_yet() {
    let publish = |id, name: &str| {
        Packet(Sample {
            connection: id,
            ..Sample::publish(name, b"")
        })
    };
    let mut steps = comes(0, "a", None);
    steps.extend([
        Opens(1),
        Packet(Sample::connect(1, "b", None)),
        publish(1, "t"),
        Packet(Sample::server(0, &[0x30, 3, 0, 1, b't'])),
        Packet(Sample::server(1, &[0x20, 2, 0, 0])),
    ]);
    let lines = log(&steps);
    let place = |part: &str| lines.iter().position(|line| line.contains(part)).unwrap();
    let places = ["PUBLISH to a", "as b", "PUBLISH from b"].map(place);
    assert!(places.is_sorted(), "{lines:?}");
}

#[test]
fn what_is_written_is_no_longer_looked_for() {
    let publish = |id| Sample {
        connection: id,
        ..Sample::client(id, &[0x32, 5, 0, 1, b't', 0, 1])
    };
    let mut samples: Vec<_> = (0..2)
        .flat_map(|id| {
            let connack = Sample::server(id, &[0x20, 2, 0, 0]);
            [Sample::connect(id, &format!("c{id}"), None), connack]
        })
        .collect();
    samples.push(publish(0));
    assert_eq!(held(samples.clone()).publishing.len(), 1);
    for packet in [
        // Its copy, its acknowledgement.
        Sample::server(1, &[0x30, 3, 0, 1, b't']),
        Sample::server(0, &[0x40, 2, 0, 1]),
    ] {
        let samples = samples.iter().cloned().chain([packet]);
        assert_eq!(held(samples).publishing.len(), 0);
    }
    samples.push(Sample::server(1, &[0x30, 3, 0, 1, b'u']));
    assert_eq!(held(samples).publishing.len(), 1);
}

#[test]
fn a_connection_has_the_last_of_its_client_identifiers() {
    let log = held(["a", "b"].into_iter().flat_map(|name| {
        let connack = Sample::server(0, &[0x20, 2, 0, 0]);
        [Sample::connect(0, name, None), connack]
    }));
    assert_eq!(log.names.len(), 1);
    let followed = &log.connections[&ConnectionId(0)];
    assert_eq!(followed.name, "b");
    assert!(log.names.contains_key(&followed.identifier.unwrap()));
}

#[test]
fn of_a_long_client_identifier_as_much_is_kept_as_is_shown() {
    let hello = |id, name: &str| {
        let connack = Sample::server(id, &[0x20, 2, 0, 0]);
        [Sample::connect(id, name, None), connack]
    };
    let name = "n".repeat(10_000);
    let other = "n".repeat(9_999) + "m";
    let log = held([hello(0, &name), hello(1, &other), hello(2, &name)].concat());
    // The third took over from the first, and is not confused with the second.
    let phase = |id| log.connections[&ConnectionId(id)].phase;
    assert_eq!(
        [0, 1, 2].map(phase),
        [Phase::Over, Phase::Active, Phase::Active]
    );
    for followed in log.connections.values() {
        assert!(followed.name.len() < 288, "{}", followed.name.len());
    }
}

#[test]
fn a_subscribe_is_searched_as_far_as_messages_bring_bytes_for_it() {
    let longest = "x".repeat(4_000);
    let mut body = vec![0, 1];
    for filter in [&*longest, "t"] {
        body.extend(
            [
                &(filter.len() as u16).to_be_bytes(),
                filter.as_bytes(),
                &[0],
            ]
            .concat(),
        );
    }
    let subscribe = [
        &[0x82, body.len() as u8 | 0x80, (body.len() >> 7) as u8][..],
        &body,
    ]
    .concat();
    let connack = Sample::server(0, &[0x20, 2, 0, 0]);
    let begin = [
        Sample::connect(0, "c", None),
        connack,
        Sample::client(0, &subscribe),
    ];
    let message = |topic| Sample::server(0, &[0x30, 3, 0, 1, topic]);
    let is_written = |messages| {
        let others = (0..messages).map(|_| message(b'u'));
        let all = begin.iter().cloned().chain(others);
        let log = held(all.chain([message(b't')]));
        let mut waiting = log.connections[&ConnectionId(0)].waiting.iter();
        waiting.all(|held| held.written)
    };
    // Each costs 4,012 bytes and brings 320.
    assert!(is_written(282));
    assert!(!is_written(283));
}
