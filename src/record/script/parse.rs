//! A script's text, checked: errors carry their line.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::model::{
    Action, BrokerWishes, CLIENTS, Client, ConnectOptions, Kill, Publish, STEPS, Script, Step,
    Until, Will,
};
use super::properties::RawProperties;
use super::time::Time;
use crate::mqtt::{PacketType, PropertiesBuf, ProtocolVersion, QoS};

/// An error of a script, with its line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    /// The reason.
    pub message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ScriptError {}

/// Bytes of one payload that a script may ask for.
const PAYLOAD: usize = 64 << 20;
/// How long a `wait` waits by default.
const PATIENCE: Duration = Duration::from_secs(5);

impl Script {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines = Lines { text };
        let raw: RawScript = toml::from_str(text).map_err(|error| ScriptError {
            line: lines.at(error.span()),
            message: error.message().to_owned(),
        })?;
        let mut names = HashMap::new();
        let mut clients = Vec::new();
        for client in raw.clients {
            let at = client.span();
            let client = client.into_inner();
            if names.insert(client.name.clone(), clients.len()).is_some() {
                let message = format!("there is a client named '{}' already", client.name);
                return Err(lines.error(at, message));
            }
            if clients.len() >= CLIENTS {
                return Err(lines.error(at, format!("more than {CLIENTS} clients")));
            }
            let options = client.options.over(&ConnectOptions::default());
            clients.push(Client {
                name: client.name,
                options: options.map_err(|message| lines.error(at, message))?,
            });
        }
        if raw.steps.len() > STEPS {
            return Err(ScriptError {
                line: 1,
                message: format!("more than {STEPS} steps"),
            });
        }
        let mut steps = Vec::new();
        for step in raw.steps {
            let at = step.span();
            let checked = step.into_inner().check(&names, &clients);
            let (client, action) = checked.map_err(|message| lines.error(at.clone(), message))?;
            steps.push(Step {
                line: lines.at(Some(at)),
                client,
                action,
            });
        }
        Ok(Script {
            about: raw.about,
            seed: raw.seed,
            broker: raw.broker,
            clients,
            steps,
        })
    }
}

/// Lines of the script, for errors.
struct Lines<'a> {
    text: &'a str,
}

impl Lines<'_> {
    /// The line where `span` begins; of a table, the first line below its header.
    fn at(&self, span: Option<Range<usize>>) -> usize {
        let start = span.map_or(0, |span| span.start);
        let (before, after) = self.text.split_at_checked(start).unwrap_or((self.text, ""));
        let line = 1 + before.matches('\n').count();
        if !after.starts_with("[[") {
            return line;
        }
        let below = after.lines().skip(1);
        let empty = |text: &str| text.trim().is_empty() || text.trim_start().starts_with('#');
        line + 1 + below.take_while(|text| empty(text)).count()
    }

    /// Returns an error that points to `span`.
    fn error(&self, span: Range<usize>, message: String) -> ScriptError {
        ScriptError {
            line: self.at(Some(span)),
            message,
        }
    }
}

/// A script as written; each `Raw` type is turned into the checked one by its `check`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    #[serde(default)]
    about: String,
    seed: Option<u64>,
    #[serde(default)]
    broker: BrokerWishes,
    #[serde(default)]
    clients: Vec<Spanned<RawClient>>,
    #[serde(default)]
    steps: Vec<Spanned<RawStep>>,
}

/// A client by its name, and the options that it connects with.
#[derive(Deserialize)]
#[serde(try_from = "toml::Table")]
struct RawClient {
    name: String,
    options: RawOptions,
}

impl TryFrom<toml::Table> for RawClient {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (name, options) = split(table, "name")?;
        Ok(Self { name, options })
    }
}

/// A step that connects a client, and the options that differ from the client's own.
#[derive(Deserialize)]
#[serde(try_from = "toml::Table")]
struct RawConnect {
    client: String,
    options: RawOptions,
}

impl TryFrom<toml::Table> for RawConnect {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (client, options) = split(table, "client")?;
        Ok(Self { client, options })
    }
}

/// Splits the name under `key` from the options beside it: serde cannot flatten and refuse
/// unknown keys at once.
fn split(mut table: toml::Table, key: &str) -> Result<(String, RawOptions), String> {
    let name = match table.remove(key) {
        Some(toml::Value::String(name)) => name,
        Some(_) => return Err(format!("{key} is no text")),
        None => return Err(format!("missing field `{key}`")),
    };
    let options = table.try_into::<RawOptions>();
    let options = options.map_err(|error| error.message().to_owned())?;
    Ok((name, options))
}

