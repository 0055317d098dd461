//! Notes between packets: gaps, packets that never completed, traffic that is not MQTT
//! after all. One sentence each, which cannot be taken for a packet.

use super::out::push_number;
use super::routes::push_address;
use super::words;
use crate::base::Endpoint;
use crate::event::{Connection, ConnectionId, Direction, Event, Opened};
use crate::mqtt::Sender;

/// Connections whose ends are remembered for the notes. A note about another one names its
/// stream number instead.
const REMEMBERED: usize = 4096;

/// Writes notes; remembers the ends of the latest connections, since a gap names its
/// connection only by number.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Client and Server, at the connection's number modulo the length.
    connections: Vec<Option<(ConnectionId, Endpoint, Endpoint)>>,
}

impl Notes {
    /// Appends the note of `event`, without a line end; `false` where it needs none.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, event: &Event<'_>) -> bool {
        match event {
            Event::Opened(opened) => {
                self.remember(opened);
                false
            }
            Event::Packet(_)
            | Event::Breach(_)
            | Event::Handshake(_)
            | Event::Will(_)
            | Event::Retained(_)
            | Event::Session(_)
            | Event::Finding(_) => false,
            Event::Gap(gap) => {
                let from = begin(out, gap.stamp.number);
                // 0: the end of the gap was not captured, so its length is not known.
                if gap.length > 0 {
                    push_octets(out, gap.length);
                } else {
                    out.extend_from_slice(b"an unknown number of octets");
                }
                self.push_way(out, gap.connection, gap.sender);
                out.push(b' ');
                out.extend_from_slice(words::gap_cause(gap.cause).as_bytes());
                if gap.discarded > 0 {
                    out.extend_from_slice(b"; ");
                    push_octets(out, gap.discarded);
                    out.extend_from_slice(
                        b" beside them belong to no packet that can be told for certain",
                    );
                }
                end(out, from)
            }
            Event::Ended(ended) => {
                let from = out.len();
                for incomplete in ended.incomplete.iter().flatten() {
                    if out.len() > from {
                        out.push(b'\n');
                    }
                    let line = begin(out, incomplete.stamp.number);
                    out.extend_from_slice(b"a ");
                    out.extend_from_slice(incomplete.packet_type.name().as_bytes());
                    self.push_way(out, ended.connection, incomplete.sender);
                    out.extend_from_slice(b" never completed: ");
                    push_number(out, incomplete.received);
                    if incomplete.announced > 0 {
                        out.extend_from_slice(b" of ");
                        push_number(out, incomplete.announced);
                    }
                    out.extend_from_slice(b" octets came before ");
                    out.extend_from_slice(words::closed(ended.why).as_bytes());
                    end(out, line);
                }
                out.len() > from
            }
            Event::NotMqtt(not) => {
                let from = begin(out, not.stamp.number);
                out.extend_from_slice(b"stream ");
                push_number(out, not.connection.id.0.into());
                let (source, destination) = ends(&not.connection, not.direction);
                push_ends(out, source, destination);
                out.push(b' ');
                out.extend_from_slice(words::not_mqtt(not.looks_like).as_bytes());
                end(out, from)
            }
        }
    }

    /// Keeps the ends of a connection, in place of those of one that opened long before.
    fn remember(&mut self, opened: &Opened) {
        let id = opened.connection.id;
        let at = id.0 as usize % REMEMBERED;
        if at >= self.connections.len() {
            self.connections.resize(at + 1, None);
        }
        if let Some(slot) = self.connections.get_mut(at) {
            *slot = Some((id, opened.client, opened.server));
        }
    }

    /// Appends where from and where to; the stream's number where its ends are forgotten.
    fn push_way(&self, out: &mut Vec<u8>, id: ConnectionId, sender: Sender) {
        let slot = self.connections.get(id.0 as usize % REMEMBERED);
        match (slot.copied().flatten(), sender) {
            (Some((owner, client, server)), Sender::Client) if owner == id => {
                push_ends(out, client, server);
            }
            (Some((owner, client, server)), Sender::Server) if owner == id => {
                push_ends(out, server, client);
            }
            (_, sender) => {
                out.extend_from_slice(match sender {
                    Sender::Client => b" from the Client of stream ".as_slice(),
                    Sender::Server => b" from the Server of stream ",
                });
                push_number(out, id.0.into());
            }
        }
    }
}

/// Returns source and destination of what goes this way.
fn ends(connection: &Connection, way: Direction) -> (Endpoint, Endpoint) {
    match way {
        Direction::Forward => (connection.initiator, connection.responder),
        Direction::Backward => (connection.responder, connection.initiator),
    }
}

/// Appends ` from SOURCE to DESTINATION`.
fn push_ends(out: &mut Vec<u8>, source: Endpoint, destination: Endpoint) {
    out.extend_from_slice(b" from ");
    push_endpoint(out, source);
    out.extend_from_slice(b" to ");
    push_endpoint(out, destination);
}

/// Appends `10.0.0.1:1883` or `[::1]:1883`.
pub(super) fn push_endpoint(out: &mut Vec<u8>, endpoint: Endpoint) {
    let v6 = endpoint.address.is_ipv6();
    if v6 {
        out.push(b'[');
    }
    push_address(out, endpoint.address);
    if v6 {
        out.push(b']');
    }
    out.push(b':');
    push_number(out, endpoint.port.into());
}

fn push_octets(out: &mut Vec<u8>, count: u64) {
    push_number(out, count);
    out.extend_from_slice(if count == 1 { b" octet" } else { b" octets" });
}

fn begin(out: &mut Vec<u8>, frame: u64) -> usize {
    let from = out.len();
    out.extend_from_slice(b"--- frame ");
    push_number(out, frame);
    out.extend_from_slice(b": ");
    from
}

fn end(out: &mut Vec<u8>, from: usize) -> bool {
    out.extend_from_slice(b" ---");
    out.len() > from
}
