//! Wills: from the CONNECT that sets one to its publication, or to the reason for none.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use super::Analyzer;
use super::brokers::BrokerId;
use super::caps;
use super::clauses as c;
use super::client::ClientKey;
use super::findings::Where;
use super::link::{Link, name};
use super::messages::note_settled;
use super::names::Topic;
use super::outbox::Told;
use super::retained::Storing;
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::{
    End, EndCause, Handshake, Message, MessageDelivery, NoWill, Outcome, Stored, Undelivered,
    WillFate, WillMessage, WillSummary, between,
};
use crate::mqtt::{ProtocolVersion, Sender};

/// Names one will for as long as the analysis runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct WillKey(u64);

/// A will whose story is not over.
#[derive(Debug)]
pub(super) struct Testament {
    pub(super) broker: BrokerId,
    pub(super) digest: u64,
    pub(super) client: Option<ClientKey>,
    version: Option<ProtocolVersion>,
    pub(super) story: WillSummary,
    /// Sessions with a subscription that took it when it fell due.
    expected: Vec<(ClientKey, MessageDelivery)>,
    /// Its connection has ended, and the story's end says how.
    pub(super) due: bool,
    /// Its client came back before the delay was over.
    returned: bool,
    received: Vec<ClientKey>,
}

/// The wills.
#[derive(Debug, Default)]
pub(super) struct Wills {
    /// In order of their CONNECTs.
    pub(super) all: BTreeMap<WillKey, Testament>,
    by_digest: HashMap<u64, VecDeque<WillKey>>,
    /// In the order in which their connections ended.
    ended: VecDeque<(WillKey, FrameStamp)>,
    next: u64,
}

impl Wills {
    pub(super) fn leg_settled(&mut self, key: WillKey, at: usize, record: &Handshake) {
        if let Some(leg) = self
            .all
            .get_mut(&key)
            .and_then(|will| will.story.deliveries.get_mut(at))
        {
            note_settled(leg, record);
        }
    }

    /// The will that a server's PUBLISH to `client` may be: one that fell due before one
    /// whose connection seems to live on.
    pub(super) fn explain(&self, digest: u64, client: Option<ClientKey>) -> Option<WillKey> {
        let line = self.by_digest.get(&digest)?;
        let open = |key: &&WillKey| {
            self.all
                .get(key)
                .is_some_and(|will| client.is_none_or(|client| !will.received.contains(&client)))
        };
        line.iter()
            .filter(open)
            .find(|key| self.all.get(key).is_some_and(|will| will.due))
            .or_else(|| line.iter().find(open))
            .copied()
    }

    /// A copy of the will was sent to `client`.
    pub(super) fn add_leg(
        &mut self,
        key: WillKey,
        client: Option<ClientKey>,
        leg: MessageDelivery,
        stamp: FrameStamp,
    ) -> Option<usize> {
        let will = self.all.get_mut(&key)?;
        if !matches!(will.story.fate, WillFate::Published(_)) {
            will.story.fate = WillFate::Published(stamp);
        }
        if let Some(client) = client {
            will.received.push(client);
            will.expected.retain(|(other, _)| *other != client);
        }
        let legs = &mut will.story.deliveries;
        if legs.len() >= Handshake::DELIVERIES_KEPT {
            return None;
        }
        legs.push(leg);
        Some(legs.len() - 1)
    }

    fn remove(&mut self, key: WillKey) -> Option<Testament> {
        let will = self.all.remove(&key)?;
        if let Some(line) = self.by_digest.get_mut(&will.digest) {
            line.retain(|other| *other != key);
            if line.is_empty() {
                self.by_digest.remove(&will.digest);
            }
        }
        Some(will)
    }
}

impl Analyzer {
    /// A CONNECT that the server accepted set a will.
    pub(super) fn set_will(&mut self, link: &mut Link, will: WillMessage) {
        let digest = link.will_digest;
        if self.wills.all.len() >= self.limits.wills
            && let Some((oldest, _)) = self.wills.all.first_key_value()
        {
            let oldest = *oldest;
            let stamp = self.now;
            self.findings
                .limit_reached(&mut self.outbox, Limit::Wills, stamp);
            self.tell_will(oldest);
        }
        let key = WillKey(self.wills.next);
        self.wills.next += 1;
        let set = link.connect_stamp.unwrap_or(link.opened);
        self.wills
            .by_digest
            .entry(digest)
            .or_default()
            .push_back(key);
        self.wills.all.insert(
            key,
            Testament {
                broker: link.broker,
                digest,
                client: link.client,
                version: link.version,
                story: WillSummary {
                    connection: link.id,
                    broker: link.broker.0,
                    server: link.server,
                    client_id: link.client_id.clone(),
                    set,
                    will,
                    end: End {
                        cause: EndCause::CaptureEnd,
                        stamp: set,
                    },
                    fate: WillFate::NotPublished(NoWill::StillOpen),
                    deliveries: Vec::new(),
                },
                expected: Vec::new(),
                due: false,
                returned: false,
                received: Vec::new(),
            },
        );
        link.will = Some(key);
    }

