//! One control packet of a handshake, and the states that a handshake ends in.

use strum::IntoStaticStr;

use crate::base::{FrameStamp, Span};
use crate::mqtt::{PacketType, QoS, Sender};
use crate::stream::ConnectionId;

/// One control packet of a handshake.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The control packet's type.
    pub packet_type: PacketType,
    /// The end that sent it.
    pub sender: Sender,
    /// The frame that carries the packet's last byte.
    pub stamp: FrameStamp,
    /// Place among the control packets ending in that frame, from 0.
    pub index: u32,
    /// A redelivery may travel on a later connection of the same session.
    pub connection: ConnectionId,
    /// PUBLISH only, else false.
    pub dup: bool,
    /// PUBLISH only.
    pub qos: Option<QoS>,
    /// PUBLISH only, else false.
    pub retain: bool,
    /// Acknowledgements and AUTH of 5.0, and CONNACK of any version.
    pub reason_code: Option<u8>,
    /// Bytes of the same direction are missing between the step before and this one.
    pub after_gap: bool,
}

/// How a handshake ended.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
pub enum HandshakeState {
    /// The last packet of the exchange came.
    Complete,
    /// A packet with a reason code of 128 or above (3.x: a CONNACK return code above 0, a
    /// SUBACK of failures only) ended it.
    Refused {
        /// The packet with the code: CONNACK, SUBACK, PUBACK, PUBREC ...
        packet_type: PacketType,
        /// Its return code (3.x) or reason code (5.0).
        code: u8,
    },
    /// The next packet never came, or is not in the capture.
    Incomplete {
        /// The packet that comes next in the exchange.
        waiting_for: PacketType,
        /// The reason why it did not.
        ended_by: EndedBy,
    },
}

/// Why a handshake is not waited for any longer.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum EndedBy {
    /// The capture ended first.
    CaptureEnd,
    /// The connection was closed.
    ConnectionClosed,
    /// The connection was reset.
    ConnectionReset,
    /// Bytes are missing from the capture: the packet may be among them.
    Gap,
    /// The packet identifier was used for something else.
    IdentifierReused,
    /// The table of open handshakes reached its cap.
    TableFull,
}

/// A span that is only known where both frames have a time.
pub fn between(earlier: &FrameStamp, later: &FrameStamp) -> Option<Span> {
    Some(later.time?.since(earlier.time?))
}
