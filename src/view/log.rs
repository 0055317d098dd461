//! The log that mosquitto would have written with `-v`.
//!
//! What the broker kept to itself is not in a capture: the client identifier that it assigned
//! to a 3.1.1 Client (such a Client is called `auto-` and its port), and why it closed a
//! connection.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, Write};

use super::observer::View;
use super::out::Out;
use crate::base::{Endpoint, FrameStamp};
use crate::event::log::{Line, Way};
use crate::event::{Closed, ConnectionId, Ended, Event, Opened, PacketEvent, Totals};
use crate::mqtt::packet::{ConnAck, Will};
use crate::mqtt::{ControlPacket, ProtocolVersion, Sender};

/// DISCONNECT's reason code where another connection took over (5.0 §3.14.2.1).
const SESSION_TAKEN_OVER: u8 = 0x8e;

/// The log of a capture.
#[derive(Debug)]
pub struct Log<W: Write> {
    out: Out<W>,
    connections: HashMap<ConnectionId, Followed>,
    /// Which connection of a Server has a client identifier.
    names: HashMap<(Endpoint, String), ConnectionId>,
}

/// The state of a connection that its lines need.
#[derive(Debug)]
struct Followed {
    client: Endpoint,
    server: Endpoint,
    name: String,
    /// A CONNECT was accepted.
    came_in: bool,
    /// A CONNECT that was not answered.
    asked: Option<Asked>,
    /// The line of its end is written already.
    over: bool,
}

/// The part of a CONNECT that the log shows once it is accepted.
#[derive(Debug)]
struct Asked {
    version: ProtocolVersion,
    clean: bool,
    keep_alive: u16,
    client_id: String,
    user_name: Option<String>,
    /// The lines of its will, or that it has none.
    will: String,
}

impl<W: Write> Log<W> {
    /// The log goes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            out: Out::new(writer),
            connections: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// One entry, each line with the second it happened in.
    fn line(&mut self, stamp: &FrameStamp, line: impl Display) -> io::Result<()> {
        // A line is a write of its own in mosquitto, so each has the time.
        for text in line.to_string().split('\n') {
            if let Some(time) = stamp.time {
                write!(self.out, "{}: ", (time.nanos() / 1_000_000_000).max(0))?;
            }
            writeln!(self.out, "{text}")?;
        }
        self.out.row_done()
    }

    /// Follows a connection from here on, under its address until a CONNECT names its client.
    fn opened(&mut self, opened: &Opened) -> io::Result<()> {
        let followed = Followed {
            client: opened.client,
            server: opened.server,
            // Without the beginning of the connection only its port distinguishes its Client.
            name: match opened.connection.handshake_seen {
                true => opened.client.address.to_string(),
                false => format!("{}:{}", opened.client.address, opened.client.port),
            },
            came_in: false,
            asked: None,
            over: false,
        };
        self.connections.insert(opened.connection.id, followed);
        let line = Line::NewConnection {
            peer: opened.client,
            port: opened.server.port,
        };
        self.line(&opened.stamp, line)
    }

