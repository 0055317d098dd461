//! Events that outlive the call that reports them.

use super::borrowed::Event;
use super::connection::{
    Disorder, Ended, FirstEnd, Gap, NotMqtt, Opened, SeenTwice, Stalled, TransportBreach,
};
use super::finding::Finding;
use super::handshake::Handshake;
use super::packet::PacketEvent;
use super::session::SessionSummary;
use super::will::{RetainedSummary, WillSummary};
use crate::base::{Endpoint, FrameStamp, Layers};
use crate::carrier::Transport;
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Sender};
use crate::stream::{ConnectionId, Direction};

/// An [`Event`] that owns what it holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OwnedEvent {
    /// A connection that turned out to carry MQTT.
    Opened(Opened),
    /// One control packet.
    Packet(Box<OwnedPacket>),
    /// Bytes of an MQTT connection that were never captured.
    Gap(Gap),
    /// One end of an MQTT connection closed it or reset it, and the other one did not before.
    FirstEnd(FirstEnd),
    /// The end of an MQTT connection.
    Ended(Ended),
    /// A connection that is not MQTT after all.
    NotMqtt(NotMqtt),
    /// TCP kept an MQTT connection from going on.
    Stalled(Stalled),
    /// A broken rule of what carries MQTT.
    Breach(TransportBreach),
    /// A connection that the capture holds twice.
    SeenTwice(SeenTwice),
    /// Frames that stand out of order.
    Disorder(Disorder),
    /// A settled exchange of control packets with its deliveries.
    Handshake(Box<Handshake>),
    /// The fate of a Will Message.
    Will(Box<WillSummary>),
    /// The lifetime of a stored message.
    Retained(Box<RetainedSummary>),
    /// A session and its connections.
    Session(Box<SessionSummary>),
    /// Something wrong, odd or worth knowing.
    Finding(Box<Finding>),
}

impl From<&Event<'_>> for OwnedEvent {
    fn from(event: &Event<'_>) -> Self {
        match *event {
            Event::Opened(opened) => Self::Opened(*opened),
            Event::Packet(packet) => Self::Packet(Box::new(packet.into())),
            Event::Gap(gap) => Self::Gap(*gap),
            Event::FirstEnd(end) => Self::FirstEnd(*end),
            Event::Ended(ended) => Self::Ended(*ended),
            Event::NotMqtt(not_mqtt) => Self::NotMqtt(not_mqtt.clone()),
            Event::Stalled(stalled) => Self::Stalled(*stalled),
            Event::Breach(breach) => Self::Breach(*breach),
            Event::SeenTwice(twice) => Self::SeenTwice(*twice),
            Event::Disorder(disorder) => Self::Disorder(*disorder),
            Event::Handshake(handshake) => Self::Handshake(Box::new(handshake.clone())),
            Event::Will(will) => Self::Will(Box::new(will.clone())),
            Event::Retained(retained) => Self::Retained(Box::new(retained.clone())),
            Event::Session(session) => Self::Session(Box::new(session.clone())),
            Event::Finding(finding) => Self::Finding(Box::new(finding.clone())),
        }
    }
}

impl OwnedEvent {
    /// Returns the connection of an event of the capture that belongs to one.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Packet(packet) => Some(packet.connection),
            _ => self.with_event(|event| event.connection()),
        }
    }

    /// Calls `visit` with the event as it was reported.
    pub fn with_event<T>(&self, visit: impl FnOnce(&Event<'_>) -> T) -> T {
        let event = match self {
            Self::Packet(packet) => {
                return packet.with_event(|packet| visit(&Event::Packet(packet)));
            }
            Self::Opened(opened) => Event::Opened(opened),
            Self::Gap(gap) => Event::Gap(gap),
            Self::FirstEnd(end) => Event::FirstEnd(end),
            Self::Ended(ended) => Event::Ended(ended),
            Self::NotMqtt(not_mqtt) => Event::NotMqtt(not_mqtt),
            Self::Stalled(stalled) => Event::Stalled(stalled),
            Self::Breach(breach) => Event::Breach(breach),
            Self::SeenTwice(twice) => Event::SeenTwice(twice),
            Self::Disorder(disorder) => Event::Disorder(disorder),
            Self::Handshake(handshake) => Event::Handshake(handshake),
            Self::Will(will) => Event::Will(will),
            Self::Retained(retained) => Event::Retained(retained),
            Self::Session(session) => Event::Session(session),
            Self::Finding(finding) => Event::Finding(finding),
        };
        visit(&event)
    }
}

