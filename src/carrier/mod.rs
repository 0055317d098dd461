//! Protocols that may carry MQTT inside a TCP stream: the PROXY protocol, TLS and WebSocket, one
//! inside the other where several are there.
//!
//! ```text
//! TCP stream -> PROXY protocol -> TLS -> WebSocket -> MQTT      any of the carriers may be missing
//! ```
//!
//! To add one: a folder whose type implements [`Carrier`], and its line in `list.rs`. The
//! code that reads connections knows no carrier by name: [`Carriers`] recognises them, and [`Carried`] is what
//! comes out of each.
//!
//! Layers of this room, each importing those before it only: `carried` (the trait), `proxy_protocol/`,
//! `tls/` and `websocket/`, `kind` (the connections of one carrier), `list`.

mod carried;
mod kind;
mod list;
pub mod proxy_protocol;
pub mod tls;
pub mod websocket;

pub use carried::{
    Alert, Breach, Call, Carried, Carrier, CarrierError, Introduction, Lost, Proxied, Shared, Sink,
    State,
};
pub use kind::{Kind, Slot};
pub use list::{Carriers, FIELDS, Followed, Protocol, Recognition, Transport};
