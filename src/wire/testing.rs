//! Frames for the tests of this module, byte by byte.

use std::net::Ipv6Addr;

use etherparse::PacketBuilder;

use super::{Dissected, Dissector, DissectorOptions, Segment, Skipped, TcpFlags};
use crate::base::{Endpoint, FrameStamp, Layer, Precision, Timestamp};
use crate::capture::{Frame, LinkType};

pub(super) const PAYLOAD: &[u8] = b"\x30\x09\x00\x03a/btext";
pub(super) const SEQUENCE: u32 = 0xffff_fff0;
pub(super) const SOURCE_PORT: u16 = 40_000;
pub(super) const PORT: u16 = 1883;
pub(super) const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [192, 0, 2, 2]);
pub(super) const V6: ([u8; 16], [u8; 16]) = (address_v6(1), address_v6(2));

const fn address_v6(last: u16) -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets()
}

/// A segment as a test compares it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) source: Endpoint,
    pub(super) destination: Endpoint,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) payload: Vec<u8>,
    pub(super) cut: u32,
    pub(super) frame: u64,
}

impl From<Segment<'_>> for Found {
    fn from(segment: Segment<'_>) -> Self {
        Self {
            source: segment.source,
            destination: segment.destination,
            sequence: segment.sequence,
            acknowledgement: segment.acknowledgement,
            flags: segment.flags,
            window: segment.window,
            payload: segment.payload.to_vec(),
            cut: segment.cut,
            frame: segment.stamp.number,
        }
    }
}

/// Two dissectors, with layers and without, that must agree.
pub(super) struct Both {
    plain: Dissector,
    with_layers: Dissector,
    pub(super) frames: u64,
    pub(super) layers: Vec<Layer>,
}

impl Both {
    pub(super) fn new() -> Self {
        Self {
            plain: Dissector::new(DissectorOptions::default()),
            with_layers: Dissector::new(DissectorOptions {
                layers: true,
                ..DissectorOptions::default()
            }),
            frames: 0,
            layers: Vec::new(),
        }
    }

    /// A frame of which all was captured, or the first bytes of one `length` bytes long.
    pub(super) fn dissect(
        &mut self,
        link_type: u16,
        bytes: &[u8],
        length: usize,
    ) -> Result<Found, Skipped> {
        self.frames += 1;
        let frame = frame(self.frames, link_type, bytes, length);
        let segment = |dissected| match dissected {
            Dissected::Segment(segment) => Ok(segment),
            Dissected::Datagram(_) => Err(Skipped::Udp),
        };
        let plain = self.plain.dissect(&frame).and_then(segment);
        let plain = plain.map(|segment| {
            assert_eq!(segment.layers.iter().count(), 0, "layers unasked");
            Found::from(segment)
        });
        let with_layers = self.with_layers.dissect(&frame).and_then(segment);
        let with_layers = with_layers.map(|segment| {
            self.layers = segment.layers.iter().collect();
            Found::from(segment)
        });
        assert_eq!(plain, with_layers, "layers change nothing else");
        assert_eq!(self.plain.tally(), self.with_layers.tally());
        assert_eq!(self.plain.fragments(), self.with_layers.fragments());
        let tally = self.plain.tally();
        let skipped = tally.skipped.values().sum::<u64>() + tally.others;
        assert_eq!(tally.frames, tally.segments + skipped);
        assert_eq!(tally.frames, self.frames);
        plain
    }
}

pub(super) fn frame(number: u64, link_type: u16, bytes: &[u8], length: usize) -> Frame<'_> {
    Frame {
        stamp: FrameStamp {
            number,
            time: Some(Timestamp::from_nanos(number as i64)),
            precision: Precision::Nano,
            length: length as u32,
            file: 0,
        },
        link_type: LinkType(link_type),
        bytes,
    }
}

/// The segment in a frame of which all was captured, and the layers before IP or TCP.
pub(super) fn dissect(link_type: u16, bytes: &[u8]) -> Result<(Found, Vec<Layer>), Skipped> {
    let mut both = Both::new();
    let found = both.dissect(link_type, bytes, bytes.len())?;
    Ok((found, both.layers))
}

/// Asserts that the frame holds the segment of [`v4`] or [`v6`]; the layers around it.
#[track_caller]
pub(super) fn assert_found(link_type: u16, bytes: &[u8], addresses: Addresses) -> Vec<Layer> {
    let (found, layers) = dissect(link_type, bytes).expect("a segment");
    assert_eq!(found, whole(addresses));
    let last = layers.last().copied();
    let tcp = Layer::Tcp {
        source: found.source,
        destination: found.destination,
        sequence: SEQUENCE,
        acknowledgement: 0,
        flags: found.flags.0,
        length: PAYLOAD.len() as u32,
    };
    assert_eq!(last, Some(tcp));
    layers
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Addresses {
    V4,
    V6,
}

/// The segment in [`v4`] and [`v6`].
pub(super) fn whole(addresses: Addresses) -> Found {
    let (source, destination) = match addresses {
        Addresses::V4 => (V4.0.into(), V4.1.into()),
        Addresses::V6 => (V6.0.into(), V6.1.into()),
    };
    Found {
        source: Endpoint {
            address: source,
            port: SOURCE_PORT,
        },
        destination: Endpoint {
            address: destination,
            port: PORT,
        },
        sequence: SEQUENCE,
        acknowledgement: 0,
        flags: TcpFlags(TcpFlags::PSH),
        window: 4096,
        payload: PAYLOAD.to_vec(),
        cut: 0,
        frame: 1,
    }
}

/// An IPv4 datagram that holds a segment with [`PAYLOAD`].
pub(super) fn v4() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64)
        .tcp(SOURCE_PORT, PORT, SEQUENCE, 4096)
        .psh()
        .write(&mut bytes, PAYLOAD)
        .expect("written to memory");
    bytes
}

