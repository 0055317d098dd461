//! The cost of each stage, one at a time, on made traffic: `cargo bench --bench stages`.
//!
//! Nothing is asserted here. The TCP layer has a program of its own, `stream`.

#![expect(
    clippy::expect_used,
    reason = "a program for developers ends where it can't go on"
)]

mod traffic;

use std::ffi::OsString;
use std::hint::black_box;
use std::io;
use std::net::Ipv4Addr;
use std::ops::Range;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use mqtt_inspect::base::{Endpoint, FrameStamp, Layers, Timestamp};
use mqtt_inspect::capture::{Frame, Item, LinkType, Reader, Source};
use mqtt_inspect::connection::{self, Context, Decoder};
use mqtt_inspect::event::{Event, PacketEvent, Transport};
use mqtt_inspect::inspect;
use mqtt_inspect::mqtt::packet::{Acknowledgement, Connect, Publish, Subscribe};
use mqtt_inspect::mqtt::{
    ControlPacket, Delivery, PacketIdentifier, PacketType, Properties, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion, Sender, SubscriptionsBuf,
};
use mqtt_inspect::stream::{Connection, ConnectionId, Direction, StreamEvent};
use mqtt_inspect::view::json::{Form, Json};
use mqtt_inspect::view::table::Table;
use mqtt_inspect::view::{Style, View};
use mqtt_inspect::wire::{self, Dissected, Dissector};
use traffic::{Recipe, generate};

/// Bytes of the captures that are made.
const OCTETS: u64 = 8_000_000;

/// Rows of one run.
const ROWS: usize = 10_000;

fn main() {
    divan::main();
}

fn made(kind: &str) -> Vec<u8> {
    let mut capture = Vec::new();
    let recipe = Recipe::named(kind, OCTETS, 1).expect("a kind");
    generate(&recipe, &mut capture).expect("memory takes it");
    capture
}

/// Reads a capture, item by item.
fn walk(capture: &[u8], visit: &mut dyn FnMut(&Frame<'_>)) {
    let mut reader = Reader::new(capture, "made");
    while let Some(item) = reader.next_item().expect("what was made can be read") {
        if let Item::Frame(frame) = item {
            visit(&frame);
        }
    }
}

#[divan::bench(args = ["mixed", "tiny"])]
fn capture_walk(bencher: Bencher<'_, '_>, kind: &str) {
    let capture = made(kind);
    bencher.counter(BytesCount::new(capture.len())).bench(|| {
        let mut bytes = 0;
        walk(&capture, &mut |frame| bytes += frame.bytes.len());
        bytes
    });
}

/// A frame by its place in a buffer.
type Placed = (FrameStamp, LinkType, Range<usize>);

/// Frames, and the buffer that holds them.
fn frames(capture: &[u8]) -> (Vec<u8>, Vec<Placed>) {
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    walk(capture, &mut |frame| {
        let start = bytes.len();
        bytes.extend_from_slice(frame.bytes);
        frames.push((frame.stamp, frame.link_type, start..bytes.len()));
    });
    (bytes, frames)
}

#[divan::bench(args = ["mixed", "tiny"])]
fn wire_dissect(bencher: Bencher<'_, '_>, kind: &str) {
    let (bytes, frames) = frames(&made(kind));
    bencher.counter(ItemsCount::new(frames.len())).bench(|| {
        let mut dissector = Dissector::new(wire::DissectorOptions::default());
        let mut carried = 0;
        for (stamp, link_type, places) in &frames {
            let frame = Frame {
                stamp: *stamp,
                link_type: *link_type,
                bytes: &bytes[places.clone()],
            };
            if let Ok(Dissected::Segment(segment)) = dissector.dissect(black_box(&frame)) {
                carried += segment.payload.len();
            }
        }
        carried
    });
}

const SOME_ID: PacketIdentifier = PacketIdentifier(std::num::NonZeroU16::MIN);

/// A packet of a type, written for 5.0.
fn packet(packet_type: PacketType) -> Vec<u8> {
    let mut properties = PropertiesBuf::new();
    let user = PropertyValue::Pair("origin", "made");
    properties
        .push(PropertyId::USER_PROPERTY, user)
        .expect("a property");
    let mut subscriptions = SubscriptionsBuf::new();
    subscriptions.push("site/+/room/#", 1).expect("a filter");
    let packet = match packet_type {
        PacketType::Connect => ControlPacket::Connect(Connect {
            properties: properties.as_properties(),
            ..Connect::new(ProtocolVersion::V5_0, "client-1")
        }),
        PacketType::Publish => ControlPacket::Publish(publish(properties.as_properties())),
        PacketType::Subscribe => ControlPacket::Subscribe(Subscribe {
            packet_id: SOME_ID,
            properties: Properties::default(),
            subscriptions: subscriptions.as_subscriptions(),
        }),
        PacketType::PingReq => ControlPacket::PingReq,
        _ => ControlPacket::PubAck(Acknowledgement {
            packet_id: SOME_ID,
            reason_code: 0,
            properties: Properties::default(),
        }),
    };
    let mut bytes = Vec::new();
    packet
        .write(ProtocolVersion::V5_0, &mut bytes)
        .expect("a packet");
    bytes
}

fn publish(properties: Properties<'_>) -> Publish<'_> {
    Publish {
        dup: false,
        retain: false,
        delivery: Delivery::AtLeastOnce(SOME_ID),
        topic: "site/3/room/17/sensor/4711",
        properties,
        payload: &[b'7'; 100],
    }
}

#[divan::bench(args = [
    PacketType::Connect,
    PacketType::Publish,
    PacketType::PubAck,
    PacketType::Subscribe,
    PacketType::PingReq,
])]
fn mqtt_read(bencher: Bencher<'_, '_>, packet_type: PacketType) {
    let bytes = packet(packet_type);
    bencher
        .counter(ItemsCount::new(1_usize))
        .bench(|| ControlPacket::read(black_box(&bytes), ProtocolVersion::V5_0, &mut ()).is_ok());
}

