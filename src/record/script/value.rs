//! Values of a script, checked as they are read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer};

use crate::mqtt::property::PropertyType;
use crate::mqtt::{PacketType, PropertiesBuf, PropertyId, PropertyValue, ProtocolVersion, QoS};

/// The longest that one `sleep` or `wait` may take: a script ends.
const LONGEST: Duration = Duration::from_secs(3_600);

/// A `T`, made of a value of the script that was checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked<T>(pub(super) T);

/// Types that a script writes in a form of their own.
pub(super) trait Value: Sized {
    /// Its form in TOML.
    type Written: DeserializeOwned;

    /// Makes it of that form.
    ///
    /// # Errors
    /// What is wrong with it, for the user.
    fn check(written: Self::Written) -> Result<Self, String>;
}

impl<'de, T: Value> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = T::Written::deserialize(deserializer)?;
        T::check(written).map(Self).map_err(de::Error::custom)
    }
}

impl<T> Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A text whose length fits two bytes (MQTT 5.0 §1.5.4).
impl Value for String {
    type Written = Self;

    fn check(text: Self) -> Result<Self, String> {
        match text.len() {
            0..=0xffff => Ok(text),
            bytes => Err(format!("a text of {bytes} octets: 65,535 is the most")),
        }
    }
}

/// A text, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Value for Vec<String> {
    type Written = OneOrMore;

    fn check(texts: OneOrMore) -> Result<Self, String> {
        let texts = match texts {
            OneOrMore::One(one) => vec![one],
            OneOrMore::More(more) => more,
        };
        texts.into_iter().map(String::check).collect()
    }
}

/// Bytes from hexadecimal digits; blanks, colons and line ends may stand between them.
impl Value for Vec<u8> {
    type Written = String;

    fn check(digits: String) -> Result<Self, String> {
        let mut bytes = Self::new();
        let mut high = None;
        for c in digits.chars().filter(|c| !c.is_whitespace() && *c != ':') {
            let digit = c.to_digit(16);
            let digit = digit.ok_or_else(|| format!("'{c}' is no hexadecimal digit"))? as u8;
            match high.take() {
                None => high = Some(digit),
                Some(high) => bytes.push(high << 4 | digit),
            }
        }
        match high {
            None => Ok(bytes),
            Some(_) => Err("an odd number of hexadecimal digits".to_owned()),
        }
    }
}

impl Value for QoS {
    type Written = u8;

    fn check(number: u8) -> Result<Self, String> {
        Self::from_bits(number).ok_or_else(|| format!("qos {number} is none of 0, 1, 2"))
    }
}

/// A packet type by its name, in capitals as in the specification.
impl Value for PacketType {
    type Written = String;

    fn check(name: String) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|known| known.name() == name);
        known.ok_or_else(|| format!("there is no packet type '{name}'"))
    }
}

impl Value for ProtocolVersion {
    type Written = String;

    fn check(version: String) -> Result<Self, String> {
        match version.as_str() {
            "3.1" => Ok(Self::V3_1),
            "3.1.1" => Ok(Self::V3_1_1),
            "5.0" | "5" => Ok(Self::V5_0),
            _ => Err(format!("version '{version}' is none of 3.1, 3.1.1, 5.0")),
        }
    }
}

/// The loopback address of a version of IP.
impl Value for IpAddr {
    type Written = String;

    fn check(family: String) -> Result<Self, String> {
        match family.as_str() {
            "ipv4" => Ok(Ipv4Addr::LOCALHOST.into()),
            "ipv6" => Ok(Ipv6Addr::LOCALHOST.into()),
            _ => Err(format!("ip '{family}' is neither ipv4 nor ipv6")),
        }
    }
}

/// A time of an hour at the most: `500ms`, `10s`, `2m`, `1h`; a number alone is seconds.
impl Value for Duration {
    type Written = String;

    fn check(text: String) -> Result<Self, String> {
        let wrong = || format!("'{text}' is no time such as 500ms, 10s, 2m or 1h");
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let factor = match unit {
            "ms" => 0.001,
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        match Self::try_from_secs_f64(number * factor) {
            Ok(time) if time > LONGEST => Err("longer than an hour".to_owned()),
            time => time.map_err(|_| wrong()),
        }
    }
}

/// By the names of the JSON: `topic_alias = 1`; user properties are a table or a list of
/// pairs, binary data is text.
impl Value for PropertiesBuf {
    type Written = toml::Table;

    fn check(table: toml::Table) -> Result<Self, String> {
        let mut out = Self::new();
        for (name, value) in table {
            let known = PropertyId::ALL.iter().find(|id| id.name() == name);
            let &id = known.ok_or_else(|| format!("there is no property '{name}'"))?;
            let wrong = || format!("the value of '{name}' is not of its type");
            if id == PropertyId::USER_PROPERTY {
                for (name, value) in pairs(&value).ok_or_else(wrong)? {
                    let written = out.push(id, PropertyValue::Pair(name, value));
                    written.map_err(|error| error.to_string())?;
                }
                continue;
            }
            let values = match value {
                toml::Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let value = property(id, &value).ok_or_else(wrong)?;
                out.push(id, value)
                    .map_err(|error| format!("{name}: {error}"))?;
            }
        }
        Ok(out)
    }
}

/// The value of a property by the type that the specification gives it (MQTT 5.0 §2.2.2.2).
fn property(id: PropertyId, value: &toml::Value) -> Option<PropertyValue<'_>> {
    let flag = value.as_bool().map(i64::from);
    let number = || u32::try_from(value.as_integer()?).ok();
    Some(match id.kind()? {
        PropertyType::Byte => PropertyValue::Byte(u8::try_from(flag.or(value.as_integer())?).ok()?),
        PropertyType::TwoByte => PropertyValue::TwoByte(u16::try_from(number()?).ok()?),
        PropertyType::FourByte => PropertyValue::FourByte(number()?),
        PropertyType::Variable => PropertyValue::Variable(number()?),
        PropertyType::Text => PropertyValue::Text(value.as_str()?),
        PropertyType::Binary => PropertyValue::Binary(value.as_str()?.as_bytes()),
        PropertyType::Pair => return None,
    })
}

/// `{ a = "1", b = "2" }` or, where a name comes again, `[["a", "1"], ["a", "2"]]`. `None`
/// where it is neither.
fn pairs(value: &toml::Value) -> Option<Vec<(&str, &str)>> {
    match value {
        toml::Value::Table(pairs) => {
            let pairs = pairs.iter();
            pairs
                .map(|(name, value)| Some((name.as_str(), value.as_str()?)))
                .collect()
        }
        toml::Value::Array(pairs) => {
            let pairs = pairs.iter();
            pairs
                .map(|pair| match pair.as_array()?.as_slice() {
                    [name, value] => Some((name.as_str()?, value.as_str()?)),
                    _ => None,
                })
                .collect()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_their_unit() {
        let check = |text: &str| Duration::check(text.to_owned());
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
            ("3", 3_000),
        ] {
            assert_eq!(check(text), Ok(Duration::from_millis(milliseconds)));
        }
        for bad in ["", "s", "1d", "-1s", "1s2", "1e400", "61m"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
