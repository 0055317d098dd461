//! Protocols that may carry MQTT inside a TCP stream: TLS and WebSocket.

pub mod tls;
pub mod unwrapped;
pub mod websocket;
