//! Turns what the analysis found into ladders: whose lanes, which steps, what verdict.

mod legs;
mod teller;
#[cfg(test)]
mod tests;
mod words;

use self::legs::{delivered, leg_name};
use self::teller::Ends;
pub(in crate::view::flow) use self::teller::Teller;
use self::words::{
    GOES_TO_NO_ONE, Name, no_will, push_end_cause, push_octets, push_title, push_will, topic_of,
};
use super::ladder::{Ladder, Role, Say, Tone};
use crate::event::{
    ConnectionId, Handshake, HandshakeState, NoWill, Origin, RetainedEnd, RetainedSummary, Subject,
    WillFate, WillSummary,
};
use crate::mqtt::{PacketType, Sender};

/// Subscribers that a will's verdict names.
const NAMES_TOLD: usize = 4;

/// A client by its identifier or else its connection.
fn named(client_id: Option<&str>, connection: ConnectionId) -> Name<'_> {
    Name {
        client_id,
        connection: Some(connection),
    }
}

impl Teller {
    /// The ladder of a handshake. `None` for the server's leg of a message whose publisher was
    /// seen: it stands in the publisher's ladder.
    pub(super) fn handshake(&mut self, handshake: &Handshake) -> Option<&Ladder> {
        if matches!(
            handshake.origin,
            Some(Origin::Published { .. } | Origin::Will { .. })
        ) {
            return None;
        }
        self.begin();
        let client = self.lane(
            match (handshake.message(), handshake.initiator) {
                (Some(_), Sender::Client) => Role::Publisher,
                _ => Role::Client,
            },
            named(handshake.client_id.as_deref(), handshake.connection),
        );
        let broker = self.broker(handshake.server);
        let (client, broker) = match (handshake.message(), handshake.initiator) {
            // A message whose publisher is not known travels from left to right all the same.
            (Some(_), Sender::Server) => {
                self.ladder.lanes.swap(client, broker);
                if let Some(lane) = self.ladder.lanes.last_mut() {
                    lane.role = Role::Subscriber;
                }
                (broker, client)
            }
            _ => (client, broker),
        };
        self.ladder.title = self.ladder.words(|out| push_title(out, handshake));
        let ends = Ends {
            client,
            broker,
            version: handshake.version,
        };
        let topic = topic_of(handshake);
        self.steps(&handshake.steps, handshake.packet_id, topic, ends);
        self.legs(&handshake.deliveries, topic, broker, handshake.version);
        self.sort();
        if let Subject::Connect(connecting) = &handshake.subject {
            self.connecting(connecting, handshake.version, client);
        }
        self.missing(handshake, ends);
        self.verdict_of(handshake);
        self.legs_told(&handshake.deliveries, handshake.deliveries_left_out);
        let published = handshake.message().is_some() && handshake.initiator == Sender::Client;
        if published
            && handshake.state == HandshakeState::Complete
            && handshake.deliveries.is_empty()
        {
            self.verdict(Tone::Neutral, GOES_TO_NO_ONE);
        }
        Some(&self.ladder)
    }

    /// The ladder of a will.
    pub(super) fn will(&mut self, story: &WillSummary) -> &Ladder {
        self.begin();
        let who = named(story.client_id.as_deref(), story.connection);
        let client = self.lane(Role::Publisher, who);
        let broker = self.broker(story.server);
        let topic = story.will.topic.as_ref();
        self.ladder.title = self.ladder.words(|out| {
            out.say("Will · ").say(topic).say(" · of ");
            who.push(out);
        });
        self.note(Some(story.set), Some(client), |out| {
            out.say("CONNECT sets the will: ");
            push_will(out, &story.will);
        });
        self.note(Some(story.end.stamp), Some(client), |out| {
            push_end_cause(out, &story.end.cause);
        });
        self.legs(&story.deliveries, Some(topic), broker, None);
        self.sort();
        self.verdict_with(|out| {
            out.say("set in frame ").number(story.set.number).say("; ");
            push_end_cause(out, &story.end.cause);
            out.say("; ");
            match story.fate {
                WillFate::Published(stamp) => {
                    out.say("published in frame ").number(stamp.number);
                    out.say(" to ");
                    let legs = story.deliveries.iter();
                    push_names(
                        out,
                        legs.filter(|leg| delivered(leg).is_some()).map(leg_name),
                    );
                    Tone::Good
                }
                WillFate::NotPublished(why) => {
                    out.say(no_will(why));
                    match why {
                        NoWill::NotSeen => Tone::Bad,
                        _ => Tone::Neutral,
                    }
                }
            }
        });
        self.legs_told(&story.deliveries, 0);
        &self.ladder
    }