/// Options of a connection as written; what is absent is left to the client or the default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOptions {
    version: Option<String>,
    client_id: Option<String>,
    clean: Option<bool>,
    keep_alive: Option<u16>,
    user_name: Option<String>,
    password: Option<String>,
    will: Option<RawWill>,
    properties: Option<RawProperties>,
    ip: Option<String>,
    eager: Option<bool>,
    ping: Option<bool>,
}

impl RawOptions {
    /// Overlays these options on `base`.
    fn over(self, base: &ConnectOptions) -> Result<ConnectOptions, String> {
        let mut options = base.clone();
        match self.version.as_deref() {
            None => {}
            Some("3.1") => options.version = ProtocolVersion::V3_1,
            Some("3.1.1") => options.version = ProtocolVersion::V3_1_1,
            Some("5.0" | "5") => options.version = ProtocolVersion::V5_0,
            Some(other) => return Err(format!("version '{other}' is none of 3.1, 3.1.1, 5.0")),
        }
        match self.ip.as_deref() {
            None => {}
            Some("ipv4") => options.ip = Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Some("ipv6") => options.ip = Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
            Some(other) => return Err(format!("ip '{other}' is neither ipv4 nor ipv6")),
        }
        options.client_id = fits(self.client_id.unwrap_or(options.client_id))?;
        options.clean = self.clean.unwrap_or(options.clean);
        options.keep_alive = self.keep_alive.unwrap_or(options.keep_alive);
        options.user_name = self.user_name.map(fits).transpose()?.or(options.user_name);
        options.password = self.password.map(fits).transpose()?.or(options.password);
        options.eager = self.eager.unwrap_or(options.eager);
        options.ping = self.ping.unwrap_or(options.ping);
        if let Some(will) = self.will {
            options.will = Some(will.check()?);
        }
        if let Some(properties) = self.properties {
            options.properties = properties.check()?;
        }
        Ok(options)
    }
}

/// A will as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWill {
    topic: String,
    #[serde(default)]
    payload: String,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    properties: Option<RawProperties>,
}

impl RawWill {
    fn check(self) -> Result<Will, String> {
        Ok(Will {
            topic: fits(self.topic)?,
            payload: fits(self.payload)?.into_bytes(),
            qos: qos(self.qos)?,
            retain: self.retain,
            properties: checked(self.properties)?,
        })
    }
}

/// A step as written: a table with the name of the action as its only key.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawStep {
    Connect(RawConnect),
    Open(RawConnect),
    Subscribe(RawSubscribe),
    Unsubscribe(RawUnsubscribe),
    Publish(RawPublish),
    Ping(RawClientOnly),
    Disconnect(RawDisconnect),
    Kill(RawKill),
    Send(RawSend),
    Wait(RawWait),
    Hold(RawPackets),
    Release(RawClientOnly),
    Drop(RawPackets),
    Delay(RawDelay),
    Sleep(Time),
}

/// The keys of a step that needs its client alone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClientOnly {
    client: String,
}

/// A text, or a list of texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubscribe {
    client: String,
    filter: OneOrMore,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    no_local: bool,
    #[serde(default)]
    retain_as_published: bool,
    #[serde(default)]
    retain_handling: u8,
    properties: Option<RawProperties>,
}

