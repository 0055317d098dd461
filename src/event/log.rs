//! The lines of mosquitto's `-v` log, as words: the broker writes them while it serves, the
//! `--log` view writes the same of a capture.
//!
//! Client identifiers, topics and user names come from the traffic: each is made safe for a
//! terminal here, so no line can end early or move the cursor.

use std::fmt;

use crate::base::Endpoint;
use crate::base::text::safe;
use crate::mqtt::ProtocolVersion;

/// One entry of the log. An entry with a list (a will's topic) may take two lines.
#[derive(Clone, Copy, Debug)]
pub enum Line<'a> {
    /// A listening socket was opened; `family` is 4 or 6.
    Listening {
        family: u8,
        port: u16,
    },
    /// A TCP connection was accepted.
    NewConnection {
        peer: Endpoint,
        port: u16,
    },
    /// A CONNECT was accepted. `level` as mosquitto numbers it: 1 for 3.1, 2 for 3.1.1, 5.
    NewClient {
        peer: Endpoint,
        client: &'a str,
        level: u8,
        clean: bool,
        keep_alive: u16,
        user_name: Option<&'a str>,
    },
    NoWill,
    Will {
        length: usize,
        retain: bool,
        qos: u8,
        topic: &'a str,
    },
    AlreadyConnected {
        client: &'a str,
    },
    SendingConnAck {
        client: &'a str,
        session_present: bool,
        code: u8,
    },
    Publish {
        way: Way,
        client: &'a str,
        dup: bool,
        qos: u8,
        retain: bool,
        /// 0 at QoS 0.
        packet_id: u16,
        topic: &'a str,
        length: usize,
    },
    /// PUBACK, PUBREC, PUBREL or PUBCOMP: the four have slightly different words.
    Acknowledgement {
        way: Way,
        name: &'static str,
        client: &'a str,
        packet_id: u16,
        reason_code: u8,
    },
    /// A packet listed by its name alone: SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT ...
    Plain {
        way: Way,
        name: &'static str,
        client: &'a str,
    },
    /// One subscription of a SUBSCRIBE.
    Subscription {
        filter: &'a str,
        qos: u8,
    },
    /// The subscription as it was entered.
    Subscribed {
        client: &'a str,
        qos: u8,
        filter: &'a str,
    },
    /// One topic filter of an UNSUBSCRIBE.
    Filter {
        filter: &'a str,
    },
    Unsubscribed {
        client: &'a str,
        filter: &'a str,
    },
    /// DISCONNECT from the Server (5.0).
    SendingDisconnect {
        client: &'a str,
        reason_code: u8,
    },
    /// The connection ended after DISCONNECT.
    Disconnected {
        client: &'a str,
    },
    /// The Client closed without DISCONNECT.
    Closed {
        client: &'a str,
    },
    /// The connection was reset or failed.
    SocketError {
        client: &'a str,
    },
    /// Keep alive ran out.
    TimedOut {
        client: &'a str,
    },
    /// The Server ended the connection, and why.
    Dismissed {
        client: &'a str,
        why: &'a str,
    },
    /// A queue reached its cap: messages are dropped.
    Dropping {
        client: &'a str,
    },
    /// Anything else worth a line.
    Note(&'a str),
}

/// Which way a packet went, seen from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    Received,
    Sending,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Received => "Received",
            Self::Sending => "Sending",
        })
    }
}

impl Way {
    const fn preposition(self) -> &'static str {
        match self {
            Self::Received => "from",
            Self::Sending => "to",
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Listening { family, port } => {
                write!(f, "Opening ipv{family} listen socket on port {port}.")
            }
            Self::NewConnection { peer, port } => {
                write!(
                    f,
                    "New connection from {}:{} on port {port}.",
                    peer.address, peer.port
                )
            }
            Self::NoWill => f.write_str("No will message specified."),
            Self::Subscription { filter, qos } => write!(f, "\t{} (QoS {qos})", safe(filter)),
            Self::Filter { filter } => write!(f, "\t{}", safe(filter)),
            Self::Note(text) => f.write_str(&safe(text)),
            _ => self.of_a_client(f),
        }
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

