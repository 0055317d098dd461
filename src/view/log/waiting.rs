//! The packets of a client that wait for their answers, and the answers.

use std::collections::{BTreeSet, VecDeque};
use std::hash::BuildHasher;
use std::io::{self, Write};

use super::connection::{Held, Phase};
use super::state::{Log, MOST, Takeover};
use super::verdict;
use crate::base::Endpoint;
use crate::event::log::{Line, Way};
use crate::event::{ConnectionId, PacketEvent};
use crate::mqtt::ControlPacket;

/// Memory of all packets that wait, in bytes; what comes when there are as many waits no more.
pub(super) const MOST_BYTES: usize = 16 << 20;

impl<W: Write> Log<W> {
    /// Takes a packet of the client.
    pub(super) fn received(&mut self, seen: &PacketEvent<'_>, shown: bool) -> io::Result<()> {
        let id = seen.connection;
        let Some(followed) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over {
            return Ok(());
        }
        followed.last = seen.stamp.time.or(followed.last);
        if seen.after_gap && followed.phase == Phase::New {
            followed.phase = Phase::Active;
            followed.name = followed.nameless();
        }
        if followed.waits_too_long(seen.stamp.time) {
            self.release(id, usize::MAX)?;
        }
        if let Ok(ControlPacket::Connect(connect)) = seen.packet {
            self.asks(id, connect.client_id, shown);
        }
        if let Some(followed) = self.connections.get(&id) {
            let hash = |topic: &str| self.hasher.hash_one((followed.server, topic));
            let mut held = Held::new(seen, shown, hash);
            let offer = self.offers.get(&followed.server);
            // Behind a CONNECT it depends on how that is answered.
            held.fatal = (followed.phase != Phase::New || followed.waiting.is_empty())
                && verdict::of_packet(&held, followed, offer).is_some();
            self.hold(id, held, VecDeque::push_back);
        }
        if self.bytes > MOST_BYTES {
            self.release(id, usize::MAX)?;
        }
        self.go_on(id)
    }

    /// Notes whose client identifier a CONNECT takes over, if it is accepted.
    pub(super) fn asks(&mut self, id: ConnectionId, client_id: &str, shown: bool) {
        let Some(followed) = self.connections.get(&id) else {
            return;
        };
        let identifier = self.hasher.hash_one((followed.server, client_id));
        let before = self.names.get(&identifier).filter(|before| **before != id);
        if let Some(before) = before
            && self.takeovers.len() < MOST
            && followed.phase == Phase::New
        {
            let will = self.connections.get(before).and_then(|before| before.will);
            self.takeovers.push(Takeover {
                before: *before,
                by: id,
                shown,
                will,
            });
        }
    }

    /// Writes what the Server has read by now: all that waits, up to a packet whose answer is not
    /// there yet.
    pub(super) fn go_on(&mut self, id: ConnectionId) -> io::Result<()> {
        while let Some(followed) = self.connections.get(&id) {
            let first = followed.waiting.front();
            if followed.phase == Phase::New
                || first.is_none_or(|first| first.written || first.waits_unwritten())
            {
                break;
            }
            self.step(id)?;
        }
        self.close_late(id)
    }

    /// Writes the first packet that waits; one whose answer is to come goes on waiting for it.
    pub(super) fn step(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(mut held) = self.pop(id) else {
            return Ok(());
        };
        self.write(id, &held, None)?;
        held.written = true;
        if let Some(followed) = self.connections.get(&id)
            && followed.phase != Phase::Over
            && held.is_answered()
        {
            self.hold(id, held, VecDeque::push_front);
        }
        Ok(())
    }

    /// Has a packet wait, at the end where `push` puts it.
    pub(super) fn hold(
        &mut self,
        id: ConnectionId,
        held: Held,
        push: fn(&mut VecDeque<Held>, Held),
    ) {
        let Some(followed) = self.connections.get_mut(&id) else {
            return;
        };
        self.bytes += held.weight();
        // Before CONNACK nothing that the client sends has an effect.
        if let Some(topic) = held.topic.filter(|_| !held.written)
            && followed.phase != Phase::New
        {
            self.publishing.insert((topic, id));
        }
        push(&mut followed.waiting, held);
    }

