//! Names of link types.

/// Returns the name of a link type that a user may meet, whether it is read here or not.
pub(super) const fn name(link_type: u16) -> Option<&'static str> {
    Some(match link_type {
        0 => "BSD loopback",
        1 => "Ethernet",
        6 => "Token Ring",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "raw IP",
        50 => "PPP in HDLC",
        51 => "PPPoE",
        104 => "Cisco HDLC",
        105 => "IEEE 802.11",
        108 => "OpenBSD loopback",
        113 => "Linux cooked capture",
        117 => "OpenBSD PF log",
        119 => "IEEE 802.11 with Prism header",
        127 => "IEEE 802.11 with radiotap header",
        163 => "IEEE 802.11 with AVS header",
        149 | 258 => "Apple packet tap",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "USB, Linux",
        192 => "per-packet information",
        195 | 215 | 230 | 283 => "IEEE 802.15.4",
        219 => "MPLS",
        227 => "CAN bus",
        228 => "IPv4",
        229 => "IPv6",
        239 => "Linux netfilter log",
        249 => "USB, Windows",
        251 | 256 => "Bluetooth Low Energy",
        252 => "Wireshark upper PDU",
        253 => "Linux netlink",
        276 => "Linux cooked capture, version 2",
        _ => return None,
    })
}
