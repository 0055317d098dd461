//! Turns what the analysis found into ladders: whose lanes, which steps, what verdict.

mod legs;
mod teller;
#[cfg(test)]
mod tests;
mod words;

use self::legs::{delivered, leg_name, name};
use self::teller::{Ends, Teller};
use self::words::{end_cause, no_will, octets, title, topic_of};
use super::ladder::{Ladder, Role, Tone};
use crate::event::{
    About, Handshake, NoWill, Origin, RetainedEnd, RetainedStory, State, WillFate, WillStory,
};
use crate::mqtt::{PacketType, Sender};

/// Subscribers that a will's verdict names.
const NAMES_TOLD: usize = 4;

/// The ladder of a handshake. `None` for the server's leg of a message whose publisher was
/// seen: it stands in the publisher's ladder.
pub(super) fn handshake(handshake: &Handshake) -> Option<Ladder> {
    if matches!(
        handshake.origin,
        Some(Origin::Published { .. } | Origin::Will { .. })
    ) {
        return None;
    }
    let mut teller = Teller::default();
    let client = teller.lane(
        match (handshake.message(), handshake.initiator) {
            (Some(_), Sender::Client) => Role::Publisher,
            _ => Role::Client,
        },
        handshake.client_id.as_deref(),
        &format!("stream {}", handshake.connection.0),
    );
    let broker = teller.broker(handshake.server);
    let (client, broker) = match (handshake.message(), handshake.initiator) {
        // A message whose publisher is not known travels from left to right all the same.
        (Some(_), Sender::Server) => {
            teller.ladder.lanes.swap(client, broker);
            if let Some(lane) = teller.ladder.lanes.last_mut() {
                lane.role = Role::Subscriber;
            }
            (broker, client)
        }
        _ => (client, broker),
    };
    teller.ladder.title = title(handshake);
    let ends = Ends {
        client,
        broker,
        version: handshake.version,
    };
    teller.steps(
        &handshake.steps,
        handshake.packet_id,
        topic_of(handshake),
        ends,
    );
    teller.legs(
        &handshake.deliveries,
        topic_of(handshake),
        broker,
        handshake.version,
    );
    teller.sort();
    if let About::Connect(connecting) = &handshake.about {
        teller.connecting(connecting, handshake.version, client);
    }
    teller.missing(handshake, ends);
    teller.verdict_of(handshake);
    teller.legs_told(&handshake.deliveries, handshake.legs_left_out);
    let published = handshake.message().is_some() && handshake.initiator == Sender::Client;
    if published && handshake.state == State::Complete && handshake.deliveries.is_empty() {
        teller.verdict(
            Tone::Neutral,
            "goes to no one: no subscription that the capture shows takes it".to_owned(),
        );
    }
    Some(teller.ladder)
}

/// The ladder of a will.
pub(super) fn will(story: &WillStory) -> Ladder {
    let mut teller = Teller::default();
    let stream = format!("stream {}", story.connection.0);
    let client = teller.lane(Role::Publisher, story.client_id.as_deref(), &stream);
    let broker = teller.broker(story.server);
    let topic = story.will.topic.as_ref();
    teller.ladder.title = format!(
        "Will · {topic} · of {}",
        name(story.client_id.as_deref(), &stream)
    );
    teller.note(
        Some(story.set),
        Some(client),
        format!(
            "CONNECT sets the will: [{topic}] QoS {}{}, {}{}",
            story.will.qos as u8,
            if story.will.retain { ", retain" } else { "" },
            octets(&story.will.payload),
            if story.will.delay > 0 {
                format!(", delay {} s", story.will.delay)
            } else {
                String::new()
            }
        ),
    );
    teller.note(
        Some(story.end.stamp),
        Some(client),
        end_cause(&story.end.cause),
    );
    teller.legs(&story.deliveries, Some(topic), broker, None);
    teller.sort();
    let how = format!(
        "set in frame {}; {}",
        story.set.number,
        end_cause(&story.end.cause)
    );
    let (tone, fate) = match story.fate {
        WillFate::Published(stamp) => {
            let to: Vec<_> = story
                .deliveries
                .iter()
                .filter(|leg| delivered(leg).is_some())
                .map(leg_name)
                .collect();
            (
                Tone::Good,
                format!("published in frame {} to {}", stamp.number, listed(&to)),
            )
        }
        WillFate::NotPublished(why) => match why {
            NoWill::NotSeen => (Tone::Bad, no_will(why).to_owned()),
            _ => (Tone::Neutral, no_will(why).to_owned()),
        },
    };
    teller.verdict(tone, format!("{how}; {fate}"));
    teller.legs_told(&story.deliveries, 0);
    teller.ladder
}

/// The first few of many names.
fn listed(names: &[String]) -> String {
    match names.split_at_checked(NAMES_TOLD) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// The ladder of a stored message.
pub(super) fn retained(story: &RetainedStory) -> Ladder {
    let mut teller = Teller::default();
    let topic = story.message.topic.as_deref();
    teller.ladder.title = format!(
        "Retained · {} · {}",
        topic.unwrap_or("(topic set before the capture)"),
        octets(&story.message.payload)
    );
    let publisher = story.stored.as_ref().map(|stored| {
        let stream = format!("stream {}", stored.connection.0);
        (
            teller.lane(Role::Publisher, stored.client_id.as_deref(), &stream),
            stored,
        )
    });
    let broker = teller.broker(story.server);
    let mut told = Vec::new();
    match publisher {
        Some((lane, stored)) => {
            let frame = stored.stamp.number;
            if stored.will {
                let text = "CONNECT sets the will that becomes the stored message";
                teller.note(Some(stored.stamp), Some(lane), text.to_owned());
                told.push(format!(
                    "the will set in frame {frame}, stored once published"
                ));
            } else {
                let label = format!("PUBLISH [{}] retain", topic.unwrap_or(""));
                teller.arrow(stored.stamp, lane, broker, PacketType::Publish, label);
                told.push(format!("stored in frame {frame}"));
            }
        }
        None => told.push("stored before the capture".to_owned()),
    }
    match story.end {
        RetainedEnd::Replaced(stamp) => {
            teller.note(Some(stamp), Some(broker), "replaced".to_owned());
            told.push(format!("replaced in frame {}", stamp.number));
        }
        RetainedEnd::Cleared(stamp) => {
            teller.note(
                Some(stamp),
                Some(broker),
                "cleared by an empty payload".to_owned(),
            );
            told.push(format!("cleared in frame {}", stamp.number));
        }
        RetainedEnd::Kept => told.push("still stored where the capture ends".to_owned()),
        RetainedEnd::TableFull => {
            told.push("no longer followed: too many stored messages".to_owned())
        }
    }
    teller.legs(&story.deliveries, topic, broker, None);
    teller.sort();
    let copies = story
        .deliveries
        .iter()
        .filter(|leg| delivered(leg).is_some())
        .count();
    told.push(match copies {
        0 => "no stored copy was sent".to_owned(),
        1 => "1 stored copy was sent".to_owned(),
        copies => format!("{copies} stored copies were sent"),
    });
    teller.verdict(Tone::Neutral, told.join("; "));
    teller.legs_told(&story.deliveries, 0);
    teller.ladder
}
