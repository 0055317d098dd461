//! The layers of a frame below MQTT, for the detail view.

use std::net::IpAddr;

use super::endpoint::Endpoint;
use super::field::{Field, FieldDef, FieldVisitor, Value};
use super::layer_fields as f;

/// One protocol layer of a frame, reduced to the fields of its summary line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Ethernet II.
    Ethernet {
        /// Destination MAC address.
        destination: [u8; 6],
        /// Source MAC address.
        source: [u8; 6],
    },
    /// Linux cooked capture, version 1 or 2 (`LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2`).
    LinuxCooked {
        /// 1 or 2.
        version: u8,
        /// 0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 sent.
        packet_type: u16,
    },
    /// BSD NULL or LOOP.
    Null {
        /// The address family as stored.
        family: u32,
    },
    /// No link layer: the frame starts with IP.
    RawIp,
    /// 802.1Q or 802.1ad tag.
    Vlan {
        /// VLAN identifier, 12 bits.
        id: u16,
    },
    /// PPPoE session stage.
    Pppoe {
        /// Session identifier.
        session: u16,
    },
    /// One MPLS label.
    Mpls {
        /// The label, 20 bits.
        label: u32,
    },
    /// IPv4 or IPv6: the addresses stand in the ports' layer too, but a tunnel has several.
    Ip {
        /// Source address.
        source: IpAddr,
        /// Destination address, of the same version.
        destination: IpAddr,
    },
    /// The datagram was reassembled from fragments.
    Reassembled {
        /// How many frames brought them.
        fragments: u16,
    },
    /// GRE.
    Gre {
        /// Its key if one is present.
        key: Option<u32>,
    },
    /// UDP carrying a tunnel.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// VXLAN.
    Vxlan {
        /// Network identifier, 24 bits.
        vni: u32,
    },
    /// TCP.
    Tcp {
        /// Source address and port.
        source: Endpoint,
        /// Destination address and port.
        destination: Endpoint,
        /// Sequence number as on the wire, not relative.
        sequence: u32,
        /// Acknowledgement number as on the wire, not relative.
        acknowledgement: u32,
        /// The low eight flags: CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the highest bit.
        flags: u8,
        /// Payload in bytes.
        length: u32,
    },
}

impl Layer {
    /// Reports the layer as a branch: its protocol, then its fields in the order of
    /// Wireshark's summary line. A reassembled datagram is a leaf.
    pub fn report<'a>(&self, visitor: &mut impl FieldVisitor<'a>) {
        use Value::{Address, Ether, Heading, Hex, Number};
        let mut open = |protocol, value, fields: &[Pair]| {
            visitor.open(field((protocol, value)));
            for pair in fields {
                visitor.field(field(*pair));
            }
            visitor.close();
        };
        let mut branch = |protocol, fields: &[Pair]| open(protocol, Heading, fields);
        match *self {
            Self::Ethernet {
                destination,
                source,
            } => branch(
                &f::ETHERNET,
                &[
                    (&f::ETHERNET_SOURCE, Ether(source)),
                    (&f::ETHERNET_DESTINATION, Ether(destination)),
                ],
            ),
            Self::LinuxCooked {
                version,
                packet_type,
            } => open(
                &f::LINUX_COOKED,
                Number(version.into()),
                &[(&f::LINUX_COOKED_TYPE, Number(packet_type.into()))],
            ),
            Self::Null { family } => branch(&f::NULL, &[(&f::NULL_FAMILY, Number(family.into()))]),
            Self::RawIp => branch(&f::RAW, &[]),
            Self::Vlan { id } => branch(&f::VLAN, &[(&f::VLAN_ID, Number(id.into()))]),
            Self::Pppoe { session } => {
                branch(&f::PPPOE, &[(&f::PPPOE_SESSION, Hex(session.into()))]);
            }
            Self::Mpls { label } => branch(&f::MPLS, &[(&f::MPLS_LABEL, Number(label.into()))]),
            Self::Ip {
                source,
                destination,
            } => {
                let (protocol, from, to) = match source {
                    IpAddr::V4(_) => (&f::IP, &f::IP_SOURCE, &f::IP_DESTINATION),
                    IpAddr::V6(_) => (&f::IPV6, &f::IPV6_SOURCE, &f::IPV6_DESTINATION),
                };
                branch(
                    protocol,
                    &[(from, Address(source)), (to, Address(destination))],
                );
            }
            Self::Reassembled { fragments } => {
                visitor.field(field((&f::IP_FRAGMENTS, Number(fragments.into()))));
            }
            Self::Gre { key } => {
                let key = key.map(|key| (&f::GRE_KEY, Hex(key)));
                branch(&f::GRE, key.as_slice());
            }
            Self::Udp {
                source,
                destination,
            } => branch(
                &f::UDP,
                &[
                    (&f::UDP_SOURCE, Number(source.into())),
                    (&f::UDP_DESTINATION, Number(destination.into())),
                ],
            ),
            Self::Vxlan { vni } => branch(&f::VXLAN, &[(&f::VXLAN_VNI, Number(vni.into()))]),
            Self::Tcp {
                source,
                destination,
                sequence,
                acknowledgement,
                flags,
                length,
            } => branch(
                &f::TCP,
                &[
                    (&f::TCP_SOURCE, Number(source.port.into())),
                    (&f::TCP_DESTINATION, Number(destination.port.into())),
                    (&f::TCP_SEQUENCE, Number(sequence.into())),
                    (&f::TCP_ACKNOWLEDGEMENT, Number(acknowledgement.into())),
                    (&f::TCP_LENGTH, Number(length.into())),
                    (&f::TCP_FLAGS, Hex(flags.into())),
                ],
            ),
        }
    }
}

/// A field's definition and value.
type Pair = (&'static FieldDef, Value<'static>);

/// The layers are kept without their bytes, so no field has a place.
const fn field((def, value): Pair) -> Field<'static> {
    Field {
        def,
        value,
        offset: 0,
        length: 0,
    }
}

/// At most [`Layers::CAPACITY`] layers of one frame, outermost first; deeper nesting is cut
/// in the middle, never at the TCP end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    entries: [Option<Layer>; Self::CAPACITY],
    len: u8,
}

impl Layers {
    /// More layers than any ordinary frame has.
    pub const CAPACITY: usize = 10;

    /// No layer.
    pub const NONE: Self = Self {
        entries: [None; Self::CAPACITY],
        len: 0,
    };

    /// Adds the next inner layer; when full, it replaces the innermost one.
    pub fn push(&mut self, layer: Layer) {
        let at = usize::from(self.len).min(Self::CAPACITY - 1);
        if let Some(slot) = self.entries.get_mut(at) {
            *slot = Some(layer);
        }
        self.len = (at + 1) as u8;
    }

    /// Returns the layers, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = Layer> + '_ {
        self.entries.iter().flatten().copied()
    }
}
