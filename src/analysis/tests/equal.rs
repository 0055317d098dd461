//! Equal messages through a small model of a broker that knows which copy is of which message: no
//! link is false without being marked, and no finding is false.

use std::collections::{HashMap, HashSet, VecDeque};

use super::*;
use crate::event::Origin;

/// Messages above QoS 0 that the broker has in flight to a subscriber at most.
const WINDOW: usize = 3;
/// Messages that wait for a subscriber at most.
const QUEUE: usize = 6;
/// The subscriptions: the topic filter and the QoS of each subscriber.
const SUBSCRIPTIONS: [(&str, u8); 4] = [("t/#", 2), ("t/#", 1), ("t/0", 0), ("+/0", 1)];
const PUBLISHERS: u32 = 3;

/// A seeded source of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % most
    }
}

/// A message on its way to a subscriber.
#[derive(Clone, Copy)]
struct Due {
    /// The frame of its PUBLISH.
    published: u64,
    topic: &'static str,
    payload: &'static [u8],
    qos: u8,
}

/// A subscriber's session in the broker.
#[derive(Default)]
struct Session {
    /// `None` while it is away.
    connection: Option<u32>,
    waiting: VecDeque<Due>,
    in_flight: VecDeque<(u16, Due)>,
    next: u16,
}

/// The broker and all that it knows.
struct Model {
    run: Run,
    numbers: Numbers,
    sessions: Vec<Session>,
    connections: u32,
    /// The frame of the PUBLISH of each copy, by subscriber and the copy's frame.
    truth: HashMap<(usize, u64), u64>,
    /// Messages that the broker lost, by the frame of the PUBLISH.
    lost: HashSet<(usize, u64)>,
    /// Messages for which the broker kept nothing, since the subscriber was away.
    away: HashSet<(usize, u64)>,
}

impl Model {
    fn new(version: ProtocolVersion, seed: u64) -> Self {
        let mut model = Self {
            run: Run::new(version),
            numbers: Numbers(seed * 2 + 1),
            sessions: Vec::new(),
            connections: 100,
            truth: HashMap::new(),
            lost: HashSet::new(),
            away: HashSet::new(),
        };
        for (at, (filter, qos)) in SUBSCRIPTIONS.into_iter().enumerate() {
            model.sessions.push(Session::default());
            model.comes(at, false);
            let connection = model.sessions[at].connection.unwrap();
            model.run.take(connection, filter, qos);
        }
        for number in 0..PUBLISHERS {
            model.run.join(number, &format!("p{number}"));
        }
        model
    }

    /// A subscriber connects: what was in flight comes again.
    fn comes(&mut self, at: usize, present: bool) {
        self.connections += 1;
        let connection = self.connections;
        self.run.stay(connection, &format!("s{at}"), present);
        self.sessions[at].connection = Some(connection);
        for (id, due) in self.sessions[at].in_flight.clone() {
            let version = self.run.version;
            let packet = again(version, due.topic, due.payload, due.qos, id);
            self.run.server(connection, packet);
        }
        self.serve(at);
    }

    fn goes(&mut self, at: usize) {
        if let Some(connection) = self.sessions[at].connection.take() {
            self.run.leave(connection);
        }
    }

    /// Sends a message to a connected subscriber.
    fn send(&mut self, at: usize, due: Due) {
        let version = self.run.version;
        let connection = self.sessions[at].connection.unwrap();
        let packet = match due.qos {
            0 => publish(version, due.topic, due.payload, Sent::default()),
            qos => {
                let session = &mut self.sessions[at];
                session.next = session.next % 60_000 + 1;
                session.in_flight.push_back((session.next, due));
                numbered(version, due.topic, due.payload, qos, session.next)
            }
        };
        let frame = self.run.server(connection, packet);
        self.truth.insert((at, frame), due.published);
    }

    /// Sends what waits, as far as there is room.
    fn serve(&mut self, at: usize) {
        while self.sessions[at].connection.is_some()
            && self.sessions[at].in_flight.len() < WINDOW
            && let Some(due) = self.sessions[at].waiting.pop_front()
        {
            self.send(at, due);
        }
    }

    /// A subscriber acknowledges the oldest message in flight.
    fn acknowledge(&mut self, at: usize) {
        let session = &mut self.sessions[at];
        let Some(connection) = session.connection else {
            return;
        };
        let Some((id, due)) = session.in_flight.pop_front() else {
            return;
        };
        if due.qos == 1 {
            self.run.client(connection, puback(id));
        } else {
            self.run.client(connection, pubrec(id));
            self.run.server(connection, pubrel(id));
            self.run.client(connection, pubcomp(id));
        }
        self.serve(at);
    }

    /// A client publishes, and the broker forwards or loses.
    fn publish(&mut self, lossy: bool) {
        let number = u32::try_from(self.numbers.below(PUBLISHERS.into())).unwrap();
        let qos = u8::try_from(self.numbers.below(3)).unwrap();
        let topic = ["t/0", "t/0", "t/1"][self.numbers.below(3) as usize];
        let payload: &[u8] = [&b"on"[..], b"on", b"off"][self.numbers.below(3) as usize];
        let version = self.run.version;
        let id = u16::try_from(self.run.frame % 60_000).unwrap() + 1;
        let published = match qos {
            0 => self
                .run
                .client(number, publish(version, topic, payload, Sent::default())),
            _ => self
                .run
                .client(number, numbered(version, topic, payload, qos, id)),
        };
        if qos == 2 {
            self.run.server(number, pubrec(id));
            self.run.client(number, pubrel(id));
        }
        for (at, (filter, granted)) in SUBSCRIPTIONS.into_iter().enumerate() {
            if !crate::mqtt::topic::matches(filter, topic) {
                continue;
            }
            let due = Due {
                published,
                topic,
                payload,
                qos: qos.min(granted),
            };
            let session = &self.sessions[at];
            let there = session.connection.is_some();
            let queued = !session.waiting.is_empty() || session.in_flight.len() >= WINDOW;
            let full = session.waiting.len() >= QUEUE;
            if !there && due.qos == 0 {
                self.away.insert((at, published));
            } else if lossy && self.numbers.below(20) == 0 {
                self.lost.insert((at, published));
            } else if there && (due.qos == 0 || !queued) {
                self.send(at, due);
            } else if full {
                self.lost.insert((at, published));
            } else {
                self.sessions[at].waiting.push_back(due);
            }
        }
        match qos {
            0 => {}
            1 => drop(self.run.server(number, puback(id))),
            _ => drop(self.run.server(number, pubcomp(id))),
        }
    }

