//! Notes between packets: gaps, packets that never completed, traffic that is not MQTT
//! after all. One sentence each, which cannot be taken for a packet.

use super::words;
use crate::base::Endpoint;
use crate::event::{ConnectionId, Direction, Event, GapCause};
use crate::mqtt::Sender;

/// Connections whose ends are remembered for the notes. A note about another one names its
/// stream number instead.
const REMEMBERED: usize = 4096;

/// Words notes; remembers the ends of the latest connections, since a gap names its
/// connection only by number.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Client and Server, at the connection's number modulo the length.
    connections: Vec<Option<(ConnectionId, Endpoint, Endpoint)>>,
}

impl Notes {
    /// Returns the note of `event`, without a line end; `None` where it needs none.
    pub(super) fn of(&mut self, event: &Event<'_>) -> Option<String> {
        match event {
            Event::Opened(opened) => {
                self.remember(opened.connection.id, opened.client, opened.server);
                let proxied = opened.proxied?;
                let (stream, way) = (
                    opened.connection.id.0,
                    from_to(opened.client, opened.server),
                );
                let ends = from_to(proxied.client, proxied.server);
                let text = format!("stream {stream}{way} is a proxy's, of a connection{ends}");
                Some(note(opened.stamp.number, &text))
            }
            Event::Gap(gap) => {
                let passed_over = gap.cause == GapCause::PassedOver;
                let octets = match gap.length {
                    0 if passed_over => words::octets(gap.discarded),
                    // The end of the gap was not captured, so its length is not known.
                    0 => "an unknown number of octets".to_owned(),
                    length => words::octets(length),
                };
                let way = self.way(gap.connection, gap.sender);
                let cause = words::gap_cause(gap.cause);
                let more = match gap.discarded {
                    0 => String::new(),
                    _ if passed_over => String::new(),
                    count => format!(
                        "; {} beside them belong to no packet that can be told for certain",
                        words::octets(count)
                    ),
                };
                Some(note(
                    gap.stamp.number,
                    &format!("{octets}{way} {cause}{more}"),
                ))
            }
            Event::Ended(ended) => {
                let notes = ended.incomplete.iter().flatten().map(|incomplete| {
                    let name = incomplete.packet_type.name();
                    let way = self.way(ended.connection, incomplete.sender);
                    let of = match incomplete.announced {
                        0 => String::new(),
                        announced => format!(" of {announced}"),
                    };
                    let (received, end) = (incomplete.received, words::closed(ended.why));
                    let text = format!(
                        "a {name}{way} never completed: {received}{of} octets came before {end}"
                    );
                    note(incomplete.stamp.number, &text)
                });
                let notes: Vec<_> = notes.collect();
                (!notes.is_empty()).then(|| notes.join("\n"))
            }
            Event::NotMqtt(not) => {
                let connection = &not.connection;
                let (from, to) = match not.direction {
                    Direction::Forward => (connection.initiator, connection.responder),
                    Direction::Backward => (connection.responder, connection.initiator),
                };
                let (stream, way) = (connection.id.0, from_to(from, to));
                let words = words::not_mqtt(not);
                Some(note(
                    not.stamp.number,
                    &format!("stream {stream}{way} {words}"),
                ))
            }
            _ => None,
        }
    }

    /// Keeps the ends of a connection, in place of those of one that opened long before.
    fn remember(&mut self, id: ConnectionId, client: Endpoint, server: Endpoint) {
        let at = id.0 as usize % REMEMBERED;
        if at >= self.connections.len() {
            self.connections.resize(at + 1, None);
        }
        if let Some(slot) = self.connections.get_mut(at) {
            *slot = Some((id, client, server));
        }
    }

    /// Returns where from and where to; the stream's number where its ends are forgotten.
    fn way(&self, id: ConnectionId, sender: Sender) -> String {
        let slot = self.connections.get(id.0 as usize % REMEMBERED);
        let ends = slot.copied().flatten().filter(|(owner, ..)| *owner == id);
        match (ends, sender) {
            (Some((_, client, server)), Sender::Client) => from_to(client, server),
            (Some((_, client, server)), Sender::Server) => from_to(server, client),
            (None, Sender::Client) => format!(" from the Client of stream {}", id.0),
            (None, Sender::Server) => format!(" from the Server of stream {}", id.0),
        }
    }
}

/// Returns ` from SOURCE to DESTINATION`.
fn from_to(source: Endpoint, destination: Endpoint) -> String {
    let (source, destination) = (words::endpoint(source), words::endpoint(destination));
    format!(" from {source} to {destination}")
}

/// Returns a note on its line.
fn note(frame: u64, text: &str) -> String {
    format!("--- frame {frame}: {text} ---")
}
