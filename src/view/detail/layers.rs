//! The layers below MQTT, a summary line each, in Wireshark's words.

use super::super::out::{push_hex, push_number};
use super::super::routes::push_address;
use crate::base::{Endpoint, Layer};
use crate::event::PacketEvent;

/// Appends the lines of the frame's layers; where nobody noted them, those that every packet
/// knows.
pub(super) fn push(out: &mut Vec<u8>, seen: &PacketEvent<'_>) {
    let mut any = false;
    for layer in seen.layers.iter() {
        any = true;
        push_layer(out, &layer);
    }
    if !any {
        push_ip(out, seen.source.address, seen.destination.address);
        push_ports(
            out,
            "Transmission Control Protocol",
            *seen.source,
            *seen.destination,
        );
        out.push(b'\n');
    }
    out.extend_from_slice(b"    [Stream index: ");
    push_number(out, seen.connection.0.into());
    out.extend_from_slice(b"]\n");
}

fn push_layer(out: &mut Vec<u8>, layer: &Layer) {
    match *layer {
        Layer::Ethernet {
            destination,
            source,
        } => {
            out.extend_from_slice(b"Ethernet II, Src: ");
            push_mac(out, source);
            out.extend_from_slice(b", Dst: ");
            push_mac(out, destination);
        }
        Layer::LinuxCooked { version, .. } => {
            labelled(out, "Linux cooked capture v", version.into());
        }
        Layer::Null { .. } => out.extend_from_slice(b"Null/Loopback"),
        Layer::RawIp => out.extend_from_slice(b"Raw packet data"),
        Layer::Vlan { id } => labelled(out, "802.1Q Virtual LAN, ID: ", id.into()),
        Layer::Pppoe { session } => {
            out.extend_from_slice(b"PPP-over-Ethernet Session, Session ID: 0x");
            push_hex(out, &session.to_be_bytes());
        }
        Layer::Mpls { label } => {
            labelled(
                out,
                "MultiProtocol Label Switching Header, Label: ",
                label.into(),
            );
        }
        Layer::Ip {
            source,
            destination,
        } => {
            push_ip(out, source, destination);
            return;
        }
        Layer::Reassembled { fragments } => {
            labelled(
                out,
                "    [Reassembled from IP fragments: ",
                fragments.into(),
            );
            out.push(b']');
        }
        Layer::Gre { key } => {
            out.extend_from_slice(b"Generic Routing Encapsulation");
            if let Some(key) = key {
                out.extend_from_slice(b", Key: 0x");
                push_hex(out, &key.to_be_bytes());
            }
        }
        Layer::Udp {
            source,
            destination,
        } => {
            labelled(out, "User Datagram Protocol, Src Port: ", source.into());
            labelled(out, ", Dst Port: ", destination.into());
        }
        Layer::Vxlan { vni } => {
            labelled(
                out,
                "Virtual eXtensible Local Area Network, VNI: ",
                vni.into(),
            );
        }
        Layer::Tcp {
            source,
            destination,
            sequence,
            acknowledgement,
            flags,
            length,
        } => {
            push_ports(out, "Transmission Control Protocol", source, destination);
            labelled(out, ", Seq: ", sequence.into());
            labelled(out, ", Ack: ", acknowledgement.into());
            labelled(out, ", Len: ", length.into());
            out.extend_from_slice(b"\n    Flags: 0x0");
            push_hex(out, &[flags]);
            push_flags(out, flags);
        }
    }
    out.push(b'\n');
}

fn push_ip(out: &mut Vec<u8>, source: std::net::IpAddr, destination: std::net::IpAddr) {
    let version = if source.is_ipv6() { 6 } else { 4 };
    labelled(out, "Internet Protocol Version ", version);
    out.extend_from_slice(b", Src: ");
    push_address(out, source);
    out.extend_from_slice(b", Dst: ");
    push_address(out, destination);
    out.push(b'\n');
}

fn push_ports(out: &mut Vec<u8>, protocol: &str, source: Endpoint, destination: Endpoint) {
    out.extend_from_slice(protocol.as_bytes());
    labelled(out, ", Src Port: ", source.port.into());
    labelled(out, ", Dst Port: ", destination.port.into());
}

/// ` (PSH, ACK)`, from the lowest bit up as Wireshark lists them.
fn push_flags(out: &mut Vec<u8>, flags: u8) {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let mut before = " (";
    for (bit, name) in NAMES.iter().enumerate() {
        if flags >> bit & 1 != 0 {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(name.as_bytes());
            before = ", ";
        }
    }
    out.extend_from_slice(if flags == 0 { b" (<None>)" } else { b")" });
}

fn push_mac(out: &mut Vec<u8>, address: [u8; 6]) {
    for (at, byte) in address.into_iter().enumerate() {
        if at > 0 {
            out.push(b':');
        }
        push_hex(out, &[byte]);
    }
}

fn labelled(out: &mut Vec<u8>, label: &str, number: u64) {
    out.extend_from_slice(label.as_bytes());
    push_number(out, number);
}
