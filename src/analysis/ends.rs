//! How connections and sessions end, and what that means for all that waited for them.

use std::sync::Arc;

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::client::ClientKey;
use super::exchange::Open;
use super::link::{Link, nothing_pending};
use super::outbox::Told;
use crate::base::limits::Limit;
use crate::base::{FrameStamp, Span};
use crate::event::{
    ConnectionSummary, End, EndCause, Ended, EndedBy, Event, HandshakeState, RetainedEnd,
    SessionSummary, between,
};
use crate::mqtt::Sender;
use crate::stream::Closed;

impl Analyzer {
    /// A connection is told no more.
    pub(super) fn on_ended(&mut self, mut link: Link, ended: &Ended) {
        link.closer = ended.by;
        let [_, gaps] = link.gaps();
        if gaps > 0 {
            if self.ended_with_gaps.len() >= self.limits.connections_with_gaps {
                self.ended_with_gaps.clear();
                let limit = Limit::ConnectionsWithGaps;
                self.findings
                    .limit_reached(&mut self.outbox, limit, ended.stamp);
            }
            self.ended_with_gaps.insert(link.id, gaps);
        }
        for one in std::mem::take(&mut link.suspects) {
            self.tell_suspect(&link, one);
        }
        let cause = self.cause(&link, ended);
        let end = End {
            cause,
            stamp: match (cause, link.goodbye) {
                (EndCause::Disconnect { .. }, Some(goodbye)) => goodbye.stamp,
                _ => ended.stamp,
            },
        };
        if self.findings.wanted {
            self.judge_end(&mut link, ended, &end);
        }
        let ended_by = ended_by(&link, ended);
        if let Some(open) = link.connecting.take() {
            self.give_up(&link, open, ended_by);
        }
        if let Some(open) = link.authenticating.take() {
            self.give_up(&link, open, ended_by);
        }
        for open in std::mem::take(&mut link.pings) {
            self.give_up(&link, open, ended_by);
        }
        // A will of the connection falls due before the session lets its subscriptions go.
        self.will_falls_due(&link, end);
        if link.blind
            && let Some(broker) = self.brokers.get_mut(link.broker)
        {
            broker.blind = broker.blind.saturating_sub(1);
        }
        self.release(&mut link, ended, ended_by);
        self.note_connection(&link, end);
        if let Some(client) = link.client {
            self.session_may_end(client, &link, ended);
        } else if link.former.is_none() {
            self.tell_lone(&link, end);
        }
    }

    fn cause(&self, link: &Link, ended: &Ended) -> EndCause {
        if let Some(code) = link.refusal {
            return EndCause::Refused { code };
        }
        let by_client = ended.by == Some(Sender::Client);
        if let Some(goodbye) = link.goodbye {
            match (goodbye.by, goodbye.code, link.taken_over) {
                (Sender::Server, 0x8e, Some((by, stamp))) => {
                    return EndCause::Takeover {
                        by,
                        frame: stamp.number,
                    };
                }
                (Sender::Server, 0x8d, _) => {
                    if let Some((silence, keep_alive)) = silence(link, goodbye.stamp) {
                        return EndCause::KeepAlive {
                            silence,
                            keep_alive,
                        };
                    }
                }
                _ => {}
            }
            return EndCause::Disconnect {
                by: goodbye.by,
                code: goodbye.code,
            };
        }
        if let Some((by, stamp)) = link.taken_over
            && !by_client
        {
            return EndCause::Takeover {
                by,
                frame: stamp.number,
            };
        }
        if !by_client
            && (ended.by.is_some() || ended.why == Closed::Reset)
            && let Some((silence, keep_alive)) = silence(link, ended.stamp)
            && exceeds(silence, keep_alive)
            && link.gaps_of(Sender::Client) == 0
        {
            return EndCause::KeepAlive {
                silence,
                keep_alive,
            };
        }
        if !by_client
            && ended.by.is_some()
            && let Some(fault) = link.fault
        {
            return EndCause::ProtocolError {
                frame: fault.stamp.number,
            };
        }
        match ended.why {
            Closed::Finished => EndCause::Fin { by: ended.by },
            Closed::Reset => EndCause::Reset { by: ended.by },
            Closed::Replaced if ended.by.is_none() => EndCause::Replaced,
            Closed::Evicted => EndCause::Evicted,
            Closed::CaptureEnd if ended.by.is_none() => EndCause::CaptureEnd,
            Closed::Replaced | Closed::CaptureEnd => EndCause::Fin { by: ended.by },
        }
    }