const CLIENT: Endpoint = Endpoint {
    address: std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    port: 40_000,
};
const SERVER: Endpoint = Endpoint {
    address: std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    port: 1883,
};

#[divan::bench(args = [60, 1448])]
fn connection_framing(bencher: Bencher<'_, '_>, segment: usize) {
    let mut bytes = packet(PacketType::Connect);
    for _ in 0..ROWS {
        bytes.extend(packet(PacketType::Publish));
    }
    let connection = Connection {
        id: ConnectionId(0),
        initiator: CLIENT,
        responder: SERVER,
        handshake_seen: true,
        both_seen: true,
    };
    let layers = Layers::default();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| {
        let mut context = Context::new(connection::DecodingOptions::default());
        let mut decoder = Decoder::default();
        let mut packets = 0;
        for (number, part) in (1..).zip(bytes.chunks(segment)) {
            let stamp = FrameStamp {
                number,
                ..FrameStamp::default()
            };
            let event = StreamEvent::Bytes {
                direction: Direction::Forward,
                bytes: part,
                stamp: &stamp,
                layers: &layers,
            };
            decoder.on(&mut context, &connection, event, &mut |event| {
                packets += usize::from(matches!(event, Event::Packet(_)));
            });
        }
        packets
    });
}

/// Rows of one packet, in frames that go on.
fn rows(view: &mut dyn View) {
    let bytes = packet(PacketType::Publish);
    let read = ControlPacket::read(&bytes, ProtocolVersion::V5_0, &mut ());
    let layers = Layers::default();
    for number in 1..=ROWS as u64 {
        let event = PacketEvent {
            stamp: FrameStamp {
                number,
                time: Some(Timestamp::from_nanos(1_700_000_000_000_123_000)),
                length: 201,
                ..FrameStamp::default()
            },
            index: 0,
            frames: &[number],
            connection: ConnectionId(number as u32 % 200),
            source: &CLIENT,
            destination: &SERVER,
            direction: Direction::Forward,
            sender: Sender::Client,
            transport: Transport::TCP,
            version: Some(ProtocolVersion::V5_0),
            version_inferred: false,
            after_gap: false,
            missing: 0,
            packet_type: PacketType::Publish,
            bytes: &bytes,
            packet: read.as_ref().map_err(|malformed| *malformed),
            client_id: None,
            topic_resolved: None,
            layers: &layers,
        };
        let written = view.event(&Event::Packet(black_box(&event)));
        debug_assert!(written.is_ok());
    }
}

#[divan::bench]
fn table_row(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench(|| rows(&mut Table::new(io::sink(), Style::default())));
}

#[divan::bench]
fn json_row(bencher: Bencher<'_, '_>) {
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench(|| rows(&mut Json::new(io::sink(), Form::Lines, Style::default())));
}

#[divan::bench(sample_count = 20, args = ["mixed", "tiny", "many", "faults"])]
fn pipeline_table(bencher: Bencher<'_, '_>, kind: &str) {
    whole(bencher, kind, || {
        Box::new(Table::new(io::sink(), Style::default()))
    });
}

#[divan::bench(sample_count = 20, args = ["mixed", "tiny"])]
fn pipeline_json(bencher: Bencher<'_, '_>, kind: &str) {
    whole(bencher, kind, || {
        Box::new(Json::new(io::sink(), Form::Document, Style::default()))
    });
}

fn whole(bencher: Bencher<'_, '_>, kind: &str, view: fn() -> Box<dyn View>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let recipe = Recipe::named(kind, OCTETS, 1).expect("a kind");
    generate(&recipe, io::BufWriter::new(&file)).expect("the file takes it");
    let inputs: [OsString; 1] = [file.path().into()];
    bencher.counter(BytesCount::new(OCTETS)).bench(|| {
        let mut view = view();
        inspect::run(
            &inputs,
            &inspect::Options::default(),
            &mut *view,
            &mut |_| {},
        )
        .totals
        .packets
    });
}
