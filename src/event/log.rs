//! The lines of mosquitto's `-v` log, as words: the broker writes them while it serves, the
//! `--log` view writes the same of a capture.
//!
//! Client identifiers, topics and user names come from the traffic: each is made safe for a
//! terminal here, so no line can end early or move the cursor.

use std::borrow::Cow;
use std::fmt;

use crate::base::Endpoint;
use crate::base::text::safe;
use crate::mqtt::ProtocolVersion;

/// Bytes of a long name that are shown.
const SHOWN: usize = 256;

/// Bytes of a name that is shown whole: also of one that was shortened.
const WHOLE: usize = SHOWN + 32;

/// One entry of the log. An entry with a list (a will's topic) may take two lines.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Line<'a> {
    /// A listening socket was opened.
    Listening {
        /// The version of IP: 4 or 6.
        family: u8,
        /// The TCP port of the Server.
        port: u16,
    },
    /// A TCP connection was accepted.
    NewConnection {
        /// Address and port of the Client.
        peer: Endpoint,
        /// The TCP port of the Server.
        port: u16,
    },
    /// A CONNECT was accepted.
    NewClient {
        /// Address and port of the Client.
        peer: Endpoint,
        /// The client identifier, also one that the Server assigned.
        client: &'a str,
        /// The protocol version as mosquitto numbers it: 1 for 3.1, 2 for 3.1.1, 5 for 5.0.
        level: u8,
        /// Clean Session or Clean Start.
        clean: bool,
        /// The keep alive of the CONNECT, in seconds; 0 is none.
        keep_alive: u16,
        /// The user name, where the CONNECT has one.
        user_name: Option<&'a str>,
        /// It is another mosquitto's bridge.
        bridge: bool,
    },
    /// The CONNECT has no will.
    NoWill,
    /// The CONNECT has a will.
    Will {
        /// Bytes of the Will Message's payload.
        length: usize,
        /// Will Retain.
        retain: bool,
        /// Will QoS: 0, 1 or 2.
        qos: u8,
        /// Will Topic.
        topic: &'a str,
    },
    /// Another connection with the same client identifier is closed ([MQTT-3.1.4-2]; 5.0:
    /// [MQTT-3.1.4-3]).
    AlreadyConnected(&'a str),
    /// CONNACK.
    SendingConnAck {
        /// The client identifier.
        client: &'a str,
        /// Session Present.
        session_present: bool,
        /// The return code (3.x) or reason code (5.0).
        code: u8,
    },
    /// PUBLISH.
    Publish {
        /// Received from a publisher and taken or not, or sent to a subscriber.
        way: Way,
        /// The client identifier.
        client: &'a str,
        /// DUP.
        dup: bool,
        /// 0, 1 or 2.
        qos: u8,
        /// RETAIN.
        retain: bool,
        /// 0 at QoS 0.
        packet_id: u16,
        /// The topic name, with a topic alias resolved.
        topic: &'a str,
        /// Bytes of the payload.
        length: usize,
    },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP: the four have slightly different words.
    Acknowledgement {
        /// Received or sent.
        way: Way,
        /// The packet type as the specification writes it.
        name: &'static str,
        /// The client identifier.
        client: &'a str,
        /// The packet identifier of the handshake.
        packet_id: u16,
        /// 0x00 before 5.0, whose packets have none.
        reason_code: u8,
    },
    /// A PUBREC of a message that the Server did not send, or that is complete.
    UnknownPubRec {
        /// The client identifier.
        client: &'a str,
        /// The packet identifier.
        packet_id: u16,
    },
    /// AUTH (5.0).
    Auth {
        /// Received or sent.
        way: Way,
        /// The client identifier.
        client: &'a str,
        /// The reason code.
        reason_code: u8,
        /// The authentication method.
        method: &'a str,
    },
    /// A packet listed by its name alone: SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT ...
    Plain {
        /// Received or sent.
        way: Way,
        /// The packet type as the specification writes it.
        name: &'static str,
        /// The client identifier.
        client: &'a str,
    },
    /// One subscription of a SUBSCRIBE.
    Subscription {
        /// The topic filter.
        filter: &'a str,
        /// The maximum QoS that the Client asks for.
        qos: u8,
    },
    /// The subscription as it was entered.
    Subscribed {
        /// The client identifier.
        client: &'a str,
        /// The QoS that the Server granted.
        qos: u8,
        /// The topic filter.
        filter: &'a str,
    },
    /// One topic filter of an UNSUBSCRIBE.
    Filter(&'a str),
    /// The subscription as it was removed.
    Unsubscribed {
        /// The client identifier.
        client: &'a str,
        /// The topic filter.
        filter: &'a str,
    },
    /// DISCONNECT from the Server (5.0).
    SendingDisconnect {
        /// The client identifier.
        client: &'a str,
        /// The reason code.
        reason_code: u8,
    },
    /// The connection ended after DISCONNECT.
    Disconnected(&'a str),
    /// The Client closed or reset the connection without DISCONNECT.
    Closed(&'a str),
    /// The Server ended the connection for one of mosquitto's reasons.
    Ended {
        /// The client identifier.
        client: &'a str,
        /// The reason.
        cause: Cause,
    },
    /// The Server ended the connection for another reason.
    Dismissed {
        /// The client identifier.
        client: &'a str,
        /// The reason in a few words.
        why: &'a str,
    },
    /// A queue reached its limit: messages are dropped.
    Dropping(&'a str),
    /// Anything else worth a line.
    Note(&'a str),
}

/// Why mosquitto ends a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// A packet that cannot be read.
    Malformed,
    /// A packet that is forbidden.
    Protocol,
    /// A packet larger than the Server takes.
    Oversize,
    /// A will larger than the Server takes.
    OversizePayload,
    /// The CONNECT was not authorised.
    NotAuthorised,
    /// The CONNECT asks for what the Server does not offer.
    Unsupported,
    /// Keep alive ran out.
    TimedOut,
    /// An administrator ended it.
    Administrative,
    /// Any other error, in mosquitto's words.
    Bad(&'static str),
}

/// Which way a packet went, seen from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From the Client.
    Received,
    /// To the Client.
    Sending,
    /// From the Client, and refused: it may not publish there.
    Denied,
    /// From the Client, and refused: it is too large.
    TooLarge,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Listening { family, port } => {
                write!(f, "Opening ipv{family} listen socket on port {port}.")
            }
            Self::NewConnection { peer, port } => {
                let Endpoint {
                    address,
                    port: from,
                } = peer;
                write!(f, "New connection from {address}:{from} on port {port}.")
            }
            Self::NewClient {
                peer,
                client,
                level,
                clean,
                keep_alive,
                user_name,
                bridge,
            } => {
                let (Endpoint { address, port }, clean) = (peer, u8::from(clean));
                let kind = if bridge { "bridge" } else { "client" };
                write!(
                    f,
                    "New {kind} connected from {address}:{port} as {}",
                    short(client)
                )?;
                write!(f, " (p{level}, c{clean}, k{keep_alive}")?;
                match user_name {
                    Some(name) => write!(f, ", u'{}').", short(name)),
                    None => f.write_str(")."),
                }
            }
            Self::NoWill => f.write_str("No will message specified."),
            Self::Will {
                length,
                retain,
                qos,
                topic,
            } => {
                let (retain, topic) = (u8::from(retain), short(topic));
                write!(
                    f,
                    "Will message specified ({length} bytes) (r{retain}, q{qos}).\n\t{topic}"
                )
            }
            Self::AlreadyConnected(client) => {
                let client = short(client);
                write!(
                    f,
                    "Client {client} already connected, closing old connection."
                )
            }
            Self::SendingConnAck {
                client,
                session_present,
                code,
            } => {
                let (client, present) = (short(client), u8::from(session_present));
                write!(f, "Sending CONNACK to {client} ({present}, {code})")
            }
            Self::Publish {
                way,
                client,
                dup,
                qos,
                retain,
                packet_id,
                topic,
                length,
            } => {
                let (dup, retain, topic) = (u8::from(dup), u8::from(retain), short(topic));
                way.start(f, "PUBLISH", client)?;
                write!(
                    f,
                    " (d{dup}, q{qos}, r{retain}, m{packet_id}, '{topic}', ... ({length} bytes))"
                )
            }
            Self::Acknowledgement {
                way,
                name,
                client,
                packet_id,
                reason_code,
            } => {
                way.start(f, name, client)?;
                // The first two steps show the reason where it is sent, the last two where
                // the exchange ends; so does mosquitto.
                match (way, name) {
                    (Way::Sending, "PUBACK" | "PUBREC") => {
                        write!(f, " (m{packet_id}, rc{reason_code})")
                    }
                    (Way::Sending, _) => write!(f, " (m{packet_id})"),
                    (Way::Received, "PUBACK" | "PUBCOMP") => {
                        write!(f, " (Mid: {packet_id}, RC:{reason_code})")
                    }
                    (_, _) => write!(f, " (Mid: {packet_id})"),
                }
            }
            Self::UnknownPubRec { client, packet_id } => {
                let client = short(client);
                write!(
                    f,
                    "Warning: Received PUBREC from {client} for an unknown packet identifier {packet_id}."
                )
            }
            Self::Auth {
                way,
                client,
                reason_code,
                method,
            } => {
                way.start(f, "AUTH", client)?;
                write!(f, " (rc{reason_code}, {})", short(method))
            }
            Self::Plain { way, name, client } => way.start(f, name, client),
            Self::Subscription { filter, qos } => write!(f, "\t{} (QoS {qos})", short(filter)),
            Self::Subscribed {
                client,
                qos,
                filter,
            } => write!(f, "{} {qos} {}", short(client), short(filter)),
            Self::Filter(filter) => write!(f, "\t{}", short(filter)),
            Self::Unsubscribed { client, filter } => {
                write!(f, "{} {}", short(client), short(filter))
            }
            Self::SendingDisconnect {
                client,
                reason_code,
            } => {
                let client = short(client);
                write!(f, "Sending DISCONNECT to {client} (rc{reason_code})")
            }
            Self::Disconnected(client) => write!(f, "Client {} disconnected.", short(client)),
            Self::Closed(client) => write!(f, "Client {} closed its connection.", short(client)),
            Self::Ended { client, cause } => cause.write(f, &short(client)),
            Self::Dismissed { client, why } => {
                write!(f, "Client {} disconnected: {}.", short(client), safe(why))
            }
            Self::Dropping(client) => {
                let client = short(client);
                write!(
                    f,
                    "Outgoing messages are being dropped for client {client}."
                )
            }
            Self::Note(text) => f.write_str(&safe(text)),
        }
    }
}

impl Way {
    /// Writes the words with which a packet's line begins.
    fn start(self, f: &mut fmt::Formatter<'_>, packet: &str, client: &str) -> fmt::Result {
        match self {
            Self::Received => write!(f, "Received {packet} from {}", short(client)),
            Self::Sending => write!(f, "Sending {packet} to {}", short(client)),
            Self::Denied => write!(f, "Denied {packet} from {}", short(client)),
            Self::TooLarge => write!(f, "Dropped too large {packet} from {}", short(client)),
        }
    }
}

impl Cause {
    /// Writes the line of an end.
    fn write(self, f: &mut fmt::Formatter<'_>, client: &str) -> fmt::Result {
        let words = match self {
            Self::Malformed => "disconnected due to malformed packet.",
            Self::Protocol => "disconnected due to protocol error.",
            Self::Oversize => "disconnected due to oversize packet.",
            Self::OversizePayload => "disconnected due to oversize payload.",
            Self::NotAuthorised => {
                return write!(f, "Client {client} disconnected, not authorised.");
            }
            Self::Unsupported => "disconnected due to QoS too high or retain not supported.",
            Self::TimedOut => "has exceeded timeout, disconnecting.",
            Self::Administrative => "been disconnected by administrative action.",
            Self::Bad(error) => {
                return write!(f, "Bad socket read/write on client {client}: {error}");
            }
        };
        write!(f, "Client {client} {words}")
    }
}

impl Line<'_> {
    /// The number that mosquitto's log has for a version, in [`Line::NewClient`].
    pub const fn level(version: ProtocolVersion) -> u8 {
        match version {
            ProtocolVersion::V3_1 => 1,
            ProtocolVersion::V3_1_1 => 2,
            ProtocolVersion::V5_0 => 5,
        }
    }
}

/// Returns a client identifier, user name, topic name or topic filter as a line shows it: escaped,
/// and where it is long its beginning with the number of its bytes. It may have 65,535 of them, and
/// a PINGREQ of two bytes is logged with it twice.
pub fn short(text: &str) -> Cow<'_, str> {
    match kept(text) {
        Cow::Borrowed(text) => safe(text),
        Cow::Owned(text) => Cow::Owned(safe(&text).into_owned()),
    }
}

