//! How connections end, and what mosquitto writes of it.

use std::io::{self, Write};

use super::connection::{Followed, Phase, UNKNOWN};
use super::packets::connack;
use super::state::{Log, MOST, Unexplained, forget_name};
use super::verdict::{self, Verdict, unknown_version};
use crate::base::Endpoint;
use crate::event::log::{Cause, Line};
use crate::event::{Closed, ConnectionId, Ended, FirstEnd};
use crate::mqtt::Sender;
use crate::mqtt::packet::{ConnAck, Connect};

/// DISCONNECT's reason code where another connection took over (5.0 §3.14.2.1).
const SESSION_TAKEN_OVER: u8 = 0x8e;

/// CONNACK's reason code with which mosquitto still knows the client identifier.
const BAD_AUTHENTICATION_METHOD: u8 = 0x8c;

impl<W: Write> Log<W> {
    /// CONNACK that refuses a Client, whose identifier mosquitto has then forgotten.
    pub(super) fn refused(
        &mut self,
        id: ConnectionId,
        connect: Option<&Connect<'_>>,
        ack: &ConnAck<'_>,
        shown: bool,
    ) -> io::Result<()> {
        self.takeovers.retain(|takeover| takeover.by != id);
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        let peer = followed.client;
        let address = peer.address.to_string();
        let client = match connect {
            Some(connect) if ack.code == BAD_AUTHENTICATION_METHOD => connect.client_id,
            _ => &address,
        };
        if shown {
            self.announce(id)?;
        }
        for line in connect.map_or_else(Vec::new, |connect| unknown_version(connect, peer)) {
            self.line_if(shown, &line)?;
        }
        self.line_if(shown, connack(client, ack))?;
        let client = UNKNOWN;
        self.over(id);
        match verdict::of_refusal(ack.code) {
            Some(cause) => self.line_if(shown, Line::Ended { client, cause }),
            None => {
                let why = "connection refused";
                self.line_if(shown, Line::Dismissed { client, why })
            }
        }
    }

    /// The connection `before` lost its client identifier to another one.
    pub(super) fn take_over(&mut self, before: ConnectionId, shown: bool) -> io::Result<()> {
        self.takeovers.retain(|takeover| takeover.before != before);
        let lives = (self.connections.get(&before)).is_some_and(|one| one.phase != Phase::Over);
        if !lives {
            return Ok(());
        }
        self.release(before, usize::MAX)?;
        self.over(before);
        let client = self.name(before);
        self.line_if(shown, Line::AlreadyConnected(&client))
    }

    /// The Server ends a connection: with DISCONNECT and its reason code, or with `end`.
    pub(super) fn dismissed(
        &mut self,
        id: ConnectionId,
        code: Option<u8>,
        end: Option<&FirstEnd>,
        shown: bool,
    ) -> io::Result<()> {
        let taken = self.takeovers.iter().find(|takeover| takeover.before == id);
        let taken = taken.map(|takeover| takeover.shown);
        if taken.is_some() || code == Some(SESSION_TAKEN_OVER) {
            return self.take_over(id, taken.unwrap_or(shown));
        }
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over {
            return Ok(());
        }
        let offer = self.offers.get(&followed.server);
        let verdict = self.verdict(followed);
        let wrong_answer = followed.wrong_answer;
        let silent = followed.is_silent(end.and_then(|end| end.stamp.time));
        let cut = end.and_then(|end| end.incomplete);
        let too_large =
            cut.is_some_and(|cut| offer.is_some_and(|offer| offer.refuses(cut.announced)));
        let cause = match code.and_then(verdict::of_disconnect) {
            Some(cause) => Some(cause),
            None if verdict.is_some() => None,
            None if wrong_answer => Some(Cause::Protocol),
            None if silent => Some(Cause::TimedOut),
            None => too_large.then_some(Cause::Oversize),
        };
        let lines = match (verdict, cause) {
            (Some(verdict), None) => verdict,
            // The packet that the code is about is not written, but for what precedes the error.
            (Some(verdict), Some(cause)) => Verdict { cause, ..verdict },
            (None, Some(cause)) => {
                if matches!(cause, Cause::TimedOut | Cause::Administrative) {
                    self.release(id, usize::MAX)?;
                }
                cause.into()
            }
            (None, None) => return self.unexplained(id, code, shown),
        };
        self.end(id, &lines, shown)
    }

