//! The MQTT server without I/O: bytes and the time in, [`Action`]s out.
//!
//! Deterministic: the same calls with the same seed give the same actions in the same order.
//! What a Client may make the Server keep is limited by
//! [`BrokerLimits`](crate::base::limits::BrokerLimits); reaching a limit is reported in the log
//! and, where the protocol has a word for it, to the Client.
//!
//! Policy where queues are full: a QoS 0 message is dropped for a Client that does not read
//! (limits `unsent_bytes`, `all_unsent_bytes`); above QoS 0 it waits, and the newest message is
//! dropped once the Client's queue is full (`queued_messages`, `queued_bytes`, `all_held_bytes`).
//!
//! The files in layers, each importing only those above it:
//!
//! | file | holds |
//! |---|---|
//! | `action`, `options` | what goes in and out besides bytes |
//! | `message`, `encode` | a message as it is held; control packets as they are sent |
//! | `session`, `link` | what is kept of a Client, and of its connection |
//! | `filters`, `retained` | who subscribed to what; retained messages |
//! | `work` | the rest of a packet: what is not done yet |
//! | `server` | [`Core`]: all of these, with its books |
//! | `leave`, `deliver` | how connections and sessions end; from a message to its subscribers |
//! | `connect`, `publish`, `subscribe`, `tick` | each packet type, and the time |
//! | `turns` | work that was left unfinished, in turn |
//! | `receive` | from bytes to packets |
//!
//! One packet can ask for very much: a message for ten thousand subscribers, all retained messages
//! ten thousand times. So work is counted in steps, what has none left goes on in its next turn
//! ([`Core::work`]), and until it is done the packets behind it wait.

mod action;
mod connect;
mod deliver;
mod encode;
mod filters;
mod leave;
mod link;
mod message;
mod options;
mod publish;
mod receive;
mod retained;
mod server;
mod session;
mod subscribe;
#[cfg(test)]
mod tests;
mod tick;
mod turns;
mod work;

pub use action::{Action, ConnectionKey};
pub use encode::acknowledgement;
pub use options::BrokerOptions;
pub use server::Core;
