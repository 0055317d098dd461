use super::*;
use crate::base::text;
use crate::event::{Closed, ConnectionId, Direction, Ended, Gap, GapCause, Incomplete};
use crate::mqtt::{PacketType, Sender};
use crate::view::samples::{Page, Sample, totals, written};
use proptest::prelude::*;

fn table(samples: &[Sample], style: Style) -> String {
    written(samples, |page| Table::new(page, style))
}

fn at_width(width: usize) -> Style {
    Style {
        width: Some(width),
        ..Style::default()
    }
}

/// Frames 18 and 19 of the QoS 2 exercise.
fn exercise() -> Vec<Sample> {
    vec![
        Sample {
            frame: Some(14),
            micros: 455_000,
            length: 102,
            ..Sample::connect(1, "", None)
        },
        Sample {
            frame: Some(18),
            micros: 456_435,
            length: 109,
            ..Sample::client(1, b"\x34\x15\x00\x04test\x00\x01hello handong")
        },
        Sample {
            frame: Some(19),
            micros: 456_456,
            length: 92,
            ..Sample::server(1, &[0x50, 2, 0, 1])
        },
    ]
}

#[test]
fn rows_have_the_columns_of_the_course_report() {
    assert_eq!(
        table(&exercise(), Style::default()),
        "  No.         Time  Source           Destination      Protocol  Length  Info                                                    src,dest,type\n\
         \x20  14     0.455000  ::1              ::1              MQTT         102  Connect Command  no client id, MQTT 3.1.1, clean session, keep alive 60 s  46596,1883,1\n\
         \x20  18     0.456435  ::1              ::1              MQTT         109  Publish Message (id=1) [test]  QoS 2                    46596,1883,3\n\
         \x20  19     0.456456  ::1              ::1              MQTT          92  Publish Received (id=1)                                 1883,46596,5\n"
    );
}

#[test]
fn at_eighty_columns_a_row_flows_on_and_nothing_is_cut() {
    let long = "2001:db8:85a3:8d3:1319:8a2e:370:7348".parse().unwrap();
    let mut samples = exercise();
    samples.push(Sample {
        addresses: [long; 2],
        ..Sample::publish(&"level/".repeat(20), b"x")
    });
    let text = table(&samples, at_width(80));
    for line in text.lines() {
        assert!(text::width(line) <= 80, "{line}");
    }
    assert!(
        text.contains(
            " 19 0.456456 ::1 ::1 MQTT  92 Publish Received (id=1)               1883,46596,5\n"
        ),
        "{text}"
    );
    assert_eq!(
        text.matches("2001:db8:85a3:8d3:1319:8a2e:370:7348").count(),
        2
    );
    assert_eq!(text.replace("\n      ", "").matches("level/").count(), 20);
}

#[test]
fn no_line_is_wider_than_the_terminal_not_even_the_header() {
    for width in 60..=130 {
        let text = table(&exercise(), at_width(width));
        let widest = text.lines().map(str::len).max();
        assert!(widest.is_some_and(|widest| widest <= width), "{text}");
    }
}

#[test]
fn wide_characters_are_counted_by_the_columns_they_take() {
    for style in [Style::default(), at_width(200)] {
        let samples = [
            Sample::publish("한동/서버", b""),
            Sample::publish("plain", b""),
        ];
        let text = table(&samples, style);
        let ends: Vec<_> = text
            .lines()
            .skip(1)
            .map(|line| text::width(line.split("46596").next().unwrap()))
            .collect();
        assert_eq!(ends[0], ends[1], "{text}");
    }
}

#[test]
fn a_malformed_packet_shows_what_is_wrong_and_colour_only_adds() {
    let samples = [Sample::client(0, b"\x36\x05\x00\x01t\x00\x01")];
    let plain = table(&samples, Style::default());
    assert!(
        plain.contains("Publish Message (id=1) [t]  [Malformed: "),
        "{plain}"
    );
    assert!(plain.contains("MQTT-3.3.1-4"), "{plain}");
    for width in [None, Some(80), Some(200)] {
        let style = Style {
            width,
            ..Style::default()
        };
        let coloured = Style {
            colour: true,
            ..style
        };
        let mut stripped = table(&samples, coloured);
        while let Some(from) = stripped.find('\x1b') {
            let to = stripped[from..].find('m').unwrap();
            stripped.replace_range(from..=from + to, "");
        }
        assert_eq!(stripped, table(&samples, style));
    }
}