/// An IPv6 datagram that holds a segment with [`PAYLOAD`].
pub(super) fn v6() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv6(V6.0, V6.1, 64)
        .tcp(SOURCE_PORT, PORT, SEQUENCE, 4096)
        .psh()
        .write(&mut bytes, PAYLOAD)
        .expect("written to memory");
    bytes
}

/// The TCP segment in [`v4`], without IP.
pub(super) fn segment() -> Vec<u8> {
    v4().split_off(20)
}

/// A datagram between [`V4`]'s addresses with this protocol and payload.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    fragment_v4(protocol, 0, 0, payload)
}

/// The same as a fragment: `place` is flags and offset as they stand in the header.
pub(super) fn fragment_v4(protocol: u8, id: u16, place: u16, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (20 + payload.len() as u16).to_be_bytes();
    let [i0, i1] = id.to_be_bytes();
    let [p0, p1] = place.to_be_bytes();
    let header = [0x45, 0, l0, l1, i0, i1, p0, p1, 64, protocol, 0, 0];
    join(&[&header, &V4.0, &V4.1, payload])
}

/// A datagram between [`V6`]'s addresses with this next header and payload.
pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16).to_be_bytes();
    join(&[&[0x60, 0, 0, 0, l0, l1, next, 64], &V6.0, &V6.1, payload])
}

/// The same as a fragment: `place` is offset and flag as they stand in the header.
pub(super) fn fragment_v6(protocol: u8, id: u32, place: u16, payload: &[u8]) -> Vec<u8> {
    let [p0, p1] = place.to_be_bytes();
    let header = [protocol, 0, p0, p1];
    ipv6(44, &join(&[&header, &id.to_be_bytes(), payload]))
}

pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let [p0, p1] = port.to_be_bytes();
    let [l0, l1] = (8 + payload.len() as u16).to_be_bytes();
    join(&[&[0xc0, 0, p0, p1, l0, l1, 0, 0], payload])
}

pub(super) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let header = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    join(&[&header, &ether_type.to_be_bytes(), payload])
}

/// The layer of [`ethernet`].
pub(super) const ETHERNET: Layer = Layer::Ethernet {
    destination: [2, 0, 0, 0, 0, 2],
    source: [2, 0, 0, 0, 0, 1],
};

pub(super) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Frames of every kind, each of which holds [`PAYLOAD`]: link type and bytes.
pub(super) fn samples() -> Vec<(u16, Vec<u8>)> {
    let bridged = ethernet(0x0800, &v4());
    let pppoe = join(&[&[0x11, 0, 0, 9, 0, 2 + v4().len() as u8, 0, 0x21], &v4()]);
    let options = join(&[&[6, 0, 1, 4, 0, 0, 0, 0], &segment()]);
    let gre = join(&[&[0xb0, 0, 0x65, 0x58], &[0; 12], &bridged]);
    let vxlan = udp(4789, &join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &bridged]));
    let geneve = udp(6081, &join(&[&[0, 0, 0x65, 0x58, 0, 0, 7, 0], &bridged]));
    let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()]);
    let cooked = [0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd];
    let mut cooked2 = [0; 20];
    cooked2[..2].copy_from_slice(&[0x86, 0xdd]);
    vec![
        (1, ethernet(0x0800, &v4())),
        (1, ethernet(0x86dd, &v6())),
        (1, ethernet(snap.len() as u16, &snap)),
        (
            1,
            ethernet(0x88a8, &join(&[&[0, 5, 0x81, 0, 0, 6, 8, 0], &v4()])),
        ),
        (1, ethernet(0x8864, &pppoe)),
        (
            1,
            ethernet(0x8847, &join(&[&[0, 1, 0x40, 9, 0, 2, 0x41, 9], &v6()])),
        ),
        (1, ethernet(0x86dd, &ipv6(0, &options))),
        (1, ethernet(0x86dd, &fragment_v6(6, 1, 0, &segment()))),
        (1, ethernet(0x0800, &ipv4(47, &gre))),
        (1, ethernet(0x0800, &ipv4(17, &vxlan))),
        (1, ethernet(0x86dd, &ipv6(17, &geneve))),
        (1, ethernet(0x0800, &ipv4(41, &v6()))),
        (113, join(&[&cooked, &v6()])),
        (276, join(&[&cooked2, &v6()])),
        (0, join(&[&[30, 0, 0, 0], &v6()])),
        (108, join(&[&[0, 0, 0, 2], &v4()])),
        (101, v4()),
        (229, v6()),
        (9, join(&[&[0xff, 3, 0, 0x57], &v6()])),
        (104, join(&[&[0x0f, 0, 8, 0], &v4()])),
    ]
}
