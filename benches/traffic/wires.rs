//! One TCP connection: bytes in, frames out, with the faults that meet them on the way.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mqtt_inspect::base::{Endpoint, Precision, Timestamp};
use mqtt_inspect::capture::{Format, LinkType, Writer};
use mqtt_inspect::record::frames::{Header, LinkLayer, push_frame};

use super::{Chance, Manifest, Recipe};

/// Bytes of TCP payload in a full segment.
const SEGMENT: usize = 1448;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Who sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Client,
    Server,
}

impl End {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// A frame that waits for its turn.
struct Planned {
    from: End,
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    payload: Vec<u8>,
}

/// Where a connection's frames go, and what is counted of them.
pub(super) struct Tap<W: Write> {
    writer: Writer<W>,
    frame: Vec<u8>,
    nanos: i64,
    pub(super) manifest: Manifest,
}

impl<W: Write> Tap<W> {
    pub(super) fn new(to: W) -> io::Result<Self> {
        let ethernet = LinkType(1);
        Ok(Self {
            writer: Writer::new(to, Format::Pcap, ethernet, Precision::Micro, None)?,
            frame: Vec::new(),
            nanos: 1_700_000_000_000_000_000,
            manifest: Manifest {
                bytes: 24,
                ..Manifest::default()
            },
        })
    }

    pub(super) fn done(mut self) -> io::Result<Manifest> {
        self.writer.flush()?;
        Ok(self.manifest)
    }
}

/// A connection, seen from the wire.
pub(super) struct Wire {
    client: u32,
    port: u16,
    v6: bool,
    timestamps: bool,
    next: [u32; 2],
    /// Bytes that wait to be sent together, and where each packet in them ends, with its
    /// type.
    pending: [Vec<u8>; 2],
    ends: [Vec<(usize, u8)>; 2],
    ready: VecDeque<Planned>,
}

impl Wire {
    /// A connection of Client number `client`; the TCP handshake is ready to be sent.
    pub(super) fn open(client: u32, chance: &mut Chance, timestamps: bool) -> Self {
        let first = chance.next();
        let mut wire = Self {
            client,
            port: 1024 + (client % 60_000) as u16,
            v6: chance.happens(1, 5),
            timestamps,
            next: [first as u32, (first >> 32) as u32],
            pending: Default::default(),
            ends: Default::default(),
            ready: VecDeque::new(),
        };
        wire.plan(End::Client, SYN, Vec::new());
        wire.next[0] = wire.next[0].wrapping_add(1);
        wire.plan(End::Server, SYN | ACK, Vec::new());
        wire.next[1] = wire.next[1].wrapping_add(1);
        wire.plan(End::Client, ACK, Vec::new());
        wire
    }

