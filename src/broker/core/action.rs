//! What the Server is asked to do and what it wants done.

/// Names a network connection; the caller chooses, and never twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionKey(pub u64);

/// What the Server wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One control packet for the Client.
    Send {
        connection: ConnectionKey,
        bytes: Vec<u8>,
    },
    /// Nothing more is said to the Client: close once everything before is sent.
    Close { connection: ConnectionKey },
    /// A line for the log.
    Log(String),
}

/// How a network connection ended, seen from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The Client closed its direction.
    Fin,
    /// The connection was reset or failed.
    Reset,
}
