//! Events made by hand for the tests of the views.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::IpAddr;
use std::rc::Rc;

use super::observer::View;
use crate::base::{Endpoint, FrameStamp, Layers, Precision, Timestamp};
use crate::event::{
    Connection, ConnectionId, Direction, Event, Opened, PacketEvent, Totals, Transport,
};
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Sender};

/// 2026-11-22T08:05:45Z.
pub(crate) const BEGIN: i64 = 1_795_334_745_000_000_000;

/// One control packet and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) connection: u32,
    pub(crate) sender: Sender,
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: ProtocolVersion,
    pub(crate) frame: Option<u64>,
    pub(crate) frames: Vec<u64>,
    pub(crate) micros: i64,
    pub(crate) length: u32,
    pub(crate) topic_resolved: Option<String>,
    pub(crate) addresses: [IpAddr; 2],
    pub(crate) ports: [u16; 2],
    pub(crate) transport: Transport,
}

impl Sample {
    pub(crate) fn client(connection: u32, bytes: &[u8]) -> Self {
        Self {
            connection,
            sender: Sender::Client,
            bytes: bytes.to_vec(),
            version: ProtocolVersion::V3_1_1,
            frame: None,
            frames: Vec::new(),
            micros: 0,
            length: 90,
            topic_resolved: None,
            addresses: [IpAddr::V6(std::net::Ipv6Addr::LOCALHOST); 2],
            ports: [46_596, 1883],
            transport: Transport::TCP,
        }
    }

    pub(crate) fn server(connection: u32, bytes: &[u8]) -> Self {
        Self {
            sender: Sender::Server,
            ..Self::client(connection, bytes)
        }
    }

    /// A CONNECT of 3.1.1 with clean session, keep alive 60, perhaps a will of four bytes.
    pub(crate) fn connect(connection: u32, client_id: &str, will: Option<&str>) -> Self {
        let mut body = b"\x00\x04MQTT\x04\x02\x00\x3c".to_vec();
        let mut text = |text: &[u8]| {
            body.extend_from_slice(&(text.len() as u16).to_be_bytes());
            body.extend_from_slice(text);
        };
        text(client_id.as_bytes());
        if let Some(topic) = will {
            text(topic.as_bytes());
            text(b"gone");
            body[7] |= 0x04;
        }
        let length = body.len();
        assert!(length < 0x4000);
        let mut bytes = match length {
            0..0x80 => vec![0x10, length as u8],
            _ => vec![0x10, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8],
        };
        bytes.append(&mut body);
        Self::client(connection, &bytes)
    }

    /// A PUBLISH at QoS 0.
    pub(crate) fn publish(topic: &str, payload: &[u8]) -> Self {
        let length = 2 + topic.len() + payload.len();
        assert!(length < 0x4000);
        let mut bytes = vec![0x30, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
        bytes.extend_from_slice(&(topic.len() as u16).to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
        bytes.extend_from_slice(payload);
        Self::client(0, &bytes)
    }

    pub(crate) fn v5(self) -> Self {
        Self {
            version: ProtocolVersion::V5_0,
            ..self
        }
    }

    /// Emits the packet to `view` as the `at`th of its run.
    pub(crate) fn emit(&self, at: usize, view: &mut dyn View) -> io::Result<()> {
        let number = self.frame.unwrap_or(at as u64 + 1);
        let stamp = FrameStamp {
            number,
            time: Some(Timestamp::from_nanos(BEGIN + self.micros * 1000)),
            precision: Precision::Micro,
            length: self.length,
            file: 0,
        };
        let end = |at: usize| Endpoint {
            address: self.addresses[at],
            port: self.ports[at],
        };
        let (source, destination, direction) = match self.sender {
            Sender::Client => (end(0), end(1), Direction::Forward),
            Sender::Server => (end(1), end(0), Direction::Backward),
        };
        let packet = ControlPacket::read(&self.bytes, self.version, &mut ());
        let single = [number];
        let seen = PacketEvent {
            stamp,
            index: 0,
            frames: if self.frames.is_empty() {
                &single
            } else {
                &self.frames
            },
            connection: ConnectionId(self.connection),
            source: &source,
            destination: &destination,
            direction,
            sender: self.sender,
            transport: self.transport,
            version: Some(self.version),
            version_inferred: false,
            after_gap: false,
            missing: 0,
            packet_type: PacketType::of(self.bytes.first().copied().unwrap_or(0)),
            bytes: &self.bytes,
            packet: match &packet {
                Ok(packet) => Ok(packet),
                Err(malformed) => Err(*malformed),
            },
            client_id: None,
            topic_resolved: self.topic_resolved.as_deref(),
            layers: &Layers::default(),
        };
        view.event(&Event::Packet(&seen))
    }

    /// The event that stands before the packets of this connection.
    pub(crate) fn opened(&self) -> Opened {
        let end = |at: usize| Endpoint {
            address: self.addresses[at],
            port: self.ports[at],
        };
        Opened {
            connection: Connection {
                id: ConnectionId(self.connection),
                initiator: end(0),
                responder: end(1),
                handshake_seen: true,
                both_seen: true,
            },
            server: end(1),
            client: end(0),
            transport: Transport::TCP,
            proxied: None,
            stamp: FrameStamp::default(),
        }
    }
}

/// The totals of a run of these packets.
pub(crate) fn totals(samples: &[Sample]) -> Totals {
    Totals {
        files: vec!["made by \"hand\".pcap".to_owned()],
        frames: 2 * samples.len() as u64,
        packets: samples.len() as u64,
        first_time: Some(Timestamp::from_nanos(BEGIN)),
        ..Totals::default()
    }
}

/// Where a view under test writes.
#[derive(Clone, Default)]
pub(crate) struct Page(Rc<RefCell<Vec<u8>>>);

impl Page {
    /// Everything written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that the view writes of these packets; the capture begins with a frame at
/// [`BEGIN`].
pub(crate) fn written<V: View>(samples: &[Sample], view: impl FnOnce(Page) -> V) -> String {
    let page = Page::default();
    let mut view = view(page.clone());
    view.frame(&FrameStamp {
        number: 1,
        time: Some(Timestamp::from_nanos(BEGIN)),
        ..FrameStamp::default()
    });
    for (at, sample) in samples.iter().enumerate() {
        sample.emit(at, &mut view).unwrap();
    }
    view.finish(&totals(samples)).unwrap();
    page.text()
}

/// A view that notes the types of the packets that reach it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Rc<RefCell<Vec<&'static str>>>);

impl View for Recorder {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if let Event::Packet(seen) = event {
            self.0.borrow_mut().push(seen.packet_type.name());
        }
        Ok(())
    }
    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        Ok(())
    }
}

/// The types of the packets that pass through a view around the recorder.
pub(crate) fn recorded<V: View>(
    samples: &[Sample],
    wrap: impl FnOnce(Recorder) -> V,
) -> Vec<&'static str> {
    let recorder = Recorder::default();
    let mut view = wrap(recorder.clone());
    for (at, sample) in samples.iter().enumerate() {
        sample.emit(at, &mut view).unwrap();
    }
    drop(view);
    recorder.0.take()
}
