//! The PUBLISH packets of each topic.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::base::Timestamp;
use crate::base::limits::Limits;
use crate::event::PacketEvent;
use crate::mqtt::packet::Publish;
use crate::mqtt::{BySender, QoS, Sender};
use crate::schema::stats::TopicRow;
use crate::schema::value::Seconds;

/// Publishers and subscribers of one topic that are distinguished.
pub const MOST_PEERS: u64 = 1_000;

/// Every topic up to the limits.
#[derive(Debug, Default)]
pub struct Topics {
    known: HashMap<Box<str>, Topic, RandomState>,
    /// The clients that were counted, of all topics: digests of topic number, end and
    /// client.
    clients: HashSet<u64, RandomState>,
    /// Bytes of their names.
    bytes: usize,
    /// Messages on topics beyond the limits.
    others: Topic,
    limits: Limits,
}

impl Topics {
    /// No topics yet, and as many as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            ..Self::default()
        }
    }

    /// Counts a PUBLISH on the topic `name`.
    pub fn add(&mut self, name: &str, seen: &PacketEvent<'_>, publish: &Publish<'_>) {
        let topic = self.entry(name);
        topic.add(seen, publish);
        let at = (topic.number, seen.sender == Sender::Client);
        let hasher = self.clients.hasher();
        let client = match seen.client_id {
            Some(id) if !id.is_empty() => hasher.hash_one((at, id)),
            _ => hasher.hash_one((at, seen.connection)),
        };
        if !self.clients.contains(&client) && self.entry(name).count_client(seen.sender) {
            self.clients.insert(client);
        }
    }

    /// Returns where messages on the topic `name` are counted: by themselves up to the limits.
    fn entry(&mut self, name: &str) -> &mut Topic {
        // Two look-ups for a known topic: one would have to own the name to begin with.
        if !self.known.contains_key(name) {
            let bytes = self.bytes + name.len();
            if self.known.len() >= self.limits.stats_topics || bytes > self.limits.stats_topic_bytes
            {
                return &mut self.others;
            }
            self.bytes = bytes;
            let topic = Topic {
                number: self.known.len() + 1,
                ..Topic::default()
            };
            self.known.insert(name.into(), topic);
        }
        self.known.get_mut(name).unwrap_or(&mut self.others)
    }

    /// Returns the number of messages on topics beyond the limits.
    pub fn others(&self) -> u64 {
        self.others.row.messages()
    }

    /// Returns a row for each topic by name, and one for those beyond the limits.
    pub fn rows(&self) -> Vec<TopicRow<'_>> {
        let mut topics: Vec<_> = self.known.iter().collect();
        topics.sort_unstable_by_key(|(name, _)| *name);
        let rows = topics
            .into_iter()
            .map(|(name, topic)| topic.row(Some(name)));
        let others = (self.others() > 0).then(|| self.others.row(None));
        rows.chain(others).collect()
    }
}

/// The PUBLISH packets of one topic.
#[derive(Debug, Default)]
struct Topic {
    /// By which it is named among the clients; 0 is that of all beyond the limits.
    number: usize,
    /// The counters; topic and span are filled in at the end.
    row: TopicRow<'static>,
    times: BySender<Option<Times>>,
}

/// When the first and the last PUBLISH of one end came.
type Times = (Timestamp, Timestamp);

impl Topic {
    fn add(&mut self, seen: &PacketEvent<'_>, publish: &Publish<'_>) {
        let row = &mut self.row;
        match seen.sender {
            Sender::Client => {
                row.published += 1;
                row.octets += seen.payload_length(publish);
                row.retained += u64::from(publish.retain);
                *match publish.delivery.qos() {
                    QoS::AtMostOnce => &mut row.qos_0,
                    QoS::AtLeastOnce => &mut row.qos_1,
                    QoS::ExactlyOnce => &mut row.qos_2,
                } += 1;
            }
            Sender::Server => row.delivered += 1,
        }
        if let Some(now) = seen.stamp.time {
            self.times[seen.sender].get_or_insert((now, now)).1 = now;
        }
    }

    /// Counts a client that sent or was sent a PUBLISH; returns whether there was room.
    const fn count_client(&mut self, sender: Sender) -> bool {
        let count = match sender {
            Sender::Client => &mut self.row.publishers,
            Sender::Server => &mut self.row.subscribers,
        };
        let room = *count < MOST_PEERS;
        *count += room as u64;
        room
    }

    /// Returns the row of this topic, or of all beyond the limits where it has no name.
    fn row<'a>(&self, topic: Option<&'a str>) -> TopicRow<'a> {
        // The time of clients, or of servers where no client's PUBLISH was seen.
        let times = match self.row.published {
            0 => self.times.server,
            _ => self.times.client,
        };
        TopicRow {
            topic,
            beyond_cap: topic.is_none(),
            span: times.map(|(first, last)| Seconds::exact(last.since(first))),
            ..self.row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_published_messages() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let span = |last| Some((at(0), at(last)));
        let row = TopicRow {
            published: 3,
            delivered: 9,
            ..TopicRow::default()
        };
        let times = BySender {
            client: span(4),
            server: span(1),
        };
        let mut topic = Topic {
            row,
            times,
            ..Topic::default()
        };
        assert_eq!(topic.row(None).rate(), Some(0.5));
        topic.row.published = 0;
        assert_eq!(topic.row(None).rate(), Some(8.0));
        topic.row.delivered = 1;
        assert_eq!(topic.row(None).rate(), None);
    }

    #[test]
    fn messages_on_topics_beyond_the_limits_are_counted_together() {
        let limits = Limits {
            stats_topics: 20,
            stats_topic_bytes: 40,
            ..Limits::default()
        };
        let mut topics = Topics::new(&limits);
        for at in 0..=20 {
            topics.entry(&at.to_string()).row.published += 1;
        }
        topics.entry("0").row.published += 1;
        let rows = topics.rows();
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        assert_eq!((rows.len(), topics.others()), (21, 1));
        assert_eq!((first.topic, first.published), (Some("0"), 2));
        assert_eq!((last.topic, last.beyond_cap), (None, true));
        let mut topics = Topics {
            bytes: 37,
            ..Topics::new(&limits)
        };
        for name in ["one", "two", "one"] {
            topics.entry(name).row.published += 1;
        }
        assert_eq!((topics.known["one"].row.published, topics.others()), (2, 1));
    }
}
