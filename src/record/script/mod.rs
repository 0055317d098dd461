//! Scripts: clients with names, and the steps that they take one after the other.
//!
//! How one is written is described in `src/record/script/manual.md`, for users. The clients take turns with
//! the broker in one thread: see [`Player`].

mod actor;
mod parse;
mod play;
mod properties;
mod turns;

pub use parse::{ScriptError, parse_duration};
pub use play::{PlayError, Player};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

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
    broker: BrokerWishes,
    clients: Vec<Client>,
    steps: Vec<Step>,
}

impl Script {
    /// Reads and checks a script.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        parse::parse(text)
    }

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
struct BrokerWishes {
    users: BTreeMap<String, String>,
    anonymous: bool,
    receive_maximum: Option<u16>,
    topic_alias_maximum: Option<u16>,
    maximum_packet_size: Option<usize>,
    server_keep_alive: Option<u16>,
    connect_timeout: Option<Duration>,
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
struct Client {
    name: String,
    options: ConnectOptions,
}

/// What a client connects with.
#[derive(Clone, Debug)]
struct ConnectOptions {
    version: ProtocolVersion,
    client_id: String,
    clean: bool,
    keep_alive: u16,
    user_name: Option<String>,
    password: Option<String>,
    will: Option<Will>,
    properties: PropertiesBuf,
    ip: Option<IpAddr>,
    eager: bool,
    ping: bool,
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
struct Will {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    properties: PropertiesBuf,
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
struct Step {
    line: usize,
    /// The client's place among the clients; a `sleep` has none.
    client: usize,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
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
struct Publish {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    dup: bool,
    packet_id: Option<u16>,
    count: u32,
    leave: bool,
    properties: PropertiesBuf,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kill {
    Reset,
    Fin,
}

#[derive(Clone, Debug)]
enum Until {
    Packet {
        packet_type: PacketType,
        topic: Option<String>,
    },
    Closed,
}
