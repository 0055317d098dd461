//! The driver: random clients that do random things, the same for the same seed as far as the
//! broker's timing lets them.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_inspect::broker::Seed;
use mqtt_inspect::mqtt::packet::{Connect, Subscribe, Unsubscribe, Will};
use mqtt_inspect::mqtt::{
    ControlPacket, PropertiesBuf, PropertyId, PropertyValue, ProtocolVersion, QoS,
    SubscriptionsBuf, TopicFiltersBuf,
};

use super::broker::{Broker, Kind, Restart};
use super::client::{Client, Outgoing};
use super::known::{End, Known, Message, MessageId, payload};

const TOPICS: &[&str] = &["a", "a/b", "a/c", "b/b", "b/c/d", "c"];
const FILTERS: &[&str] = &[
    "a", "a/b", "a/+", "+/b", "a/#", "#", "b/#", "c", "+/+/d", "b/c/d",
];
const SHARED: &[&str] = &["$share/s/a/b", "$share/s/a/+", "$share/t/c"];
const WILLS: &[&str] = &["will/x", "a/c"];

/// Abilities of a broker: clients ask for no others.
#[derive(Clone, Copy, Debug)]
struct Abilities {
    five: bool,
    three_one: bool,
    shared: bool,
    restarts: bool,
}

impl Abilities {
    fn of(kind: Kind) -> Self {
        let all = matches!(kind, Kind::Mosquitto);
        Self {
            five: all,
            // aedes takes 3.1, amqtt does not.
            three_one: !matches!(kind, Kind::Amqtt),
            shared: all,
            // What crosses a restart is read by none: few claims about that are false yet.
            restarts: all && std::env::var_os("MQTT_INSPECT_JUDGE").is_some(),
        }
    }
}

