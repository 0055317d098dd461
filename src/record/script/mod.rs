//! Scripts: clients with names, and the steps that they take one after the other.
//!
//! A script is a TOML file. The built-in scenarios are such scripts
//! (`src/record/scenarios`), so each of them is an example.
//!
//! ```toml
//! about = "One QoS 1 message"          # shown by --list-scenarios
//! seed = 1                             # assigned client identifiers, sequence numbers
//!
//! [broker]                             # all optional
//! users = { ann = "secret" }           # others get return code 4 (3.x), 0x86 (5.0)
//! anonymous = false                    # let nobody in without a user name
//! receive_maximum = 20
//! topic_alias_maximum = 10
//! maximum_packet_size = 1000
//! server_keep_alive = 30
//! connect_timeout = "2s"
//!
//! [[clients]]
//! name = "sub"                         # what the steps call it; the rest is optional
//! version = "3.1.1"                    # 3.1, 3.1.1 or 5.0
//! client_id = ""
//! clean = true
//! keep_alive = 60
//! user_name = "ann"
//! password = "secret"
//! will = { topic = "t", payload = "bye", qos = 0, retain = false, properties = {} }
//! properties = { session_expiry_interval = 60 }
//! ip = "ipv6"                          # or ipv4
//! eager = false                        # answer before the broker has sent anything else
//! ping = false                         # send PINGREQ when the keep alive asks for it
//!
//! [[steps]]
//! connect = { client = "sub" }         # any line of [[clients]] can be given anew here
//! ```
//!
//! | step | what it does |
//! |---|---|
//! | `connect = { client, ... }` | opens a connection, sends CONNECT, waits for the answer |
//! | `open = { client }` | opens a connection only |
//! | `subscribe = { client, filter, qos, no_local, retain_as_published, retain_handling, properties }` | `filter` may be a list |
//! | `unsubscribe = { client, filter, properties }` | `filter` may be a list |
//! | `publish = { client, topic, payload, qos, retain, dup, packet_id, count, leave, properties }` | `payload` is text; `payload_hex` or `payload_octets` (a number) instead; `leave`: DISCONNECT once it is done |
//! | `ping = { client }` | PINGREQ |
//! | `disconnect = { client, reason_code, properties }` | DISCONNECT and FIN |
//! | `kill = { client, how }` | ends the connection without DISCONNECT: `how` is `"reset"` (RST) or `"fin"` |
//! | `send = { client, hex }` | octets as they are |
//! | `wait = { client, packet, topic, closed, timeout }` | until that packet has come, or the connection is closed |
//! | `hold = { client, packets }` | from now on holds back answers of these types, `["PUBACK"]` |
//! | `release = { client }` | sends what was held back, holds nothing any more |
//! | `drop = { client, packets, count }` | never sends the next `count` (1) answers of these types |
//! | `delay = { client, by }` | answers that much later from now on, `"50ms"` |
//! | `sleep = "500ms"` | nothing happens but what time brings |
//!
//! Clients answer by themselves: PUBLISH with PUBACK or PUBREC, PUBREC with PUBREL, PUBREL
//! with PUBCOMP. A step is over when everything that follows from it has happened. The
//! clients take turns with the broker in one thread, so the same script with the same seed
//! gives the same control packets in the same order.

mod actor;
mod parse;
mod play;

pub use parse::{ScriptError, parse_duration};
pub use play::{PlayError, Player};

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::broker::Options as BrokerOptions;
use crate::mqtt::{PacketType, PropertiesBuf, ProtocolVersion, QoS};

/// Clients of one script at the most: each has a socket at both ends in this process.
pub const CLIENTS: usize = 400;
/// Steps of one script at the most.
pub const STEPS: usize = 100_000;

/// A script, checked: every name in it is known, every value has a form in octets.
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
        limits.packet_octets = wishes.maximum_packet_size.unwrap_or(limits.packet_octets);
        limits.connect_timeout = wishes
            .connect_timeout
            .map_or(limits.connect_timeout, |time| {
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
