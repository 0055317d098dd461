//! What carries MQTT, and connections that turn out to carry something else.

use super::Analyzer;
use super::clauses;
use super::findings::Where;
use crate::event::{Breach, CarrierError, LooksLike, NotMqtt, Protocol, TransportBreach};
use crate::mqtt::{ProtocolVersion, Sender};

impl Analyzer {
    /// Something else comes where MQTT was expected.
    pub(super) fn not_mqtt(&mut self, told: &NotMqtt) {
        self.pass(told.stamp);
        let at = Where {
            stamp: told.stamp,
            connection: Some(told.connection.id),
            client_id: None,
            version: None,
            citing: None,
        };
        let (clause, message) = match told.looks_like {
            LooksLike::Carrier(Protocol::WebSocket, CarrierError::Refused(status)) => (
                &clauses::WEBSOCKET_REFUSED,
                format!(
                    "The server refused the WebSocket connection with HTTP status {status}: MQTT never began on it."
                ),
            ),
            LooksLike::Carrier(Protocol::WebSocket, CarrierError::Broken) => (
                &clauses::WEBSOCKET_BROKEN,
                "What one end sends from here on cannot be read as WebSocket frames: nothing more of it is told."
                    .to_owned(),
            ),
            other => {
                let other = match other {
                    LooksLike::Carrier(Protocol::Tls, CarrierError::Broken) => "TLS that its keys do not decrypt from here on",
                    LooksLike::Carrier(Protocol::Tls, CarrierError::Unsupported(_)) => "TLS with a cipher suite that is not decrypted",
                    LooksLike::TLS => "TLS: without its keys nothing more can be told",
                    LooksLike::HTTP => "HTTP",
                    _ => "something else",
                };
                let message =
                    format!("What is sent on this connection is not MQTT; it looks like {other}.");
                (&clauses::NOT_MQTT, message)
            }
        };
        self.findings.tell(&mut self.outbox, clause, at, || message);
    }

    /// A rule of what carries MQTT is broken.
    pub(super) fn breach(&mut self, told: &TransportBreach) {
        self.pass(told.stamp);
        let Some(link) = self.links.get(told.connection) else {
            return;
        };
        // MQTT 3.1 calls itself otherwise.
        let names = matches!(told.breach, Breach::NotOffered | Breach::NotSelected);
        if names && link.version() == ProtocolVersion::V3_1 {
            return;
        }
        let client = link.name();
        let (clause, message) = match told.breach {
            Breach::TextFrame => {
                let sender = match told.sender {
                    Sender::Client => &*client,
                    Sender::Server => "the server",
                };
                (
                    &clauses::WEBSOCKET_TEXT,
                    format!(
                        "{sender} sends MQTT in a text frame of WebSocket; only binary frames may carry it."
                    ),
                )
            }
            Breach::NotOffered => (
                &clauses::WEBSOCKET_NOT_OFFERED,
                format!(
                    "{client} did not offer the WebSocket subprotocol `mqtt` (Sec-WebSocket-Protocol); many servers refuse that."
                ),
            ),
            Breach::NotSelected => (
                &clauses::WEBSOCKET_NOT_SELECTED,
                format!(
                    "The server did not select the WebSocket subprotocol `mqtt` for {client}; browsers close such a connection."
                ),
            ),
            Breach::Masking => (
                &clauses::WEBSOCKET_MASKING,
                match told.sender {
                    Sender::Client => format!(
                        "{client} sends WebSocket frames without a mask; a server closes such a connection."
                    ),
                    Sender::Server => {
                        "The server masks its WebSocket frames; a client closes such a connection."
                            .to_owned()
                    }
                },
            ),
        };
        let at = link.at(told.stamp);
        self.findings.tell(&mut self.outbox, clause, at, || message);
    }
}
