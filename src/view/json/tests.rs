use super::*;
use crate::base::limits::Limits;
use crate::event::{Closed, ConnectionId, Direction, Ended, Gap, GapCause, Incomplete};
use crate::mqtt::testing::parts;
use crate::mqtt::{Breach, ControlPacket, PacketType, Sender, violations};
use crate::view::samples::{Page, Sample, totals, written};
use proptest::prelude::*;
use serde_json::{Value, json};

fn document(samples: &[Sample]) -> Value {
    let text = written(samples, |page| {
        Json::new(page, Form::Document, Style::default())
    });
    parsed(&text)
}

/// The value, after a look that no object gives a key twice.
fn parsed(text: &str) -> Value {
    struct Unique;
    impl<'de> serde::de::DeserializeSeed<'de> for Unique {
        type Value = ();
        fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
            from.deserialize_any(Self)
        }
    }
    impl<'de> serde::de::Visitor<'de> for Unique {
        type Value = ();
        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("JSON")
        }
        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }
        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }
        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }
        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }
        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while seq.next_element_seed(Self)?.is_some() {}
            Ok(())
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut keys = std::collections::HashSet::new();
            while let Some(key) = map.next_key::<String>()? {
                assert!(keys.insert(key.clone()), "{key} twice");
                map.next_value_seed(Self)?;
            }
            Ok(())
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    serde::de::DeserializeSeed::deserialize(Unique, &mut reader).unwrap();
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_publish_has_the_members_of_the_contract() {
    let sample = Sample {
        frame: Some(18),
        micros: 505_717,
        length: 111,
        ..Sample::client(1, b"\x34\x15\x00\x04test\x00\x01hello handong")
    };
    assert_eq!(
        document(&[sample]),
        json!({
            "schema": "mqtt-inspect/1",
            "packets": [{
                "frame": 18, "index": 0, "time": "2026-11-22T08:05:45.505717Z",
                "time_epoch": 1795334745.505717, "time_relative": 0.505717,
                "src": "::1", "src_port": 46596, "dst": "::1", "dst_port": 1883,
                "length": 111, "stream": 1, "sender": "client",
                "type": 3, "type_name": "PUBLISH", "version": "3.1.1",
                "dup": false, "qos": 2, "retain": false, "packet_id": 1, "topic": "test",
                "payload": {"length": 13, "hex": "68656c6c6f2068616e646f6e67",
                            "text": "hello handong"},
                "info": "Publish Message (id=1) [test]"
            }],
            "capture": {"files": ["made by \"hand\".pcap"], "frames": 2, "packets": 1,
                        "first_time": "2026-11-22T08:05:45.000000Z"}
        })
    );
}

#[test]
fn a_connect_has_its_flags_and_never_its_password() {
    let connect = Sample::client(
        0,
        b"\x10\x1f\x00\x04MQTT\x84\xee\x00\x3c\x00\x01c\x00\x03w/t\x00\x04gone\x00\x01u\x00\x02pw",
    );
    let value = document(std::slice::from_ref(&connect));
    assert_eq!(
        value["packets"][0]["connect"],
        json!({
            "protocol_name": "MQTT", "protocol_level": 4, "bridge": true,
            "flags": {"byte": 238, "user_name": true, "password": true, "will_retain": true,
                      "will_qos": 1, "will": true, "clean_session": true, "reserved": false},
            "keep_alive": 60, "client_id": "c", "user_name": "u", "password_length": 2,
            "will": {"topic": "w/t", "qos": 1, "retain": true,
                     "payload": {"length": 4, "hex": "676f6e65", "text": "gone"}}
        })
    );
    assert!(!value.to_string().contains("7077"), "{value}");
    let secrets = Style {
        secrets: true,
        ..Style::default()
    };
    let text = written(&[connect], |page| Json::new(page, Form::Document, secrets));
    assert_eq!(
        parsed(&text)["packets"][0]["connect"]["password"],
        json!({"length": 2, "hex": "7077", "text": "pw"})
    );
}

