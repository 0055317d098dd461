//! Identities and actions that pass between the Server and its caller.

/// Names a network connection; the caller chooses, and never twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionKey(pub u64);

/// An effect that the caller carries out, in the order in which [`Core`](super::server::Core)
/// returns them.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One control packet for the Client.
    Send {
        /// The connection to write to.
        connection: ConnectionKey,
        /// The whole control packet, fixed header included.
        bytes: Vec<u8>,
    },
    /// The end of what the Client receives: close once everything before is written.
    Close {
        /// The connection to close.
        connection: ConnectionKey,
    },
    /// A line for the log.
    Log(String),
}
