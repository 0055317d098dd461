//! Properties of MQTT 5.0 packets.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_with_macros::skip_serializing_none;

use super::value::Hex;
use crate::mqtt::{self, PropertyId, PropertyValue, names_a_secret};

/// One property (MQTT 5.0 §2.2.2).
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct Property<'a> {
    /// The Property Identifier: 38.
    pub id: u8,
    /// Its name: `user_property`.
    pub name: &'static str,
    /// The value; absent for authentication data unless secrets are shown.
    pub value: Option<Value<'a>>,
    /// The number of bytes of authentication data, in place of its value.
    pub length: Option<u64>,
    /// The number of bytes of the value of a User Property whose name speaks of a secret, which
    /// is then empty in `value`.
    pub value_length: Option<u64>,
}

/// A property's value, by its type (MQTT 5.0 §1.5).
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(untagged)]
pub enum Value<'a> {
    /// Byte, Two Byte Integer, Four Byte Integer or Variable Byte Integer.
    Number(u32),
    /// UTF-8 Encoded String.
    Text(&'a str),
    /// Binary Data.
    Binary(Hex<'a>),
    /// UTF-8 String Pair: name and value.
    Pair([&'a str; 2]),
}

impl<'a> Property<'a> {
    /// The property as it is shown with or without secrets.
    pub fn new(property: &mqtt::Property<'a>, secrets: bool) -> Self {
        let mut shown = Self {
            id: property.id.0,
            name: property.id.name(),
            ..Self::default()
        };
        shown.value = Some(match property.value {
            PropertyValue::Byte(number) => Value::Number(number.into()),
            PropertyValue::TwoByte(number) => Value::Number(number.into()),
            PropertyValue::FourByte(number) | PropertyValue::Variable(number) => {
                Value::Number(number)
            }
            PropertyValue::Binary(bytes)
                if !secrets && property.id == PropertyId::AUTHENTICATION_DATA =>
            {
                shown.length = Some(bytes.len() as u64);
                return shown;
            }
            PropertyValue::Binary(bytes) => Value::Binary(Hex(bytes)),
            PropertyValue::Text(text) => Value::Text(text),
            PropertyValue::Pair(name, value) if !secrets && names_a_secret(name) => {
                shown.value_length = Some(value.len() as u64);
                Value::Pair([name, ""])
            }
            PropertyValue::Pair(name, value) => Value::Pair([name, value]),
        });
        shown
    }
}

/// The properties of a packet in wire order.
///
/// Walked while they are written: a packet of 256 MB may be full of them.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    properties: mqtt::Properties<'a>,
    secrets: bool,
}

impl<'a> Properties<'a> {
    /// The properties; `None` where there are none.
    pub fn new(properties: mqtt::Properties<'a>, secrets: bool) -> Option<Self> {
        (!properties.is_empty()).then_some(Self {
            properties,
            secrets,
        })
    }
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.properties.iter();
        serializer.collect_seq(all.map(|one| Property::new(&one, self.secrets)))
    }
}
