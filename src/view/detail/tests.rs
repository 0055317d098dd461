use super::*;
use crate::base::text;
use crate::view::samples::{Sample, written};
use proptest::prelude::*;

fn detail(samples: &[Sample], style: Style) -> String {
    written(samples, |page| Detail::new(page, style))
}

#[test]
fn connect_flags_are_shown_bit_by_bit_and_the_will_with_its_text() {
    let sample = Sample {
        frame: Some(4),
        micros: 255,
        length: 148,
        ..Sample::connect(0, "", Some("handong/status"))
    };
    assert_eq!(
        detail(&[sample], Style::default()),
        "\
Frame 4: 148 bytes on wire (1184 bits)
    Arrival Time: 2026-11-22 08:05:45.000255 UTC
    [Time since first frame: 0.000255 seconds]
Internet Protocol Version 6, Src: ::1, Dst: ::1
Transmission Control Protocol, Src Port: 46596, Dst Port: 1883
    [Stream index: 0]
MQ Telemetry Transport Protocol, Connect Command
    Header Flags: 0x10, Message Type: Connect Command
        0001 .... = Message Type: Connect Command (1)
        .... 0000 = Reserved: 0
    Msg Len: 34
    Protocol Name Length: 4
    Protocol Name: MQTT
    Version: MQTT v3.1.1 (4)
    Connect Flags: 0x06, QoS Level: At most once delivery (Fire and Forget), Will Flag, Clean Session Flag
        0... .... = User Name Flag: Not set
        .0.. .... = Password Flag: Not set
        ..0. .... = Will Retain: Not set
        ...0 0... = QoS Level: At most once delivery (Fire and Forget) (0)
        .... .1.. = Will Flag: Set
        .... ..1. = Clean Session Flag: Set
        .... ...0 = (Reserved): Not set
    Keep Alive: 60
    Client ID Length: 0
    Client ID: 
    Will Topic Length: 14
    Will Topic: handong/status
    Will Message Length: 4
    Will Message: 676f6e65
        [Text: gone]
"
        .replace("        [Text", "    [Text")
    );
}

#[test]
fn packets_of_one_frame_stand_under_its_lines_once() {
    let first = Sample {
        frame: Some(7),
        frames: vec![6, 7],
        ..Sample::publish("a", b"1")
    };
    let text = detail(&[first, Sample::client(0, &[0xc0, 0])], Style::default());
    assert!(text.contains("[2 frames (7 bytes): #6, #7]\n"), "{text}");
    assert_eq!(text.matches("Frame ").count(), 2);
    assert!(text.contains("[Text: 1]\n\nFrame 2:"), "{text}");
}

#[test]
fn a_password_is_shown_by_its_length() {
    let connect = Sample::client(
        0,
        b"\x10\x14\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01c\x00\x01u\x00\x02pw",
    );
    let text = detail(std::slice::from_ref(&connect), Style::default());
    assert!(
        text.contains("    Password: (2 octets, not shown)\n"),
        "{text}"
    );
    let style = Style {
        secrets: true,
        ..Style::default()
    };
    assert!(detail(&[connect], style).contains("    Password: pw\n"));
}

#[test]
fn the_value_of_a_property_that_names_a_secret_is_not_shown_even_where_it_is_cut() {
    let auth = |body: &[u8]| Sample {
        version: ProtocolVersion::V5_0,
        ..Sample::client(0, &[&[0xf0, body.len() as u8], body].concat())
    };
    let hex = Style {
        hex: true,
        ..Style::default()
    };
    let text = detail(&[auth(b"\x18\x0b\x26\x00\x03pwd\x00\x03abc")], hex);
    assert!(text.contains("Value: (3 octets, not shown)\n"), "{text}");
    assert!(!text.contains("61 62 63"), "{text}");
    let text = detail(&[auth(b"\x18\x0b\x26\x00\x03pwd\x00\x04abc")], hex);
    assert!(
        text.contains("[Malformed: ") && !text.contains("61 62 63"),
        "{text}"
    );
    let style = Style {
        secrets: true,
        ..hex
    };
    let text = detail(&[auth(b"\x18\x0b\x26\x00\x03pwd\x00\x03abc")], style);
    assert!(
        text.contains("Value: abc\n") && text.contains("61 62 63"),
        "{text}"
    );
}

#[test]
fn bytes_after_the_fields_of_a_connect_may_be_a_password_and_are_not_shown() {
    let connect = Sample::client(
        0,
        b"\x10\x14\x00\x04MQTT\x04\x82\x00\x3c\x00\x01c\x00\x01u\x00\x02pw",
    );
    let text = detail(&[connect], Style::default());
    assert!(
        text.contains("    Octets after the last field: (4 octets, not shown)\n"),
        "{text}"
    );
}

#[test]
fn a_malformed_packet_shows_what_was_read_and_what_is_wrong() {
    let text = detail(
        &[Sample::client(0, b"\x32\x05\x00\x01t\x00\x00")],
        Style {
            hex: true,
            ..Style::default()
        },
    );
    assert!(text.contains("    Topic: t\n"), "{text}");
    assert!(text.contains("    [Malformed: "), "{text}");
    assert!(text.contains("MQTT-2.3.1-1) at octet 5]\n"), "{text}");
    assert!(
        text.ends_with("\n\n0000  32 05 00 01 74 00 00                              2...t..\n"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn no_text_of_a_capture_drives_the_terminal(
        topic in "\\PC{0,20}|[\\x00-\\x{9f}\\u{200b}-\\u{202e}\\u{feff}]{0,20}|.{0,20}",
        payload in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let samples = [
            Sample::publish(&topic, &payload),
            Sample::publish("t", topic.as_bytes()),
            Sample::connect(0, &topic, Some(&topic)),
        ];
        let style = Style { hex: true, ..Style::default() };
        let text = detail(&samples, style);
        prop_assert!(!text.chars().any(|c| c != '\n' && text::is_unsafe(c)), "{:?}", text);
    }

    #[test]
    fn any_bytes_at_all_are_shown_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        for sample in [Sample::client(0, &bytes), Sample::client(0, &bytes).v5()] {
            let style = Style { hex: true, width: Some(60), ..Style::default() };
            detail(std::slice::from_ref(&sample), style);
            written(&[sample], |page| crate::view::table::Table::new(page, style));
        }
    }
}