#[test]
fn secrets_in_properties_are_lengths_unless_they_are_asked_for() {
    let properties: &[u8] = b"\x16\x00\x03key\x26\x00\x05token\x00\x02ab\x26\x00\x01k\x00\x01v";
    let connect = [b"\x10\x41\x00\x04MQTT\x05\x06\x00\x3c\x19" as &[u8]]
        .into_iter()
        .chain([
            properties,
            b"\x00\x01c\x13",
            &properties[6..],
            b"\x00\x01t\x00\x01m",
        ])
        .collect::<Vec<_>>()
        .concat();
    let sample = Sample::client(0, &connect).v5();
    let hidden = document(std::slice::from_ref(&sample));
    let of_will = json!([
        {"id": 38, "name": "user_property", "value": ["token", ""], "value_length": 2},
        {"id": 38, "name": "user_property", "value": ["k", "v"]},
    ]);
    let packet = &hidden["packets"][0];
    assert_eq!(
        packet["properties"][0],
        json!({"id": 22, "name": "authentication_data", "length": 3})
    );
    assert_eq!(packet["properties"][1], of_will[0]);
    assert_eq!(packet["properties"][2], of_will[1]);
    assert_eq!(packet["connect"]["will"]["properties"], of_will);
    let secrets = Style {
        secrets: true,
        ..Style::default()
    };
    let text = written(&[sample], |page| Json::new(page, Form::Document, secrets));
    let packet = &parsed(&text)["packets"][0];
    assert_eq!(
        packet["properties"][0],
        json!({"id": 22, "name": "authentication_data", "value": "6b6579"})
    );
    for properties in [
        &packet["properties"],
        &packet["connect"]["will"]["properties"],
    ] {
        assert!(
            properties
                .as_array()
                .unwrap()
                .contains(&json!({"id": 38, "name": "user_property", "value": ["token", "ab"]}))
        );
    }
}

#[test]
fn every_kind_of_packet_has_its_own_members() {
    let samples = [
        Sample::server(0, b"\x20\x06\x01\x00\x03\x21\x00\x14").v5(),
        Sample::client(0, b"\x82\x08\x00\x01\x00\x00\x02a/\x19").v5(),
        Sample::server(0, b"\x90\x04\x00\x01\x00\x87").v5(),
        Sample::client(0, b"\xa2\x07\x00\x02\x00\x03a/#"),
        Sample::server(0, b"\x40\x03\x00\x07\x10").v5(),
        Sample::client(0, b"\xe0\x0a\x04\x08\x26\x00\x01k\x00\x02v\"").v5(),
        Sample {
            topic_resolved: Some("room/1".to_owned()),
            ..Sample::client(0, b"\x30\x0b\x00\x00\x08\x23\x00\x01\x09\x00\x02\xff\x00").v5()
        },
    ];
    let value = document(&samples);
    let packets = value["packets"].as_array().unwrap();
    for (packet, (key, expected)) in packets.iter().zip([
        (
            "connack",
            json!({"session_present": true, "reason_code": 0, "reason_name": "Success"}),
        ),
        (
            "subscriptions",
            json!([{"filter": "a/", "qos": 1, "no_local": false,
                    "retain_as_published": true, "retain_handling": 1}]),
        ),
        ("reason_codes", json!([0x87])),
        ("filters", json!(["a/#"])),
        ("reason_name", json!("No matching subscribers")),
        (
            "properties",
            json!([{"id": 38, "name": "user_property", "value": ["k", "v\""]}]),
        ),
        (
            "properties",
            json!([{"id": 35, "name": "topic_alias", "value": 1},
                   {"id": 9, "name": "correlation_data", "value": "ff00"}]),
        ),
    ]) {
        assert_eq!(packet[key], expected, "{packet}");
    }
    assert_eq!(packets[6]["topic_resolved"], json!("room/1"));
    assert_eq!(packets[6]["info"], json!("Publish Message [room/1]"));
}