    /// The ladder of a stored message.
    pub(super) fn retained(&mut self, story: &RetainedSummary) -> &Ladder {
        self.begin();
        let topic = story.message.topic.as_deref();
        self.ladder.title = self.ladder.words(|out| {
            out.say("Retained · ");
            out.say(topic.unwrap_or("(topic set before the capture)"));
            out.say(" · ");
            push_octets(out, &story.message.payload);
        });
        let publisher = story.stored.as_ref().map(|stored| {
            let name = named(stored.client_id.as_deref(), stored.connection);
            (self.lane(Role::Publisher, name), stored)
        });
        let broker = self.broker(story.server);
        match publisher {
            Some((lane, stored)) if stored.will => {
                self.note(Some(stored.stamp), Some(lane), |out| {
                    out.say("CONNECT sets the will that becomes the stored message");
                });
            }
            Some((lane, stored)) => {
                self.arrow(stored.stamp, lane, broker, PacketType::Publish, |out| {
                    out.say("PUBLISH [")
                        .say(topic.unwrap_or(""))
                        .say("] retain");
                });
            }
            None => {}
        }
        match story.end {
            RetainedEnd::Replaced(stamp) => self.note(Some(stamp), Some(broker), |out| {
                out.say("replaced");
            }),
            RetainedEnd::Cleared(stamp) => self.note(Some(stamp), Some(broker), |out| {
                out.say("cleared by an empty payload");
            }),
            RetainedEnd::Kept | RetainedEnd::TableFull => {}
        }
        self.legs(&story.deliveries, topic, broker, None);
        self.sort();
        self.verdict_with(|out| {
            push_stored(out, story);
            Tone::Neutral
        });
        self.legs_told(&story.deliveries, 0);
        &self.ladder
    }
}

/// The first few of many names.
fn push_names<'a>(out: &mut Vec<u8>, mut names: impl Iterator<Item = Name<'a>>) {
    for (at, name) in names.by_ref().take(NAMES_TOLD).enumerate() {
        out.say(if at == 0 { "" } else { ", " });
        name.push(out);
    }
    let more = names.count();
    if more > 0 {
        out.say(" and ").number(more as u64).say(" more");
    }
}

/// Where a stored message came from, what became of it, how often it was sent.
fn push_stored(out: &mut Vec<u8>, story: &RetainedSummary) {
    match &story.stored {
        Some(stored) if stored.will => {
            out.say("the will set in frame ")
                .number(stored.stamp.number);
            out.say(", stored once published");
        }
        Some(stored) => {
            out.say("stored in frame ").number(stored.stamp.number);
        }
        None => {
            out.say("stored before the capture");
        }
    }
    match story.end {
        RetainedEnd::Replaced(stamp) => {
            out.say("; replaced in frame ").number(stamp.number);
        }
        RetainedEnd::Cleared(stamp) => {
            out.say("; cleared in frame ").number(stamp.number);
        }
        RetainedEnd::Kept => {
            out.say("; still stored where the capture ends");
        }
        RetainedEnd::TableFull => {
            out.say("; no longer followed: too many stored messages");
        }
    }
    let legs = story.deliveries.iter();
    match legs.filter(|leg| delivered(leg).is_some()).count() {
        0 => out.say("; no stored copy was sent"),
        1 => out.say("; 1 stored copy was sent"),
        copies => out
            .say("; ")
            .number(copies as u64)
            .say(" stored copies were sent"),
    };
}
