//! Packets made up for property tests, and the lines of a packet's tree.

use std::fs::File;
use std::io::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::packet::{
    Acknowledgement, Auth, ConnAck, Connect, Disconnect, FilterAcknowledgement, Publish, Subscribe,
    Unsubscribe, Will,
};
use super::property::{PropertyPlace, PropertyType};
use super::{
    ControlPacket, Delivery, PacketIdentifier, PacketType, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion, QoS, Rule, SubscriptionsBuf, TopicFiltersBuf,
};
use crate::base::field::{Field, FieldVisitor, Value};

/// The environment variable that names the file for [`record`].
pub(crate) const RECORD: &str = "MQTT_INSPECT_RECORD_RULES";

/// Records that the running test provoked a rule: a line with the thread's name, which is the
/// test's, and the rule. Does nothing unless [`RECORD`] names a file.
pub(crate) fn record(rule: &str) {
    let Some(path) = std::env::var_os(RECORD) else {
        return;
    };
    let thread = std::thread::current();
    let line = format!("{}\t{rule}\n", thread.name().unwrap_or_default());
    let file = File::options().append(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes()))
        .expect("the record takes a line");
}

/// The parts of one packet; each type takes what it has a place for.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(super) packet_type: PacketType,
    pub(crate) version: ProtocolVersion,
    packet_id: PacketIdentifier,
    topic: String,
    texts: [String; 3],
    bytes: Vec<u8>,
    bits: u8,
    keep_alive: u16,
    codes: Vec<u8>,
    filters: Vec<(String, u8)>,
    properties: Vec<Made>,
    will_properties: Vec<Made>,
}

#[derive(Clone, Debug)]
struct Made {
    id: PropertyId,
    number: u32,
    texts: (String, String),
    bytes: Vec<u8>,
}

const TEXT: &str = "[ -~한äé€𝄞]{0,9}";

fn made() -> impl Strategy<Value = Made> {
    (
        0..PropertyId::ALL.len(),
        any::<u32>(),
        (TEXT, TEXT),
        vec(any::<u8>(), 0..9),
    )
        .prop_map(|(id, number, texts, bytes)| Made {
            id: PropertyId::ALL[id],
            number,
            texts,
            bytes,
        })
}

/// Any valid packet of any version.
pub(crate) fn parts() -> impl Strategy<Value = Parts> {
    let version = prop_oneof![
        Just(ProtocolVersion::V3_1),
        Just(ProtocolVersion::V3_1_1),
        Just(ProtocolVersion::V5_0)
    ];
    let numbers = (1..16usize, any::<u8>(), any::<u16>(), 1..=u16::MAX);
    let bytes = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 0..20_000)];
    (
        version,
        numbers,
        "[a-z/한ä$ ]{1,20}",
        [TEXT, TEXT, TEXT],
        bytes,
        vec(any::<u8>(), 1..5),
        vec(("[a-z/+#한$]{0,12}", any::<u8>()), 1..5),
        (vec(made(), 0..6), vec(made(), 0..6)),
    )
        .prop_map(
            |(
                version,
                (packet_type, bits, keep_alive, id),
                topic,
                texts,
                bytes,
                codes,
                filters,
                props,
            )| {
                Parts {
                    packet_type: match (PacketType::ALL[packet_type], version) {
                        (PacketType::Auth, ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1) => {
                            PacketType::Publish
                        }
                        (packet_type, _) => packet_type,
                    },
                    version,
                    packet_id: PacketIdentifier::new(id).unwrap(),
                    topic,
                    texts,
                    bytes,
                    bits,
                    keep_alive,
                    codes,
                    filters,
                    properties: props.0,
                    will_properties: props.1,
                }
            },
        )
}

