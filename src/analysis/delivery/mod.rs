//! Deliveries: from each message to what became of it for each subscriber.
//!
//! | file | holds |
//! |---|---|
//! | `subscribers` | who is to be sent a message |
//! | `messages` | when a message is over, and why it was not delivered |
//! | `retained`, `wills` | messages that outlive their publishers |
//! | `explain` | where a server's PUBLISH comes from |
//!
//! Layers: `subscribers, messages <- retained <- wills <- explain`.

pub(crate) mod explain;
pub(crate) mod messages;
pub(crate) mod retained;
pub(crate) mod subscribers;
pub(crate) mod wills;
