//! The events that decoding and analysis emit: control packets, gaps, connections, handshakes,
//! findings.
//!
//! Layers, each importing only those before it:
//!
//! ```text
//! accounting, message, packet, connection, step, finding   plain records; fields, log and needs too
//!   totals, delivery        the sums of a run; a message's way to one subscriber
//!     handshake             an exchange of control packets with its deliveries
//!       session             the connections of a client that share a session
//!         will              Will Messages and stored messages
//!           borrowed        `Event`, any of these
//!             owned         the same for events that outlive the call
//! ```

pub mod accounting;
mod borrowed;
pub mod connection;
pub mod delivery;
pub mod fields;
pub mod finding;
pub mod handshake;
pub mod log;
pub mod message;
mod needs;
mod owned;
pub mod packet;
pub mod session;
pub mod step;
pub mod totals;
pub mod will;

pub use accounting::{Accounting, LimitReached};
pub use borrowed::Event;
pub use connection::{
    Disorder, Ended, FirstEnd, Gap, Incomplete, LooksLike, NotMqtt, Opened, SeenTwice, Stalled,
    TransportBreach,
};
pub use delivery::{Delivered, MessageDelivery, Outcome, SessionOver, Shares, Undelivered};
pub use finding::{Cause, Finding, Level, Repeats};
pub use handshake::{
    ConnAckSummary, ConnectSummary, FilterRequest, Handshake, HandshakeKind, Origin, Subject,
    WillMessage,
};
pub use message::{Message, Payload};
pub use needs::Needs;
pub use owned::{OwnedEvent, OwnedPacket};
pub use packet::PacketEvent;
pub use session::{ConnectionSummary, End, EndCause, SessionSummary};
pub use step::{EndedBy, HandshakeState, Step, between};
pub use totals::{SkippedFrames, Totals};
pub use will::{NoWill, RetainedEnd, RetainedSummary, Stored, WillFate, WillSummary};

pub use crate::carrier::{Alert, Breach, CarrierError, Introduction, Protocol, Proxied, Transport};
pub use crate::stream::{Closed, Connection, ConnectionId, Direction, GapCause, Stall};
