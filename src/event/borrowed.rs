//! The events of a run, as they are emitted: borrowed for the call that brings them.

use super::connection::{
    Disorder, Ended, FirstEnd, Gap, NotMqtt, Opened, SeenTwice, Stalled, TransportBreach,
};
use super::finding::Finding;
use super::handshake::Handshake;
use super::packet::PacketEvent;
use super::session::SessionSummary;
use super::will::{RetainedSummary, WillSummary};
use crate::stream::ConnectionId;

/// Everything that a run reports, in the order in which it becomes known.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A connection turned out to carry MQTT (emitted before its first packet).
    Opened(&'a Opened),
    /// One control packet.
    Packet(&'a PacketEvent<'a>),
    /// Bytes of an MQTT connection that will never come.
    Gap(&'a Gap),
    /// One end of an MQTT connection closed it or reset it, and the other one did not before.
    FirstEnd(&'a FirstEnd),
    /// An MQTT connection has ended, or is not followed any longer.
    Ended(&'a Ended),
    /// A connection on an MQTT port, or asked for by the user, that is not MQTT after all.
    NotMqtt(&'a NotMqtt),
    /// TCP kept an MQTT connection from going on.
    Stalled(&'a Stalled),
    /// The carrier of an MQTT connection breaks its rules.
    Breach(&'a TransportBreach),
    /// A connection that the capture holds twice.
    SeenTwice(&'a SeenTwice),
    /// The capture is over, and frames of it stand out of order.
    Disorder(&'a Disorder),
    /// An exchange of control packets is settled, its deliveries known.
    Handshake(&'a Handshake),
    /// A Will Message whose fate is known.
    Will(&'a WillSummary),
    /// A stored message that was replaced, cleared or kept.
    Retained(&'a RetainedSummary),
    /// A session is over, or the capture is.
    Session(&'a SessionSummary),
    /// Something wrong, odd or worth knowing.
    Finding(&'a Finding),
}

impl Event<'_> {
    /// Returns the connection of an event of the capture that belongs to one.
    pub const fn connection(&self) -> Option<ConnectionId> {
        Some(match self {
            Self::Opened(opened) => opened.connection.id,
            Self::Packet(packet) => packet.connection,
            Self::Gap(gap) => gap.connection,
            Self::FirstEnd(end) => end.connection,
            Self::Ended(ended) => ended.connection,
            Self::NotMqtt(other) => other.connection.id,
            Self::Stalled(stalled) => stalled.connection,
            Self::Breach(breach) => breach.connection,
            _ => return None,
        })
    }
}