/// Returns as much of a name as [`short`] shows, not escaped yet: a line shows the same of this as of
/// the name.
pub fn kept(text: &str) -> Cow<'_, str> {
    if text.len() <= WHOLE {
        return Cow::Borrowed(text);
    }
    let end = (0..=SHOWN).rev().find(|&at| text.is_char_boundary(at));
    let beginning = text.get(..end.unwrap_or(0)).unwrap_or_default();
    Cow::Owned(format!("{beginning}... ({} bytes)", text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_mosquitto_v() {
        let publish = Line::Publish {
            way: Way::Received,
            client: "auto-90E021C2",
            dup: false,
            qos: 2,
            retain: false,
            packet_id: 1,
            topic: "test",
            length: 13,
        };
        assert_eq!(
            publish.to_string(),
            "Received PUBLISH from auto-90E021C2 (d0, q2, r0, m1, 'test', ... (13 bytes))"
        );
        let connected = Line::NewClient {
            peer: Endpoint {
                address: "::1".parse().unwrap(),
                port: 39832,
            },
            client: "bad",
            level: 1,
            clean: true,
            keep_alive: 60,
            user_name: Some("a"),
            bridge: false,
        };
        assert_eq!(
            connected.to_string(),
            "New client connected from ::1:39832 as bad (p1, c1, k60, u'a')."
        );
        let released = |way| {
            Line::Acknowledgement {
                way,
                name: "PUBREC",
                client: "c",
                packet_id: 1,
                reason_code: 0,
            }
            .to_string()
        };
        assert_eq!(released(Way::Sending), "Sending PUBREC to c (m1, rc0)");
        assert_eq!(released(Way::Received), "Received PUBREC from c (Mid: 1)");
    }

    #[test]
    fn a_hostile_client_identifier_cannot_forge_a_line() {
        let line = Line::Disconnected("a\nClient b disconnected.\u{1b}[2J");
        assert!(!line.to_string().contains(['\n', '\u{1b}']));
    }

    #[test]
    fn a_long_name_is_shown_by_its_beginning_and_its_size_and_one_of_256_bytes_whole() {
        let name = "n".repeat(SHOWN);
        assert_eq!(
            Line::Disconnected(&name).to_string(),
            format!("Client {name} disconnected.")
        );
        let longer = "n".repeat(65_000);
        assert_eq!(
            Line::Disconnected(&longer).to_string(),
            format!("Client {name}... (65000 bytes) disconnected.")
        );
        // What is kept of it is shown as it is.
        assert_eq!(short(&kept(&longer)), short(&longer));
        let controls = "\u{1b}".repeat(65_000);
        assert_eq!(short(&kept(&controls)), short(&controls));
        // A character is not cut in two.
        assert!(short(&"한".repeat(100)).ends_with("한... (300 bytes)"));
    }
}
