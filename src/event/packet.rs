//! A control packet and its place in the capture.

use crate::base::field::FieldVisitor;
use crate::base::{Endpoint, FrameStamp, Layers};
use crate::carrier::Transport;
use crate::mqtt::packet::Publish;
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Sender};
use crate::stream::{ConnectionId, Direction};

/// One control packet where it stands in the capture.
#[derive(Clone, Copy, Debug)]
pub struct PacketEvent<'a> {
    /// The frame that carries the packet's last byte in stream order.
    pub stamp: FrameStamp,
    /// Place among the control packets ending in that frame, from 0.
    pub index: u32,
    /// Every frame that carried a part, in order; one entry where the packet lies in one.
    pub frames: &'a [u64],
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The endpoint that sent it.
    pub source: &'a Endpoint,
    /// The endpoint that it was sent to.
    pub destination: &'a Endpoint,
    /// The direction in which it was sent.
    pub direction: Direction,
    /// The end that sent it.
    pub sender: Sender,
    /// The carrier of the MQTT bytes.
    pub transport: Transport,
    /// `None` until a CONNECT or the structure of the packets shows it.
    pub version: Option<ProtocolVersion>,
    /// No CONNECT was seen: `version` was inferred from structure.
    pub version_inferred: bool,
    /// A gap or the capture's begin lies before this packet in its direction: what came
    /// before is not known.
    pub after_gap: bool,
    /// The control packet's type.
    pub packet_type: PacketType,
    /// The whole packet, or of a malformed one as much as there is.
    pub bytes: &'a [u8],
    /// Bytes of a PUBLISH behind `bytes`, the last of its payload, that the snapshot length of the
    /// capture cut off.
    pub missing: u64,
    /// The decoded packet, or what is wrong with it.
    pub packet: Result<&'a ControlPacket<'a>, Malformed>,
    /// The client identifier of the connection, from its CONNECT on; one that the Server
    /// assigned (MQTT 5.0 §3.2.2.3.7) from that CONNACK on. `None` where neither was captured,
    /// and where the identifiers of all connections reached their limit.
    pub client_id: Option<&'a str>,
    /// The topic name that a PUBLISH's alias stood for there and then.
    pub topic_resolved: Option<&'a str>,
    /// The layers below, filled in only where a view needs them.
    pub layers: &'a Layers,
}

impl<'a> PacketEvent<'a> {
    /// Reads the packet again and reports its fields; ends where decoding ended.
    pub fn describe(&self, fields: &mut impl FieldVisitor<'a>) -> Result<(), Malformed> {
        let version = self.version.unwrap_or(ProtocolVersion::V3_1_1);
        match self.missing {
            0 => ControlPacket::read(self.bytes, version, fields).map(|_| ()),
            _ => ControlPacket::read_cut(self.bytes, version, fields).map(|_| ()),
        }
    }

    /// Returns the bytes of the whole payload of this PUBLISH, also of those that are missing.
    pub const fn payload_length(&self, publish: &Publish<'_>) -> u64 {
        publish.payload.len() as u64 + self.missing
    }
}
