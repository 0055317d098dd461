//! The effects of time: keep alive, expiry, delayed wills; and the end of the Server.

use std::sync::Arc;

use super::action::{Action, ConnectionKey};
use super::encode;
use super::leave::Departure;
use super::link::{Link, Stage};
use super::server::Core;
use super::session::SessionKey;
use super::work::AT_ONCE;
use crate::base::Timestamp;
use crate::event::log::{Cause, Line};

impl Core {
    /// Does what is due at `now`.
    pub fn tick(&mut self, now: Timestamp) {
        self.tick_unless(now, |_| false);
    }

    /// As [`Core::tick`], but a connection with input that was not handed over yet is not judged:
    /// its Client is not silent.
    pub fn tick_unless(&mut self, now: Timestamp, has_input: impl Fn(ConnectionKey) -> bool) {
        self.now = now;
        self.steps = AT_ONCE;
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        for (connection, opened) in self.late_connections() {
            if has_input(connection) || self.is_busy(connection) {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.last_received = now;
                }
            } else if opened {
                self.dismiss(connection, encode::PROTOCOL_ERROR, "no CONNECT in time");
            } else {
                self.time_out(connection);
            }
        }
        for key in self.due_sessions() {
            let Some(session) = self.sessions.get(&key) else {
                continue;
            };
            if session.ends_at.is_some_and(|at| at <= now) {
                self.end_session(key);
            } else {
                self.publish_will(key);
            }
        }
        self.retained.expire(now);
        self.wake = self.next_deadline();
    }

    /// When [`Core::tick`] wants to be called at the latest.
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.wake
    }

    /// Connections past their time, oldest first; `true` for one without CONNECT.
    fn late_connections(&self) -> Vec<(ConnectionKey, bool)> {
        let mut late: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| self.deadline_of(link).is_some_and(|at| at <= self.now))
            .map(|(&connection, link)| (connection, matches!(link.stage, Stage::Opened(_))))
            .collect();
        late.sort_unstable();
        late
    }

    /// Sessions whose end or whose will is due, in the order of their creation.
    fn due_sessions(&self) -> Vec<SessionKey> {
        let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= self.now);
        self.sessions
            .iter()
            .filter(|(_, session)| due(session.ends_at) || due(session.will_at))
            .map(|(&key, _)| key)
            .collect()
    }

    fn deadline_of(&self, link: &Link) -> Option<Timestamp> {
        match link.stage {
            Stage::Opened(since) => Some(since.plus(self.options.connect_timeout)),
            Stage::Connected(_) => Some(link.last_received.plus(link.patience?)),
        }
    }

    /// The earliest of all deadlines, for [`Core::tick`]'s caller.
    fn next_deadline(&self) -> Option<Timestamp> {
        let links = self
            .links
            .values()
            .filter_map(|link| self.deadline_of(link));
        let sessions = self
            .sessions
            .values()
            .flat_map(|session| [session.ends_at, session.will_at])
            .flatten();
        links.chain(sessions).min()
    }

    /// Closes a connection that sent nothing for one and a half times its keep alive
    /// ([MQTT-3.1.2-22]).
    fn time_out(&mut self, connection: ConnectionKey) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = &Arc::clone(&link.name);
        self.log(Line::Ended {
            client,
            cause: Cause::TimedOut,
        });
        self.send_disconnect(connection, encode::KEEP_ALIVE_TIMEOUT);
        self.actions.push_back(Action::Close { connection });
        self.leave(connection, Departure::WithoutDisconnect);
    }

    /// Stops the Server: 5.0 Clients get a DISCONNECT, every connection is closed. No will is
    /// published: no subscriber would be left to receive it.
    pub fn shut_down(&mut self) {
        let mut connections: Vec<_> = self.links.keys().copied().collect();
        connections.sort_unstable();
        for connection in connections {
            self.send_disconnect(connection, encode::SERVER_SHUTTING_DOWN);
            self.actions.push_back(Action::Close { connection });
        }
        self.links.clear();
    }

    /// How many network connections there are.
    pub fn connections(&self) -> usize {
        self.links.len()
    }
}