    fn of_a_client(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NewClient {
                peer,
                client,
                level,
                clean,
                keep_alive,
                user_name,
            } => {
                write!(
                    f,
                    "New client connected from {}:{} as {} (p{level}, c{}, k{keep_alive}",
                    peer.address,
                    peer.port,
                    safe(client),
                    u8::from(clean)
                )?;
                match user_name {
                    Some(name) => write!(f, ", u'{}').", safe(name)),
                    None => f.write_str(")."),
                }
            }
            Self::Will {
                length,
                retain,
                qos,
                topic,
            } => write!(
                f,
                "Will message specified ({length} bytes) (r{}, q{qos}).\n\t{}",
                u8::from(retain),
                safe(topic)
            ),
            Self::AlreadyConnected { client } => write!(
                f,
                "Client {} already connected, closing old connection.",
                safe(client)
            ),
            Self::Subscribed {
                client,
                qos,
                filter,
            } => write!(f, "{} {qos} {}", safe(client), safe(filter)),
            Self::Unsubscribed { client, filter } => {
                write!(f, "{} {}", safe(client), safe(filter))
            }
            Self::Disconnected { client } => write!(f, "Client {} disconnected.", safe(client)),
            Self::Closed { client } => {
                write!(f, "Client {} closed its connection.", safe(client))
            }
            Self::SocketError { client } => {
                write!(f, "Socket error on client {}, disconnecting.", safe(client))
            }
            Self::TimedOut { client } => write!(
                f,
                "Client {} has exceeded timeout, disconnecting.",
                safe(client)
            ),
            Self::Dismissed { client, why } => {
                write!(f, "Client {} disconnected: {}.", safe(client), safe(why))
            }
            Self::Dropping { client } => write!(
                f,
                "Outgoing messages are being dropped for client {}.",
                safe(client)
            ),
            _ => self.of_a_packet(f),
        }
    }

    fn of_a_packet(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SendingConnAck {
                client,
                session_present,
                code,
            } => write!(
                f,
                "Sending CONNACK to {} ({}, {code})",
                safe(client),
                u8::from(session_present)
            ),
            Self::Publish {
                way,
                client,
                dup,
                qos,
                retain,
                packet_id,
                topic,
                length,
            } => write!(
                f,
                "{way} PUBLISH {} {} (d{}, q{qos}, r{}, m{packet_id}, '{}', ... ({length} bytes))",
                way.preposition(),
                safe(client),
                u8::from(dup),
                u8::from(retain),
                safe(topic)
            ),
            Self::Acknowledgement {
                way,
                name,
                client,
                packet_id,
                reason_code,
            } => {
                write!(f, "{way} {name} {} {} ", way.preposition(), safe(client))?;
                // The first two steps show the reason where it is sent, the last two where
                // the exchange ends; so does mosquitto.
                match (way, name) {
                    (Way::Sending, "PUBACK" | "PUBREC") => {
                        write!(f, "(m{packet_id}, rc{reason_code})")
                    }
                    (Way::Sending, _) => write!(f, "(m{packet_id})"),
                    (Way::Received, "PUBACK" | "PUBCOMP") => {
                        write!(f, "(Mid: {packet_id}, RC:{reason_code})")
                    }
                    (Way::Received, _) => write!(f, "(Mid: {packet_id})"),
                }
            }
            Self::Plain { way, name, client } => {
                write!(f, "{way} {name} {} {}", way.preposition(), safe(client))
            }
            Self::SendingDisconnect {
                client,
                reason_code,
            } => write!(
                f,
                "Sending DISCONNECT to {} (rc{reason_code})",
                safe(client)
            ),
            _ => Ok(()),
        }
    }
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
        let line = Line::Disconnected {
            client: "a\nClient b disconnected.\u{1b}[2J",
        };
        assert!(!line.to_string().contains(['\n', '\u{1b}']));
    }
}
