//! `--stats` of made captures whose times are known.

use std::io::Write;

use mqtt_inspect::mqtt::Sender::{Client, Server};
use serde_json::Value;

use crate::talk::{ACK, FIN, Made, Talk, packet, text};
use crate::tool::run;

const MILLISECOND: i64 = 1_000_000;

fn connect(id: &str, properties: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x04MQTT\x05\x02\0\x3c".to_vec();
    body.push(properties.len() as u8);
    body.extend(properties);
    body.extend(text(id));
    packet(0x10, &body)
}

/// Opens a connection of the client `id`.
fn comes(made: &mut Made, talk: &mut Talk, id: &str, properties: &[u8]) {
    made.open(talk);
    made.send(talk, Client, &connect(id, properties));
    made.send(talk, Server, &[0x20, 3, 0, 0, 0]);
}

/// A PUBLISH at QoS 1 to `t`, whose payload is its number.
fn publish(number: u8) -> Vec<u8> {
    packet(0x32, &[&text("t")[..], &[0, number, 0, number]].concat())
}

fn puback(number: u8) -> [u8; 4] {
    [0x40, 2, 0, number]
}

/// The rows of the statistics of a capture.
fn stats(made: Made, sections: &str) -> Value {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&made.into_bytes()).expect("written");
    let sections = format!("--stats={sections}");
    let arguments = [sections.as_str(), "--json"].map(std::ffi::OsStr::new);
    let ran = run(arguments.into_iter().chain([file.path().as_os_str()]));
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let mut json: Value = serde_json::from_str(&ran.out).expect("JSON");
    json["stats"].take()
}

/// Four messages at once; each copy goes out 2 ms after it could, and is acknowledged 100 ms later.
/// Without `one_by_one` the server waits for no acknowledgement.
fn four(one_by_one: bool) -> Value {
    let mut made = Made::new();
    let (mut subscriber, mut publisher) = (Talk::new(0), Talk::new(1));
    // Receive Maximum 1.
    let properties: &[u8] = if one_by_one { b"\x21\0\x01" } else { b"" };
    comes(&mut made, &mut subscriber, "sub", properties);
    made.send(&mut subscriber, Client, b"\x82\x07\0\x01\0\0\x01t\x01");
    made.send(&mut subscriber, Server, &[0x90, 4, 0, 1, 0, 1]);
    comes(&mut made, &mut publisher, "pub", b"");
    for number in 1..5 {
        made.send(&mut publisher, Client, &publish(number));
        made.send(&mut publisher, Server, &puback(number));
    }
    for number in 1..5 {
        made.wait(2 * MILLISECOND);
        made.send(&mut subscriber, Server, &publish(number));
        if one_by_one {
            made.wait(100 * MILLISECOND);
            made.send(&mut subscriber, Client, &puback(number));
        }
    }
    made.wait(100 * MILLISECOND);
    for number in (1..5).filter(|_| !one_by_one) {
        made.send(&mut subscriber, Client, &puback(number));
    }
    stats(made, "latency")["latency"][0].take()
}

#[test]
fn the_wait_for_a_slow_subscriber_is_no_time_of_the_broker() {
    let row = four(true);
    let seconds = |part: &str, which: &str| row[part][which].as_f64().expect("seconds");
    assert_eq!(row["deliveries"], 4);
    // The last one waits for three acknowledgements.
    assert!((0.300..0.302).contains(&seconds("waiting", "max")), "{row}");
    assert!(
        (0.100..0.102).contains(&seconds("waiting", "median")),
        "{row}"
    );
    assert!(seconds("waiting", "min") == 0.0, "{row}");
    // 2 ms each, for all of those before it too.
    assert!((0.002..0.009).contains(&seconds("broker", "max")), "{row}");
}

#[test]
fn where_nothing_waits_for_acknowledgements_all_time_is_the_brokers() {
    let row = four(false);
    assert_eq!(row["deliveries"], 4);
    assert!(row["waiting"]["max"].as_f64() == Some(0.0), "{row}");
    let longest = row["max"].as_f64().expect("seconds");
    assert!((0.008..0.009).contains(&longest), "{row}");
    assert_eq!(row["broker"]["max"], row["max"]);
}

