//! Properties as a script writes them.

use serde::Deserialize;

use crate::mqtt::property::PropertyType;
use crate::mqtt::{PropertiesBuf, PropertyId, PropertyValue};

/// By the names of the JSON: `topic_alias = 1`; user properties are a table or a list of
/// pairs, binary data is text.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct RawProperties(toml::Table);

impl RawProperties {
    /// Returns the properties as bytes.
    /// # Errors
    /// A name that is none of MQTT 5.0 §2.2.2.2, or a value that is not of its type.
    pub(super) fn check(self) -> Result<PropertiesBuf, String> {
        let mut out = PropertiesBuf::new();
        for (name, value) in self.0 {
            let id = PropertyId::ALL
                .iter()
                .copied()
                .find(|id| id.name() == name)
                .ok_or_else(|| format!("there is no property '{name}'"))?;
            let values = match value {
                toml::Value::Array(values) if id != PropertyId::USER_PROPERTY => values,
                value => vec![value],
            };
            for value in values {
                push_property(&mut out, id, &value)?;
            }
        }
        Ok(out)
    }
}

/// Adds a property by the type that the specification gives it (MQTT 5.0 §2.2.2.2).
fn push_property(
    out: &mut PropertiesBuf,
    id: PropertyId,
    value: &toml::Value,
) -> Result<(), String> {
    let name = id.name();
    let wrong = || format!("the value of '{name}' is not of its type");
    let number = || {
        value
            .as_integer()
            .and_then(|number| u32::try_from(number).ok())
    };
    let narrow = || number().ok_or_else(wrong);
    let written = match id.kind() {
        Some(PropertyType::Byte) => {
            let number = match value.as_bool() {
                Some(flag) => flag.into(),
                None => u8::try_from(narrow()?).map_err(|_| wrong())?,
            };
            out.push(id, PropertyValue::Byte(number))
        }
        Some(PropertyType::TwoByte) => {
            let number = u16::try_from(narrow()?).map_err(|_| wrong())?;
            out.push(id, PropertyValue::TwoByte(number))
        }
        Some(PropertyType::FourByte) => out.push(id, PropertyValue::FourByte(narrow()?)),
        Some(PropertyType::Variable) => out.push(id, PropertyValue::Variable(narrow()?)),
        Some(PropertyType::Text) => {
            out.push(id, PropertyValue::Text(value.as_str().ok_or_else(wrong)?))
        }
        Some(PropertyType::Binary) => {
            let bytes = value.as_str().ok_or_else(wrong)?.as_bytes();
            out.push(id, PropertyValue::Binary(bytes))
        }
        Some(PropertyType::Pair) => return push_pairs(out, id, value).ok_or_else(wrong)?,
        None => return Err(wrong()),
    };
    written.map_err(|error| format!("{name}: {error}"))
}

/// `{ a = "1", b = "2" }` or, where a name comes again, `[["a", "1"], ["a", "2"]]`. `None`
/// where it is neither.
fn push_pairs(
    out: &mut PropertiesBuf,
    id: PropertyId,
    value: &toml::Value,
) -> Option<Result<(), String>> {
    let mut push = |name: &str, value: &str| {
        out.push(id, PropertyValue::Pair(name, value))
            .map_err(|error| error.to_string())
    };
    match value {
        toml::Value::Table(pairs) => {
            for (name, value) in pairs {
                if let Err(error) = push(name, value.as_str()?) {
                    return Some(Err(error));
                }
            }
        }
        toml::Value::Array(pairs) => {
            for pair in pairs {
                let [name, value] = pair.as_array()?.as_slice() else {
                    return None;
                };
                if let Err(error) = push(name.as_str()?, value.as_str()?) {
                    return Some(Err(error));
                }
            }
        }
        _ => return None,
    }
    Some(Ok(()))
}