#[test]
fn a_malformed_packet_stands_beside_what_was_read_of_it() {
    let value = document(&[Sample::client(0, b"\x32\x05\x00\x01t\x00\x00")]);
    let packet = &value["packets"][0];
    assert_eq!(packet["topic"], json!("t"));
    assert_eq!(packet["malformed"]["statements"], json!(["MQTT-2.3.1-1"]));
    assert_eq!(packet["malformed"]["offset"], json!(5));
}

#[test]
fn a_readable_packet_that_breaks_a_rule_lists_its_errors() {
    let samples = [
        Sample::publish("t", b""),
        Sample::client(0, b"\x82\x0a\x00\x01\x00\x05a/#/b\x00"),
    ];
    let value = document(&samples);
    assert_eq!(value["packets"][0].get("errors"), None);
    let errors = &value["packets"][1]["errors"];
    assert_eq!(errors[0]["statements"], json!(["MQTT-4.7.1-2"]), "{value}");
}

#[test]
fn a_large_payload_goes_out_in_pieces_and_comes_back_whole() {
    let text = "안녕 \"handong\" ".repeat(40_000);
    let length = 3 + text.len();
    let mut bytes = vec![0x30];
    bytes.extend_from_slice(&[length as u8 | 0x80, (length >> 7) as u8 | 0x80]);
    bytes.extend_from_slice(&[(length >> 14) as u8, 0, 1, b't']);
    bytes.extend_from_slice(text.as_bytes());
    let value = document(&[Sample::client(0, &bytes)]);
    let payload = &value["packets"][0]["payload"];
    assert_eq!(payload["text"], json!(text));
    assert_eq!(payload["length"], json!(text.len()));
    assert_eq!(payload["hex"].as_str().unwrap().len(), 2 * text.len());
}

fn gap(number: u64) -> Gap {
    Gap {
        connection: ConnectionId(5),
        sender: Sender::Server,
        direction: Direction::Backward,
        length: 1448,
        cause: GapCause::NotCaptured,
        stamp: FrameStamp {
            number,
            ..FrameStamp::default()
        },
        discarded: 0,
    }
}

fn ended() -> Ended {
    Ended {
        connection: ConnectionId(6),
        why: Closed::CaptureEnd,
        by: None,
        first: FrameStamp::default(),
        both_seen: false,
        stamp: FrameStamp::default(),
        incomplete: [
            Some(Incomplete {
                sender: Sender::Client,
                packet_type: PacketType::Publish,
                announced: 268_435_460,
                received: 63,
                stamp: FrameStamp::default(),
            }),
            None,
        ],
    }
}