    /// Lets the open handshakes of a connection go, or puts them aside for its session.
    fn release(&mut self, link: &mut Link, ended: &Ended, ended_by: EndedBy) {
        let persists = link.session_expiry > 0
            && link.refusal.is_none()
            && ended.why != Closed::CaptureEnd
            && link.connect_stamp.is_some();
        if let Some(client) = link.client
            && persists
        {
            self.judge_owed(link);
            self.suspend(link, client, ended_by);
            return;
        }
        for sender in [Sender::Client, Sender::Server] {
            let opens = std::mem::take(&mut link.side(sender).open);
            self.give_up_all(link, opens.into_iter().map(|(_, open)| open), ended_by);
        }
    }

    fn give_up_all(&mut self, link: &Link, opens: impl Iterator<Item = Open>, ended_by: EndedBy) {
        let mut opens: Vec<Open> = opens.collect();
        opens.sort_by_key(|open| open.place);
        for open in opens {
            let ended_by = open.suspended.unwrap_or(ended_by);
            self.give_up(link, open, ended_by);
        }
    }

    fn note_connection(&mut self, link: &Link, end: End) {
        if !self.wanted.stories {
            return;
        }
        let story = connection_story(link, end);
        let Some(client) = link
            .client
            .or(link.former)
            .and_then(|client| self.clients.get_mut(client))
        else {
            if link.former.is_some() {
                self.tell_lone(link, end);
            }
            return;
        };
        if client.connections.len() < SessionSummary::CONNECTIONS_KEPT {
            client.connections.push(story);
        } else {
            client.connections_left_out += 1;
        }
    }

    /// Tells a connection that never came to a session.
    fn tell_lone(&mut self, link: &Link, end: End) {
        if !self.wanted.stories {
            return;
        }
        let connect = link.connect.as_ref();
        self.outbox.now(Told::Session(Box::new(SessionSummary {
            broker: link.broker.0,
            server: link.server,
            client_id: link.client_id.clone(),
            assigned: false,
            user_name: connect.and_then(|connect| connect.user_name.clone()),
            version: link.version,
            connections: vec![connection_story(link, end)],
            connections_left_out: 0,
            subscriptions: Vec::new(),
        })));
    }

