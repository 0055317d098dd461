//! One TCP segment as the frame that a capture on the loopback interface would hold: link
//! layer, IPv4 or IPv6, TCP with its options, right lengths and right checksums.
//!
//! `record`, the tests, the benchmarks and the fuzz targets all build their frames here. Pure: what
//! goes into a segment is `tee`'s business, where the frame goes is `file`'s.

use std::net::IpAddr;

use etherparse::TcpOptionElement::{
    MaximumSegmentSize, Noop, SelectiveAcknowledgementPermitted, Timestamp, WindowScale,
};
use etherparse::{EtherType, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, TcpHeader};

use crate::base::Endpoint;
use crate::wire::TcpFlags;

/// The link layer that frames begin with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
#[non_exhaustive]
pub enum LinkLayer {
    /// As `tcpdump -i lo` sees loopback: Ethernet with addresses of zeros.
    #[default]
    #[value(help = "LINKTYPE_ETHERNET (1)")]
    Ethernet,
    /// Linux cooked capture, as `tcpdump -i any` writes it.
    #[value(name = "sll", help = "LINKTYPE_LINUX_SLL (113)")]
    LinuxCooked,
    /// Linux cooked capture version 2.
    #[value(name = "sll2", help = "LINKTYPE_LINUX_SLL2 (276)")]
    LinuxCooked2,
    /// No link layer: the frame begins with IP.
    #[value(help = "LINKTYPE_RAW (101)")]
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
            _ => self.push(EtherType(u16::from_be_bytes([high, low])), out),
        }
        out.extend_from_slice(rest);
        true
    }

    /// Appends the link-layer header before a datagram of `ether_type`.
    fn push(self, ether_type: EtherType, out: &mut Vec<u8>) {
        let ether_type = ether_type.0.to_be_bytes();
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
    /// Address and port of the sender.
    pub source: Endpoint,
    /// Address and port of the receiver.
    pub destination: Endpoint,
    /// Of the first payload byte, or of SYN.
    pub sequence: u32,
    /// The next sequence number that the sender expects.
    pub acknowledgement: u32,
    /// The control bits: see [`TcpFlags`].
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

/// The hops that IP allows a frame: what Linux sets.
const HOPS: u8 = 64;

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
    let mut tcp = tcp_header(header);
    let length = tcp.header_len() + payload.len();
    // The checksum of a payload too long for IP is left 0: its length field is wrong as well.
    match (header.source.address, header.destination.address) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            link.push(EtherType::IPV4, out);
            let (source, destination) = (source.octets(), destination.octets());
            let mut ip = Ipv4Header {
                total_len: (Ipv4Header::MIN_LEN + length) as u16,
                identification: header.identification,
                dont_fragment: true,
                time_to_live: HOPS,
                protocol: IpNumber::TCP,
                source,
                destination,
                ..Ipv4Header::default()
            };
            ip.header_checksum = ip.calc_header_checksum();
            out.extend_from_slice(&ip.to_bytes());
            let checksum = tcp.calc_checksum_ipv4_raw(source, destination, payload);
            tcp.checksum = checksum.unwrap_or_default();
        }
        (source, destination) => {
            link.push(EtherType::IPV6, out);
            let (source, destination) = (v6(source), v6(destination));
            let ip = Ipv6Header {
                flow_label: Ipv6FlowLabel::try_new(header.flow_label & 0xf_ffff)
                    .unwrap_or_default(),
                payload_length: length as u16,
                next_header: IpNumber::TCP,
                hop_limit: HOPS,
                source,
                destination,
                ..Ipv6Header::default()
            };
            out.extend_from_slice(&ip.to_bytes());
            let checksum = tcp.calc_checksum_ipv6_raw(source, destination, payload);
            tcp.checksum = checksum.unwrap_or_default();
        }
    }
    out.extend_from_slice(&tcp.to_bytes());
    out.extend_from_slice(payload);
}

/// Returns the TCP header, whose checksum is still missing.
fn tcp_header(header: &Header) -> TcpHeader {
    let has = |bit: u8| header.flags & bit != 0;
    let mut tcp = TcpHeader {
        acknowledgment_number: header.acknowledgement,
        fin: has(TcpFlags::FIN),
        syn: has(TcpFlags::SYN),
        rst: has(TcpFlags::RST),
        psh: has(TcpFlags::PSH),
        ack: has(TcpFlags::ACK),
        urg: has(0x20),
        ece: has(0x40),
        cwr: has(0x80),
        ..TcpHeader::new(
            header.source.port,
            header.destination.port,
            header.sequence,
            header.window,
        )
    };
    // A SYN announces what both ends may use, every other segment carries its timestamps alone,
    // padded as Linux pads it: 20 and 12 bytes, which always fit.
    let _ = match header.timestamps {
        None => Ok(()),
        Some((value, echo)) if tcp.syn => tcp.set_options(&[
            MaximumSegmentSize(maximum_segment_size(header.source.address)),
            SelectiveAcknowledgementPermitted,
            Timestamp(value, echo),
            Noop,
            WindowScale(WINDOW_SCALE),
        ]),
        Some((value, echo)) => tcp.set_options(&[Noop, Noop, Timestamp(value, echo)]),
    };
    tcp
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
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