    /// Plays so many messages, with stalls and absences between them.
    fn play(&mut self, messages: usize, lossy: bool) {
        for _ in 0..messages {
            self.publish(lossy);
            let at = self.numbers.below(SUBSCRIPTIONS.len() as u64) as usize;
            match self.numbers.below(40) {
                0 => self.goes(at),
                1..=3 if self.sessions[at].connection.is_none() => self.comes(at, true),
                // A stall.
                4 => drop(self.run.wait(700)),
                5..=8 => drop(self.run.wait(20)),
                _ => (0..SUBSCRIPTIONS.len()).for_each(|at| self.acknowledge(at)),
            }
        }
    }

    /// Lets every subscriber come and read all that waits.
    fn drain(&mut self) {
        for at in 0..SUBSCRIPTIONS.len() {
            if self.sessions[at].connection.is_none() {
                self.comes(at, true);
            }
            while !self.sessions[at].in_flight.is_empty() {
                self.acknowledge(at);
            }
        }
        self.run.wait(5000);
        for at in 0..SUBSCRIPTIONS.len() {
            let connection = self.sessions[at].connection.unwrap();
            self.run.client(connection, PINGREQ);
            self.run.server(connection, PINGRESP);
        }
    }

    /// Checks every claim about the messages; returns how many links are certain and how many not.
    fn judge(&mut self, seed: u64) -> (usize, usize) {
        self.run.finish();
        let run = &self.run;
        let number = |id: &Option<std::sync::Arc<str>>| {
            let id = id.as_deref().unwrap();
            id.strip_prefix('s').unwrap().parse::<usize>().unwrap()
        };
        let (mut certain, mut ambiguous) = (0, 0);
        for one in &run.handshakes {
            if one.message().is_none() {
                continue;
            }
            let sent = one.steps[0].stamp.number;
            if let Some(Origin::Published {
                frame,
                ambiguous: false,
                ..
            }) = one.origin
            {
                let at = number(&one.client_id);
                assert_eq!(
                    self.truth.get(&(at, sent)),
                    Some(&frame),
                    "{seed}: {one:#?}"
                );
            }
            for leg in &one.deliveries {
                let at = number(&leg.client_id);
                match &leg.outcome {
                    Outcome::Delivered(copy) if leg.ambiguous => {
                        ambiguous += 1;
                        assert_eq!(copy.latency, None, "{seed}: {leg:#?}");
                    }
                    Outcome::Delivered(copy) => {
                        certain += 1;
                        let truth = self.truth.get(&(at, copy.stamp.number));
                        assert_eq!(truth, Some(&sent), "{seed}: {leg:#?}");
                    }
                    Outcome::NotDelivered(why) => {
                        let came = self.truth.iter();
                        let mut came = came.filter(|((to, _), of)| *to == at && **of == sent);
                        let definite = match why {
                            Undelivered::NotForwarded { .. }
                            | Undelivered::Overtaken { .. }
                            | Undelivered::QueueDropped { .. }
                            | Undelivered::WindowFull { .. } => {
                                assert!(self.lost.contains(&(at, sent)), "{seed}: {leg:#?}");
                                true
                            }
                            Undelivered::AwayAtQoS0 { .. } => {
                                assert!(self.away.contains(&(at, sent)), "{seed}: {leg:#?}");
                                true
                            }
                            _ => false,
                        };
                        let came = came.next();
                        assert!(!definite || came.is_none(), "{seed}: {came:?} {leg:#?}");
                    }
                }
            }
        }
        for finding in &run.findings {
            // The model's subscribers are slow at times.
            if finding.level == crate::event::Level::Note || finding.rule == "slow-acknowledgement"
            {
                continue;
            }
            let published = finding.stamp.number;
            let mut lost = self.lost.iter();
            let lost = lost.any(|(_, frame)| *frame == published);
            let known = finding.rule == "message-not-delivered" && lost;
            assert!(known, "{seed}: {finding:#?}");
        }
        (certain, ambiguous)
    }
}

#[test]
fn links_of_equal_messages_are_true_or_marked_and_no_finding_rests_on_them() {
    let mut sums = (0, 0);
    for version in [V3, V5] {
        for seed in 0..20 {
            let mut model = Model::new(version, seed);
            model.play(150, seed % 4 > 0);
            if seed % 5 > 0 {
                model.drain();
            }
            let (certain, ambiguous) = model.judge(seed);
            sums = (sums.0 + certain, sums.1 + ambiguous);
        }
    }
    assert!(sums.0 > 1000 && sums.1 > 1000, "{sums:?}");
}

#[test]
fn four_thousand_equal_messages_some_of_them_lost_make_no_false_claim() {
    let mut model = Model::new(V3, 7);
    model.play(4000, true);
    model.drain();
    let (certain, ambiguous) = model.judge(7);
    assert!(certain > 100 && ambiguous > 1000, "{certain} {ambiguous}");
}
