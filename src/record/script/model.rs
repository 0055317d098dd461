//! A script, checked.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::value::Checked;
use crate::base::Span;
use crate::broker::BrokerOptions;
use crate::mqtt::{PacketType, PropertiesBuf, ProtocolVersion, QoS};

/// Clients of one script at the most: each has a socket at both ends in this process.
pub const CLIENTS: usize = 400;
/// Steps of one script at the most.
pub const STEPS: usize = 100_000;
/// Bytes of one payload that a script may ask for.
const PAYLOAD: usize = 64 << 20;
/// How long a `wait` waits by default.
const PATIENCE: Duration = Duration::from_secs(5);

/// A script, checked: every name in it is known, every value has a form in bytes.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Its subject, in one line.
    pub about: String,
    /// `None`: the caller's.
    pub seed: Option<u64>,
    pub(super) broker: BrokerWishes,
    pub(super) clients: Vec<Client>,
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// Puts the script's wishes of the broker into `options`.
    pub fn apply(&self, options: &mut BrokerOptions) {
        let wishes = &self.broker;
        options.users.clone_from(&wishes.users);
        options.anonymous = wishes.anonymous.unwrap_or(true);
        options.server_keep_alive = wishes.server_keep_alive;
        // 0 is a protocol error (MQTT 5.0 §3.2.2.3.3): the broker's own value stands.
        if let Some(most) = wishes.receive_maximum.filter(|&most| most > 0) {
            options.receive_maximum = most;
        }
        if let Some(most) = wishes.topic_alias_maximum {
            options.topic_alias_maximum = most;
        }
        // No control packet is shorter than two bytes.
        if let Some(most) = wishes.maximum_packet_size {
            options.limits.packet_bytes = most.max(2) as usize;
        }
        if let Some(time) = &wishes.connect_timeout {
            options.connect_timeout = span(**time);
        }
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
    }
}

/// The wishes of a script about its broker; what it leaves out is the broker's own choice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrokerWishes {
    #[serde(default)]
    pub(super) users: BTreeMap<String, String>,
    pub(super) anonymous: Option<bool>,
    pub(super) receive_maximum: Option<u16>,
    pub(super) topic_alias_maximum: Option<u16>,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) connect_timeout: Option<Checked<Duration>>,
}

/// A client's name, and the options that it connects with.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) options: ConnectOptions,
}

impl Client {
    /// Splits the name under `key` from the options: serde cannot flatten and refuse unknown keys
    /// at once.
    ///
    /// # Errors
    /// What is wrong with the table, for the user.
    pub(super) fn split(mut table: toml::Table, key: &str) -> Result<Self, String> {
        let name = match table.remove(key) {
            Some(toml::Value::String(name)) => name,
            Some(_) => return Err(format!("{key} is no text")),
            None => return Err(format!("missing field `{key}`")),
        };
        let options = table.try_into();
        let options = options.map_err(|error| error.message().to_owned())?;
        Ok(Self { name, options })
    }
}

/// A step that connects a client, and the options that differ from the client's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "toml::Table")]
pub(super) struct Connect(pub(super) Client);

impl TryFrom<toml::Table> for Connect {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        Client::split(table, "client").map(Self)
    }
}

/// The options that a client connects with. What a step leaves out is as the client has it, what
/// the client leaves out has its default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectOptions {
    version: Option<Checked<ProtocolVersion>>,
    pub(super) client_id: Option<Checked<String>>,
    pub(super) clean: Option<bool>,
    keep_alive: Option<u16>,
    pub(super) user_name: Option<Checked<String>>,
    pub(super) password: Option<Checked<String>>,
    pub(super) will: Option<Will>,
    pub(super) properties: Option<Checked<PropertiesBuf>>,
    /// The loopback address that it connects to; `None`: any.
    pub(super) ip: Option<Checked<IpAddr>>,
    /// Whether it answers before the other clients do.
    pub(super) eager: Option<bool>,
    /// Whether it pings in time for its keep alive.
    pub(super) ping: Option<bool>,
}

