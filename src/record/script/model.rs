//! A script, checked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::broker::BrokerOptions;
use crate::mqtt::{PacketType, PropertiesBuf, ProtocolVersion, QoS};

/// Clients of one script at the most: each has a socket at both ends in this process.
pub const CLIENTS: usize = 400;
/// Steps of one script at the most.
pub const STEPS: usize = 100_000;

/// A script, checked: every name in it is known, every value has a form in bytes.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What it shows, in one line.
    pub about: String,
    /// `None`: the caller's.
    pub seed: Option<u64>,
    pub(super) broker: BrokerWishes,
    pub(super) clients: Vec<Client>,
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// What the script wants of the broker, put into `options`.
    pub fn apply(&self, options: &mut BrokerOptions) {
        let wishes = &self.broker;
        if !wishes.users.is_empty() {
            let users = wishes.users.iter();
            options.users = Some(
                users
                    .map(|(name, password)| (name.clone(), password.clone().into_bytes()))
                    .collect(),
            );
        }
        options.anonymous = wishes.anonymous;
        options.server_keep_alive = wishes.server_keep_alive;
        options.receive_maximum = wishes.receive_maximum.unwrap_or(options.receive_maximum);
        options.topic_alias_maximum = wishes
            .topic_alias_maximum
            .unwrap_or(options.topic_alias_maximum);
        let limits = &mut options.limits;
        limits.packet_bytes = wishes.maximum_packet_size.unwrap_or(limits.packet_bytes);
        options.connect_timeout = wishes
            .connect_timeout
            .map_or(options.connect_timeout, |time| {
                crate::base::Span::from_nanos(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
            });
        if let Some(seed) = self.seed {
            options.seed = seed;
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct BrokerWishes {
    pub(super) users: BTreeMap<String, String>,
    pub(super) anonymous: bool,
    pub(super) receive_maximum: Option<u16>,
    pub(super) topic_alias_maximum: Option<u16>,
    pub(super) maximum_packet_size: Option<usize>,
    pub(super) server_keep_alive: Option<u16>,
    pub(super) connect_timeout: Option<Duration>,
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

/// What a client connects with.
#[derive(Clone, Debug)]
pub(super) struct ConnectOptions {
    pub(super) version: ProtocolVersion,
    pub(super) client_id: String,
    pub(super) clean: bool,
    pub(super) keep_alive: u16,
    pub(super) user_name: Option<String>,
    pub(super) password: Option<String>,
    pub(super) will: Option<Will>,
    pub(super) properties: PropertiesBuf,
    pub(super) ip: Option<IpAddr>,
    pub(super) eager: bool,
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

#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) packet_id: Option<u16>,
    pub(super) count: u32,
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

#[derive(Clone, Debug)]
pub(super) enum Until {
    Packet {
        packet_type: PacketType,
        topic: Option<String>,
    },
    Closed,
}