#[test]
fn lines_stream_every_record_with_its_kind() {
    let page = Page::default();
    let mut view = Json::new(page.clone(), Form::Lines, Style::default());
    view.event(&Event::Gap(&gap(3))).unwrap();
    Sample::publish("t", b"").emit(0, &mut view).unwrap();
    view.event(&Event::Ended(&ended())).unwrap();
    view.finish(&totals(&[])).unwrap();
    let text = page.text();
    let kinds: Vec<_> = text
        .lines()
        .map(|line| parsed(line)["record"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["gap", "packet", "incomplete", "capture"]);
}

#[test]
fn a_document_holds_no_more_records_than_its_limit_and_counts_the_rest() {
    let page = Page::default();
    let limits = Limits {
        json_records: 5,
        ..Limits::default()
    };
    let mut view = Json::new(page.clone(), Form::Document, Style::default()).with_limits(&limits);
    for number in 0..8 {
        view.event(&Event::Gap(&gap(number))).unwrap();
    }
    view.event(&Event::Ended(&ended())).unwrap();
    view.finish(&totals(&[])).unwrap();
    let value = parsed(&page.text());
    assert_eq!(value["gaps"].as_array().unwrap().len(), 5);
    assert_eq!(value["gaps_omitted"], json!(3));
    assert_eq!(
        value["incomplete"][0],
        json!({"frame": 0, "stream": 6, "sender": "client", "type": 3, "type_name": "PUBLISH",
               "announced": 268_435_460, "received": 63, "ended_by": "capture_end"})
    );
    assert_eq!(value["packets"], json!([]));
}

/// Writes each packet with both serializers and compares.
struct Twice;

impl View for Twice {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let Event::Packet(seen) = event else {
            return Ok(());
        };
        let context = Context {
            start: seen.stamp.time,
            secrets: true,
        };
        let record = Record::Packet(Packet::new(seen, context, "Info \"\u{202e}"));
        let (mut plain, mut fast) = (Vec::new(), Vec::new());
        write(&mut plain, &record)?;
        let mut out = Out::new(&mut fast);
        record.serialize(packet::Serializer(&mut out)).unwrap();
        out.flush()?;
        drop(out);
        assert_eq!(String::from_utf8(fast), String::from_utf8(plain));
        Ok(())
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #[test]
    fn packets_are_written_as_serde_json_writes_them(
        parts in parts(),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        text in "[ -~]{0,30}|.{0,100}",
    ) {
        let mut samples = vec![
            Sample::server(0, &bytes),
            Sample::server(0, &bytes).v5(),
            Sample::publish(&text, text.repeat(9).as_bytes()),
            Sample::connect(0, &text, Some(&text)),
        ];
        parts.with(|packet| {
            let mut bytes = Vec::new();
            packet.write(parts.version, &mut bytes).unwrap();
            let version = parts.version;
            samples.push(Sample { version, ..Sample::client(0, &bytes) });
        });
        for sample in &samples {
            sample.emit(0, &mut Twice).unwrap();
        }
    }

    #[test]
    fn any_bytes_at_all_give_valid_json(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        topic in ".{0,20}|[a-d+#/]{0,6}",
        first in 0..=255u8,
        rest in "[\\x00-\\x04]{2}[a+]{0,4}",
    ) {
        let mut small = vec![first, rest.len() as u8];
        small.extend_from_slice(rest.as_bytes());
        let mut long = vec![first, rest.len() as u8 | 0x80, 0];
        long.extend_from_slice(rest.as_bytes());
        let samples = [
            Sample::client(0, &small),
            Sample::client(0, &long),
            Sample::client(0, &small).v5(),
            Sample::client(0, &bytes),
            Sample::client(0, &bytes).v5(),
            Sample::publish(&topic, &bytes),
            Sample::connect(0, &topic, Some(&topic)),
        ];
        let value = document(&samples);
        prop_assert_eq!(value["packets"].as_array().unwrap().len(), samples.len());
        // What is passed over as surely right has no errors.
        for (sample, packet) in samples.iter().zip(value["packets"].as_array().unwrap()) {
            let Ok(read) = ControlPacket::read(&sample.bytes, sample.version, &mut ()) else {
                continue;
            };
            let mut errors = 0;
            violations(&read, &sample.bytes, sample.version, &mut |violation| {
                errors += usize::from(violation.rule.breach() != Breach::Advice);
            });
            let listed = packet.get("errors").map_or(0, |listed| listed.as_array().unwrap().len());
            prop_assert_eq!(listed, errors, "{}", packet);
        }
        let lines = written(&samples, |page| Json::new(page, Form::Lines, Style::default()));
        for line in lines.lines() {
            parsed(line);
        }
    }
}

#[test]
fn of_very_many_errors_of_a_packet_the_first_are_listed_and_the_others_counted() {
    let listed = |codes: usize| {
        let length = 3 + codes;
        let head = [
            0x90,
            (length & 0x7f) as u8 | 0x80,
            (length >> 7) as u8,
            0,
            1,
            0,
        ];
        let bytes = [&head[..], &vec![5; codes]].concat();
        let value = document(&[Sample::server(0, &bytes).v5()]);
        let packet = &value["packets"][0];
        let errors = packet["errors"].as_array().unwrap().len();
        (errors, packet["errors_left_out"].clone())
    };
    assert_eq!(listed(1_024), (1_024, Value::Null));
    assert_eq!(listed(1_026), (1_024, json!(2)));
}