    /// Judges the first packet of a connection that is not answered.
    pub(super) fn verdict(&self, followed: &Followed) -> Option<Verdict> {
        let held = followed.waiting.front().filter(|held| !held.written)?;
        let offer = self.offers.get(&followed.server);
        verdict::of_packet(held, followed, offer)
    }

    /// Writes the lines of an end that a packet brought about.
    pub(super) fn end(
        &mut self,
        id: ConnectionId,
        verdict: &Verdict,
        shown: bool,
    ) -> io::Result<()> {
        for line in &verdict.lines {
            self.line_if(shown, line)?;
        }
        let (client, cause) = (&*self.name(id), verdict.cause);
        self.over(id);
        self.line_if(shown, Line::Ended { client, cause })
    }

    /// The Server ends a connection, and nothing shows why.
    pub(super) fn unexplained(
        &mut self,
        id: ConnectionId,
        code: Option<u8>,
        shown: bool,
    ) -> io::Result<()> {
        self.release(id, usize::MAX)?;
        let client = self.name(id);
        let server = self.connections.get(&id).map(|followed| followed.server);
        self.over(id);
        if let Some(reason_code) = code {
            let client = &client;
            let line = Line::SendingDisconnect {
                client,
                reason_code,
            };
            return self.line_if(shown, line);
        }
        if let Some(server) = server
            && shown
            && self.unexplained.len() < MOST
        {
            self.unexplained.push(Unexplained {
                server,
                latest: self.latest,
                client,
            });
        }
        Ok(())
    }

    /// The Server goes on with a connection that was there before: so it was not stopped.
    pub(super) fn goes_on(&mut self, id: ConnectionId, server: Endpoint) -> io::Result<()> {
        let mut at = 0;
        while let Some(one) = self.unexplained.get(at) {
            if one.server != server {
                at += 1;
                continue;
            }
            let one = self.unexplained.remove(at);
            if id <= one.latest {
                let (client, why) = (&*one.client, "closed by the server");
                self.line(Line::Dismissed { client, why })?;
            }
        }
        Ok(())
    }

    /// One end closes the connection or resets it.
    pub(super) fn first_end(&mut self, end: &FirstEnd, shown: bool) -> io::Result<()> {
        let id = end.connection;
        if end.by == Sender::Server {
            return self.dismissed(id, None, Some(end), shown);
        }
        if end.reset {
            self.release(id, usize::MAX)?;
        }
        if let Some(followed) = self.connections.get_mut(&id) {
            // mosquitto reads what came before it.
            followed.closing = Some((*end, shown));
        }
        self.close_late(id)
    }

    /// Writes that a client closed its connection, once nothing waits that it sent before.
    pub(super) fn close_late(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over || !followed.waiting.is_empty() {
            return Ok(());
        }
        let Some((end, shown)) = followed.closing else {
            return Ok(());
        };
        let client = followed.name.clone();
        self.over(id);
        // Inside a packet there is no error to report, and mosquitto reports that one.
        let inside = end.incomplete.is_some_and(|cut| cut.announced > 0);
        self.line_if(
            shown,
            match inside && !end.reset {
                true => Line::Dismissed {
                    client: &client,
                    why: "Success",
                },
                false => Line::Closed(&client),
            },
        )
    }

    /// Forgets a connection, and writes its end where that still waits.
    pub(super) fn ended(&mut self, ended: &Ended, shown: bool) -> io::Result<()> {
        let id = ended.connection;
        let live = |log: &Self| {
            let followed = log.connections.get(&id);
            followed
                .filter(|followed| followed.phase != Phase::Over)
                .map(|one| one.closing)
        };
        if let (Some(None), Some(by)) = (live(self), ended.by) {
            // It was not known to be MQTT before.
            let end = FirstEnd {
                connection: id,
                by,
                reset: ended.why == Closed::Reset,
                stamp: ended.first,
                incomplete: None,
            };
            self.first_end(&end, shown)?;
        }
        if let Some(Some((_, shown))) = live(self) {
            let verdict = self.connections.get(&id).and_then(|one| self.verdict(one));
            if let Some(verdict) = verdict {
                self.end(id, &verdict, shown)?;
            }
        }
        self.release(id, usize::MAX)?;
        self.close_late(id)?;
        let Some(followed) = self.connections.remove(&id) else {
            return Ok(());
        };
        self.takeovers
            .retain(|one| one.before != id && one.by != id);
        forget_name(&mut self.names, followed.identifier, id);
        Ok(())
    }
}
