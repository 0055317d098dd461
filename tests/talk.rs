//! Captures made in memory: raw IP, a segment a frame.

use mqtt_inspect::base::{Endpoint, Precision, Timestamp};
use mqtt_inspect::capture::{Format, LinkType, Writer};
use mqtt_inspect::mqtt::Sender;
use mqtt_inspect::record::frames::{Header, LinkLayer, push_frame};
use mqtt_inspect::wire::TcpFlags;

pub(crate) const SYN: u8 = TcpFlags::SYN;
pub(crate) const FIN: u8 = TcpFlags::FIN;
pub(crate) const RST: u8 = TcpFlags::RST;
pub(crate) const ACK: u8 = TcpFlags::ACK;
pub(crate) const PSH_ACK: u8 = TcpFlags::PSH | TcpFlags::ACK;

/// A capture with a frame each microsecond.
pub(crate) struct Made {
    writer: Writer<Vec<u8>>,
    nanos: i64,
    scratch: Vec<u8>,
    pub(crate) frames: u64,
}

/// A connection of such a capture, with the next sequence number of each end.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) client_next: u32,
    pub(crate) server_next: u32,
}

/// The endpoint of an IPv4 address.
pub(crate) fn endpoint(address: [u8; 4], port: u16) -> Endpoint {
    Endpoint {
        address: address.into(),
        port,
    }
}

impl Talk {
    /// The connection of client number `number`, each from an endpoint of its own, to port 1883.
    pub(crate) fn new(number: u32) -> Self {
        let [_, a, b, c] = (number / 50_000).to_be_bytes();
        Self {
            client: endpoint([10, a, b, c], 10_000 + (number % 50_000) as u16),
            server: endpoint([192, 168, 0, 1], 1883),
            client_next: 0,
            server_next: 0,
        }
    }

    /// The next sequence numbers: of the sender, and of the other end.
    fn next(&mut self, sender: Sender) -> (&mut u32, &mut u32) {
        match sender {
            Sender::Client => (&mut self.client_next, &mut self.server_next),
            Sender::Server => (&mut self.server_next, &mut self.client_next),
        }
    }
}

impl Made {
    pub(crate) fn new() -> Self {
        let raw = LinkType(LinkLayer::Raw.number());
        let writer = Writer::new(Vec::new(), Format::Pcap, raw, Precision::Micro, None);
        Self {
            writer: writer.expect("a capture in memory"),
            nanos: 1_700_000_000_000_000_000,
            scratch: Vec::new(),
            frames: 0,
        }
    }

    /// The next segment of a connection, in the order of its stream.
    pub(crate) fn segment(&mut self, talk: &mut Talk, sender: Sender, flags: u8, payload: &[u8]) {
        let (own, other) = talk.next(sender);
        let sequence = *own;
        let acknowledgement = if flags & ACK == 0 { 0 } else { *other };
        let counted = u32::from(flags & SYN != 0);
        *own = own.wrapping_add(payload.len() as u32 + counted);
        self.frame(talk, sender, flags, (sequence, acknowledgement), payload);
    }

    /// A segment with these sequence and acknowledgement numbers.
    pub(crate) fn frame(
        &mut self,
        talk: &Talk,
        sender: Sender,
        flags: u8,
        (sequence, acknowledgement): (u32, u32),
        payload: &[u8],
    ) {
        let (source, destination) = match sender {
            Sender::Client => (talk.client, talk.server),
            Sender::Server => (talk.server, talk.client),
        };
        let header = Header {
            source,
            destination,
            sequence,
            acknowledgement,
            flags,
            window: 0xffff,
            timestamps: None,
            identification: 0,
            flow_label: 0,
        };
        self.scratch.clear();
        push_frame(LinkLayer::Raw, &header, payload, &mut self.scratch);
        self.frames += 1;
        self.wait(1_000);
        let time = Timestamp::from_nanos(self.nanos);
        let length = self.scratch.len() as u32;
        self.writer
            .write_frame(time, &self.scratch, length, None)
            .expect("a capture in memory");
    }

    /// Lets time pass, in nanoseconds.
    pub(crate) fn wait(&mut self, nanos: i64) {
        self.nanos += nanos;
    }

    /// Both ends' SYN.
    pub(crate) fn open(&mut self, talk: &mut Talk) {
        self.segment(talk, Sender::Client, SYN, &[]);
        self.segment(talk, Sender::Server, SYN | ACK, &[]);
    }

    /// Bytes of one end, in as large segments as there are.
    pub(crate) fn send(&mut self, talk: &mut Talk, sender: Sender, bytes: &[u8]) {
        for part in bytes.chunks(60_000) {
            self.segment(talk, sender, PSH_ACK, part);
        }
    }

    /// The capture file.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.writer.into_inner()
    }
}

/// A text as MQTT writes it: its length in two bytes, then its UTF-8.
pub(crate) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A control packet from its first byte and what follows the Remaining Length.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = length > 0x7f;
        packet.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    packet.extend(body);
    packet
}
