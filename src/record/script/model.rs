//! A script, checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use super::time::Time;
use crate::broker::BrokerOptions;
use crate::mqtt::{PacketType, PropertiesBuf, ProtocolVersion, QoS};

/// Clients of one script at the most: each has a socket at both ends in this process.
pub const CLIENTS: usize = 400;
/// Steps of one script at the most.
pub const STEPS: usize = 100_000;

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
        options.anonymous = wishes.anonymous;
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
        if let Some(Time(time)) = wishes.connect_timeout {
            let nanos = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
            options.connect_timeout = crate::base::Span::from_nanos(nanos);
        }
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
    }
}

/// The wishes of a script about its broker; what it leaves out is the broker's own choice.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BrokerWishes {
    pub(super) users: BTreeMap<String, String>,
    pub(super) anonymous: bool,
    pub(super) receive_maximum: Option<u16>,
    pub(super) topic_alias_maximum: Option<u16>,
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) connect_timeout: Option<Time>,
}

impl Default for BrokerWishes {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            anonymous: true,
            receive_maximum: None,
            topic_alias_maximum: None,
            maximum_packet_size: None,
            server_keep_alive: None,
            connect_timeout: None,
        }
    }
}

/// A client's name and what it connects with.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) options: ConnectOptions,
}

/// The options that a client connects with.
#[derive(Clone, Debug)]
pub(super) struct ConnectOptions {
    pub(super) version: ProtocolVersion,
    pub(super) client_id: String,
    pub(super) clean: bool,
    /// In seconds.
    pub(super) keep_alive: u16,
    pub(super) user_name: Option<String>,
    pub(super) password: Option<String>,
    pub(super) will: Option<Will>,
    pub(super) properties: PropertiesBuf,
    /// The loopback address that it connects to; `None`: any.
    pub(super) ip: Option<IpAddr>,
    /// Whether it answers before the other clients do.
    pub(super) eager: bool,
    /// Whether it pings in time for its keep alive.
    pub(super) ping: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            version: ProtocolVersion::V3_1_1,
            client_id: String::new(),
            clean: true,
            keep_alive: 60,
            user_name: None,
            password: None,
            will: None,
            properties: PropertiesBuf::new(),
            ip: None,
            eager: false,
            ping: false,
        }
    }
}

/// A will, checked.
#[derive(Clone, Debug)]
pub(super) struct Will {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: PropertiesBuf,
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    /// The client's place among the clients; a `sleep` has none.
    pub(super) client: usize,
    pub(super) action: Action,
}

/// The action of a step: `manual.md` describes each.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Connect(Box<ConnectOptions>),
    Open(Box<ConnectOptions>),
    Subscribe {
        filters: Vec<(String, u8)>,
        properties: PropertiesBuf,
    },
    Unsubscribe {
        filters: Vec<String>,
        properties: PropertiesBuf,
    },
    Publish(Box<Publish>),
    Ping,
    Disconnect {
        reason_code: u8,
        properties: PropertiesBuf,
    },
    Kill(Kill),
    Send(Vec<u8>),
    Wait {
        until: Until,
        timeout: Duration,
    },
    Hold(Vec<PacketType>),
    Release,
    Drop {
        packets: Vec<PacketType>,
        count: u32,
    },
    Delay(Duration),
    Sleep(Duration),
}

/// A PUBLISH that a step sends.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    /// `None`: the next one that is free.
    pub(super) packet_id: Option<u16>,
    pub(super) count: u32,
    /// Whether the client leaves once the exchange is done.
    pub(super) leave: bool,
    pub(super) properties: PropertiesBuf,
}

/// How a client's connection ends without DISCONNECT.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kill {
    #[default]
    Reset,
    Fin,
}

/// The end of a wait.
#[derive(Clone, Debug)]
pub(super) enum Until {
    Packet {
        packet_type: PacketType,
        topic: Option<String>,
    },
    Closed,
}