impl RawSubscribe {
    fn check(self) -> Result<(String, Action), String> {
        if self.retain_handling > 2 {
            return Err("retain_handling is none of 0, 1, 2".to_owned());
        }
        let options = qos(self.qos)? as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | self.retain_handling << 4;
        let filters = self.filter.into_vec().into_iter();
        let filters = filters
            .map(|filter| Ok((fits(filter)?, options)))
            .collect::<Result<_, String>>()?;
        let properties = checked(self.properties)?;
        let action = Action::Subscribe {
            filters,
            properties,
        };
        Ok((self.client, action))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawUnsubscribe {
    client: String,
    filter: OneOrMore,
    properties: Option<RawProperties>,
}

/// The keys of `publish`; at most one of the three payloads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPublish {
    client: String,
    #[serde(default)]
    topic: String,
    payload: Option<String>,
    payload_hex: Option<String>,
    payload_octets: Option<usize>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    dup: bool,
    packet_id: Option<u16>,
    count: Option<u32>,
    #[serde(default)]
    leave: bool,
    properties: Option<RawProperties>,
}

impl RawPublish {
    fn check(self) -> Result<(String, Action), String> {
        let payload = match (self.payload, self.payload_hex, self.payload_octets) {
            (None, None, None) => Vec::new(),
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(digits), None) => hex(&digits)?,
            (None, None, Some(bytes)) if bytes <= PAYLOAD => {
                (b'a'..=b'z').cycle().take(bytes).collect()
            }
            (None, None, Some(_)) => return Err(format!("payload_octets is above {PAYLOAD}")),
            _ => return Err("more than one payload".to_owned()),
        };
        if self.packet_id == Some(0) {
            return Err("packet_id 0 is none; send it as octets".to_owned());
        }
        let publish = Publish {
            topic: fits(self.topic)?,
            payload,
            qos: qos(self.qos)?,
            retain: self.retain,
            dup: self.dup,
            packet_id: self.packet_id,
            count: self.count.unwrap_or(1),
            leave: self.leave,
            properties: checked(self.properties)?,
        };
        Ok((self.client, Action::Publish(Box::new(publish))))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDisconnect {
    client: String,
    #[serde(default)]
    reason_code: u8,
    properties: Option<RawProperties>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKill {
    client: String,
    #[serde(default)]
    how: Kill,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSend {
    client: String,
    hex: String,
}

/// The keys of `wait`; either `packet` or `closed`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWait {
    client: String,
    packet: Option<String>,
    topic: Option<String>,
    #[serde(default)]
    closed: bool,
    timeout: Option<Time>,
}

impl RawWait {
    fn check(self) -> Result<(String, Action), String> {
        let until = match (self.packet, self.closed) {
            (Some(name), false) => Until::Packet {
                packet_type: packet_type(&name)?,
                topic: self.topic,
            },
            (None, true) => Until::Closed,
            _ => return Err("a wait needs either packet = \"...\" or closed = true".to_owned()),
        };
        let timeout = self.timeout.map_or(PATIENCE, |time| time.0);
        Ok((self.client, Action::Wait { until, timeout }))
    }
}

/// The keys of `hold` and `drop`; only the latter has a count.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackets {
    client: String,
    packets: Vec<String>,
    count: Option<u32>,
}

impl RawPackets {
    fn types(&self) -> Result<Vec<PacketType>, String> {
        self.packets.iter().map(|name| packet_type(name)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDelay {
    client: String,
    by: Time,
}

impl RawStep {
    /// The client that the step names, by its place, and what is to be done.
    fn check(
        self,
        names: &HashMap<String, usize>,
        clients: &[Client],
    ) -> Result<(usize, Action), String> {
        let place = |name: &str| {
            let place = names.get(name).copied();
            place.ok_or_else(|| format!("there is no client named '{name}'"))
        };
        let connect = |raw: RawConnect| {
            let client = place(&raw.client)?;
            let base = clients.get(client).map(|client| client.options.clone());
            let options = raw.options.over(&base.unwrap_or_default())?;
            Ok::<_, String>((client, Box::new(options)))
        };
        let (name, action) = match self {
            Self::Connect(raw) => {
                let (client, options) = connect(raw)?;
                return Ok((client, Action::Connect(options)));
            }
            Self::Open(raw) => {
                let (client, options) = connect(raw)?;
                return Ok((client, Action::Open(options)));
            }
            Self::Sleep(time) => return Ok((0, Action::Sleep(time.0))),
            Self::Subscribe(raw) => raw.check()?,
            Self::Unsubscribe(raw) => {
                let filters = raw.filter.into_vec().into_iter().map(fits);
                let action = Action::Unsubscribe {
                    filters: filters.collect::<Result<_, _>>()?,
                    properties: checked(raw.properties)?,
                };
                (raw.client, action)
            }
            Self::Publish(raw) => raw.check()?,
            Self::Ping(raw) => (raw.client, Action::Ping),
            Self::Disconnect(raw) => {
                let action = Action::Disconnect {
                    reason_code: raw.reason_code,
                    properties: checked(raw.properties)?,
                };
                (raw.client, action)
            }
            Self::Kill(raw) => (raw.client, Action::Kill(raw.how)),
            Self::Send(raw) => (raw.client, Action::Send(hex(&raw.hex)?)),
            Self::Wait(raw) => raw.check()?,
            Self::Hold(raw) if raw.count.is_some() => {
                return Err("hold has no count".to_owned());
            }
            Self::Hold(raw) => (raw.client.clone(), Action::Hold(raw.types()?)),
            Self::Release(raw) => (raw.client, Action::Release),
            Self::Drop(raw) => {
                let (packets, count) = (raw.types()?, raw.count.unwrap_or(1));
                (raw.client, Action::Drop { packets, count })
            }
            Self::Delay(raw) => (raw.client, Action::Delay(raw.by.0)),
        };
        Ok((place(&name)?, action))
    }
}

/// Returns the properties as bytes; none where none are written.
fn checked(properties: Option<RawProperties>) -> Result<PropertiesBuf, String> {
    properties.map_or_else(|| Ok(PropertiesBuf::new()), RawProperties::check)
}

/// Returns the QoS of that number.
fn qos(number: u8) -> Result<QoS, String> {
    QoS::from_bits(number).ok_or_else(|| format!("qos {number} is none of 0, 1, 2"))
}

/// Returns the packet type of that name, in capitals as in the specification.
fn packet_type(name: &str) -> Result<PacketType, String> {
    PacketType::ALL
        .into_iter()
        .find(|known| known.name() == name)
        .ok_or_else(|| format!("there is no packet type '{name}'"))
}

/// Returns a text whose length fits two bytes (MQTT 5.0 §1.5.4).
fn fits(text: String) -> Result<String, String> {
    if text.len() > usize::from(u16::MAX) {
        return Err(format!(
            "a text of {} octets: 65,535 is the most",
            text.len()
        ));
    }
    Ok(text)
}

/// Bytes from hexadecimal digits; blanks, colons and line ends may stand between them.
fn hex(digits: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut high = None;
    for c in digits.chars().filter(|c| !c.is_whitespace() && *c != ':') {
        let digit = c
            .to_digit(16)
            .ok_or_else(|| format!("'{c}' is no hexadecimal digit"))? as u8;
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

#[cfg(test)]
mod tests {
    use super::super::time::parse_duration;
    use super::*;

    fn error(text: &str) -> ScriptError {
        Script::parse(text).expect_err("a script with an error")
    }

    #[test]
    fn an_error_is_reported_with_its_line() {
        let client = "[[clients]]\nname = \"a\"\n";
        for (rest, line, words) in [
            (
                "[[steps]]\nfly = { client = \"a\" }\n",
                4,
                "unknown variant",
            ),
            (
                "[[steps]]\nping = { client = \"b\" }\n",
                4,
                "no client named 'b'",
            ),
            (
                "[[steps]]\npublish = { client = \"a\", topic = \"t\", qos = 3 }\n",
                4,
                "qos 3",
            ),
            (
                "[[steps]]\npublish = { client = \"a\", topc = \"t\" }\n",
                4,
                "unknown field `topc`",
            ),
            ("[[steps]]\nsleep = \"soon\"\n", 4, "'soon' is no time"),
            ("[[clients]]\nname = \"a\"\n", 4, "'a' already"),
            (
                "[[clients]]\nname = \"b\"\nversion = \"4\"\n",
                4,
                "version '4'",
            ),
            (
                "[[steps]]\nconnect = { client = \"a\", properties = { speed = 1 } }\n",
                4,
                "no property 'speed'",
            ),
            (
                "[[steps]]\nsend = { client = \"a\", hex = \"1\" }\n",
                4,
                "odd number",
            ),
            ("[[steps]\n", 3, ""),
        ] {
            let error = error(&format!("{client}{rest}"));
            assert_eq!(error.line, line, "{rest}: {error}");
            assert!(error.message.contains(words), "{rest}: {error}");
        }
    }

    #[test]
    fn times_are_written_with_their_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1.5s", 1_500),
            ("3", 3_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(milliseconds))
            );
        }
        for bad in ["", "s", "1d", "-1s", "1s2", "1e400"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn properties_go_by_their_names_and_types() {
        let script = Script::parse(
            r#"
            [[clients]]
            name = "a"
            version = "5.0"
            properties = { receive_maximum = 2, user_property = [["k", "1"], ["k", "2"]] }
            "#,
        )
        .unwrap();
        let properties = &script.clients[0].options.properties;
        let read = properties.as_properties();
        assert_eq!(read.receive_maximum(), Some(2));
        let pairs: Vec<_> = read.user_properties().collect();
        assert_eq!(pairs, [("k", "1"), ("k", "2")]);
    }
}