    /// The connection that set the will has ended.
    pub(super) fn will_falls_due(&mut self, link: &Link, end: End) {
        let Some(key) = link.will else {
            return;
        };
        let topic = match self.wills.all.get_mut(&key) {
            Some(will) => {
                will.story.end = end;
                Arc::clone(&will.story.will.topic)
            }
            None => return,
        };
        if end.cause == EndCause::CaptureEnd {
            return;
        }
        self.wills.ended.push_back((key, end.stamp));
        let at_peace = matches!(
            end.cause,
            EndCause::Disconnect {
                by: Sender::Client,
                code: 0
            }
        );
        if at_peace {
            // It stays known for a moment: its publication would be an error.
            if let Some(will) = self.wills.all.get_mut(&key) {
                will.story.fate = match will.story.fate {
                    WillFate::Published(stamp) => WillFate::Published(stamp),
                    WillFate::NotPublished(_) => WillFate::NotPublished(NoWill::Disconnected),
                };
            }
            return;
        }
        let topic = self.names.topic(link.broker, &topic);
        let expected = self.would_take(topic);
        let Some(will) = self.wills.all.get_mut(&key) else {
            return;
        };
        will.due = true;
        will.expected = expected
            .into_iter()
            .filter(|(client, _)| !will.received.contains(client))
            .collect();
        if let WillFate::NotPublished(why) = &mut will.story.fate {
            *why = if will.expected.is_empty() {
                NoWill::NoSubscriber
            } else {
                NoWill::NotSeen
            };
        }
        if will.story.will.delay > 0
            && let Some(client) = will.client.and_then(|client| self.clients.get_mut(client))
        {
            client.delayed_will = Some(key);
        }
        if will.story.will.retain && will.story.will.delay == 0 {
            let storing = will_storing(will, topic, end.stamp);
            self.store(storing);
        }
    }

    /// Stores a delayed will with Will Retain once its publication is seen.
    pub(super) fn will_was_published(&mut self, key: WillKey, stamp: FrameStamp) {
        let Some(will) = self.wills.all.get(&key) else {
            return;
        };
        if !will.story.will.retain {
            return;
        }
        let topic = Arc::clone(&will.story.will.topic);
        let topic = self.names.topic(will.broker, &topic);
        let known = self
            .retained
            .find(topic)
            .and_then(|stored| self.retained.get(stored))
            .is_some_and(|entry| entry.digest == will.digest);
        if !known {
            let storing = will_storing(will, topic, stamp);
            self.store(storing);
        }
    }

    /// A client came back: the delayed will of its earlier connection is not to be published.
    pub(super) fn will_may_stop(&mut self, key: WillKey, stamp: FrameStamp) {
        let Some(will) = self.wills.all.get_mut(&key) else {
            return;
        };
        let within = between(&will.story.end.stamp, &stamp)
            .is_some_and(|gone| gone.nanos() < i64::from(will.story.will.delay) * 1_000_000_000);
        if within && let WillFate::NotPublished(why) = &mut will.story.fate {
            *why = NoWill::SessionResumed;
            will.returned = true;
        }
    }

    /// Tells the stories of wills that nothing more can become of.
    pub(super) fn sweep_wills(&mut self) {
        while let Some((key, ended)) = self.wills.ended.front().copied() {
            // None is told earlier; this is asked with every packet.
            if between(&ended, &self.now).is_none_or(|gone| gone < caps::LINGER) {
                return;
            }
            let wait = match self.wills.all.get(&key) {
                Some(will) if will.due => {
                    caps::PATIENCE.nanos() + i64::from(will.story.will.delay) * 1_000_000_000
                }
                Some(_) => caps::LINGER.nanos(),
                None => 0,
            };
            if between(&ended, &self.now).is_none_or(|gone| gone.nanos() < wait) {
                return;
            }
            self.wills.ended.pop_front();
            self.tell_will(key);
        }
    }

    /// Whether the will must not be published any more.
    pub(super) fn judge_will_copy(&mut self, key: WillKey, stamp: FrameStamp) {
        let Some(will) = self.wills.all.get(&key) else {
            return;
        };
        let at = Where {
            stamp,
            connection: Some(will.story.connection),
            client_id: will.story.client_id.clone(),
            version: will.version,
            citing: None,
        };
        let client = name(will.story.client_id.as_deref());
        let topic = Arc::clone(&will.story.will.topic);
        let set = will.story.set.number;
        if matches!(
            will.story.fate,
            WillFate::NotPublished(NoWill::Disconnected)
        ) {
            self.findings
                .tell(&mut self.outbox, &c::WILL_AFTER_DISCONNECT, at, || {
                    format!("The will of {client} (frame {set}) is published to {topic}, although DISCONNECT deleted it.")
                });
        } else if will.returned {
            self.findings
                .tell(&mut self.outbox, &c::WILL_IN_SPITE_OF_RETURN, at, || {
                    format!("The will of {client} (frame {set}) is published to {topic}, although the client came back before its delay was over.")
                });
        }
    }