    /// Writes the lines of a control packet.
    fn packet(&mut self, seen: &PacketEvent<'_>) -> io::Result<()> {
        let name = match self.connections.get(&seen.connection) {
            Some(followed) => followed.name.clone(),
            None => return Ok(()),
        };
        let (stamp, client) = (&seen.stamp, name.as_str());
        let way = match seen.sender {
            Sender::Client => Way::Received,
            Sender::Server => Way::Sending,
        };
        let Ok(packet) = seen.packet else {
            // mosquitto would have closed the connection; a capture shows what another server does.
            let (name, to) = (
                seen.packet_type.name(),
                match way {
                    Way::Received => "from",
                    Way::Sending => "to",
                },
            );
            let note = format!("Malformed {name} {to} {client}.");
            return self.line(stamp, Line::Note(&note));
        };
        let plain = Line::Plain {
            way,
            name: seen.packet_type.name(),
            client,
        };
        match packet {
            ControlPacket::Connect(connect) => {
                let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
                match self.connections.get_mut(&seen.connection) {
                    Some(followed) if !followed.came_in => {
                        followed.asked = Some(Asked {
                            version,
                            clean: connect.clean(),
                            keep_alive: connect.keep_alive,
                            client_id: connect.client_id.to_owned(),
                            user_name: connect.user_name.map(str::to_owned),
                            will: connect.will.as_ref().map_or(Line::NoWill, will).to_string(),
                        });
                        Ok(())
                    }
                    _ => self.line(stamp, plain),
                }
            }
            ControlPacket::ConnAck(ack) => self.answered(seen, ack),
            ControlPacket::Publish(publish) => {
                let line = Line::Publish {
                    way,
                    client,
                    dup: publish.dup,
                    qos: publish.delivery.qos() as u8,
                    retain: publish.retain,
                    packet_id: publish.delivery.packet_id().map_or(0, |id| id.number()),
                    topic: seen.topic_resolved.unwrap_or(publish.topic),
                    length: usize::try_from(seen.payload_length(publish)).unwrap_or(usize::MAX),
                };
                self.line(stamp, line)
            }
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => {
                let line = Line::Acknowledgement {
                    way,
                    name: seen.packet_type.name(),
                    client,
                    packet_id: ack.packet_id.number(),
                    reason_code: ack.reason_code,
                };
                self.line(stamp, line)
            }
            ControlPacket::Subscribe(subscribe) => {
                self.line(stamp, plain)?;
                // mosquitto enters the subscriptions as it reads them, so its lines stand before
                // those of the SUBACK.
                for subscription in subscribe.subscriptions.iter() {
                    let filter = subscription.filter;
                    let qos = subscription.options & 0x03;
                    self.line(stamp, Line::Subscription { filter, qos })?;
                    let line = Line::Subscribed {
                        client,
                        qos,
                        filter,
                    };
                    self.line(stamp, line)?;
                }
                Ok(())
            }
            ControlPacket::Unsubscribe(unsubscribe) => {
                self.line(stamp, plain)?;
                for filter in unsubscribe.filters.iter() {
                    self.line(stamp, Line::Filter(filter))?;
                    self.line(stamp, Line::Unsubscribed { client, filter })?;
                }
                Ok(())
            }
            // A client's ends its connection at once, a server's has a cause.
            ControlPacket::Disconnect(_) if way == Way::Received => {
                self.over(seen.connection);
                self.line(stamp, plain)?;
                self.line(stamp, Line::Disconnected(client))
            }
            ControlPacket::Disconnect(disconnect) => {
                let reason_code = disconnect.reason_code;
                if reason_code == SESSION_TAKEN_OVER {
                    self.over(seen.connection);
                    self.line(stamp, Line::AlreadyConnected(client))?;
                }
                let line = Line::SendingDisconnect {
                    client,
                    reason_code,
                };
                self.line(stamp, line)
            }
            ControlPacket::SubAck(_)
            | ControlPacket::UnsubAck(_)
            | ControlPacket::PingReq
            | ControlPacket::PingResp
            | ControlPacket::Auth(_) => self.line(stamp, plain),
        }
    }

    /// CONNACK: only now is it known whether the Client came in, and as whom.
    fn answered(&mut self, seen: &PacketEvent<'_>, ack: &ConnAck<'_>) -> io::Result<()> {
        let stamp = &seen.stamp;
        let Some(followed) = self.connections.get_mut(&seen.connection) else {
            return Ok(());
        };
        let asked = followed.asked.take();
        followed.came_in = ack.code == 0;
        if let Some(asked) = &asked {
            followed.name = match ack.properties.assigned_client_identifier() {
                Some(assigned) => assigned.to_owned(),
                None if !asked.client_id.is_empty() => asked.client_id.clone(),
                None if ack.code != 0 => followed.client.address.to_string(),
                // Not mosquitto's name, which begins likewise and is not in the capture.
                None => format!("auto-{}", followed.client.port),
            };
        }
        let (peer, server, name) = (followed.client, followed.server, followed.name.clone());
        let client = name.as_str();
        if let Some(asked) = &asked
            && ack.code == 0
        {
            // Another connection may still have the name.
            let before = self
                .names
                .insert((server, client.to_owned()), seen.connection);
            let before = before.filter(|before| *before != seen.connection);
            if before.is_some_and(|before| self.over(before)) {
                self.line(stamp, Line::AlreadyConnected(client))?;
            }
            let line = Line::NewClient {
                peer,
                client,
                level: Line::level(asked.version),
                clean: asked.clean,
                keep_alive: asked.keep_alive,
                user_name: asked.user_name.as_deref(),
            };
            self.line(stamp, line)?;
            self.line(stamp, &asked.will)?;
        }
        let line = Line::SendingConnAck {
            client,
            session_present: ack.session_present,
            code: ack.code,
        };
        self.line(stamp, line)?;
        if ack.code != 0 {
            self.over(seen.connection);
            let why = "connection refused";
            self.line(stamp, Line::Dismissed { client, why })?;
        }
        Ok(())
    }

    /// Notes that the line of the connection's end is written, so that TCP's end adds none;
    /// `false` where it was before, or the connection is not followed.
    fn over(&mut self, connection: ConnectionId) -> bool {
        let followed = self.connections.get_mut(&connection);
        followed.is_some_and(|followed| !std::mem::replace(&mut followed.over, true))
    }

