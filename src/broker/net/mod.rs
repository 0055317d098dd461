//! Sockets for the [`Core`](super::core::Core): one thread, one event loop, one order of reads and
//! writes.
//!
//! Every byte passes a [`Witness`] before it is forwarded. Reads and writes never block, so a
//! Client that does not read holds up no other: what it does not take waits in a queue, whose
//! growth `core` and a pause in reading bound.
//!
//! The files in layers, each importing only those above it:
//!
//! | file | holds |
//! |---|---|
//! | `clock`, `witness` | time that never goes back; the observer |
//! | `listen`, `socket` | listening sockets; a connection's socket and its queue |
//! | `server` | [`Net`]: all of these with the core |
//! | `accept`, `serve` | new connections; what is read and written |
//! | `turn` | the event loop |

mod accept;
mod clock;
mod listen;
mod serve;
mod server;
mod socket;
mod turn;
mod witness;

pub use clock::Clock;
pub use listen::ListenError;
pub use server::Net;
pub use witness::{Seen, Witness};
