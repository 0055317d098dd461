//! Control packets: what each type does to the state.
//!
//! | file | holds |
//! |---|---|
//! | `exchange` | a handshake's beginning, its keeping, its end |
//! | `sessions` | the session of a connection: joining, suspending, ending |
//! | `connect`, `requests`, `publish`, `acknowledge` | the packet types |
//! | `ends` | the end of a connection and of the capture |
//!
//! Layers: `exchange <- sessions <- connect, requests, publish, acknowledge, ends`.

pub(crate) mod acknowledge;
pub(crate) mod connect;
pub(crate) mod ends;
pub(crate) mod exchange;
pub(crate) mod publish;
pub(crate) mod requests;
pub(crate) mod sessions;