    /// Writes the line of an end that no DISCONNECT announced.
    fn ended(&mut self, ended: &Ended) -> io::Result<()> {
        let Some(followed) = self.connections.remove(&ended.connection) else {
            return Ok(());
        };
        let name = (followed.server, followed.name);
        // A newer connection may have the name by now.
        if self.names.get(&name) == Some(&ended.connection) {
            self.names.remove(&name);
        }
        let client = name.1.as_str();
        if followed.over {
            return Ok(());
        }
        let line = match (ended.why, ended.by) {
            // Nothing happened on the wire.
            (Closed::CaptureEnd | Closed::Evicted, _) => return Ok(()),
            (Closed::Reset, _) => Line::SocketError(client),
            (_, Some(Sender::Server)) => {
                let why = "closed by the server";
                Line::Dismissed { client, why }
            }
            _ => Line::Closed(client),
        };
        self.line(&ended.stamp, line)
    }
}

/// Returns the line of a will.
fn will<'a>(will: &Will<'a>) -> Line<'a> {
    Line::Will {
        length: will.payload.len(),
        retain: will.retain,
        qos: will.qos as u8,
        topic: will.topic,
    }
}

impl<W: Write> View for Log<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Packet(seen) => self.packet(seen),
            Event::Ended(ended) => self.ended(ended),
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{BEGIN, Sample, written};
    use super::*;
    use crate::event::{Connection, ConnectionId as Id};

    #[test]
    fn a_run_is_logged_in_mosquittos_words() {
        let connack = Sample::server(0, &[0x20, 2, 0, 0]);
        let mut publish = Sample::publish("test", b"hello");
        publish.topic_resolved = Some("test".to_owned());
        let samples = [
            Sample::connect(0, "", Some("w/t")),
            connack,
            Sample::client(0, &[0x82, 9, 0, 1, 0, 4, b't', b'e', b's', b't', 2]),
            Sample::server(0, &[0x90, 3, 0, 1, 2]),
            publish,
            Sample::server(0, &[0x50, 2, 0, 8]),
            Sample::client(0, &[0x70, 2, 0, 8]),
            Sample::client(0, &[0xe0, 0]),
        ];
        let second = BEGIN / 1_000_000_000;
        let expected: Vec<String> = [
            "New connection from ::1:46596 on port 1883.",
            "New client connected from ::1:46596 as auto-46596 (p2, c1, k60).",
            "Will message specified (4 bytes) (r0, q0).",
            "\tw/t",
            "Sending CONNACK to auto-46596 (0, 0)",
            "Received SUBSCRIBE from auto-46596",
            "\ttest (QoS 2)",
            "auto-46596 2 test",
            "Sending SUBACK to auto-46596",
            "Received PUBLISH from auto-46596 (d0, q0, r0, m0, 'test', ... (5 bytes))",
            "Sending PUBREC to auto-46596 (m8, rc0)",
            "Received PUBCOMP from auto-46596 (Mid: 8, RC:0)",
            "Received DISCONNECT from auto-46596",
            "Client auto-46596 disconnected.",
        ]
        .iter()
        .map(|line| format!("{second}: {line}\n"))
        .collect();
        let mut opened = samples[0].opened();
        opened.stamp.time = Some(crate::base::Timestamp::from_nanos(BEGIN));
        let text = written(&samples, |page| {
            let mut log = Log::new(page);
            log.event(&Event::Opened(&opened)).unwrap();
            log
        });
        // Written by hand before the run, and by the run itself where it logs it too.
        let followed: Vec<_> = text.lines().map(|line| format!("{line}\n")).collect();
        assert_eq!(
            followed[followed.len() - expected.len()..],
            expected,
            "{text}"
        );
    }

    #[test]
    fn an_end_without_disconnect_names_who_ended_it() {
        for (why, by, words) in [
            (
                Closed::Reset,
                Some(Sender::Client),
                "Socket error on client",
            ),
            (
                Closed::Finished,
                Some(Sender::Client),
                "closed its connection",
            ),
            (
                Closed::Finished,
                Some(Sender::Server),
                "closed by the server",
            ),
        ] {
            let sample = Sample::connect(0, "c", None);
            let opened = sample.opened();
            let Connection { id: Id(number), .. } = opened.connection;
            let ended = Ended {
                connection: ConnectionId(number),
                why,
                by,
                first: FrameStamp::default(),
                both_seen: false,
                stamp: FrameStamp::default(),
                incomplete: [None, None],
            };
            let mut page = Vec::new();
            let mut log = Log::new(&mut page);
            log.event(&Event::Opened(&opened)).unwrap();
            log.event(&Event::Ended(&ended)).unwrap();
            log.finish(&Totals::default()).unwrap();
            drop(log);
            let text = String::from_utf8(page).unwrap();
            assert!(text.contains(words), "{text}");
        }
    }
}