impl ConnectOptions {
    /// These options, and those of `base` for what these leave out.
    pub(super) fn over(self, base: Self) -> Self {
        Self {
            version: self.version.or(base.version),
            client_id: self.client_id.or(base.client_id),
            clean: self.clean.or(base.clean),
            keep_alive: self.keep_alive.or(base.keep_alive),
            user_name: self.user_name.or(base.user_name),
            password: self.password.or(base.password),
            will: self.will.or(base.will),
            properties: self.properties.or(base.properties),
            ip: self.ip.or(base.ip),
            eager: self.eager.or(base.eager),
            ping: self.ping.or(base.ping),
        }
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.version
            .map_or(ProtocolVersion::V3_1_1, |version| *version)
    }

    /// In seconds.
    pub(super) fn keep_alive(&self) -> u16 {
        self.keep_alive.unwrap_or(60)
    }
}

/// A will.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Will {
    pub(super) topic: Checked<String>,
    #[serde(default)]
    pub(super) payload: Checked<String>,
    #[serde(default)]
    pub(super) qos: Checked<QoS>,
    #[serde(default)]
    pub(super) retain: bool,
    #[serde(default)]
    pub(super) properties: Checked<PropertiesBuf>,
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    /// The client's place among the clients; a `sleep` has none.
    pub(super) client: usize,
    pub(super) action: Action,
}

/// The action of a step, a table with its name as the only key: `manual.md` describes each.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    Connect(Box<Connect>),
    Open(Box<Connect>),
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    Publish(Box<Publish>),
    Ping(ClientOnly),
    Disconnect(Disconnect),
    Kill(Kill),
    Send(Send),
    Wait(Wait),
    Hold(Packets),
    Release(ClientOnly),
    Drop(Packets),
    Delay(Delay),
    Sleep(Checked<Duration>),
}

impl Action {
    /// The name of the client that acts; a `sleep` has none.
    pub(super) fn client(&self) -> Option<&str> {
        Some(match self {
            Self::Connect(connect) | Self::Open(connect) => &connect.0.name,
            Self::Publish(publish) => &publish.client,
            Self::Subscribe(Subscribe { client, .. })
            | Self::Unsubscribe(Unsubscribe { client, .. })
            | Self::Ping(ClientOnly { client })
            | Self::Disconnect(Disconnect { client, .. })
            | Self::Kill(Kill { client, .. })
            | Self::Send(Send { client, .. })
            | Self::Wait(Wait { client, .. })
            | Self::Hold(Packets { client, .. })
            | Self::Release(ClientOnly { client })
            | Self::Drop(Packets { client, .. })
            | Self::Delay(Delay { client, .. }) => client,
            Self::Sleep(_) => return None,
        })
    }

    /// Checks the keys that hang together.
    ///
    /// # Errors
    /// What is wrong with them, for the user.
    pub(super) fn check(&self) -> Result<(), String> {
        let wrong = match self {
            Self::Subscribe(subscribe) if subscribe.retain_handling > 2 => {
                "retain_handling is none of 0, 1, 2"
            }
            Self::Publish(publish) => {
                publish.check_payload()?;
                match publish.packet_id {
                    Some(0) => "packet_id 0 is none; send it as octets",
                    _ => return Ok(()),
                }
            }
            Self::Wait(wait) if wait.packet.is_some() == wait.closed => {
                "a wait needs either packet = \"...\" or closed = true"
            }
            Self::Hold(packets) if packets.count.is_some() => "hold has no count",
            _ => return Ok(()),
        };
        Err(wrong.to_owned())
    }
}

/// The keys of a step that needs its client alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientOnly {
    client: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subscribe {
    client: String,
    pub(super) filter: Checked<Vec<String>>,
    #[serde(default)]
    qos: Checked<QoS>,
    #[serde(default)]
    no_local: bool,
    #[serde(default)]
    retain_as_published: bool,
    #[serde(default)]
    retain_handling: u8,
    #[serde(default)]
    pub(super) properties: Checked<PropertiesBuf>,
}

