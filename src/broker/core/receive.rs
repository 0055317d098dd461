//! From a Client's bytes to its control packets, and each packet to what handles it.

use std::sync::Arc;

use super::action::ConnectionKey;
use super::encode;
use super::leave::Departure;
use super::link::{Client, Link};
use super::server::Core;
use super::work::{AHEAD, AT_ONCE, PACKET};
use crate::base::{Endpoint, Timestamp};
use crate::event::log::{Line, Way};
use crate::mqtt::framer::FixedHeader;
use crate::mqtt::{ControlPacket, PacketType, Rule};

/// The first byte of every CONNECT ([MQTT-3.1.0-1]).
const CONNECT: u8 = 0x10;

impl Core {
    /// A network connection was accepted.
    pub fn connected(&mut self, now: Timestamp, connection: ConnectionKey, peer: Endpoint) {
        self.now = now;
        self.log(Line::NewConnection {
            peer,
            port: self.options.port,
        });
        self.links.insert(connection, Link::new(peer, now));
        self.wake_at(now.plus(self.options.connect_timeout));
    }

    /// The next bytes that a Client sent, in any portions.
    pub fn received(&mut self, now: Timestamp, connection: ConnectionKey, bytes: &[u8]) {
        self.received_some(now, connection, bytes, usize::MAX);
    }

    /// As [`Core::received`], but for so many steps, so that others can have their turn. What is
    /// left of the last packet goes on in its next turn ([`Core::work`]). Returns how many of the
    /// bytes were taken, none while the session has work left; the others are to be given again.
    pub fn received_some(
        &mut self,
        now: Timestamp,
        connection: ConnectionKey,
        bytes: &[u8],
        steps: usize,
    ) -> usize {
        self.now = now;
        self.steps = steps;
        if self.is_busy(connection) {
            return 0;
        }
        let Some(link) = self.links.get_mut(&connection) else {
            return bytes.len();
        };
        // While its packets are handled the link has none: what is left comes back to it.
        let mut framer = std::mem::take(&mut link.framer);
        self.partial_bytes = self.partial_bytes.saturating_sub(framer.pending().len());
        let mut rest = bytes;
        let mut handled = false;
        while let Some(link) = self.links.get(&connection) {
            let enough = self.steps == 0 || self.is_busy(connection);
            if handled && enough && !rest.is_empty() {
                return bytes.len() - rest.len();
            }
            // Something else than MQTT need not be waited for until it fills a packet.
            let begins = framer.pending().is_empty() && link.session().is_none();
            if begins && rest.first().is_some_and(|&first| first != CONNECT) {
                self.dismiss(connection, encode::PROTOCOL_ERROR, "no CONNECT");
                break;
            }
            let refused = match framer.next(&mut rest) {
                Some(Ok(packet)) => match self.too_large(packet.header) {
                    None => {
                        handled = true;
                        self.spend(PACKET + packet.bytes.len() / 1_024);
                        self.packet(connection, packet.bytes);
                        continue;
                    }
                    refused => refused,
                },
                Some(Err(_)) => Some((encode::MALFORMED_PACKET, "malformed packet")),
                None => framer.header().and_then(|header| self.too_large(header)),
            };
            if let Some((code, why)) = refused {
                self.dismiss(connection, code, why);
            }
            break;
        }
        let Some(link) = self.links.get_mut(&connection) else {
            return bytes.len();
        };
        self.partial_bytes += framer.pending().len();
        link.framer = framer;
        if self.partial_bytes > self.options.limits.all_partial_bytes {
            self.dismiss(connection, encode::QUOTA_EXCEEDED, "too much memory in use");
        }
        bytes.len()
    }

    /// How many bytes the caller still holds for a Client that does not read them.
    pub fn unsent(&mut self, now: Timestamp, connection: ConnectionKey, bytes: usize) {
        self.now = now;
        let most = self.options.limits.unsent_bytes;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let before = std::mem::replace(&mut link.unsent, bytes);
        self.unsent_bytes = self.unsent_bytes.saturating_sub(before) + bytes;
        let session = link.session();
        if bytes < AHEAD
            && let Some(key) = session
        {
            self.wake(key);
        }
        // What waited for the Client to read goes on.
        if before >= most
            && bytes < most
            && let Some(key) = session
        {
            self.pump(key);
        }
    }

