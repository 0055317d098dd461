//! Writes a capture made to be the worst of its kind: `worst KIND COUNT > FILE`.

use std::io::{self, BufWriter, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use mqtt_inspect::base::{Endpoint, Precision, Timestamp};
use mqtt_inspect::capture::{Format, LinkType, Writer};
use mqtt_inspect::record::frames::{Header, LinkLayer, push_frame};

use mqtt_inspect_fuzz as _;

/// Each kind, and what COUNT counts.
const KINDS: &str = "\
half-open      connections of which only the SYN came
half-connect   connections whose CONNECT never ends, SYN and one segment each
tiny-gaps      segments of one byte with one byte missing before each
known-gaps     the same, each acknowledged, on an MQTT connection
topics         PUBLISH packets, each with a topic name of its own
retained       the same, retained, with QoS 1, never acknowledged
aliases        PUBLISH packets that set topic aliases, on connections of 1,000 packets
subscriptions  SUBSCRIBE packets, each with a topic filter of its own
bomb           gigabytes of zeros in gzip
endless        segments of 1,000 bytes, of PUBLISH packets of 256 MB, on 1,000 connections
undecided      segments of 1,000 bytes on 1,000 connections that the capture joined
fragments      frames, each a first fragment in a first fragment
seeking        segments after gaps, each byte of which leads on through acknowledgements
overlapping    filters of one client that all take one topic, and as many messages to it
";

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (Some(kind), Some(count)) = (args.first(), args.get(1).and_then(|n| n.parse().ok())) else {
        eprint!("worst KIND COUNT > FILE\n{KINDS}");
        return Err(io::Error::other("which kind, and how many?"));
    };
    let out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    if kind == "bomb" {
        return bomb(out, count);
    }
    let mut capture = Capture::new(out)?;
    for n in 0..count {
        match kind.as_str() {
            "half-open" => capture.tcp(End::number(n), true, 100, 0, SYN, &[])?,
            "half-connect" => {
                capture.tcp(End::number(n), true, 100, 0, SYN, &[])?;
                let begun = b"\x10\x20\x00\x04MQTT\x04\x02";
                capture.tcp(End::number(n), true, 101, 0, ACK | PSH, begun)?;
            }
            "tiny-gaps" => {
                if n == 0 {
                    capture.open(0)?;
                }
                let sequence = 1 + 2 * n as u32;
                capture.tcp(End::number(0), true, sequence + 20, 1, ACK, &[0x30])?;
            }
            "known-gaps" => {
                if n == 0 {
                    capture.open(0)?;
                }
                let sequence = 15 + 5 * n as u32;
                let packet = b"\x30\x02\x00\x00";
                capture.tcp(End::number(0), true, sequence + 1, 1, ACK | PSH, packet)?;
                capture.tcp(End::number(0), false, 1, sequence + 5, ACK, &[])?;
            }
            "topics" => capture.publish(n, 0x30)?,
            "retained" => capture.publish(n, 0x33)?,
            "aliases" => capture.alias(n)?,
            "subscriptions" => capture.subscribe(n)?,
            "endless" => capture.endless(n)?,
            "undecided" => {
                let end = End::number(n % 1000);
                let sequence = 1 + (n / 1000) as u32 * 1000;
                capture.tcp(end, true, sequence, 1, ACK, &[0x30; 1000])?;
            }
            "fragments" => capture.fragments(n)?,
            "seeking" => capture.seeking(n)?,
            "overlapping" => capture.overlapping(n, count)?,
            _ => {
                eprint!("{KINDS}");
                return Err(io::Error::other("no such kind"));
            }
        }
    }
    capture.finish()
}

/// `gigabytes` of zeros: a pcap file header and then frames without bytes.
fn bomb(out: impl Write, gigabytes: u64) -> io::Result<()> {
    let mut encoder = GzEncoder::new(out, Compression::best());
    let header = Writer::new(
        Vec::new(),
        Format::Pcap,
        LinkType(101),
        Precision::Micro,
        None,
    )?;
    encoder.write_all(&header.into_inner())?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..gigabytes * 1000 {
        encoder.write_all(&zeros)?;
    }
    encoder.finish()?.flush()
}

