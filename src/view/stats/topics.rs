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
    /// The place in `topics` of each name.
    known: HashMap<Box<str>, usize, RandomState>,
    /// Bytes of the names.
    bytes: usize,
    topics: Vec<Topic>,
    /// Messages on topics beyond the limits.
    others: Topic,
    /// The clients that were counted: digests of the place of the topic, end and client.
    clients: HashSet<u64, RandomState>,
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
        let at = self.place(name);
        let hasher = self.clients.hasher();
        let sender = seen.sender == Sender::Client;
        let client = match seen.client_id {
            Some(id) if !id.is_empty() => hasher.hash_one((at, sender, id)),
            _ => hasher.hash_one((at, sender, seen.connection)),
        };
        let topic = at.and_then(|at| self.topics.get_mut(at));
        let topic = topic.unwrap_or(&mut self.others);
        topic.add(seen, publish);
        if !self.clients.contains(&client) && topic.count_client(seen.sender) {
            self.clients.insert(client);
        }
    }

    /// Returns the place of the topic `name`; `None` beyond the limits.
    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(at) = self.known.get(name) {
            return Some(*at);
        }
        let bytes = self.bytes + name.len();
        if self.known.len() >= self.limits.stats_topics || bytes > self.limits.stats_topic_bytes {
            return None;
        }
        self.bytes = bytes;
        let at = self.topics.len();
        self.topics.push(Topic::default());
        self.known.insert(name.into(), at);
        Some(at)
    }

    /// Returns the number of messages on topics beyond the limits.
    pub fn others(&self) -> u64 {
        self.others.row.messages()
    }

    /// Returns a row for each topic by name, and one for those beyond the limits.
    pub fn rows(&self) -> Vec<TopicRow<'_>> {
        let mut names: Vec<_> = self.known.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let rows = names
            .into_iter()
            .filter_map(|(name, at)| Some(self.topics.get(*at)?.row(Some(name))));
        let others = (self.others() > 0).then(|| self.others.row(None));
        rows.chain(others).collect()
    }
}

/// The PUBLISH packets of one topic.
#[derive(Debug, Default)]
struct Topic {
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
        let mut topic = Topic { row, times };
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
        let count = |topics: &mut Topics, name: &str| {
            let at = topics.place(name);
            let topic = at.map(|at| &mut topics.topics[at]);
            topic.unwrap_or(&mut topics.others).row.published += 1;
        };
        let mut topics = Topics::new(&limits);
        for at in 0..=20 {
            count(&mut topics, &at.to_string());
        }
        count(&mut topics, "0");
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
            count(&mut topics, name);
        }
        let rows = topics.rows();
        assert_eq!((rows[0].published, topics.others()), (2, 1));
    }
}