    /// A network connection ended without the Server's doing.
    pub fn closed(&mut self, now: Timestamp, connection: ConnectionKey) {
        self.now = now;
        self.steps = AT_ONCE;
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = Arc::clone(&link.name);
        self.log(Line::Closed(&client));
        self.leave(connection, Departure::WithoutDisconnect);
    }

    /// The reason code and the words for a packet that is not waited for, by its size.
    fn too_large(&self, header: FixedHeader) -> Option<(u8, &'static str)> {
        let limits = &self.options.limits;
        let bare = header.packet_type != PacketType::Publish;
        match header.total_len() {
            bytes if bytes > limits.packet_bytes => {
                Some((encode::PACKET_TOO_LARGE, "packet too large"))
            }
            // Smaller than what was announced, so it is not for its size as such.
            bytes if bare && bytes > limits.bare_packet_bytes => Some((
                encode::QUOTA_EXCEEDED,
                "packet too large for one without a message",
            )),
            _ => None,
        }
    }

    /// Handles one whole packet. Any packet counts for the keep alive, a malformed one included.
    fn packet(&mut self, connection: ConnectionKey, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.last_received = self.now;
        let read = ControlPacket::read(bytes, link.version, &mut ());
        let Some(client) = link.client(connection) else {
            return match read {
                Ok(ControlPacket::Connect(connect)) => self.connect(connection, &connect),
                Ok(_) => self.dismiss(connection, encode::PROTOCOL_ERROR, "no CONNECT"),
                Err(malformed) => self.refuse_malformed(connection, bytes, malformed),
            };
        };
        let malformed = match read {
            Ok(packet) => return self.dispatch(&client, &packet),
            Err(malformed) => malformed,
        };
        // Rules that the specification calls protocol errors, though they break in parsing.
        let code = match malformed.rule {
            Rule::TopicNameHasNoWildcard => encode::TOPIC_NAME_INVALID,
            Rule::TopicAliasIsNotZero => encode::TOPIC_ALIAS_INVALID,
            Rule::NoLocalIsNotShared
            | Rule::PropertyIsNotRepeated
            | Rule::ReceiveMaximumIsNotZero
            | Rule::SubscriptionIdentifierIsNotZero
            | Rule::SubscribeHasAFilter
            | Rule::UnsubscribeHasAFilter => encode::PROTOCOL_ERROR,
            _ => encode::MALFORMED_PACKET,
        };
        self.dismiss(connection, code, "malformed packet");
    }

    /// Handles a packet of a connected Client; those that only a Server sends, a second CONNECT
    /// ([MQTT-3.1.0-2]) and AUTH are protocol errors.
    fn dispatch(&mut self, client: &Client, packet: &ControlPacket<'_>) {
        let packet_type = packet.packet_type();
        match packet {
            ControlPacket::Publish(publish) => self.publish(client, publish),
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => self.acknowledged(client, packet_type, ack),
            ControlPacket::Subscribe(subscribe) => self.subscribe(client, subscribe),
            ControlPacket::Unsubscribe(unsubscribe) => self.unsubscribe(client, unsubscribe),
            // [MQTT-3.12.4-1].
            ControlPacket::PingReq => {
                self.log_packet(Way::Received, packet_type, client);
                self.log_packet(Way::Sending, PacketType::PingResp, client);
                self.send(client.connection, &ControlPacket::PingResp);
            }
            ControlPacket::Disconnect(disconnect) => self.disconnect(client, disconnect),
            ControlPacket::Connect(_)
            | ControlPacket::ConnAck(_)
            | ControlPacket::SubAck(_)
            | ControlPacket::UnsubAck(_)
            | ControlPacket::PingResp
            | ControlPacket::Auth(_) => {
                self.log_packet(Way::Received, packet_type, client);
                self.dismiss(client.connection, encode::PROTOCOL_ERROR, "protocol error");
            }
        }
    }
}