impl Parts {
    /// Hands the packet to `each`: it borrows from what is made here.
    pub(crate) fn with(&self, each: impl FnOnce(ControlPacket<'_>)) {
        if self.packet_type == PacketType::Connect {
            return self.with_connect(each);
        }
        let five = self.version == ProtocolVersion::V5_0;
        let properties =
            self.made_properties(PropertyPlace::Packet(self.packet_type), &self.properties);
        let properties = properties.as_properties();
        let packet_id = self.packet_id;
        let reason_code = if five { self.codes[0] } else { 0 };
        let acknowledgement = Acknowledgement {
            packet_id,
            reason_code,
            properties,
        };
        let mut subscriptions = SubscriptionsBuf::new();
        let mut filters = TopicFiltersBuf::new();
        for (filter, bits) in &self.filters {
            subscriptions
                .push(filter, options(filter, *bits, self.version))
                .unwrap();
            filters.push(filter).unwrap();
        }
        each(match self.packet_type {
            PacketType::Reserved | PacketType::Connect => unreachable!("not made here"),
            PacketType::ConnAck => ControlPacket::ConnAck(ConnAck {
                session_present: self.bits & 1 != 0 && self.version != ProtocolVersion::V3_1,
                code: self.codes[0],
                properties,
            }),
            PacketType::Publish => ControlPacket::Publish(self.publish(properties)),
            PacketType::PubAck => ControlPacket::PubAck(acknowledgement),
            PacketType::PubRec => ControlPacket::PubRec(acknowledgement),
            PacketType::PubRel => ControlPacket::PubRel(acknowledgement),
            PacketType::PubComp => ControlPacket::PubComp(acknowledgement),
            PacketType::Subscribe => ControlPacket::Subscribe(Subscribe {
                packet_id,
                properties,
                subscriptions: subscriptions.as_subscriptions(),
            }),
            PacketType::SubAck => ControlPacket::SubAck(FilterAcknowledgement {
                packet_id,
                properties,
                codes: &self.codes,
            }),
            PacketType::Unsubscribe => ControlPacket::Unsubscribe(Unsubscribe {
                packet_id,
                properties,
                filters: filters.as_filters(),
            }),
            PacketType::UnsubAck => ControlPacket::UnsubAck(FilterAcknowledgement {
                packet_id,
                properties,
                codes: if five { &self.codes } else { &[] },
            }),
            PacketType::PingReq => ControlPacket::PingReq,
            PacketType::PingResp => ControlPacket::PingResp,
            PacketType::Disconnect => ControlPacket::Disconnect(Disconnect {
                reason_code,
                properties,
            }),
            PacketType::Auth => ControlPacket::Auth(Auth {
                reason_code,
                properties,
            }),
        });
    }

    fn publish<'p>(&'p self, properties: super::Properties<'p>) -> Publish<'p> {
        let delivery = match self.bits & 0x03 {
            0 => Delivery::AtMostOnce,
            1 => Delivery::AtLeastOnce(self.packet_id),
            _ => Delivery::ExactlyOnce(self.packet_id),
        };
        let by_alias = properties.topic_alias().is_some() && self.bits & 0x80 != 0;
        Publish {
            dup: self.bits & 0x04 != 0 && delivery != Delivery::AtMostOnce,
            retain: self.bits & 0x08 != 0,
            delivery,
            topic: if by_alias { "" } else { &self.topic },
            properties,
            payload: &self.bytes,
        }
    }

    fn with_connect(&self, each: impl FnOnce(ControlPacket<'_>)) {
        let properties =
            self.made_properties(PropertyPlace::Packet(PacketType::Connect), &self.properties);
        let will_properties = self.made_properties(PropertyPlace::Will, &self.will_properties);
        let [client_id, user_name, _] = &self.texts;
        let has_user = self.bits & 0x08 != 0;
        let may_have_password = has_user || self.version == ProtocolVersion::V5_0;
        let mut connect = Connect {
            bridge: self.bits & 0x01 != 0,
            keep_alive: self.keep_alive,
            properties: properties.as_properties(),
            user_name: has_user.then_some(user_name.as_str()),
            password: (self.bits & 0x10 != 0 && may_have_password).then_some(self.bytes.as_slice()),
            will: (self.bits & 0x20 != 0).then(|| Will {
                qos: QoS::from_bits(self.bits >> 6).unwrap_or(QoS::ExactlyOnce),
                retain: self.bits & 0x02 != 0,
                properties: will_properties.as_properties(),
                topic: &self.topic,
                payload: &self.bytes,
            }),
            ..Connect::new(self.version, client_id)
        };
        if self.bits & 0x04 != 0 {
            connect.flags = 0;
        }
        connect.flags = connect.written_flags();
        each(ControlPacket::Connect(connect));
    }

    fn made_properties(&self, place: PropertyPlace, made: &[Made]) -> PropertiesBuf {
        let mut out = PropertiesBuf::new();
        if self.version != ProtocolVersion::V5_0 {
            return out;
        }
        let mut seen = Vec::new();
        for one in made {
            let repeated = seen.contains(&one.id) && !one.id.may_repeat(place);
            if one.id.is_allowed(place) && !repeated {
                seen.push(one.id);
                out.push(one.id, one.value()).unwrap();
            }
        }
        out
    }
}

impl Made {
    fn value(&self) -> PropertyValue<'_> {
        let number = match self.id.value_broken(2) {
            Some(Rule::PropertyIsZeroOrOne) => self.number % 2,
            _ => self.number,
        };
        match self.id.kind().unwrap() {
            PropertyType::Byte => PropertyValue::Byte(number as u8),
            PropertyType::TwoByte => PropertyValue::TwoByte((number as u16).max(1)),
            PropertyType::FourByte => PropertyValue::FourByte(number.max(1)),
            PropertyType::Variable => {
                PropertyValue::Variable((number >> (number % 28)).clamp(1, 0x0fff_ffff))
            }
            PropertyType::Binary => PropertyValue::Binary(&self.bytes),
            PropertyType::Text => PropertyValue::Text(&self.texts.0),
            PropertyType::Pair => PropertyValue::Pair(&self.texts.0, &self.texts.1),
        }
    }
}

/// Valid options from any bits.
fn options(filter: &str, bits: u8, version: ProtocolVersion) -> u8 {
    let qos = (bits & 0x03).min(2);
    if version != ProtocolVersion::V5_0 {
        return qos;
    }
    let handling = (bits >> 4 & 0x03).min(2);
    let no_local = if filter.starts_with("$share/") {
        0
    } else {
        bits & 0x04
    };
    handling << 4 | bits & 0x08 | no_local | qos
}

/// The tree as Wireshark prints it, a line a field.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) lines: Vec<String>,
    pub(super) depth: usize,
    /// Where each field stands.
    pub(super) places: Vec<(usize, usize)>,
}