/// Random choices.
pub(crate) struct Dice(Seed);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Seed::new(seed))
    }

    /// A number from 0 up to, but not with, `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.0.next() % end as u64) as usize
    }

    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    fn qos(&mut self) -> QoS {
        self.of(&[QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
    }
}

/// A run of the driver: the capture, and what it knows of it.
pub(crate) struct Run {
    pub(crate) capture: PathBuf,
    /// The broker's port.
    pub(crate) port: u16,
    pub(crate) known: Known,
}

/// Plays `steps` random steps against a broker.
pub(crate) fn play(kind: Kind, seed: u64, steps: usize, folder: &Path) -> Run {
    let broker = Broker::start(kind, folder);
    let mut driver = Driver {
        can: Abilities::of(kind),
        dice: Dice::new(seed),
        broker,
        clients: Vec::new(),
        known: Known::default(),
        next: 1,
    };
    driver.meet();
    for _ in 0..steps {
        driver.step();
    }
    driver.settle(Duration::from_millis(1_500));
    let port = driver.broker.port;
    // The clients stay until the capture has ended.
    let capture = driver.broker.stop();
    Run {
        capture,
        port,
        known: driver.known,
    }
}

struct Driver {
    can: Abilities,
    dice: Dice,
    broker: Broker,
    clients: Vec<Client>,
    known: Known,
    next: MessageId,
}

impl Driver {
    /// Makes the clients.
    fn meet(&mut self) {
        let mut versions = vec![ProtocolVersion::V3_1_1];
        versions.extend(self.can.five.then_some(ProtocolVersion::V5_0));
        versions.extend(self.can.three_one.then_some(ProtocolVersion::V3_1));
        for number in 0..6 + self.dice.below(3) {
            let version = versions[number % versions.len()];
            self.clients
                .push(Client::new(format!("client{number}"), version));
        }
        for number in 0..self.clients.len() {
            self.connect(number);
            self.subscribe(number);
        }
        self.settle(Duration::from_millis(50));
    }

    /// One random thing that a random client does.
    fn step(&mut self) {
        let number = self.dice.below(self.clients.len());
        if self.clients[number].wire.is_none() {
            if self.dice.percent(40) {
                self.connect(number);
            }
            return self.serve();
        }
        match self.dice.below(100) {
            0..62 => self.publish(number),
            62..72 => self.subscribe(number),
            72..75 => self.unsubscribe(number),
            75..78 => self.ping(number),
            78..80 => self.hang(number),
            80..83 => self.leave(number, End::Disconnect),
            83..86 => self.leave(number, End::Reset),
            86..89 => self.leave(number, End::Closed),
            89 if self.clients[number].version == ProtocolVersion::V5_0 => {
                self.leave(number, End::DisconnectWithWill);
            }
            90..92 => self.connect(number),
            92 if self.can.restarts && self.dice.percent(25) => self.restart(),
            93 if self.dice.percent(30) => self.settle(Duration::from_millis(1_200)),
            _ => {
                for _ in 0..self.dice.below(8) {
                    self.publish(number);
                }
            }
        }
        // Several steps may go out before the answers to the first are read.
        if self.dice.percent(70) {
            self.serve();
        }
    }

    fn serve(&mut self) {
        let long = self.dice.percent(20);
        self.settle(Duration::from_micros(if long { 12_000 } else { 1_500 }));
    }

    /// Lets all clients answer for some time.
    fn settle(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            for client in &mut self.clients {
                client.serve(&mut self.known);
            }
            if Instant::now() >= until {
                return;
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    /// The number of a new message.
    fn message(&mut self, message: Message) -> MessageId {
        let id = self.next;
        self.next += 1;
        self.known.messages.insert(id, message);
        id
    }

    fn connect(&mut self, number: usize) {
        let client = &self.clients[number];
        let (name, version) = (client.name.clone(), client.version);
        let five = version == ProtocolVersion::V5_0;
        // Each client has its custom, and seldom breaks it.
        let clean = number.is_multiple_of(3) != self.dice.percent(10);
        let mut properties = PropertiesBuf::new();
        if five {
            let mut push = |id, value| properties.push(id, value).expect("fits");
            if !clean || self.dice.percent(10) {
                let interval = PropertyValue::FourByte(600);
                push(PropertyId::SESSION_EXPIRY_INTERVAL, interval);
            }
            if self.dice.percent(30) {
                let most = PropertyValue::TwoByte(1 + self.dice.below(4) as u16);
                push(PropertyId::RECEIVE_MAXIMUM, most);
            }
            if self.dice.percent(10) {
                push(
                    PropertyId::MAXIMUM_PACKET_SIZE,
                    PropertyValue::FourByte(200),
                );
                self.known.small.insert(name.clone());
            }
        }
        let mut will_properties = PropertiesBuf::new();
        let will = self.dice.percent(40).then(|| {
            let topic = self.dice.of(WILLS);
            let (qos, retain) = (self.dice.qos(), self.dice.percent(20));
            if five && self.dice.percent(50) {
                let delay = PropertyValue::FourByte(1);
                let id = PropertyId::WILL_DELAY_INTERVAL;
                will_properties.push(id, delay).expect("fits");
            }
            (topic, qos, retain)
        });
        let will = will.map(|(topic, qos, retain)| {
            let id = self.message(Message {
                client: name.clone(),
                qos: qos as u8,
                retain,
                expires: false,
                topic: topic.to_owned(),
            });
            (topic, qos, retain, id, payload(id, 0))
        });
        let mut connect = Connect::new(version, &name);
        connect.flags = if clean { 0x02 } else { 0x00 };
        connect.properties = properties.as_properties();
        connect.will = will.as_ref().map(|(topic, qos, retain, _, payload)| Will {
            qos: *qos,
            retain: *retain,
            properties: will_properties.as_properties(),
            topic,
            payload,
        });
        let mut bytes = Vec::new();
        let packet = ControlPacket::Connect(connect);
        packet.write(version, &mut bytes).expect("a packet");
        let port = self.broker.port;
        let will = will.map(|(_, _, _, id, _)| id);
        self.clients[number].connect(port, (&bytes, clean, will), &mut self.known);
    }

    fn publish(&mut self, number: usize) {
        let qos = self.dice.qos();
        if qos != QoS::AtMostOnce && !self.clients[number].may_publish() {
            return;
        }
        let topic = self.dice.of(TOPICS);
        let retain = self.dice.percent(15);
        let clears = retain && self.dice.percent(20);
        let five = self.clients[number].version == ProtocolVersion::V5_0;
        let expires = five && self.dice.percent(10);
        let payload = if clears {
            Vec::new()
        } else {
            let length = if self.dice.percent(10) { 300 } else { 0 };
            let id = self.message(Message {
                client: self.clients[number].name.clone(),
                qos: qos as u8,
                retain,
                expires,
                topic: topic.to_owned(),
            });
            payload(id, length)
        };
        let mut message = Outgoing::new(topic, qos, retain, payload);
        if expires {
            let interval = PropertyValue::FourByte(1 + self.dice.below(2) as u32);
            let id = PropertyId::MESSAGE_EXPIRY_INTERVAL;
            message.properties.push(id, interval).expect("fits");
        }
        let alias = (five && self.dice.percent(30)).then(|| 1 + self.dice.below(3) as u16);
        self.clients[number].publish(message, alias, &mut self.known);
    }

    fn subscribe(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let five = client.version == ProtocolVersion::V5_0;
        let packet_id = client.free_id();
        let mut subscriptions = SubscriptionsBuf::new();
        for _ in 0..=self.dice.below(2) {
            let shared = self.can.shared && self.dice.percent(15);
            let filter = self.dice.of(if shared { SHARED } else { FILTERS });
            let mut options = self.dice.qos() as u8;
            if five {
                if !shared && self.dice.percent(15) {
                    options |= 0x04;
                    let pair = (client.name.clone(), filter.to_owned());
                    self.known.no_local.insert(pair);
                }
                if self.dice.percent(25) {
                    options |= 0x08;
                    self.known.retain_as_published.insert(client.name.clone());
                }
                // Retain Handling.
                options |= (self.dice.below(3) as u8) << 4;
            }
            client.filters.insert(filter.to_owned());
            let pair = (client.name.clone(), filter.to_owned());
            self.known.subscribed.insert(pair);
            subscriptions.push(filter, options).expect("fits");
        }
        let mut properties = PropertiesBuf::new();
        if five && self.dice.percent(30) {
            let id = PropertyValue::Variable(1 + self.dice.below(200) as u32);
            properties
                .push(PropertyId::SUBSCRIPTION_IDENTIFIER, id)
                .expect("fits");
        }
        let packet = ControlPacket::Subscribe(Subscribe {
            packet_id,
            properties: properties.as_properties(),
            subscriptions: subscriptions.as_subscriptions(),
        });
        if let Some(wire) = &mut client.wire {
            wire.write(&packet);
        }
    }

    fn unsubscribe(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if client.filters.is_empty() {
            return;
        }
        let at = self.dice.below(client.filters.len());
        let Some(filter) = client.filters.iter().nth(at).cloned() else {
            return;
        };
        client.filters.remove(&filter);
        let packet_id = client.free_id();
        let mut filters = TopicFiltersBuf::new();
        filters.push(&filter).expect("fits");
        if let Some(wire) = &mut client.wire {
            wire.write(&ControlPacket::Unsubscribe(Unsubscribe {
                packet_id,
                properties: Default::default(),
                filters: filters.as_filters(),
            }));
        }
        let pair = (client.name.clone(), filter);
        self.known.unsubscribed.insert(pair);
    }

    fn ping(&mut self, number: usize) {
        if let Some(wire) = &mut self.clients[number].wire {
            wire.write(&ControlPacket::PingReq);
        }
    }

    /// From here on the client acknowledges nothing, or releases nothing.
    fn hang(&mut self, number: usize) {
        let all = self.dice.percent(50);
        if let Some(wire) = &mut self.clients[number].wire {
            wire.hangs |= all;
            wire.keeps_back |= !all;
        }
    }

    fn leave(&mut self, number: usize, how: End) {
        if self.dice.percent(50) {
            self.serve();
        }
        self.clients[number].leave(how, &mut self.known);
    }

    fn restart(&mut self) {
        let how = match self.dice.percent(30) {
            true => Restart::Killed,
            false => Restart::Orderly,
        };
        self.known.losses += usize::from(how == Restart::Killed);
        self.broker.restart(how);
        self.settle(Duration::from_millis(20));
    }
}
