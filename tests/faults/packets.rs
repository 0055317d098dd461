//! Control packets from the words of a scenario, right or wrong as it asks for.

use mqtt_inspect::mqtt::property::PropertyType;
use mqtt_inspect::mqtt::{PropertiesBuf, PropertyId, PropertyValue};

use crate::talk::{packet, text};

/// The words behind a packet's name: values in a row, switches, and values with a key.
pub(super) struct Words<'t> {
    version: u8,
    words: Vec<&'t str>,
}

impl<'t> Words<'t> {
    pub(super) fn new(version: u8, words: Vec<&'t str>) -> Self {
        Self { version, words }
    }

    /// The words without a key that are no switch.
    fn values(&self) -> impl Iterator<Item = &'t str> {
        let switches = ["dup", "retain", "present", "will-retain"];
        let plain = move |word: &&str| !word.contains('=') && !switches.contains(word);
        self.words.iter().copied().filter(plain)
    }

    pub(super) fn first(&self) -> &'t str {
        self.values().next().unwrap_or_default()
    }

    pub(super) fn has(&self, switch: &str) -> bool {
        self.words.contains(&switch)
    }

    pub(super) fn text(&self, key: &str) -> Option<&'t str> {
        let mut keyed = self.words.iter().filter_map(|word| word.split_once('='));
        keyed
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
            .map(|value| self.of_version(value))
    }

    /// A number, in hexadecimal behind `0x`.
    pub(super) fn number(&self, key: &str) -> Option<u32> {
        self.text(key).map(number)
    }

    /// The reason code; the scenario may have one for each version: `code=5|0x87`.
    fn code(&self) -> Option<u8> {
        self.number("code").map(|code| code as u8)
    }

    pub(super) fn of_version<'v>(&self, value: &'v str) -> &'v str {
        match value.split_once('|') {
            Some((_, new)) if self.version == 5 => new,
            Some((old, _)) => old,
            None => value,
        }
    }

    fn id(&self) -> [u8; 2] {
        (self.number("id").unwrap_or(1) as u16).to_be_bytes()
    }

    /// The properties whose names begin with `prefix`, with their length; nothing before 5.0.
    fn properties(&self, prefix: &str) -> Vec<u8> {
        if self.version < 5 {
            return Vec::new();
        }
        let mut out = PropertiesBuf::new();
        for (key, value) in self.words.iter().filter_map(|word| word.split_once('=')) {
            let Some(key) = key.strip_prefix(prefix) else {
                continue;
            };
            if let Some(id) = PropertyId::ALL.iter().find(|id| id.name() == key) {
                out.push(*id, property(*id, value))
                    .expect("a property that can be written");
            }
        }
        let properties = out.as_properties();
        let bytes = properties.bytes();
        assert!(bytes.len() < 128, "few properties");
        [&[bytes.len() as u8], bytes].concat()
    }
}

fn property(id: PropertyId, value: &str) -> PropertyValue<'_> {
    match id.kind().expect("a known property") {
        PropertyType::Byte => PropertyValue::Byte(number(value) as u8),
        PropertyType::TwoByte => PropertyValue::TwoByte(number(value) as u16),
        PropertyType::FourByte => PropertyValue::FourByte(number(value)),
        PropertyType::Variable => PropertyValue::Variable(number(value)),
        PropertyType::Binary => PropertyValue::Binary(value.as_bytes()),
        PropertyType::Text => PropertyValue::Text(value),
        PropertyType::Pair => {
            let (name, value) = value.split_once(':').expect("a name and a value");
            PropertyValue::Pair(name, value)
        }
    }
}

pub(super) fn number(value: &str) -> u32 {
    let read = match value.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => value.parse(),
    };
    read.unwrap_or_else(|_| panic!("{value} is no number"))
}

pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<_> = digits.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair: String = pair.iter().collect();
            u8::from_str_radix(&pair, 16).unwrap_or_else(|_| panic!("{pair} is no byte"))
        })
        .collect()
}

/// A string of a packet, with its length; `hex:` stands before one that is no text.
fn string(value: &str) -> Vec<u8> {
    match value.strip_prefix("hex:") {
        Some(digits) => {
            let bytes = hex(digits);
            [&(bytes.len() as u16).to_be_bytes(), &bytes[..]].concat()
        }
        None => text(value),
    }
}