impl Lines {
    fn line(&mut self, field: &Field<'_>) {
        let label = field.def.label;
        let text = match field.value {
            Value::Heading => label.to_owned(),
            Value::Number(number) => format!("{label}: {number}"),
            Value::Named(number, name) => format!("{label}: {name} ({number})"),
            Value::NamedHex(number, name) => format!("{label}: {name} (0x{number:02x})"),
            Value::Flags { byte, bits } => {
                let mut line = format!("{label}: 0x{byte:02x}");
                for (label, meaning) in bits.iter().filter_map(|bit| bit.in_summary(byte)) {
                    line += ", ";
                    line += label;
                    line += &meaning.map_or(String::new(), |meaning| format!(": {meaning}"));
                }
                line
            }
            Value::Bits {
                byte,
                mask,
                meaning,
            } => {
                let digit = |at: u8| match (mask >> at & 1, byte >> at & 1) {
                    (0, _) => '.',
                    (_, 0) => '0',
                    _ => '1',
                };
                let high: String = (4..8).rev().map(digit).collect();
                let low: String = (0..4).rev().map(digit).collect();
                let value = match (field.value.bits_number(), meaning) {
                    (Some(number), "") => number.to_string(),
                    (Some(number), meaning) => format!("{meaning} ({number})"),
                    (None, meaning) => meaning.to_owned(),
                };
                format!("{high} {low} = {label}: {value}")
            }
            Value::Text(text) => format!("{label}: {text}"),
            Value::Bytes(bytes) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{label}: {hex}")
            }
            Value::Secret(bytes) => format!("{label}: <{} octets>", bytes.len()),
            Value::Hex(_) | Value::Ether(_) | Value::Address(_) => panic!("no field of MQTT"),
        };
        self.lines
            .push(format!("{}{text}", "  ".repeat(self.depth)));
        self.places.push((field.offset, field.length));
    }
}

impl<'a> FieldVisitor<'a> for Lines {
    fn field(&mut self, field: Field<'a>) {
        self.line(&field);
    }

    fn open(&mut self, field: Field<'a>) {
        self.line(&field);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
    }
}
