//! One TCP segment as the frame that a capture on the loopback interface would hold: link
//! layer, IPv4 or IPv6, TCP with its options, right lengths and right checksums.
//!
//! `record`, the tests, the benchmarks and the fuzz targets all build their frames here. Pure: what
//! goes into a segment is `tee`'s business, where the frame goes is `file`'s.

use std::net::IpAddr;

use crate::base::Endpoint;
use crate::wire::TcpFlags;

/// The link layer that frames begin with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LinkLayer {
    /// As `tcpdump -i lo` sees loopback: Ethernet with addresses of zeros.
    #[default]
    Ethernet,
    /// Linux cooked capture, as `tcpdump -i any` writes it.
    LinuxCooked,
    /// Linux cooked capture version 2.
    LinuxCooked2,
    /// No link layer: the frame begins with IP.
    Raw,
}

impl LinkLayer {
    /// The number in the tcpdump registry of link-layer types.
    pub const fn number(self) -> u16 {
        match self {
            Self::Ethernet => 1,
            Self::LinuxCooked => 113,
            Self::LinuxCooked2 => 276,
            Self::Raw => 101,
        }
    }

    /// By the names that `--link-type` takes: `ethernet`, `sll`, `sll2`, `raw`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ethernet" => Some(Self::Ethernet),
            "sll" => Some(Self::LinuxCooked),
            "sll2" => Some(Self::LinuxCooked2),
            "raw" => Some(Self::Raw),
            _ => None,
        }
    }

    /// An Ethernet frame as this link layer has it, in `out`; `false` where it is too short.
    pub fn convert(self, ethernet: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Some((header, rest)) = ethernet.split_at_checked(14) else {
            return false;
        };
        let Some(&[high, low]) = header.get(12..) else {
            return false;
        };
        match self {
            Self::Ethernet => out.extend_from_slice(header),
            _ => self.push([high, low], out),
        }
        out.extend_from_slice(rest);
        true
    }

    fn push(self, ether_type: [u8; 2], out: &mut Vec<u8>) {
        // ARPHRD_LOOPBACK; the address is six bytes of zero in a field of eight.
        const LOOPBACK: [u8; 2] = 772_u16.to_be_bytes();
        match self {
            Self::Ethernet => {
                out.extend_from_slice(&[0; 12]);
                out.extend_from_slice(&ether_type);
            }
            Self::LinuxCooked => {
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&LOOPBACK);
                out.extend_from_slice(&[0, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
                out.extend_from_slice(&ether_type);
            }
            Self::LinuxCooked2 => {
                out.extend_from_slice(&ether_type);
                out.extend_from_slice(&[0, 0, 0, 0, 0, 1]);
                out.extend_from_slice(&LOOPBACK);
                out.extend_from_slice(&[0, 6, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
            Self::Raw => {}
        }
    }
}

/// The header of one segment; both endpoints are of the same address family.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub source: Endpoint,
    pub destination: Endpoint,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: u8,
    /// As in the header: not yet scaled.
    pub window: u16,
    /// TSval and TSecr (RFC 7323 §3), beside which a SYN has what else Linux offers; `None` for a
    /// header without options.
    pub timestamps: Option<(u32, u32)>,
    /// The IPv4 Identification field; IPv6 has none.
    pub identification: u16,
    /// The IPv6 flow label, 20 bits; IPv4 has none.
    pub flow_label: u32,
}

/// The window scale that both ends announce (RFC 7323 §2): windows count in 128 bytes.
pub const WINDOW_SCALE: u8 = 7;

/// The longest payload of a segment on the loopback interface (MTU 65,536): what Linux
/// announces as its maximum segment size, less the 12 bytes of the Timestamps option.
pub const fn largest_payload(address: IpAddr) -> usize {
    maximum_segment_size(address) as usize - 12
}

const fn maximum_segment_size(address: IpAddr) -> u16 {
    match address {
        IpAddr::V4(_) => 65_495,
        IpAddr::V6(_) => 65_476,
    }
}

/// Appends the frame of one segment to `out`. `payload` is at most
/// [`largest_payload`] bytes long.
pub fn push_frame(link: LinkLayer, header: &Header, payload: &[u8], out: &mut Vec<u8>) {
    let options = Options::of(header);
    let tcp_length = 20 + options.as_slice().len() + payload.len();
    let pseudo = push_ip(link, header, tcp_length, out);
    let tcp_at = out.len();
    out.extend_from_slice(&header.source.port.to_be_bytes());
    out.extend_from_slice(&header.destination.port.to_be_bytes());
    out.extend_from_slice(&header.sequence.to_be_bytes());
    out.extend_from_slice(&header.acknowledgement.to_be_bytes());
    let words = (20 + options.as_slice().len()) / 4;
    out.extend_from_slice(&[(words as u8) << 4, header.flags]);
    out.extend_from_slice(&header.window.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(options.as_slice());
    out.extend_from_slice(payload);
    let checksum = folded(pseudo + sum(out.get(tcp_at..).unwrap_or_default()));
    patch(out, tcp_at + 16, checksum);
}

/// Link layer and IP header; returns the sum of the pseudo header (RFC 9293 §3.1).
fn push_ip(link: LinkLayer, header: &Header, tcp_length: usize, out: &mut Vec<u8>) -> u64 {
    const TCP: u8 = 6;
    match (header.source.address, header.destination.address) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            link.push([0x08, 0x00], out);
            let ip_at = out.len();
            let length = (20 + tcp_length) as u16;
            out.extend_from_slice(&[0x45, 0]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&header.identification.to_be_bytes());
            // Don't Fragment; 64 hops; the checksum is patched in below.
            out.extend_from_slice(&[0x40, 0, 64, TCP, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
            let checksum = folded(sum(out.get(ip_at..).unwrap_or_default()));
            patch(out, ip_at + 10, checksum);
            sum(&source.octets()) + sum(&destination.octets()) + u64::from(TCP) + tcp_length as u64
        }
        (source, destination) => {
            link.push([0x86, 0xdd], out);
            let (source, destination) = (v6(source), v6(destination));
            out.extend_from_slice(&(0x6000_0000 | header.flow_label & 0xf_ffff).to_be_bytes());
            out.extend_from_slice(&(tcp_length as u16).to_be_bytes());
            out.extend_from_slice(&[TCP, 64]);
            out.extend_from_slice(&source);
            out.extend_from_slice(&destination);
            sum(&source) + sum(&destination) + u64::from(TCP) + tcp_length as u64
        }
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The options of a header: a SYN announces what both ends may use, every other segment
/// carries its timestamps alone, padded as Linux pads it.
struct Options {
    bytes: [u8; 20],
    length: usize,
}

impl Options {
    fn of(header: &Header) -> Self {
        let mut bytes = [0; 20];
        let mut length = 0;
        let Some((value, echo)) = header.timestamps else {
            return Self { bytes, length };
        };
        let (value, echo) = (value.to_be_bytes(), echo.to_be_bytes());
        let mut put = |part: &[u8]| {
            for &byte in part {
                if let Some(slot) = bytes.get_mut(length) {
                    *slot = byte;
                    length += 1;
                }
            }
        };
        if header.flags & TcpFlags::SYN != 0 {
            let [high, low] = maximum_segment_size(header.source.address).to_be_bytes();
            // Maximum segment size; SACK permitted; Timestamps; NOP, window scale.
            put(&[2, 4, high, low, 4, 2, 8, 10]);
            put(&value);
            put(&echo);
            put(&[1, 3, 3, WINDOW_SCALE]);
        } else {
            put(&[1, 1, 8, 10]);
            put(&value);
            put(&echo);
        }
        Self { bytes, length }
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The Internet checksum's sum (RFC 1071), not yet folded.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let mut total = 0_u64;
    for word in &mut words {
        if let [high, low] = *word {
            total += u64::from(u16::from_be_bytes([high, low]));
        }
    }
    match *words.remainder() {
        [last] => total + (u64::from(last) << 8),
        _ => total,
    }
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

fn patch(out: &mut [u8], at: usize, value: u16) {
    if let Some(slot) = out.get_mut(at..at + 2) {
        slot.copy_from_slice(&value.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(address: &str, flags: u8) -> Header {
        let end = |port| Endpoint {
            address: address.parse().unwrap(),
            port,
        };
        Header {
            source: end(51106),
            destination: end(1883),
            sequence: 7,
            acknowledgement: 9,
            flags,
            window: 512,
            timestamps: Some((1, 2)),
            identification: 3,
            flow_label: 0x12345,
        }
    }

    fn frame(link: LinkLayer, header: &Header, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_frame(link, header, payload, &mut out);
        out
    }

    #[test]
    fn a_connect_has_the_length_that_wireshark_shows_for_each_link_layer() {
        // 14 bytes: CONNECT of mosquitto_pub with an empty client identifier.
        let header = header("::1", TcpFlags::PSH | TcpFlags::ACK);
        let length = |link| frame(link, &header, &[0; 14]).len();
        assert_eq!(length(LinkLayer::Ethernet), 100);
        assert_eq!(length(LinkLayer::LinuxCooked), 102);
        assert_eq!(length(LinkLayer::LinuxCooked2), 106);
        assert_eq!(length(LinkLayer::Raw), 86);
        let header = Header {
            timestamps: None,
            ..header
        };
        assert_eq!(frame(LinkLayer::Raw, &header, &[0; 14]).len(), 74);
    }

    #[test]
    fn the_largest_segment_still_fits_its_ip_length_field() {
        for address in ["127.0.0.1", "::1"] {
            let header = header(address, TcpFlags::ACK);
            let payload = vec![0; largest_payload(header.source.address)];
            let bytes = frame(LinkLayer::Raw, &header, &payload);
            let sliced = etherparse::SlicedPacket::from_ip(&bytes).unwrap();
            let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("no TCP");
            };
            assert_eq!(tcp.payload().len(), payload.len());
        }
    }

    proptest! {
        #[test]
        fn checksums_and_lengths_are_right_whatever_is_sent(
            v6 in any::<bool>(),
            syn in any::<bool>(),
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            sequence in any::<u32>(),
        ) {
            let address = if v6 { "::1" } else { "127.0.0.1" };
            let flags = if syn { TcpFlags::SYN } else { TcpFlags::ACK };
            let header = Header { sequence, ..header(address, flags) };
            let bytes = frame(LinkLayer::Ethernet, &header, &payload);
            let sliced = etherparse::SlicedPacket::from_ethernet(&bytes).unwrap();
            let Some(etherparse::TransportSlice::Tcp(tcp)) = sliced.transport else {
                panic!("no TCP");
            };
            let expected = match sliced.net.unwrap() {
                etherparse::NetSlice::Ipv4(ip) => {
                    prop_assert_eq!(
                        ip.header().header_checksum(),
                        ip.header().to_header().calc_header_checksum()
                    );
                    tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination())
                }
                etherparse::NetSlice::Ipv6(ip) => {
                    tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination())
                }
                _ => panic!("no IP"),
            };
            prop_assert_eq!(tcp.checksum(), expected.unwrap());
            prop_assert_eq!(tcp.payload(), &payload[..]);
            prop_assert_eq!(tcp.sequence_number(), sequence);
        }
    }
}