    /// The connection was the session's: it goes on without one, or ends.
    fn session_may_end(&mut self, key: ClientKey, link: &Link, ended: &Ended) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        client.link = None;
        client.away_since = Some(ended.stamp);
        client.expiry = link.session_expiry;
        if link.session_expiry == 0 && ended.why != Closed::CaptureEnd {
            self.end_client(key, EndedBy::ConnectionClosed);
        } else {
            self.clients.went_away(key);
        }
    }

    /// A session is over: its handshakes, subscriptions and story.
    pub(super) fn end_client(&mut self, key: ClientKey, ended_by: EndedBy) {
        let filters: Vec<Arc<str>> = match self.clients.get(key) {
            Some(client) => client.subscriptions.keys().cloned().collect(),
            None => return,
        };
        for filter in &filters {
            self.unsubscribe(key, filter);
        }
        self.settle_pending(key, ended_by);
        let Some(client) = self.clients.remove(key) else {
            return;
        };
        if self.wanted.stories {
            let mut subscriptions = filters;
            subscriptions.sort();
            self.outbox.now(Told::Session(Box::new(SessionSummary {
                broker: client.broker.0,
                server: client.server,
                client_id: client.client_id,
                assigned: client.assigned,
                user_name: client.user_name,
                version: client.version,
                connections: client.connections,
                connections_left_out: client.connections_left_out,
                subscriptions,
            })));
        }
    }

    /// Gives up the handshakes that wait for a session's next connection.
    fn settle_pending(&mut self, key: ClientKey, ended_by: EndedBy) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let [ours, theirs] = std::mem::replace(&mut client.pending, nothing_pending());
        let mut opens: Vec<Open> = ours.into_values().chain(theirs.into_values()).collect();
        opens.sort_by_key(|open| open.place);
        for open in opens {
            let ended_by = if open.missing {
                EndedBy::Gap
            } else {
                open.suspended.unwrap_or(ended_by)
            };
            let waiting_for = open.waiting;
            self.settle(
                open,
                HandshakeState::Incomplete {
                    waiting_for,
                    ended_by,
                },
            );
        }
    }

    /// Redeliveries that a resumed session never made.
    fn judge_owed(&mut self, link: &Link) {
        if !self.findings.wanted || !link.whole() {
            return;
        }
        let lived = link
            .connect_stamp
            .and_then(|connected| between(&connected, &self.now));
        if lived.is_none_or(|lived| lived < caps::LAST_MOMENT) {
            return;
        }
        for (owed, sender, side) in link
            .owed
            .iter()
            .zip([Sender::Client, Sender::Server])
            .zip(&link.sides)
            .map(|((owed, sender), side)| (owed, sender, side))
        {
            for id in owed {
                let Some(open) = side.open.get(*id) else {
                    continue;
                };
                let at = link.at(link.connect_stamp.unwrap_or(link.opened));
                let first = open.first().number;
                let who = match sender {
                    Sender::Client => link.name(),
                    Sender::Server => "The server".to_owned(),
                };
                self.findings
                    .tell(&mut self.outbox, &c::NOT_RESENT, at, || {
                        format!("{who} did not send the unacknowledged message of frame {first} again, although the session goes on.")
                    });
            }
        }
    }

    /// Stored messages that a subscription took and that never came.
    fn judge_stored_due(&mut self, link: &mut Link) {
        let bridge = link.connect.as_ref().is_none_or(|connect| connect.bridge);
        for (key, asked) in std::mem::take(&mut link.stored_due) {
            let waited = between(&asked, &self.now);
            if bridge || !link.whole() || waited.is_none_or(|waited| waited < caps::SLOW) {
                continue;
            }
            let Some(entry) = self.retained.get(key) else {
                continue;
            };
            // A will is stored when the server notices, and what was stored a moment before
            // may not have been there yet.
            let there = entry.story.stored.as_ref().is_some_and(|stored| {
                !stored.will
                    && between(&stored.stamp, &asked).is_some_and(|since| since >= caps::IN_TRANSIT)
            });
            let topic = entry.story.message.topic.clone();
            if let (true, Some(topic)) = (there, topic) {
                let at = link.at(asked);
                let client = link.name();
                self.findings
                    .tell(&mut self.outbox, &c::RETAINED_NOT_SENT, at, || {
                        format!("{client} subscribes to what takes {topic} and is never sent its stored message.")
                    });
            }
        }
    }

    fn judge_end(&mut self, link: &mut Link, ended: &Ended, end: &End) {
        self.judge_stored_due(link);
        for incomplete in ended.incomplete.iter().flatten() {
            // After a packet that could not be read nobody knows where the next one begins.
            if !link.certain(incomplete.sender) || ended.why == Closed::CaptureEnd {
                continue;
            }
            let at = link.at(incomplete.stamp);
            let packet = incomplete.packet_type.name();
            let (announced, received) = (incomplete.announced, incomplete.received);
            self.findings
                .tell(&mut self.outbox, &c::INCOMPLETE_PACKET, at, || {
                    if announced == 0 {
                        format!("{packet} ends within its Remaining Length: the connection was over.")
                    } else {
                        format!("{packet} announces {announced} octets and {received} came before the connection was over.")
                    }
                });
        }
        match end.cause {
            EndCause::Takeover { frame, .. } => self.judge_takeover(link, ended, frame),
            EndCause::Reset { .. } => {
                let at = link.at(end.stamp);
                let client = link.name();
                self.findings
                    .tell(&mut self.outbox, &c::CONNECTION_RESET, at, || {
                        format!("The connection of {client} was reset without DISCONNECT.")
                    });
            }
            EndCause::Refused { .. } if ended.why == Closed::CaptureEnd && ended.by.is_none() => {
                let refused = link
                    .sides
                    .iter()
                    .filter_map(|side| side.last)
                    .max_by_key(|last| last.number);
                self.judge_left_open(link, refused, &c::LEFT_OPEN_AFTER_REFUSAL, ended.stamp);
            }
            EndCause::Disconnect { .. }
                if ended.why == Closed::CaptureEnd && ended.by.is_none() =>
            {
                let goodbye = link.goodbye.map(|goodbye| goodbye.stamp);
                self.judge_left_open(link, goodbye, &c::LEFT_OPEN, ended.stamp);
            }
            _ => {}
        }
        if let EndCause::KeepAlive { .. } | EndCause::CaptureEnd = end.cause {
            self.judge_silence_at_end(link, ended, end);
        }
        let abandoned = ended.why == Closed::CaptureEnd
            && ended.by.is_none_or(|by| by == Sender::Server)
            && link
                .goodbye
                .is_none_or(|goodbye| goodbye.by == Sender::Server)
            && (link.taken_over.is_some() || link.told_silence);
        if abandoned {
            let at = link.at(link.connect_stamp.unwrap_or(link.opened));
            let client = link.name();
            self.findings
                .tell(&mut self.outbox, &c::NO_CLEAN_END, at, || {
                    format!("{client} never ended this connection: no DISCONNECT, no FIN and no RST came from it.")
                });
        }
    }

    fn judge_left_open(
        &mut self,
        link: &Link,
        since: Option<FrameStamp>,
        clause: &'static c::Clause,
        end: FrameStamp,
    ) {
        /// Long enough for both ends to have closed.
        const MOMENT: Span = Span::from_nanos(5_000_000_000);
        let Some(since) = since else {
            return;
        };
        if !link.whole() || between(&since, &end).is_none_or(|open| open < MOMENT) {
            return;
        }
        let at = link.at(since);
        self.findings.tell(&mut self.outbox, clause, at, || {
            format!(
                "After the packet of frame {} nobody closes the connection.",
                since.number
            )
        });
    }

    fn judge_takeover(&mut self, link: &Link, ended: &Ended, frame: u64) {
        let Some((_, stamp)) = link.taken_over else {
            return;
        };
        let at = link.at(stamp);
        let client = link.name();
        let first = link.connect_stamp.unwrap_or(link.opened).number;
        self.findings
            .tell(&mut self.outbox, &c::TAKEOVER, at.clone(), || {
                format!("A second CONNECT of {client} (frame {frame}) takes over from the connection of frame {first}, which the server closes.")
            });
        if ended.why == Closed::CaptureEnd && ended.by.is_none() && link.goodbye.is_none() {
            let waited = between(&stamp, &ended.stamp);
            if link.whole() && waited.is_some_and(|waited| waited > caps::SLOW) {
                self.findings
                    .tell(&mut self.outbox, &c::TAKEOVER_NOT_ENFORCED, at.clone(), || {
                        format!("Two connections of {client} live side by side: the server did not close that of frame {first}.")
                    });
            }
        }
        self.watch_loop(link, stamp);
    }

    /// Three takeovers of one identifier within a minute are a loop.
    fn watch_loop(&mut self, link: &Link, stamp: FrameStamp) {
        const TIMES: usize = 3;
        const WITHIN: Span = Span::from_nanos(60_000_000_000);
        let Some(id) = link.client_id.clone() else {
            return;
        };
        if self.clients.takeovers.len() >= self.limits.sessions {
            self.clients.takeovers.clear();
        }
        let times = self.clients.takeovers.entry((link.broker, id)).or_default();
        times.push_back(stamp.time);
        if times.len() < TIMES {
            return;
        }
        let quick = match (times.front().copied().flatten(), stamp.time) {
            (Some(first), Some(last)) => last.since(first) < WITHIN,
            _ => false,
        };
        times.pop_front();
        if !quick {
            return;
        }
        times.clear();
        let at = link.at(stamp);
        let client = link.name();
        self.findings
            .tell(&mut self.outbox, &c::TAKEOVER_LOOP, at, || {
                format!("{client} was taken over {TIMES} times within a minute: two clients seem to use one identifier, and each reconnects when the other pushes it off.")
            });
    }

    fn judge_silence_at_end(&mut self, link: &mut Link, ended: &Ended, end: &End) {
        if link.gaps_of(Sender::Client) > 0 {
            return;
        }
        let Some((silence, keep_alive)) = silence(link, ended.stamp) else {
            return;
        };
        if !exceeds(silence, keep_alive) {
            return;
        }
        let Some(last) = link.side(Sender::Client).last else {
            return;
        };
        let how = match end.cause {
            EndCause::KeepAlive { .. } => "and the server closed the connection",
            _ => "until the capture ends",
        };
        self.tell_silence(link, last, silence, keep_alive, how);
        link.told_silence = true;
        if end.cause == EndCause::CaptureEnd {
            let at = link.at(last);
            let client = link.name();
            // Servers look at their clocks every few seconds.
            let generous = i64::from(keep_alive) * 2_000_000_000 + 5_000_000_000;
            if silence.nanos() > generous && link.taken_over.is_none() {
                self.findings
                    .tell(&mut self.outbox, &c::KEEP_ALIVE_NOT_ENFORCED, at, || {
                        format!("{client} has been silent for {:.1} s with a keep alive of {keep_alive} s, and the server keeps the connection.", silence.seconds())
                    });
            }
        }
    }

    pub(super) fn tell_silence(
        &mut self,
        link: &Link,
        last: FrameStamp,
        silence: Span,
        keep_alive: u16,
        how: &str,
    ) {
        let at = link.at(last);
        let client = link.name();
        self.findings
            .tell(&mut self.outbox, &c::KEEP_ALIVE, at, || {
                format!(
                    "After this packet {client} was silent for {:.1} s, longer than one and a half times its keep alive of {keep_alive} s, {how}.",
                    silence.seconds()
                )
            });
    }

    /// Nothing more comes: every story is told as it stands.
    pub(super) fn finish_all(&mut self, emit: &mut impl FnMut(&Event<'_>)) {
        let mut links: Vec<_> = self.links.ids().collect();
        links.sort_unstable();
        for id in links {
            if let Some(link) = self.links.remove(id) {
                let ended = Ended {
                    connection: id,
                    why: Closed::CaptureEnd,
                    by: None,
                    stamp: self.now,
                    incomplete: [None, None],
                };
                self.on_ended(*link, &ended);
                self.outbox.drain(emit);
            }
        }
        let mut clients: Vec<_> = self.clients.all.keys().copied().collect();
        clients.sort_unstable();
        for key in &clients {
            self.settle_pending(*key, EndedBy::CaptureEnd);
        }
        // What a stored message was sent to stands with its publisher's message.
        let stored: Vec<_> = self.retained.all.keys().copied().collect();
        for key in stored {
            self.end_stored(key, RetainedEnd::Kept);
            self.outbox.drain(emit);
        }
        let mut held: Vec<_> = self.messages.held.keys().collect();
        held.sort_unstable();
        for key in held {
            self.tell_message(key);
            self.outbox.drain(emit);
        }
        let wills: Vec<_> = self.wills.all.keys().copied().collect();
        for key in wills {
            self.tell_will(key);
            self.outbox.drain(emit);
        }
        for key in clients {
            self.end_client(key, EndedBy::CaptureEnd);
            self.outbox.drain(emit);
        }
        let now = self.now;
        self.findings.finish(&mut self.outbox, now);
        self.outbox.flush();
    }
}