impl Subscribe {
    /// The Subscription Options of each filter (MQTT 5.0 §3.8.3.1).
    pub(super) fn options(&self) -> u8 {
        *self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | self.retain_handling << 4
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsubscribe {
    client: String,
    pub(super) filter: Checked<Vec<String>>,
    #[serde(default)]
    pub(super) properties: Checked<PropertiesBuf>,
}

/// The keys of `publish`; at most one of the three payloads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    client: String,
    #[serde(default)]
    pub(super) topic: Checked<String>,
    payload: Option<String>,
    payload_hex: Option<Checked<Vec<u8>>>,
    payload_octets: Option<usize>,
    #[serde(default)]
    pub(super) qos: Checked<QoS>,
    #[serde(default)]
    pub(super) retain: bool,
    #[serde(default)]
    pub(super) dup: bool,
    /// `None`: the next one that is free.
    pub(super) packet_id: Option<u16>,
    pub(super) count: Option<u32>,
    /// Whether the client leaves once the exchange is done.
    #[serde(default)]
    pub(super) leave: bool,
    #[serde(default)]
    pub(super) properties: Checked<PropertiesBuf>,
}

impl Publish {
    /// Checks the payload that it asks for, without making it: a script of a few bytes a step can
    /// ask for gigabytes.
    ///
    /// # Errors
    /// It asks for more than one, or for too much.
    fn check_payload(&self) -> Result<(), String> {
        match (&self.payload, &self.payload_hex, self.payload_octets) {
            (None, None, Some(bytes)) if bytes > PAYLOAD => {
                Err(format!("payload_octets is above {PAYLOAD}"))
            }
            (None, None, _) | (Some(_), None, None) | (None, Some(_), None) => Ok(()),
            _ => Err("more than one payload".to_owned()),
        }
    }

    /// The payload that it asks for: made when the step is taken, and gone after it.
    pub(super) fn payload(&self) -> Cow<'_, [u8]> {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";
        if let Some(text) = &self.payload {
            return text.as_bytes().into();
        }
        if let Some(bytes) = &self.payload_hex {
            return bytes.as_slice().into();
        }
        let length = self.payload_octets.unwrap_or(0);
        let mut bytes = LETTERS.repeat(length.div_ceil(LETTERS.len()));
        bytes.truncate(length);
        bytes.into()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnect {
    client: String,
    #[serde(default)]
    pub(super) reason_code: u8,
    #[serde(default)]
    pub(super) properties: Checked<PropertiesBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    client: String,
    #[serde(default)]
    pub(super) how: How,
}

/// How a client's connection ends without DISCONNECT.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum How {
    #[default]
    Reset,
    Fin,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    client: String,
    pub(super) hex: Checked<Vec<u8>>,
}

/// The keys of `wait`; either `packet` or `closed`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wait {
    client: String,
    pub(super) packet: Option<Checked<PacketType>>,
    pub(super) topic: Option<String>,
    #[serde(default)]
    closed: bool,
    timeout: Option<Checked<Duration>>,
}

impl Wait {
    pub(super) fn timeout(&self) -> Duration {
        self.timeout.map_or(PATIENCE, |time| *time)
    }
}

/// The keys of `hold` and `drop`; only the latter has a count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Packets {
    client: String,
    packets: Vec<Checked<PacketType>>,
    pub(super) count: Option<u32>,
}

impl Packets {
    pub(super) fn types(&self) -> impl Iterator<Item = PacketType> {
        self.packets.iter().map(|packet_type| **packet_type)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delay {
    client: String,
    pub(super) by: Checked<Duration>,
}

/// The same time on the capture's clock.
pub(super) fn span(time: Duration) -> Span {
    Span::from_nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
}
