//! How connections and sessions end (5.0 §3.14, §4.1, §4.13): DISCONNECT, wills, expiry.

use std::sync::Arc;

use super::action::{Action, ConnectionKey};
use super::encode;
use super::filters::Target;
use super::link::Client;
use super::server::Core;
use super::session::{Expiry, SessionKey, Will};
use crate::base::Span;
use crate::event::log::{Line, Way};
use crate::mqtt::PacketType;
use crate::mqtt::packet::Disconnect;

/// The manner in which a Client leaves, which decides whether its will is published
/// ([MQTT-3.1.2-8], [MQTT-3.1.2-10]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Departure {
    /// DISCONNECT with reason code 0x00, or any of 3.x.
    Normal,
    /// DISCONNECT with another reason code (0x04 asks for the will).
    WithReason,
    /// The connection closed first.
    WithoutDisconnect,
    /// Another connection of the same client identifier took over.
    TakenOver {
        /// Whether the session ended with it.
        ends: bool,
    },
}

impl Core {
    /// Ends a connection for what its Client did.
    pub(super) fn dismiss(&mut self, connection: ConnectionKey, code: u8, why: &str) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = &Arc::clone(&link.name);
        self.send_disconnect(connection, code);
        self.actions.push_back(Action::Close { connection });
        self.log(Line::Dismissed { client, why });
        self.leave(connection, Departure::WithoutDisconnect);
    }

    /// Handles a DISCONNECT: the Client may change its session's expiry with it, and a reason code
    /// other than 0x00 keeps the will (§3.14.2.1).
    pub(super) fn disconnect(&mut self, client: &Client, disconnect: &Disconnect<'_>) {
        let connection = client.connection;
        self.log_packet(Way::Received, PacketType::Disconnect, client);
        if let Some(seconds) = disconnect.properties.session_expiry_interval()
            && let Some(session) = self.sessions.get_mut(&client.session)
        {
            // §3.14.2.2.2: a session that was to end with its connection cannot be kept.
            if session.expiry == Expiry::WithConnection && seconds > 0 {
                return self.dismiss(connection, encode::PROTOCOL_ERROR, "protocol error");
            }
            session.expiry = Expiry::from_seconds(seconds);
        }
        self.actions.push_back(Action::Close { connection });
        self.log(Line::Disconnected(&client.name));
        let departure = match disconnect.reason_code {
            0 => Departure::Normal,
            _ => Departure::WithReason,
        };
        self.leave(connection, departure);
    }

    /// Removes a connection: gives back what it counted for, and starts the delays of its will
    /// and of its session's expiry, which run from here (§3.1.2.11.2).
    pub(super) fn leave(&mut self, connection: ConnectionKey, departure: Departure) {
        let Some(link) = self.links.remove(&connection) else {
            return;
        };
        self.unsent_bytes = self.unsent_bytes.saturating_sub(link.unsent);
        self.partial_bytes = self
            .partial_bytes
            .saturating_sub(link.framer.pending().len());
        self.kept_bytes = self.kept_bytes.saturating_sub(link.aliases_in_bytes);
        let Some(key) = link.session() else {
            return;
        };
        self.wake(key);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.connection = None;
        let ends = match departure {
            Departure::TakenOver { ends } => ends,
            _ => session.expiry == Expiry::WithConnection,
        };
        if departure == Departure::Normal {
            session.will = None;
        }
        // The will's delay ends with the session ([MQTT-3.1.3-9] and §3.1.3.2.2).
        let delay = session.will.as_ref().map(|will| will.delay);
        session.will_at = delay
            .filter(|&delay| delay > Span::ZERO && !ends)
            .map(|delay| self.now.plus(delay));
        session.ends_at = match session.expiry {
            Expiry::After(span) => Some(self.now.plus(span)),
            Expiry::WithConnection | Expiry::Never => None,
        };
        let wake = [session.will_at, session.ends_at];
        self.weigh(key);
        for at in wake.into_iter().flatten() {
            self.wake_at(at);
        }
        if delay.is_some_and(|delay| delay <= Span::ZERO) {
            self.publish_will(key);
        }
        // `take_session` ends a session that was taken over, after it has closed the link.
        if ends && !matches!(departure, Departure::TakenOver { .. }) {
            self.end_session(key);
        }
    }

    /// Publishes a session's will, at most once: the session has none afterwards
    /// ([MQTT-3.1.2-10]).
    pub(super) fn publish_will(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.will_at = None;
        if let Some(Will { mut message, .. }) = session.will.take() {
            self.weigh(key);
            message.publish(self.now);
            self.route(key, Arc::new(message), None);
        }
    }

    /// Forgets a session and all that it counted for; a will that still waits is published first
    /// ([MQTT-3.1.2-8]).
    pub(super) fn end_session(&mut self, key: SessionKey) {
        self.publish_will(key);
        let Some(session) = self.sessions.remove(&key) else {
            return;
        };
        let held = session.queued_bytes + session.unreleased_bytes;
        self.held_bytes = self.held_bytes.saturating_sub(held);
        self.kept_bytes = self.kept_bytes.saturating_sub(session.counted);
        for filter in &session.subscriptions {
            if let Some(target) = Target::parse(filter) {
                self.filters.unsubscribe(target, key);
            }
        }
        if self.by_client.get(&session.client_id) == Some(&key) {
            self.by_client.remove(&session.client_id);
        }
    }
}