/// The bytes of the packet `name`. `first=` sets its first byte, `tail=` adds bytes to its body,
/// `length=` writes the Remaining Length otherwise than it is.
pub(super) fn bytes(name: &str, words: &Words<'_>) -> Vec<u8> {
    let (first, mut body) = match name {
        "CONNECT" => (0x10, connect(words)),
        "CONNACK" => {
            let present = u8::from(words.has("present"));
            let flags = words.number("flags").map_or(present, |flags| flags as u8);
            let code = words.code().unwrap_or(0);
            (0x20, [&[flags, code], &words.properties("")[..]].concat())
        }
        "PUBLISH" => publish(words),
        "PUBACK" => (0x40, acknowledgement(words)),
        "PUBREC" => (0x50, acknowledgement(words)),
        "PUBREL" => (0x62, acknowledgement(words)),
        "PUBCOMP" => (0x70, acknowledgement(words)),
        "SUBSCRIBE" => {
            let mut body = [&words.id()[..], &words.properties("")].concat();
            let options = words.number("options").unwrap_or(0);
            let qos = words.number("qos").unwrap_or(0);
            for filter in words.values() {
                body.extend(string(filter));
                body.push((options | qos) as u8);
            }
            (0x82, body)
        }
        "UNSUBSCRIBE" => {
            let filters = words.values().map(string);
            let body = [&words.id()[..], &words.properties("")].concat();
            (0xa2, [body, filters.flatten().collect()].concat())
        }
        "SUBACK" | "UNSUBACK" => {
            let codes = words
                .values()
                .map(|code| number(words.of_version(code)) as u8);
            let codes: Vec<u8> = codes.collect();
            let first = if name == "SUBACK" { 0x90 } else { 0xb0 };
            let codes = if first == 0xb0 && words.version < 5 {
                &[][..]
            } else {
                &codes
            };
            (
                first,
                [&words.id()[..], &words.properties(""), codes].concat(),
            )
        }
        "PINGREQ" => (0xc0, Vec::new()),
        "PINGRESP" => (0xd0, Vec::new()),
        "DISCONNECT" => (0xe0, reason(words)),
        "AUTH" => (0xf0, reason(words)),
        other => panic!("{other} is no packet"),
    };
    let first = words.number("first").unwrap_or(first.into()) as u8;
    body.extend(hex(words.text("tail").unwrap_or_default()));
    match words.text("length") {
        Some(length) => [&[first], &hex(length)[..], &body].concat(),
        None => packet(first, &body),
    }
}

fn connect(words: &Words<'_>) -> Vec<u8> {
    let clean = words.number("clean").unwrap_or(1);
    let will = words.text("will");
    let mut flags = clean << 1;
    if will.is_some() {
        let qos = words.number("will-qos").unwrap_or(0);
        let retain = u32::from(words.has("will-retain"));
        flags |= 0x04 | qos << 3 | retain << 5;
    }
    flags |= u32::from(words.text("user").is_some()) << 7;
    flags |= u32::from(words.text("password").is_some()) << 6;
    let level = words.number("level").unwrap_or(words.version.into()) as u8;
    let keep_alive = words.number("keep").unwrap_or(60) as u16;
    let name = if words.version == 3 { "MQIsdp" } else { "MQTT" };
    let mut body = text(words.text("name").unwrap_or(name));
    body.push(level);
    body.push(words.number("flags").unwrap_or(flags) as u8);
    body.extend(keep_alive.to_be_bytes());
    body.extend(words.properties(""));
    body.extend(string(words.text("id").unwrap_or_default()));
    if let Some(topic) = will {
        body.extend(words.properties("will."));
        body.extend(string(topic));
        body.extend(string(words.text("will-payload").unwrap_or("gone")));
    }
    for key in ["user", "password"] {
        body.extend(words.text(key).map(string).unwrap_or_default());
    }
    body
}

fn publish(words: &Words<'_>) -> (u8, Vec<u8>) {
    let qos = words.number("qos").unwrap_or(0) as u8;
    let bits = u8::from(words.has("dup")) << 3 | u8::from(words.has("retain"));
    let topic = words.first();
    let mut body = string(if topic == "-" { "" } else { topic });
    if qos > 0 {
        body.extend(words.id());
    }
    body.extend(words.properties(""));
    let payload = words.text("payload").unwrap_or("on");
    match payload.strip_prefix("octets:") {
        Some(count) => body.extend(vec![b'x'; number(count) as usize]),
        None => body.extend(payload.as_bytes()),
    }
    (0x30 | bits | qos << 1, body)
}

/// Identifier, and in 5.0 the reason code with properties where there are any.
fn acknowledgement(words: &Words<'_>) -> Vec<u8> {
    let id = match words.values().next() {
        Some(id) => (number(id) as u16).to_be_bytes(),
        None => words.id(),
    };
    [&id[..], &reason(words)].concat()
}

fn reason(words: &Words<'_>) -> Vec<u8> {
    let properties = words.properties("");
    match (words.code(), words.version) {
        (_, 3 | 4) => Vec::new(),
        (None, _) if properties.len() < 2 => Vec::new(),
        (code, _) => {
            let properties = if properties.len() < 2 {
                &[][..]
            } else {
                &properties
            };
            [&[code.unwrap_or(0)], properties].concat()
        }
    }
}