#[test]
fn what_5_0_adds_stands_after_two_blanks() {
    let alias = Sample {
        topic_resolved: Some("room/1".to_owned()),
        ..Sample::client(0, b"\x31\x07\x00\x00\x03\x23\x00\x01x").v5()
    };
    let refused = Sample::server(0, b"\x40\x04\x00\x07\x87\x00").v5();
    let granted = Sample::server(0, b"\x90\x05\x00\x01\x00\x02\x87").v5();
    let text = table(&[alias, refused, granted], Style::default());
    for info in [
        "Publish Message [room/1]  retain, alias 1 \u{2192} room/1  ",
        "Publish Ack (id=7)  Not authorized (135)  ",
        "Subscribe Ack (id=1)  QoS 2, Not authorized (135)  ",
    ] {
        assert!(text.contains(info), "{text}");
    }
}

#[test]
fn gaps_and_packets_cut_off_are_noted_between_the_rows() {
    let sample = Sample::connect(5, "a", None);
    let page = Page::default();
    let mut table = Table::new(page.clone(), Style::default());
    table.event(&Event::Opened(&sample.opened())).unwrap();
    sample.emit(0, &mut table).unwrap();
    table
        .event(&Event::Gap(&Gap {
            connection: ConnectionId(5),
            sender: Sender::Server,
            direction: Direction::Backward,
            length: 1448,
            cause: GapCause::NotCaptured,
            stamp: FrameStamp {
                number: 45,
                ..FrameStamp::default()
            },
            discarded: 0,
        }))
        .unwrap();
    table
        .event(&Event::Ended(&Ended {
            connection: ConnectionId(6),
            why: Closed::Reset,
            by: None,
            first: FrameStamp::default(),
            both_seen: false,
            stamp: FrameStamp::default(),
            incomplete: [
                None,
                Some(Incomplete {
                    sender: Sender::Client,
                    packet_type: PacketType::Publish,
                    announced: 268_435_460,
                    received: 63,
                    stamp: FrameStamp {
                        number: 50,
                        ..FrameStamp::default()
                    },
                }),
            ],
        }))
        .unwrap();
    table.finish(&totals(&[])).unwrap();
    let text = page.text();
    let notes: Vec<_> = text.lines().skip(2).collect();
    assert_eq!(
        notes,
        [
            "--- frame 45: 1448 octets from [::1]:1883 to [::1]:46596 are missing: \
             the peer has them, the capture has not ---",
            "--- frame 50: a PUBLISH from the Client of stream 6 never completed: \
             63 of 268435460 octets came before the connection was reset ---",
        ]
    );
}

#[test]
fn the_bytes_of_a_password_are_hidden_in_a_dump() {
    let connect = Sample::client(
        0,
        b"\x10\x14\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c\x00\x01u\x00\x02pw",
    );
    let hex = Style {
        hex: true,
        ..Style::default()
    };
    let text = table(std::slice::from_ref(&connect), hex);
    assert!(text.contains("\n0010  01 75 00 02 ** **"), "{text}");
    assert!(!text.contains("pw"), "{text}");
    let secrets = Style {
        secrets: true,
        ..hex
    };
    assert!(table(&[connect], secrets).contains("\n0010  01 75 00 02 70 77"));
}

proptest! {
    #[test]
    fn no_text_of_a_capture_drives_the_terminal(
        topic in "\\PC{0,20}|[\\x00-\\x{9f}\\u{200b}-\\u{202e}\\u{feff}]{0,20}|.{0,20}",
        width in prop::option::of(20..240usize),
    ) {
        let samples = [
            Sample::publish(&topic, b"x"),
            Sample::connect(0, &topic, Some(&topic)),
        ];
        let style = Style { width, ..Style::default() };
        let text = table(&samples, style);
        prop_assert!(!text.chars().any(|c| c != '\n' && text::is_unsafe(c)), "{:?}", text);
    }
}
