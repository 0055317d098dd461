//! Whether bytes may begin a packet at all: the versions and ends that their fixed header
//! leaves.

use crate::mqtt::{PacketType, ProtocolVersion, Sender};

/// The versions that bytes without a CONNECT may follow: 3.1 and 3.1.1 look alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Versions(u8);

impl Versions {
    const THREE: u8 = 1;
    const FIVE: u8 = 2;
    pub(super) const BOTH: Self = Self(Self::THREE | Self::FIVE);

    pub(super) const fn only(version: ProtocolVersion) -> Self {
        match version {
            ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1 => Self(Self::THREE),
            ProtocolVersion::V5_0 => Self(Self::FIVE),
        }
    }

    pub(super) const fn three(self) -> bool {
        self.0 & Self::THREE != 0
    }

    pub(super) const fn five(self) -> bool {
        self.0 & Self::FIVE != 0
    }

    pub(super) const fn both(self) -> bool {
        self.0 == Self::BOTH.0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn without_three(self) -> Self {
        Self(self.0 & !Self::THREE)
    }

    pub(super) const fn without_five(self) -> Self {
        Self(self.0 & !Self::FIVE)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The ends that may have sent what was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Roles(u8);

impl Roles {
    pub(super) const BOTH: Self = Self(3);

    pub(super) const fn only(sender: Sender) -> Self {
        match sender {
            Sender::Client => Self(1),
            Sender::Server => Self(2),
        }
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one end, where only one is left.
    pub(super) const fn sender(self) -> Option<Sender> {
        match self.0 {
            1 => Some(Sender::Client),
            2 => Some(Sender::Server),
            _ => None,
        }
    }

    /// Who may send a packet of this type (MQTT 5.0 Table 2-1). DISCONNECT from a Server and
    /// AUTH are of 5.0 alone; that is for [`may_begin`] to say.
    pub(super) const fn of(packet_type: PacketType) -> Self {
        match packet_type {
            PacketType::Connect
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq => Self::only(Sender::Client),
            PacketType::ConnAck
            | PacketType::SubAck
            | PacketType::UnsubAck
            | PacketType::PingResp => Self::only(Sender::Server),
            _ => Self::BOTH,
        }
    }
}

/// The versions under which a packet may begin with these bytes: flags as they must be
/// (MQTT 5.0 Table 2-2) and a Remaining Length that its type allows. Cheap, and wrong for
/// nearly all bytes that are no packet.
pub(super) fn may_begin(first: u8, remaining: usize, versions: Versions) -> Versions {
    let (three, five) = match PacketType::of(first) {
        PacketType::Reserved => (false, false),
        PacketType::Publish => {
            let (dup, qos) = (first & 8 != 0, first >> 1 & 3);
            let fits = qos < 3 && !(dup && qos == 0);
            let least = if qos == 0 { 2 } else { 4 };
            (fits && remaining > least, fits && remaining > least)
        }
        // DUP was allowed there by 3.1; that is left to bytes whose place is known.
        PacketType::Subscribe => {
            let fits = first & 15 == 2;
            (fits && remaining >= 6, fits && remaining >= 7)
        }
        PacketType::Unsubscribe => {
            let fits = first & 15 == 2;
            (fits && remaining >= 5, fits && remaining >= 6)
        }
        PacketType::PubRel => (
            first & 15 == 2 && remaining == 2,
            first & 15 == 2 && remaining >= 2,
        ),
        PacketType::PubAck | PacketType::PubRec | PacketType::PubComp => (
            first & 15 == 0 && remaining == 2,
            first & 15 == 0 && remaining >= 2,
        ),
        PacketType::SubAck => {
            let fits = first & 15 == 0;
            (fits && remaining >= 3, fits && remaining >= 4)
        }
        PacketType::UnsubAck => (
            first & 15 == 0 && remaining == 2,
            first & 15 == 0 && remaining >= 4,
        ),
        PacketType::PingReq | PacketType::PingResp => {
            let fits = first & 15 == 0 && remaining == 0;
            (fits, fits)
        }
        PacketType::Disconnect => (first & 15 == 0 && remaining == 0, first & 15 == 0),
        PacketType::Auth => (false, first & 15 == 0),
        PacketType::ConnAck => (
            first & 15 == 0 && remaining == 2,
            first & 15 == 0 && remaining >= 3,
        ),
        PacketType::Connect => {
            let fits = first & 15 == 0 && remaining >= 12;
            (fits, fits)
        }
    };
    let versions = if three {
        versions
    } else {
        versions.without_three()
    };
    if five {
        versions
    } else {
        versions.without_five()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_rarely_begins_a_packet() {
        for text in ["AAAA", "GET / HTTP", "dddd", "hello", "\r\n", "{\"a\":1}"] {
            let bytes = text.as_bytes();
            let versions = may_begin(bytes[0], usize::from(bytes[1]), Versions::BOTH);
            assert!(versions.is_empty(), "{text}");
        }
    }
}