#[test]
fn publishers_and_subscribers_are_clients_however_often_they_connect() {
    let mut made = Made::new();
    let clients = [
        (0, "sub", ""),
        (1, "pub", "x"),
        (2, "pub", "y"),
        (3, "other", "z"),
    ];
    let mut talks = clients.map(|(number, id, payload)| (Talk::new(number), id, payload));
    for (talk, id, payload) in &mut talks {
        comes(&mut made, talk, id, b"");
        if !payload.is_empty() {
            let bytes = packet(0x30, &[&text("t")[..], &[0], payload.as_bytes()].concat());
            made.send(talk, Client, &bytes);
        }
        made.send(talk, Client, &[0xe0, 0]);
    }
    let stats = stats(made, "topics,clients");
    assert_eq!(stats["topics"][0]["published"], 3);
    assert_eq!(stats["topics"][0]["publishers"], 2);
    let clients = stats["clients"].as_array().expect("rows");
    let row = |id: &str| {
        clients
            .iter()
            .find(|row| row["client_id"] == id)
            .expect("a row")
    };
    assert_eq!(clients.len(), 3);
    assert_eq!(row("pub")["connections"], 2);
    assert_eq!(row("pub")["packets_sent"], 6);
}

/// The statistics of a client's connection, and of the same through a proxy, of which the capture
/// holds both sides; the proxy's client side subscribes to `other`.
fn proxied(twice: bool, other: &str) -> Value {
    let mut made = Made::new();
    let mut outer = Talk::new(0);
    let mut inner = Talk {
        client: outer.server,
        server: mqtt_inspect::base::Endpoint {
            address: [172, 17, 0, 2].into(),
            port: 1883,
        },
        ..Talk::new(1)
    };
    made.open(&mut outer);
    if twice {
        made.open(&mut inner);
    }
    let subscribe = |topic: &str| {
        let filter = [&[0, 1, 0][..], &text(topic), &[1]].concat();
        (Client, packet(0x82, &filter))
    };
    let begin = [
        (Client, connect("c", b"")),
        (Server, vec![0x20, 3, 0, 0, 0]),
    ];
    let end = [
        (Server, vec![0x90, 4, 0, 1, 0, 1]),
        (Client, publish(1)),
        (Server, puback(1).to_vec()),
        (Server, publish(1)),
        (Client, puback(1).to_vec()),
        (Client, vec![0xe0, 0]),
    ];
    let of = |topic| [&begin[..], &[subscribe(topic)], &end[..]].concat();
    for ((sender, bytes), (_, copy)) in of("t").iter().zip(of(other)) {
        made.send(&mut outer, *sender, bytes);
        if twice {
            made.send(&mut inner, *sender, &copy);
        }
    }
    stats(made, "types,topics,clients,handshakes")
}

#[test]
fn a_connection_that_the_capture_holds_twice_is_counted_once() {
    let once = proxied(false, "t");
    let shown = |stats: &Value| {
        let rows = ["types", "clients"].map(|name| stats[name].clone());
        let is_filled = |rows: &Value| rows.as_array().is_some_and(|rows| !rows.is_empty());
        assert!(rows.iter().all(is_filled));
        let kinds = stats["handshakes"].as_array().expect("rows").iter();
        let complete: Vec<_> = kinds.map(|row| row["complete"].clone()).collect();
        (rows, complete)
    };
    assert_eq!(shown(&once), shown(&proxied(true, "t")));
    assert_ne!(shown(&once), shown(&proxied(true, "u")));
}

/// The rules of the findings where a second host connects as the same client 9 ms after the first,
/// whose connection the server then ends.
fn takes_over(second: u32) -> Vec<String> {
    let mut made = Made::new();
    let (mut first, mut second) = (Talk::new(0), Talk::new(second));
    comes(&mut made, &mut first, "c", b"");
    made.wait(9 * MILLISECOND);
    made.open(&mut second);
    made.send(&mut second, Client, &connect("c", b""));
    made.segment(&mut first, Server, FIN | ACK, &[]);
    made.segment(&mut first, Client, FIN | ACK, &[]);
    made.send(&mut second, Server, &[0x20, 3, 0, 0, 0]);
    made.send(&mut second, Client, &publish(1));
    made.send(&mut second, Server, &puback(1));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&made.into_bytes()).expect("written");
    let arguments = ["--check", "--json"].map(std::ffi::OsStr::new);
    let ran = run(arguments.into_iter().chain([file.path().as_os_str()]));
    let json: Value = serde_json::from_str(&ran.out).expect("JSON");
    let findings = json["findings"].as_array().expect("findings").iter();
    let rules = findings.map(|one| one["rule"].as_str().expect("a rule").to_owned());
    rules.collect()
}

#[test]
fn a_takeover_from_another_host_is_seen_before_its_effect() {
    let rules = takes_over(50_001);
    assert_eq!(rules, takes_over(1));
    assert!(rules.contains(&"takeover".to_owned()), "{rules:?}");
}