/// A client's address and port.
#[derive(Clone, Copy)]
struct End {
    address: [u8; 4],
    port: u16,
}

impl End {
    fn number(n: u64) -> Self {
        let [_, a, b, c] = ((n / 50_000) as u32).to_be_bytes();
        Self {
            address: [10, a, b, c],
            port: 10_000 + (n % 50_000) as u16,
        }
    }
}

struct Capture<W: Write> {
    writer: Writer<W>,
    frame: Vec<u8>,
    time: i64,
    /// Of the next byte of the one connection, where there is one.
    sequence: u32,
}

impl<W: Write> Capture<W> {
    fn new(out: W) -> io::Result<Self> {
        Ok(Self {
            writer: Writer::new(out, Format::Pcap, LinkType(101), Precision::Micro, None)?,
            frame: Vec::new(),
            time: 1_700_000_000_000_000_000,
            sequence: 0,
        })
    }

    fn finish(mut self) -> io::Result<()> {
        self.writer.flush()
    }

    fn frame(&mut self) -> io::Result<()> {
        self.time += 10_000;
        let length = self.frame.len() as u32;
        let time = Timestamp::from_nanos(self.time);
        self.writer.write_frame(time, &self.frame, length, None)
    }

    /// The header of a datagram or of a fragment of one.
    fn ip(&mut self, from: [u8; 4], to: [u8; 4], fragment: (u16, u16), inner: (u8, usize)) {
        let (protocol, length) = inner;
        let length = (20 + length) as u16;
        self.frame.extend([0x45, 0]);
        self.frame.extend(length.to_be_bytes());
        self.frame.extend(fragment.0.to_be_bytes());
        self.frame.extend(fragment.1.to_be_bytes());
        self.frame.extend([64, protocol, 0, 0]);
        self.frame.extend(from);
        self.frame.extend(to);
    }

