//! The layers below MQTT that a frame was stripped of, for the detail view.

use super::Endpoint;

/// One protocol layer of a frame, outermost first, reduced to what its summary line tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Layer {
    /// Ethernet II: destination and source MAC addresses.
    Ethernet {
        destination: [u8; 6],
        source: [u8; 6],
    },
    /// Linux cooked capture, version 1 or 2 (`LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2`).
    LinuxCooked { version: u8, packet_type: u16 },
    /// BSD NULL or LOOP: the address family as stored.
    Null { family: u32 },
    /// No link layer: the frame begins with IP.
    RawIp,
    /// 802.1Q or 802.1ad tag: VLAN identifier.
    Vlan { id: u16 },
    /// PPPoE session stage.
    Pppoe { session: u16 },
    /// One MPLS label.
    Mpls { label: u32 },
    /// IPv4 or IPv6: the addresses stand in the ports' layer too, but a tunnel has several.
    Ip {
        source: std::net::IpAddr,
        destination: std::net::IpAddr,
    },
    /// The datagram was put together from fragments; how many frames brought them.
    Reassembled { fragments: u16 },
    /// GRE, with its key if one was present.
    Gre { key: Option<u32> },
    /// UDP carrying a tunnel.
    Udp { source: u16, destination: u16 },
    /// VXLAN network identifier.
    Vxlan { vni: u32 },
    /// TCP: sequence numbers as on the wire (not relative), payload length in bytes.
    Tcp {
        source: Endpoint,
        destination: Endpoint,
        sequence: u32,
        acknowledgement: u32,
        flags: u8,
        length: u32,
    },
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

    /// Outermost first.
    pub fn iter(&self) -> impl Iterator<Item = Layer> + '_ {
        self.entries.iter().flatten().copied()
    }
}