    /// Tells a will's story and its findings.
    pub(super) fn tell_will(&mut self, key: WillKey) {
        let Some(mut will) = self.wills.remove(key) else {
            return;
        };
        if let WillFate::NotPublished(why) = &mut will.story.fate
            && will.due
            && *why == NoWill::NotSeen
        {
            let running = between(&will.story.end.stamp, &self.now).is_none_or(|gone| {
                gone.nanos()
                    < i64::from(will.story.will.delay) * 1_000_000_000 + caps::LAST_MOMENT.nanos()
            });
            if running {
                *why = NoWill::DelayRunning;
            }
        }
        if matches!(
            will.story.fate,
            WillFate::Published(_) | WillFate::NotPublished(NoWill::NotSeen)
        ) {
            let expected = std::mem::take(&mut will.expected);
            will.story
                .deliveries
                .extend(expected.into_iter().map(|(_, leg)| leg));
        }
        if self.findings.wanted {
            self.judge_will(&will);
        }
        if self.wanted.stories {
            self.outbox.now(Told::Will(Box::new(will.story)));
        }
    }

    fn judge_will(&mut self, will: &Testament) {
        let story = &will.story;
        let client = name(story.client_id.as_deref());
        let set = story.set.number;
        let mut at = Where {
            stamp: story.set,
            connection: Some(story.connection),
            client_id: story.client_id.clone(),
            version: will.version,
            citing: None,
        };
        match story.fate {
            WillFate::Published(stamp) => {
                at.stamp = stamp;
                let cause = end_words(&story.end.cause);
                let seen_by: Vec<String> = story
                    .deliveries
                    .iter()
                    .filter(|leg| matches!(leg.outcome, Outcome::Delivered(_)))
                    .map(|leg| name(leg.client_id.as_deref()))
                    .collect();
                self.findings
                    .tell(&mut self.outbox, &c::WILL_PUBLISHED, at, || {
                        format!(
                            "The will of {client} (set in frame {set}) was published to {} and sent to {}, because {cause}.",
                            story.will.topic,
                            seen_by.join(", ")
                        )
                    });
            }
            WillFate::NotPublished(NoWill::NotSeen) => {
                let sure = story
                    .deliveries
                    .iter()
                    .any(|leg| matches!(leg.outcome, Outcome::NotDelivered(Undelivered::Unknown)));
                if sure {
                    let cause = end_words(&story.end.cause);
                    self.findings
                        .tell(&mut self.outbox, &c::WILL_NOT_PUBLISHED, at, || {
                            format!(
                                "The will of {client} was due, because {cause}, and a subscriber to {} never got it.",
                                story.will.topic
                            )
                        });
                }
            }
            WillFate::NotPublished(_) => {}
        }
    }
}

fn will_storing<'a>(will: &Testament, topic: Topic<'a>, stamp: FrameStamp) -> Storing<'a> {
    Storing {
        server: will.story.server,
        digest: will.digest,
        message: Message {
            topic: Some(Arc::clone(&will.story.will.topic)),
            qos: will.story.will.qos,
            retain: true,
            payload: will.story.will.payload.clone(),
        },
        by: Some(Stored {
            stamp: will.story.set,
            connection: will.story.connection,
            client_id: will.story.client_id.clone(),
            will: true,
        }),
        held: None,
        stamp,
        topic,
    }
}

/// The end of a connection, to go on from "because".
pub(super) fn end_words(cause: &EndCause) -> String {
    match cause {
        EndCause::Disconnect {
            by: Sender::Client,
            code: 0x04,
        } => "it asked for that in its DISCONNECT (0x04)".to_owned(),
        EndCause::Disconnect { by, code } => match by {
            Sender::Client => format!("it sent DISCONNECT (0x{code:02x})"),
            Sender::Server => format!("the server sent DISCONNECT (0x{code:02x})"),
        },
        EndCause::Refused { code } => format!("the connection was refused (0x{code:02x})"),
        EndCause::Takeover { frame, .. } => {
            format!("another connection took its client identifier (frame {frame})")
        }
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => format!(
            "it was silent for {:.1} s with a keep alive of {keep_alive} s",
            silence.seconds()
        ),
        EndCause::ProtocolError { frame } => {
            format!("the server closed the connection after the packet of frame {frame}")
        }
        EndCause::Fin { by } => match by {
            Some(Sender::Client) => "the client closed the connection without DISCONNECT",
            Some(Sender::Server) => "the server closed the connection",
            None => "the connection was closed without DISCONNECT",
        }
        .to_owned(),
        EndCause::Reset { .. } => "the connection was reset without DISCONNECT".to_owned(),
        EndCause::Replaced => "its endpoints began a new connection".to_owned(),
        EndCause::Evicted => "the connection was no longer followed".to_owned(),
        EndCause::CaptureEnd => "its connection ended unseen".to_owned(),
    }
}