fn connection_story(link: &Link, end: End) -> ConnectionSummary {
    let [client, server] = &link.sides;
    ConnectionSummary {
        connection: link.id,
        client: link.client_end,
        server: link.server,
        opened: link.opened,
        connect_stamp: link.connect_stamp,
        connect: link.connect.clone(),
        keep_alive: link.keep_alive,
        session_expiry: link.connect.is_some().then_some(link.session_expiry),
        packets: [client.packets, server.packets],
        octets: [client.octets, server.octets],
        end,
    }
}

fn ended_by(link: &Link, ended: &Ended) -> EndedBy {
    match ended.why {
        Closed::Reset => EndedBy::ConnectionReset,
        Closed::Finished | Closed::Replaced => EndedBy::ConnectionClosed,
        Closed::Evicted => EndedBy::TableFull,
        Closed::CaptureEnd if ended.by.is_some() || !link.alive() => EndedBy::ConnectionClosed,
        Closed::CaptureEnd => EndedBy::CaptureEnd,
    }
}

/// How long the client had been silent at `stamp`, and the keep alive in force.
pub(super) fn silence(link: &Link, stamp: FrameStamp) -> Option<(Span, u16)> {
    let keep_alive = link.keep_alive.filter(|seconds| *seconds > 0)?;
    let [client, _] = &link.sides;
    let silence = between(&client.last?, &stamp)?;
    Some((silence, keep_alive))
}

/// Whether a silence is longer than one and a half times the keep alive.
pub(super) fn exceeds(silence: Span, keep_alive: u16) -> bool {
    silence.nanos() > i64::from(keep_alive) * 1_500_000_000
}