    /// Writes the first packets that wait, answered or not.
    pub(super) fn release(&mut self, id: ConnectionId, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let Some(held) = self.pop(id) else {
                break;
            };
            self.write(id, &held, None)?;
        }
        Ok(())
    }

    /// Takes out the first packet that waits.
    pub(super) fn pop(&mut self, id: ConnectionId) -> Option<Held> {
        let followed = self.connections.get_mut(&id)?;
        let held = followed.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(held.weight());
        if let Some(topic) = held.topic.filter(|_| !held.written) {
            let same = |other: &Held| other.topic == Some(topic) && !other.written;
            if !followed.waiting.iter().any(same) {
                self.publishing.remove(&(topic, id));
            }
        }
        Some(held)
    }

    /// Takes a packet of the server: an answer, or a message.
    pub(super) fn sent(&mut self, seen: &PacketEvent<'_>, shown: bool) -> io::Result<()> {
        let id = seen.connection;
        let Some(server) = self.connections.get(&id).map(|followed| followed.server) else {
            return Ok(());
        };
        self.goes_on(id, server)?;
        let Ok(packet) = seen.packet else {
            // What mosquitto never sends: a capture shows what another server does.
            let client = self.name(id);
            let note = format!("Malformed {} to {client}.", seen.packet_type.name());
            return self.line_if(shown, Line::Note(&note));
        };
        match packet {
            ControlPacket::Publish(publish) => {
                let topic = seen.topic_resolved.unwrap_or(publish.topic);
                self.may_be_caused(id, server, topic, seen.bytes.len())?;
                if let Some(packet_id) = publish.delivery.packet_id()
                    && let Some(followed) = self.connections.get_mut(&id)
                    && let Some(sent) = &mut followed.sent
                {
                    sent.insert(packet_id.number(), publish.delivery.qos());
                }
            }
            ControlPacket::Disconnect(disconnect) => {
                return self.dismissed(id, Some(disconnect.reason_code), None, shown);
            }
            packet => {
                let followed = self.connections.get(&id);
                let place = followed.and_then(|followed| {
                    (followed.waiting.iter()).position(|held| held.is_answered_by(packet))
                });
                if let Some(place) = place {
                    self.release(id, place)?;
                }
                let asked = place.and_then(|_| self.pop(id));
                if let ControlPacket::ConnAck(ack) = packet {
                    self.answered(id, asked.as_ref(), ack, shown)?;
                    return self.go_on(id);
                }
                if let Some(asked) = asked.filter(|asked| !asked.written) {
                    self.write(id, &asked, Some(packet))?;
                }
            }
        }
        if shown {
            let client = self.name(id);
            self.line_of_packet(seen, packet, Way::Sending, &client)?;
        }
        self.go_on(id)
    }

    /// Writes the packets that a message of the Server may be an effect of, and what makes a will
    /// be published.
    pub(super) fn may_be_caused(
        &mut self,
        id: ConnectionId,
        server: Endpoint,
        topic: &str,
        size: usize,
    ) -> io::Result<()> {
        let hash = self.hasher.hash_one((server, topic));
        let takeovers = self.takeovers.iter();
        let wills = takeovers.filter(|takeover| takeover.will == Some(hash));
        let wills: Vec<_> = wills
            .map(|takeover| (takeover.before, takeover.shown))
            .collect();
        for (before, shown) in wills {
            self.take_over(before, shown)?;
        }
        let all = (hash, ConnectionId(0))..=(hash, ConnectionId(u32::MAX));
        let mut publishing: BTreeSet<_> = self.publishing.range(all).map(|(_, id)| *id).collect();
        // Its own SUBSCRIBE may be the cause, too.
        publishing.insert(id);
        let causes = publishing.into_iter().filter_map(|waiting| {
            let followed = self.connections.get_mut(&waiting)?;
            if followed.phase == Phase::New {
                return None;
            }
            let place = followed.cause(hash, topic, (waiting == id).then_some(size))?;
            Some((waiting, place))
        });
        let causes: Vec<_> = causes.collect();
        for (waiting, place) in causes {
            self.release(waiting, place)?;
            self.step(waiting)?;
        }
        Ok(())
    }
}
