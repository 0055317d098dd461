//! What was read of a packet before it turned out malformed.

use super::json::JsonWriter;
use super::json::packet::flags;
use crate::base::field::{Field, FieldVisitor, Value};
use crate::mqtt::{PacketType, ProtocolVersion};

/// Topic filters that are kept of a malformed SUBSCRIBE or UNSUBSCRIBE.
const FILTERS: usize = 64;

/// Hears the fields of a malformed packet.
#[derive(Debug, Default)]
pub struct Heard<'a> {
    flags: Option<u8>,
    /// The packet identifier, 0 too.
    pub packet_id: Option<u64>,
    /// The topic name, or the topic filters.
    pub topics: Vec<&'a str>,
    protocol_name: Option<&'a str>,
    protocol_level: Option<u64>,
    connect_flags: Option<u8>,
    keep_alive: Option<u64>,
    client_id: Option<&'a str>,
    reason_code: Option<u64>,
}

impl<'a> Heard<'a> {
    fn hear(&mut self, field: Field<'a>) {
        match (field.def.name, field.value) {
            ("mqtt.hdrflags", Value::Flags { byte, .. }) => self.flags = Some(byte),
            ("mqtt.msgid", Value::Number(id)) => self.packet_id = Some(id),
            ("mqtt.topic", Value::Text(topic)) if self.topics.len() < FILTERS => {
                self.topics.push(topic);
            }
            ("mqtt.protoname", Value::Text(name)) => self.protocol_name = Some(name),
            ("mqtt.ver", Value::Number(level) | Value::Named(level, _)) => {
                self.protocol_level = Some(level);
            }
            ("mqtt.conflags", Value::Flags { byte, .. }) => self.connect_flags = Some(byte),
            ("mqtt.kalive", Value::Number(seconds)) => self.keep_alive = Some(seconds),
            ("mqtt.clientid", Value::Text(id)) => self.client_id = Some(id),
            ("mqtt.conack.val", Value::Number(code) | Value::Named(code, _)) => {
                self.reason_code = Some(code);
            }
            _ => {}
        }
    }

    /// Writes it as the members that a whole packet would have, into an object that is open.
    pub fn tell(&self, json: &mut JsonWriter<'_>, packet_type: PacketType) {
        if let (PacketType::Publish, Some(octet)) = (packet_type, self.flags) {
            json.bool_member("dup", octet & 0x08 != 0);
            json.number_member("qos", octet >> 1 & 3);
            json.bool_member("retain", octet & 0x01 != 0);
        }
        if let Some(id) = self.packet_id {
            json.number_member("packet_id", id);
        }
        match packet_type {
            PacketType::Publish => {
                if let Some(topic) = self.topics.first() {
                    json.string_member("topic", topic);
                }
            }
            PacketType::Subscribe | PacketType::Unsubscribe if !self.topics.is_empty() => {
                json.key("filters");
                json.begin_array();
                for filter in &self.topics {
                    json.string(filter);
                }
                json.end_array();
            }
            PacketType::Connect => self.connect(json),
            _ => {}
        }
        if let Some(code) = self.reason_code {
            json.number_member("reason_code", code);
        }
    }

    fn connect(&self, json: &mut JsonWriter<'_>) {
        let Some(name) = self.protocol_name else {
            return;
        };
        json.key("connect");
        json.begin_object();
        json.string_member("protocol_name", name);
        if let Some(level) = self.protocol_level {
            json.number_member("protocol_level", level);
        }
        if let Some(octet) = self.connect_flags {
            let version = (self.protocol_level == Some(5)).then_some(ProtocolVersion::V5_0);
            flags(json, octet, version);
        }
        if let Some(seconds) = self.keep_alive {
            json.number_member("keep_alive", seconds);
        }
        if let Some(id) = self.client_id {
            json.string_member("client_id", id);
        }
        json.end_object();
    }
}

impl<'a> FieldVisitor<'a> for Heard<'a> {
    fn field(&mut self, field: Field<'a>) {
        self.hear(field);
    }
    fn open(&mut self, field: Field<'a>) {
        self.hear(field);
    }
    fn close(&mut self) {}
}
