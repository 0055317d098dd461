//! The fields of a frame and of its layers below MQTT, under Wireshark's names and types and
//! with the labels of Wireshark's summary lines, which are what the detail tree shows of them.
//! They stand below [`Layer`](super::Layer), which reports its values under them.

use super::field::fields;

fields! {
    FRAME_NUMBER "frame.number" "Frame Number" Uint32 "Number of the frame, from 1; several files count on.";
    FRAME_TIME "frame.time" "Arrival Time" AbsoluteTime "Instant of capture.";
    FRAME_TIME_EPOCH "frame.time_epoch" "Epoch Time" RelativeTime "Instant of capture in seconds since 1970-01-01 UTC.";
    FRAME_TIME_RELATIVE "frame.time_relative" "Time since first frame" RelativeTime "Seconds since the capture's first frame.";
    FRAME_LENGTH "frame.len" "Frame length on the wire" Uint32 "Length on the wire in bytes.";
    ETHERNET "eth" "Ethernet II" Protocol "Ethernet.";
    ETHERNET_DESTINATION "eth.dst" "Dst" Ether "Destination MAC address.";
    ETHERNET_SOURCE "eth.src" "Src" Ether "Source MAC address.";
    LINUX_COOKED "sll" "Linux cooked capture" Protocol "Linux cooked capture, version 1 or 2.";
    LINUX_COOKED_TYPE "sll.pkttype" "Packet type" Uint16 "0 to this host, 1 broadcast, 2 multicast, 3 to another host, 4 sent.";
    NULL "null" "Null/Loopback" Protocol "BSD loopback.";
    NULL_FAMILY "null.family" "Family" Uint32 "Address family as stored.";
    RAW "raw" "Raw packet data" Protocol "No link layer: the frame starts with IP.";
    VLAN "vlan" "802.1Q Virtual LAN" Protocol "802.1Q or 802.1ad tag.";
    VLAN_ID "vlan.id" "ID" Uint16 "VLAN identifier, 0 to 4095.";
    PPPOE "pppoes" "PPP-over-Ethernet Session" Protocol "PPPoE session stage.";
    PPPOE_SESSION "pppoe.session_id" "Session ID" Uint16 "PPPoE session identifier.";
    MPLS "mpls" "MultiProtocol Label Switching Header" Protocol "One MPLS label.";
    MPLS_LABEL "mpls.label" "Label" Uint32 "MPLS label, 20 bits.";
    IP "ip" "Internet Protocol Version 4" Protocol "IPv4.";
    IP_SOURCE "ip.src" "Src" Ipv4 "Source address.";
    IP_DESTINATION "ip.dst" "Dst" Ipv4 "Destination address.";
    IP_FRAGMENTS "ip.fragment.count" "Reassembled from IP fragments" Uint32 "Fragments that the datagram was reassembled from.";
    IPV6 "ipv6" "Internet Protocol Version 6" Protocol "IPv6.";
    IPV6_SOURCE "ipv6.src" "Src" Ipv6 "Source address.";
    IPV6_DESTINATION "ipv6.dst" "Dst" Ipv6 "Destination address.";
    GRE "gre" "Generic Routing Encapsulation" Protocol "GRE tunnel.";
    GRE_KEY "gre.key" "Key" Uint32 "Key of the tunnel.";
    UDP "udp" "User Datagram Protocol" Protocol "UDP that carries a tunnel.";
    UDP_SOURCE "udp.srcport" "Src Port" Uint16 "Source port.";
    UDP_DESTINATION "udp.dstport" "Dst Port" Uint16 "Destination port.";
    VXLAN "vxlan" "Virtual eXtensible Local Area Network" Protocol "VXLAN tunnel.";
    VXLAN_VNI "vxlan.vni" "VNI" Uint24 "VXLAN network identifier.";
    TCP "tcp" "Transmission Control Protocol" Protocol "TCP.";
    TCP_SOURCE "tcp.srcport" "Src Port" Uint16 "Source port.";
    TCP_DESTINATION "tcp.dstport" "Dst Port" Uint16 "Destination port.";
    TCP_STREAM "tcp.stream" "Stream index" Uint32 "Number of the connection, from 0 by its first frame.";
    TCP_SEQUENCE "tcp.seq_raw" "Seq" Uint32 "Sequence number as on the wire.";
    TCP_ACKNOWLEDGEMENT "tcp.ack_raw" "Ack" Uint32 "Acknowledgement number as on the wire.";
    TCP_LENGTH "tcp.len" "Len" Uint32 "Payload in bytes.";
    TCP_FLAGS "tcp.flags" "Flags" Uint16 "All flags.";
}
