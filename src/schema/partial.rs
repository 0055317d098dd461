//! The fields of a malformed packet up to the byte that stopped the decoder.

use super::connect::{Connect, ConnectFlags};
use crate::base::field::{Field, FieldVisitor, Value};
use crate::event::PacketEvent;
use crate::mqtt::{PacketType, ProtocolVersion};

/// Topic filters that are kept of a malformed SUBSCRIBE or UNSUBSCRIBE.
const FILTERS: usize = 64;

/// A malformed packet, as far as it could be read.
#[derive(Debug, Default)]
pub struct PartialPacket<'a> {
    /// The flags of the fixed header.
    pub flags: Option<u8>,
    /// The packet identifier, 0 too.
    pub packet_id: Option<u16>,
    /// The topic name, or the topic filters, at most 64.
    pub topics: Vec<&'a str>,
    protocol_name: Option<&'a str>,
    protocol_level: Option<u8>,
    connect_flags: Option<u8>,
    keep_alive: Option<u16>,
    client_id: Option<&'a str>,
    /// The reason code of a CONNACK.
    pub reason_code: Option<u8>,
}

impl<'a> PartialPacket<'a> {
    /// Reads the packet again, as far as it goes.
    pub fn of(seen: &PacketEvent<'a>) -> Self {
        let mut partial = Self::default();
        // Ends with the error that made the packet malformed, which the event has already.
        let _ = seen.describe(&mut partial);
        partial
    }

    /// Returns the members of a CONNECT; `None` where not even its protocol name could be read.
    pub fn connect(&self) -> Option<Connect<'a>> {
        let version = (self.protocol_level == Some(5)).then_some(ProtocolVersion::V5_0);
        let flags = |byte| ConnectFlags::new(byte, version);
        Some(Connect {
            protocol_name: self.protocol_name?,
            protocol_level: self.protocol_level,
            flags: self.connect_flags.map(flags),
            keep_alive: self.keep_alive,
            client_id: self.client_id,
            ..Connect::default()
        })
    }

    /// Returns DUP, QoS and RETAIN of a PUBLISH.
    pub fn publish_flags(&self, packet_type: PacketType) -> Option<(bool, u8, bool)> {
        let flags = self.flags.filter(|_| packet_type == PacketType::Publish)?;
        Some((flags & 0x08 != 0, flags >> 1 & 3, flags & 0x01 != 0))
    }
}

impl<'a> FieldVisitor<'a> for PartialPacket<'a> {
    fn field(&mut self, field: Field<'a>) {
        match (field.def.name, field.value) {
            ("mqtt.hdrflags", Value::Flags { byte, .. }) => self.flags = Some(byte),
            ("mqtt.msgid", Value::Number(id)) => self.packet_id = id.try_into().ok(),
            ("mqtt.topic", Value::Text(topic)) if self.topics.len() < FILTERS => {
                self.topics.push(topic);
            }
            ("mqtt.protoname", Value::Text(name)) => self.protocol_name = Some(name),
            ("mqtt.ver", Value::Number(level) | Value::Named(level, _)) => {
                self.protocol_level = level.try_into().ok();
            }
            ("mqtt.conflags", Value::Flags { byte, .. }) => self.connect_flags = Some(byte),
            ("mqtt.kalive", Value::Number(seconds)) => self.keep_alive = seconds.try_into().ok(),
            ("mqtt.clientid", Value::Text(id)) => self.client_id = Some(id),
            ("mqtt.conack.val", Value::Number(code) | Value::Named(code, _)) => {
                self.reason_code = code.try_into().ok();
            }
            _ => {}
        }
    }
    fn open(&mut self, field: Field<'a>) {
        self.field(field);
    }
    fn close(&mut self) {}
}
