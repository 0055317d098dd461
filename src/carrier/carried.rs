//! The trait of protocols that carry MQTT in a stream, and what comes out of them.

use std::fmt::{self, Debug};

use crate::base::field::FieldDef;
use crate::base::limits::{Limit, Limits};
use crate::stream::Direction;

/// One step of the data of a connection, in order for each direction.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'a> {
    /// The next bytes of data.
    Bytes(&'a [u8]),
    /// An unknown number of bytes of data is missing.
    Gap,
    /// A rule of the carrier is broken here; data goes on.
    Breach(Breach),
    /// Nothing more of this direction comes out, or of both where the connection was refused.
    Failed(CarrierError),
    /// A limit that counts it is reached: nothing more of this direction comes out.
    OverLimit,
    /// The connection is none of this protocol after all. `bytes` are those that were held of
    /// `direction`; nothing more comes out but those of the other direction.
    Mistaken {
        /// Where they came from, which need not be the direction of the call.
        direction: Direction,
        /// As they came, from the first byte on that the carrier saw.
        bytes: &'a [u8],
    },
}

/// Why a connection of a carrier is not read, or no further.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CarrierError {
    /// It begins like this protocol and is not followed: TLS without its secrets, HTTP that asks
    /// for no WebSocket.
    NotOpened,
    /// The server did not grant it, with this status (of HTTP: RFC 9110 §15).
    Refused(u16),
    /// It uses something with this number that is not supported, as a TLS cipher suite.
    Unsupported(u16),
    /// The bytes break the protocol, or the secrets do not fit them.
    Broken,
}

impl fmt::Display for CarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpened => f.write_str("it is not followed"),
            Self::Refused(status) => write!(f, "the server refused it with status {status}"),
            Self::Unsupported(number) => {
                write!(f, "it uses 0x{number:04x}, which is not supported")
            }
            Self::Broken => f.write_str("it cannot be read from here on"),
        }
    }
}

impl std::error::Error for CarrierError {}

/// A rule of MQTT's transport that one end breaks. Each becomes a finding.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Breach {
    /// A WebSocket text frame carries data \[MQTT-6.0.0-1\].
    TextFrame,
    /// The Client did not offer the subprotocol `mqtt` \[MQTT-6.0.0-3\].
    NotOffered,
    /// The Server did not select the subprotocol `mqtt` \[MQTT-6.0.0-4\].
    NotSelected,
    /// A frame of the Client's is not masked, or one of the Server's is (RFC 6455 §5.1).
    Masking,
}

/// Bytes out of which nothing came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    /// Beside a gap.
    pub discarded: u64,
    /// Behind a [`CarrierError`] or a limit.
    pub given_up: u64,
}

/// A protocol that may carry MQTT, and one connection of it.
///
/// Data comes out as it would come from TCP: in order for each direction, with gaps. All memory
/// that a connection takes is bounded: by limits over all connections, which its `Shared` counts.
pub trait Carrier: Debug + Sized + 'static {
    /// The state that all connections of a run share: limits, secrets, buffers.
    type Shared: Debug;

    /// The protocol in the registry of fields. Its name stands in JSON's `transport` (`tls`),
    /// its label in the detail tree.
    const FIELD: &'static FieldDef;

    /// Ports on which MQTT inside this protocol is expected.
    const PORTS: &'static [u16] = &[];

    /// The limit on its own connections, beside that on those of all carriers.
    const CONNECTIONS: Option<Limit> = None;

    /// Whether it hides its data from others on the network.
    const ENCRYPTS: bool = false;

    /// Makes the state that the connections of a run share.
    fn shared(limits: &Limits) -> Self::Shared;

    /// Whether `bytes`, with which a direction begins, look like this protocol, followed or not.
    fn resembles(bytes: &[u8]) -> bool;

    /// The connection that `bytes` open, the first of `direction`: it begins as only this
    /// protocol does, or may when more bytes come.
    fn open(shared: &Self::Shared, direction: Direction, bytes: &[u8]) -> Option<Self>;

    /// The connection, open before the capture began, that a segment with `bytes` may belong to,
    /// and the first bytes of its data, for the caller to judge whether MQTT begins like that.
    fn join(_direction: Direction, _bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        None
    }

    /// The direction in which the end sends that opened the connection.
    fn client(&self) -> Direction;

    /// Whether the data of [`Carrier::client`] is known from its beginning.
    fn is_from_start(&self) -> bool;

    /// Whether the connection itself names MQTT as its content.
    fn announces_mqtt(&self) -> bool {
        false
    }

    /// Takes the next bytes of `direction`, which came in one segment.
    fn push(
        &mut self,
        shared: &mut Self::Shared,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn FnMut(Carried<'_>),
    );

    /// Takes a gap of `length` bytes in `direction`, of an unknown number where it is 0. Returns
    /// how many bytes of data are missing then: `Some(0)` where that is unknown, `None` where
    /// none are.
    fn gap(&mut self, shared: &mut Self::Shared, direction: Direction, length: u64) -> Option<u64>;

    /// Gives back what the connection, which is over, held of `shared`.
    fn close(&mut self, shared: &mut Self::Shared);

    /// Bytes lost until now on all connections.
    fn lost(shared: &Self::Shared) -> Lost;

    /// Bytes held now for all connections.
    fn held(shared: &Self::Shared) -> usize;

    /// Learns secrets in the format of SSLKEYLOGFILE, where the protocol has a use for them.
    fn learn(_shared: &mut Self::Shared, _secrets: &[u8]) {}

    /// Limits other than [`Carrier::CONNECTIONS`], and how often each was reached.
    fn limits(shared: &Self::Shared) -> Vec<(Limit, u64)>;
}