    /// Bytes of headers in a frame that carries data.
    pub(super) fn headers(&self) -> usize {
        let ip = if self.v6 { 40 } else { 20 };
        14 + ip + 20 + if self.timestamps { 12 } else { 0 }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// A control packet to be sent with those around it. What the peer sent before goes out
    /// first: it may be what this answers.
    pub(super) fn put(&mut self, from: End, packet: &[u8], fate: &mut Fate<'_>) {
        self.flush(from.other(), fate);
        let kind = packet.first().map_or(0, |first| first >> 4);
        let pending = &mut self.pending[from as usize];
        pending.extend_from_slice(packet);
        self.ends[from as usize].push((pending.len(), kind));
        fate.manifest.packets[usize::from(kind)] += 1;
    }

    /// Sends what is pending, cut into segments.
    pub(super) fn flush(&mut self, from: End, fate: &mut Fate<'_>) {
        let bytes = std::mem::take(&mut self.pending[from as usize]);
        let ends = std::mem::take(&mut self.ends[from as usize]);
        if bytes.is_empty() {
            return;
        }
        let cuts = cuts(bytes.len(), fate.chance);
        let mut order: Vec<usize> = (0..cuts.len()).collect();
        let base = self.next[from as usize];
        let lost = fate.befalls(&mut order);
        let mut begin = 0;
        for &(end, kind) in &ends {
            let parts = cuts.iter().filter(|cut| cut.0 < end && cut.1 > begin);
            fate.manifest.spanning += u64::from(parts.count() > 1);
            let hit = lost.is_some_and(|at| cuts[at].0 < end && cuts[at].1 > begin);
            fate.manifest.hit[usize::from(kind)] += u64::from(hit);
            begin = end;
        }
        let mut arrived = 0;
        let mut whole = vec![false; cuts.len()];
        for (place, &at) in order.iter().enumerate() {
            let (start, end) = cuts[at];
            self.next[from as usize] = base.wrapping_add(start as u32);
            if lost != Some(at) {
                self.plan(from, ACK | PSH, bytes[start..end].to_vec());
            }
            // What is lost to the capture arrived all the same.
            whole[at] = true;
            while whole.get(arrived) == Some(&true) {
                arrived += 1;
            }
            let behind = arrived < place + 1;
            if behind
                || fate
                    .chance
                    .happens(if place + 1 == order.len() { 6 } else { 2 }, 10)
            {
                let acknowledged = cuts.get(arrived).map_or(bytes.len(), |cut| cut.0);
                self.next[from as usize] = base.wrapping_add(acknowledged as u32);
                self.plan(from.other(), ACK, Vec::new());
            }
        }
        self.next[from as usize] = base.wrapping_add(bytes.len() as u32);
        if lost.is_some() {
            self.plan(from.other(), ACK, Vec::new());
        }
    }

    /// FIN from both ends, the Client first.
    pub(super) fn close(&mut self, fate: &mut Fate<'_>) {
        self.flush(End::Client, fate);
        self.flush(End::Server, fate);
        for end in [End::Client, End::Server] {
            self.plan(end, FIN | ACK, Vec::new());
            self.next[end as usize] = self.next[end as usize].wrapping_add(1);
        }
        self.plan(End::Client, ACK, Vec::new());
    }

    fn plan(&mut self, from: End, flags: u8, payload: Vec<u8>) {
        let acknowledgement = if flags & ACK != 0 {
            self.next[from.other() as usize]
        } else {
            0
        };
        self.ready.push_back(Planned {
            from,
            flags,
            sequence: self.next[from as usize],
            acknowledgement,
            payload,
        });
    }

    /// Writes the next frame, if one is ready.
    pub(super) fn write_next<W: Write>(
        &mut self,
        tap: &mut Tap<W>,
        chance: &mut Chance,
    ) -> io::Result<()> {
        let Some(planned) = self.ready.pop_front() else {
            return Ok(());
        };
        self.lay_out(&planned, tap);
        tap.nanos += 1000 * chance.within(1, 400) as i64;
        let time = Timestamp::from_nanos(tap.nanos);
        let length = tap.frame.len() as u32;
        tap.writer.write_frame(time, &tap.frame, length, None)?;
        tap.manifest.frames += 1;
        tap.manifest.bytes += 16 + u64::from(length);
        Ok(())
    }

    /// Makes the frame: Ethernet, IP, TCP.
    fn lay_out<W: Write>(&self, planned: &Planned, tap: &mut Tap<W>) {
        let address = |v4: Ipv4Addr| match self.v6 {
            true => IpAddr::V6(Ipv6Addr::from_bits(
                0x2001_0db8 << 96 | u128::from(v4.to_bits()),
            )),
            false => IpAddr::V4(v4),
        };
        let client = Endpoint {
            address: address(Ipv4Addr::from_bits(0x0a00_0000 + self.client)),
            port: self.port,
        };
        let server = Endpoint {
            address: address(Ipv4Addr::new(192, 0, 2, 1)),
            port: 1883,
        };
        let (source, destination) = match planned.from {
            End::Client => (client, server),
            End::Server => (server, client),
        };
        let ticks = (tap.nanos / 1_000_000) as u32;
        let header = Header {
            source,
            destination,
            sequence: planned.sequence,
            acknowledgement: planned.acknowledgement,
            flags: planned.flags,
            window: 0x2000,
            timestamps: self.timestamps.then_some((ticks, ticks)),
            identification: 0,
            flow_label: 0,
        };
        tap.frame.clear();
        push_frame(
            LinkLayer::Ethernet,
            &header,
            &planned.payload,
            &mut tap.frame,
        );
    }
}

/// The faults of the segments of one flush.
pub(super) struct Fate<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) chance: &'a mut Chance,
    pub(super) manifest: &'a mut Manifest,
}

impl Fate<'_> {
    /// Changes the order of segments, sends some twice; which one is lost, if any.
    fn befalls(&mut self, order: &mut Vec<usize>) -> Option<usize> {
        let mut lost = None;
        let mut place = 0;
        while place < order.len() {
            let at = order[place];
            let last = place + 1 == order.len();
            let fate = self.chance.below(10_000);
            let Recipe {
                swapped,
                late,
                lost: gone,
                twice,
                ..
            } = *self.recipe;
            if fate < swapped && !last {
                order.swap(place, place + 1);
                self.manifest.swapped += 1;
                place += 1;
            } else if (swapped..swapped + late).contains(&fate) && !last {
                order.remove(place);
                order.push(at);
                self.manifest.late += 1;
                break;
            } else if (swapped + late..swapped + late + gone).contains(&fate) && lost.is_none() {
                lost = Some(at);
                self.manifest.lost += 1;
            } else if (swapped + late + gone..swapped + late + gone + twice).contains(&fate) {
                order.insert(place + 1, at);
                self.manifest.twice += 1;
                place += 1;
            }
            place += 1;
        }
        lost
    }
}

/// Where `length` bytes are cut into segments; now and then too early, so that a packet's
/// fixed header is cut as well.
fn cuts(length: usize, chance: &mut Chance) -> Vec<(usize, usize)> {
    let mut cuts = Vec::new();
    let mut start = 0;
    while start < length {
        let mut size = SEGMENT.min(length - start);
        if chance.happens(2, 100) {
            size = chance.within(1, size as u64) as usize;
        }
        cuts.push((start, start + size));
        start += size;
    }
    cuts
}