    fn tcp(
        &mut self,
        client: End,
        upwards: bool,
        sequence: u32,
        acknowledgement: u32,
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let server = End {
            address: [192, 168, 0, 1],
            port: 1883,
        };
        let [client, server] = [client, server].map(|end| Endpoint {
            address: end.address.into(),
            port: end.port,
        });
        let (source, destination) = match upwards {
            true => (client, server),
            false => (server, client),
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
        self.frame.clear();
        push_frame(LinkLayer::Raw, &header, payload, &mut self.frame);
        self.frame()
    }

    /// A connection up to its CONNACK: 15 bytes up, 4 down.
    fn open(&mut self, n: u64) -> io::Result<()> {
        let end = End::number(n);
        self.tcp(end, true, 0, 0, SYN, &[])?;
        self.tcp(end, false, 0, 1, SYN | ACK, &[])?;
        let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
        self.tcp(end, true, 1, 1, ACK | PSH, connect)?;
        self.tcp(end, false, 1, 16, ACK | PSH, b"\x20\x02\x00\x00")?;
        self.sequence = 16;
        Ok(())
    }

    /// The next packet of connection `n`, which is opened first where `opens`.
    fn packet(&mut self, n: u64, opens: bool, packet: &[u8]) -> io::Result<()> {
        if opens {
            self.open(n)?;
        }
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(packet.len() as u32);
        self.tcp(End::number(n), true, sequence, 5, ACK | PSH, packet)
    }

    fn publish(&mut self, n: u64, first: u8) -> io::Result<()> {
        let topic = format!("site/{:04}/device/{n:08}/temperature", n % 10_000);
        let mut body = (topic.len() as u16).to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        if first & 6 != 0 {
            body.extend((n % 65_535 + 1).to_be_bytes()[6..].iter());
        }
        body.extend(b"21.5");
        let packet = [&[first, body.len() as u8], body.as_slice()].concat();
        self.packet(0, n == 0, &packet)
    }

    fn subscribe(&mut self, n: u64) -> io::Result<()> {
        let filter = format!("site/+/device/{n:08}/#");
        let mut body = ((n % 65_535 + 1) as u16).to_be_bytes().to_vec();
        body.extend((filter.len() as u16).to_be_bytes());
        body.extend(filter.as_bytes());
        body.push(1);
        let packet = [&[0x82, body.len() as u8], body.as_slice()].concat();
        self.packet(0, n == 0, &packet)
    }

    fn alias(&mut self, n: u64) -> io::Result<()> {
        let (connection, turn) = (n / 1000, n % 1000);
        let end = End::number(connection);
        if turn == 0 {
            self.tcp(end, true, 0, 0, SYN, &[])?;
            self.tcp(end, false, 0, 1, SYN | ACK, &[])?;
            let connect = b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01c";
            self.tcp(end, true, 1, 1, ACK | PSH, connect)?;
            self.sequence = 17;
        }
        let mut body = vec![3, 0xe8];
        body.extend([b'a'; 1000]);
        body.extend([3, 0x23]);
        body.extend((turn as u16 + 1).to_be_bytes());
        let packet = [&[0x30, 0xee, 0x07], body.as_slice()].concat();
        self.packet(connection, false, &packet)
    }

    fn endless(&mut self, n: u64) -> io::Result<()> {
        let end = n % 1000;
        if n < 1000 {
            self.open(end)?;
            let begin = b"\x30\xff\xff\xff\x7f\x00\x01t";
            return self.tcp(End::number(end), true, 16, 5, ACK, begin);
        }
        let sequence = 24 + (n / 1000 - 1) as u32 * 1000;
        self.tcp(End::number(end), true, sequence, 5, ACK, &[0x55; 1000])
    }

    /// One byte is missing and acknowledged, then a segment of PUBACKs behind a packet that
    /// never ends.
    fn seeking(&mut self, n: u64) -> io::Result<()> {
        if n == 0 {
            self.open(0)?;
        }
        let mut bytes = b"\x30\xff\xff\x7f\x00\x01a".to_vec();
        bytes.extend(b"\x40\x02\x00\x01".repeat(360));
        let sequence = self.sequence.wrapping_add(1);
        self.sequence = sequence.wrapping_add(bytes.len() as u32);
        let end = End::number(0);
        self.tcp(end, true, sequence, 5, ACK | PSH, &bytes)?;
        self.tcp(end, false, 5, self.sequence, ACK, &[])
    }

    /// SUBSCRIBE for the first half, PUBLISH for the second.
    fn overlapping(&mut self, n: u64, count: u64) -> io::Result<()> {
        let level = |bit: u64| if n >> bit & 1 == 0 { "a" } else { "+" };
        let wildcards: Vec<&str> = (0..16).map(level).collect();
        let id = ((n % 65_535 + 1) as u16).to_be_bytes();
        let topic = match n < count / 2 {
            true => wildcards.join("/"),
            false => ["a"; 16].join("/"),
        };
        let name = [&[0, topic.len() as u8], topic.as_bytes()].concat();
        let packet = match n < count / 2 {
            true => [&[0x82, name.len() as u8 + 3], &id[..], &name, &[1]].concat(),
            false => [&[0x30, name.len() as u8], name.as_slice()].concat(),
        };
        self.packet(0, n == 0, &packet)
    }

    /// The first fragment of a datagram whose payload is the first fragment of another.
    fn fragments(&mut self, n: u64) -> io::Result<()> {
        const MORE: u16 = 0x2000;
        let from = End::number(n).address;
        let to = [192, 168, 0, 1];
        let (outer, inner) = (n as u16, (n >> 8) as u16);
        self.frame.clear();
        // Whole on the outside, so that what is within is looked at.
        let offset = if n % 2 == 0 { MORE } else { 1 };
        self.ip(from, to, (outer / 2, offset), (4, 20 + 20 + 1400));
        self.ip(from, to, (inner, MORE), (4, 20 + 1400));
        self.ip(from, to, (outer, MORE), (6, 1400));
        self.frame.extend([FIN; 1400]);
        self.frame()
    }
}