/// A [`PacketEvent`] that owns its bytes; the fields are those of the event.
#[derive(Clone, Debug)]
pub struct OwnedPacket {
    /// The frame that carries the packet's last byte in stream order.
    pub stamp: FrameStamp,
    /// The packet's place among those that end in that frame, from 0.
    pub index: u32,
    /// Every frame that carried a part, in order.
    pub frames: Vec<u64>,
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The end that sent it.
    pub source: Endpoint,
    /// The end that it was sent to.
    pub destination: Endpoint,
    /// Its direction on the connection.
    pub direction: Direction,
    /// The role of the end that sent it.
    pub sender: Sender,
    /// The protocol that carried it.
    pub transport: Transport,
    /// The protocol version, once known.
    pub version: Option<ProtocolVersion>,
    /// No CONNECT was captured: the version was inferred from structure.
    pub version_inferred: bool,
    /// A gap, or the capture's beginning, lies before it in its direction.
    pub after_gap: bool,
    /// The packet type (MQTT 5.0 §2.1.2).
    pub packet_type: PacketType,
    /// The whole packet, or of a malformed one as much as there is.
    pub bytes: Vec<u8>,
    /// Bytes of a PUBLISH behind `bytes` that the snapshot length of the capture cut off.
    pub missing: u64,
    /// The rule that makes it malformed, and where.
    pub malformed: Option<Malformed>,
    /// The client identifier of the connection, where it is known.
    pub client_id: Option<Box<str>>,
    /// The topic name that a PUBLISH's alias stood for there and then.
    pub topic_resolved: Option<Box<str>>,
    layers: Layers,
}

impl OwnedPacket {
    /// Decodes the packet.
    ///
    /// # Errors
    /// The rule that makes it malformed, and the offset in bytes from its first byte.
    pub fn decode(&self) -> Result<ControlPacket<'_>, Malformed> {
        match self.malformed {
            Some(malformed) => Err(malformed),
            None => {
                let version = self.version.unwrap_or(ProtocolVersion::V3_1_1);
                match self.missing {
                    0 => ControlPacket::read(&self.bytes, version, &mut ()),
                    _ => ControlPacket::read_cut(&self.bytes, version, &mut ()),
                }
            }
        }
    }

    /// Calls `visit` with the packet as an event: for views and for the records of
    /// [`crate::schema`], which are built from events.
    pub fn with_event<T>(&self, visit: impl FnOnce(&PacketEvent<'_>) -> T) -> T {
        let decoded = self.decode();
        visit(&PacketEvent {
            stamp: self.stamp,
            index: self.index,
            frames: &self.frames,
            connection: self.connection,
            source: &self.source,
            destination: &self.destination,
            direction: self.direction,
            sender: self.sender,
            transport: self.transport,
            version: self.version,
            version_inferred: self.version_inferred,
            after_gap: self.after_gap,
            packet_type: self.packet_type,
            bytes: &self.bytes,
            missing: self.missing,
            packet: decoded.as_ref().map_err(|malformed| *malformed),
            client_id: self.client_id.as_deref(),
            topic_resolved: self.topic_resolved.as_deref(),
            layers: &self.layers,
        })
    }
}

impl From<&PacketEvent<'_>> for OwnedPacket {
    fn from(event: &PacketEvent<'_>) -> Self {
        Self {
            stamp: event.stamp,
            index: event.index,
            frames: event.frames.to_vec(),
            connection: event.connection,
            source: *event.source,
            destination: *event.destination,
            direction: event.direction,
            sender: event.sender,
            transport: event.transport,
            version: event.version,
            version_inferred: event.version_inferred,
            after_gap: event.after_gap,
            packet_type: event.packet_type,
            bytes: event.bytes.to_vec(),
            missing: event.missing,
            malformed: event.packet.err(),
            client_id: event.client_id.map(Into::into),
            topic_resolved: event.topic_resolved.map(Into::into),
            layers: *event.layers,
        }
    }
}
