//! Plays a script: clients and broker take turns in one thread, over real sockets.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::actor::{Actor, Link, ReceivedPackets, written};
use super::model::{
    Action, ConnectOptions, How, Publish, Script, Step, Subscribe, Unsubscribe, Wait, span,
};
use crate::base::{Span, Timestamp};
use crate::broker::ConnectionKey;
use crate::broker::net::{Net, Witness};
use crate::mqtt::packet;
use crate::mqtt::{
    ControlPacket, Delivery, Framer, PacketIdentifier, PacketType, Properties, QoS,
    SubscriptionsBuf, TopicFiltersBuf,
};

/// How long bytes may take across the loopback interface.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often a waiting script looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Why a script did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlayError {
    /// A step could not be taken.
    #[error("step in line {line}: {message}")]
    Step {
        /// Of the script, from 1.
        line: usize,
        /// The client and the reason.
        message: String,
    },
    /// The traffic could not be recorded.
    #[error(transparent)]
    Record(#[from] io::Error),
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
}

/// Something that a client did and the broker has not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Done {
    /// The client of that place wrote.
    Wrote(usize),
    /// The client closed or reset the connection.
    Ended(ConnectionKey),
}

/// Whether the script may go on; it is asked between steps, and with the broker at hand.
pub type GoOn<'n, W> = &'n mut dyn FnMut(&mut Net<W>) -> bool;

/// The clients of a script at play.
pub struct Player<'n, W> {
    pub(super) net: &'n mut Net<W>,
    script: &'n Script,
    go_on: GoOn<'n, W>,
    pub(super) actors: Vec<Actor>,
    /// Clients that have something to answer.
    pub(super) reactions: VecDeque<usize>,
    pub(super) done: VecDeque<Done>,
    /// Answers that wait for their time; the number keeps those of one instant in order.
    pub(super) delayed: BTreeMap<(Timestamp, u64), (usize, ConnectionKey, Vec<u8>)>,
    pub(super) delays: u64,
    /// Where the step at hand stands, and the client that it names.
    line: usize,
    at: usize,
}

impl<'n, W: Witness> Player<'n, W> {
    /// The script's clients, about to connect to the broker. `go_on` is asked after each step, and
    /// from time to time while one waits.
    pub fn new(script: &'n Script, net: &'n mut Net<W>, go_on: GoOn<'n, W>) -> Self {
        let actors = script.clients.iter().map(Actor::new);
        Self {
            net,
            script,
            go_on,
            actors: actors.collect(),
            reactions: VecDeque::new(),
            done: VecDeque::new(),
            delayed: BTreeMap::new(),
            delays: 0,
            line: 0,
            at: 0,
        }
    }

    /// Takes all steps.
    ///
    /// # Errors
    /// A step that cannot be taken; a witness that failed; `go_on` returned `false`.
    pub fn play(&mut self) -> Result<(), PlayError> {
        let script = self.script;
        for step in &script.steps {
            self.line = step.line;
            self.at = step.client;
            self.take(step)?;
            self.settle()?;
            if !(self.go_on)(self.net) {
                return Err(PlayError::Stopped);
            }
        }
        while let Some((&(at, _), _)) = self.delayed.last_key_value() {
            self.pass(at, |_| false)?;
        }
        Ok(())
    }

    /// Ends what is still open: the broker stops, and the clients close.
    ///
    /// # Errors
    /// The witness failed.
    pub fn finish(&mut self) -> Result<(), PlayError> {
        self.delayed.clear();
        self.net.begin_to_shut_down();
        self.settle()
    }

    /// Fails the step at hand, with the client that it names.
    pub(super) fn failed<T>(&self, message: impl AsRef<str>) -> Result<T, PlayError> {
        let name = self.actors.get(self.at).map_or("", |actor| &actor.name);
        Err(PlayError::Step {
            line: self.line,
            message: format!("client '{name}': {}", message.as_ref()),
        })
    }

    /// Returns the value, or fails the step at hand with the error.
    fn or_fail<T>(&self, result: Result<T, impl fmt::Display>) -> Result<T, PlayError> {
        result.or_else(|error| self.failed(error.to_string()))
    }

    /// Takes one step.
    fn take(&mut self, step: &Step) -> Result<(), PlayError> {
        let at = step.client;
        match &step.action {
            Action::Connect(connect) => self.connect(at, &connect.0.options)?,
            Action::Open(connect) => self.open(at, &connect.0.options)?,
            Action::Subscribe(subscribe) => self.subscribe(at, subscribe)?,
            Action::Unsubscribe(unsubscribe) => self.unsubscribe(at, unsubscribe)?,
            Action::Publish(publish) => self.publish(at, publish)?,
            Action::Ping(_) => self.send(at, &ControlPacket::PingReq)?,
            Action::Disconnect(disconnect) => {
                let properties = disconnect.properties.as_properties();
                self.disconnect(at, disconnect.reason_code, properties)?;
            }
            Action::Kill(kill) => match kill.how {
                How::Fin => self.close(at)?,
                How::Reset => self.reset(at)?,
            },
            Action::Send(send) => self.write(at, &send.hex)?,
            Action::Wait(wait) => self.wait(at, wait)?,
            Action::Hold(packets) => self.actor(at)?.hold = packets.types().collect(),
            Action::Release(_) => self.release(at)?,
            Action::Drop(packets) => {
                let count = packets.count.unwrap_or(1);
                let actor = self.actor(at)?;
                packets
                    .types()
                    .for_each(|packet_type| actor.drop_more(packet_type, count));
            }
            Action::Delay(delay) => self.actor(at)?.delay = *delay.by,
            Action::Sleep(time) => {
                let until = self.net.clock().now().plus(span(**time));
                self.pass(until, |_| false)?;
            }
        }
        Ok(())
    }

    /// Returns a client by its place in the script.
    pub(super) fn actor(&mut self, at: usize) -> Result<&mut Actor, PlayError> {
        let line = self.line;
        self.actors.get_mut(at).ok_or_else(|| PlayError::Step {
            line,
            message: "the script has no clients".to_owned(),
        })
    }

    /// Connects a client: its socket, and the broker's end of it.
    fn open(&mut self, at: usize, options: &ConnectOptions) -> Result<(), PlayError> {
        let actor = self.actor(at)?;
        if actor.link.is_some() {
            return self.failed("connected already");
        }
        let options = options.clone().over(actor.own_options.clone());
        let wanted = self
            .net
            .addresses()
            .iter()
            .find(|address| match options.ip {
                Some(ip) => address.ip() == *ip,
                None => address.is_ipv6(),
            });
        let Some(&address) = wanted.or_else(|| self.net.addresses().first()) else {
            return self.failed("the broker listens nowhere");
        };
        let dialled = dial(address);
        let stream =
            self.or_fail(dialled.map_err(|error| format!("cannot connect to {address}: {error}")))?;
        let own = self.or_fail(stream.local_addr())?.into();
        let deadline = Instant::now() + PATIENCE;
        let key = loop {
            self.net.accept_now()?;
            if let Some(key) = self.net.keep_in_step(own) {
                break key;
            }
            if Instant::now() > deadline {
                return self.failed("the broker did not accept the connection");
            }
            std::thread::yield_now();
        };
        let now = self.net.clock().now();
        let actor = self.actor(at)?;
        actor.options = options;
        actor.received = ReceivedPackets::default();
        actor.held.clear();
        actor.leave = false;
        actor.link = Some(Link {
            stream,
            key,
            written: 0,
            read: 0,
            last_sent: now,
            incoming: Vec::new(),
            framer: Framer::default(),
            server_closed: false,
            aliases: HashMap::new(),
        });
        self.settle()
    }

    /// Connects a client, sends CONNECT and waits for the answer.
    fn connect(&mut self, at: usize, options: &ConnectOptions) -> Result<(), PlayError> {
        self.open(at, options)?;
        let bytes = self.actor(at)?.connect_packet();
        self.write(at, &bytes)?;
        self.settle()?;
        let actor = self.actor(at)?;
        let answered = actor.received.find(PacketType::ConnAck, None).is_some();
        if answered || actor.link.is_none() {
            return Ok(());
        }
        self.failed("no CONNACK came")
    }

    /// Sends a control packet.
    fn send(&mut self, at: usize, packet: &ControlPacket<'_>) -> Result<(), PlayError> {
        let version = self.actor(at)?.options.version();
        self.write(at, &written(version, packet))
    }

    /// Returns a packet identifier that no open exchange of the client uses.
    fn packet_id(&mut self, at: usize) -> Result<PacketIdentifier, PlayError> {
        match self.actor(at)?.take_packet_id() {
            Some(id) => Ok(id),
            None => self.failed("every packet identifier is in use"),
        }
    }

    /// Sends SUBSCRIBE.
    fn subscribe(&mut self, at: usize, subscribe: &Subscribe) -> Result<(), PlayError> {
        let mut subscriptions = SubscriptionsBuf::new();
        for filter in &*subscribe.filter {
            self.or_fail(subscriptions.push(filter, subscribe.options()))?;
        }
        let packet_id = self.packet_id(at)?;
        let packet = ControlPacket::Subscribe(packet::Subscribe {
            packet_id,
            properties: subscribe.properties.as_properties(),
            subscriptions: subscriptions.as_subscriptions(),
        });
        self.send(at, &packet)
    }

    /// Sends UNSUBSCRIBE.
    fn unsubscribe(&mut self, at: usize, unsubscribe: &Unsubscribe) -> Result<(), PlayError> {
        let mut filters = TopicFiltersBuf::new();
        for filter in &*unsubscribe.filter {
            self.or_fail(filters.push(filter))?;
        }
        let packet_id = self.packet_id(at)?;
        let packet = ControlPacket::Unsubscribe(packet::Unsubscribe {
            packet_id,
            properties: unsubscribe.properties.as_properties(),
            filters: filters.as_filters(),
        });
        self.send(at, &packet)
    }

    /// Sends PUBLISH as often as the step asks for.
    fn publish(&mut self, at: usize, publish: &Publish) -> Result<(), PlayError> {
        let payload = publish.payload();
        let acknowledged = *publish.qos != QoS::AtMostOnce;
        for _ in 0..publish.count.unwrap_or(1) {
            let delivery = self.delivery(at, publish)?;
            let packet = ControlPacket::Publish(packet::Publish {
                dup: publish.dup,
                retain: publish.retain,
                delivery,
                topic: &publish.topic,
                properties: publish.properties.as_properties(),
                payload: &payload,
            });
            let actor = self.actor(at)?;
            let bytes = written(actor.options.version(), &packet);
            if let Some(id) = delivery.packet_id() {
                if !actor.open.has_room(bytes.len()) {
                    self.settle()?;
                }
                let actor = self.actor(at)?;
                if !actor.open.has_room(bytes.len()) {
                    return self.failed("too much is not acknowledged");
                }
                actor.open.keep(id, bytes.clone());
            }
            self.write(at, &bytes)?;
            // There may be billions of them.
            if !(self.go_on)(self.net) {
                return Err(PlayError::Stopped);
            }
        }
        self.actor(at)?.leave = publish.leave && acknowledged;
        self.settle()?;
        if publish.leave && !acknowledged && self.actor(at)?.link.is_some() {
            self.disconnect(at, 0, Properties::default())?;
        }
        Ok(())
    }

    /// Returns QoS and packet identifier of a PUBLISH.
    fn delivery(&mut self, at: usize, publish: &Publish) -> Result<Delivery, PlayError> {
        if *publish.qos == QoS::AtMostOnce {
            return Ok(Delivery::AtMostOnce);
        }
        let id = match publish.packet_id.and_then(PacketIdentifier::new) {
            Some(id) => id,
            None => self.packet_id(at)?,
        };
        Ok(match *publish.qos {
            QoS::ExactlyOnce => Delivery::ExactlyOnce(id),
            _ => Delivery::AtLeastOnce(id),
        })
    }

    /// DISCONNECT and FIN.
    pub(super) fn disconnect(
        &mut self,
        at: usize,
        reason_code: u8,
        properties: Properties<'_>,
    ) -> Result<(), PlayError> {
        let packet = ControlPacket::Disconnect(packet::Disconnect {
            reason_code,
            properties,
        });
        self.send(at, &packet)?;
        self.close(at)
    }

    /// Sends what the client held back.
    fn release(&mut self, at: usize) -> Result<(), PlayError> {
        let actor = self.actor(at)?;
        actor.hold.clear();
        let held = std::mem::take(&mut actor.held);
        if actor.link.is_some() {
            for bytes in held {
                self.write(at, &bytes)?;
            }
        }
        Ok(())
    }

    /// Passes time until a packet came or the broker closed the connection.
    fn wait(&mut self, at: usize, wait: &Wait) -> Result<(), PlayError> {
        let deadline = self.net.clock().now().plus(span(wait.timeout()));
        let topic = wait.topic.as_deref();
        let over = |player: &Self| {
            let actor = player.actors.get(at);
            actor.is_some_and(|actor| match wait.packet {
                None => actor.link.is_none(),
                Some(packet_type) => actor.received.find(*packet_type, topic).is_some(),
            })
        };
        if !self.pass(deadline, over)? {
            return self.failed(match wait.packet {
                None => "the broker did not close the connection in time".to_owned(),
                Some(packet_type) => format!("no {} came in time", packet_type.name()),
            });
        }
        if let Some(packet_type) = wait.packet {
            let actor = self.actor(at)?;
            if let Some(found) = actor.received.find(*packet_type, topic) {
                actor.received.forget_up_to(found);
            }
        }
        Ok(())
    }

    /// Lets time pass until `until`, or until `over`; whether that came.
    fn pass(&mut self, until: Timestamp, over: impl Fn(&Self) -> bool) -> Result<bool, PlayError> {
        loop {
            self.settle()?;
            let now = self.net.clock().now();
            if self.act_in_time(now)? {
                continue;
            }
            if over(self) {
                return Ok(true);
            }
            if now >= until {
                return Ok(false);
            }
            if !(self.go_on)(self.net) {
                return Err(PlayError::Stopped);
            }
            let next = self.next_in_time().map_or(until, |next| next.min(until));
            let nanos = u64::try_from(next.since(now).nanos()).unwrap_or(0);
            self.net
                .listen_only(Duration::from_nanos(nanos).min(LOOK))?;
        }
    }

    /// Sends what is due by the clock: delayed answers, PINGREQ. Whether there was any.
    fn act_in_time(&mut self, now: Timestamp) -> Result<bool, PlayError> {
        let mut acted = false;
        while let Some(entry) = self.delayed.first_entry().filter(|e| e.key().0 <= now) {
            let (at, key, bytes) = entry.remove();
            if self.link(at).is_some_and(|link| link.key == key) {
                self.write(at, &bytes)?;
                acted = true;
            }
        }
        for at in 0..self.actors.len() {
            if self.ping_at(at).is_some_and(|due| due <= now) {
                self.send(at, &ControlPacket::PingReq)?;
                acted = true;
            }
        }
        Ok(acted)
    }

    fn next_in_time(&self) -> Option<Timestamp> {
        let delayed = self.delayed.keys().next().map(|&(at, _)| at);
        let pings = (0..self.actors.len()).filter_map(|at| self.ping_at(at));
        delayed.into_iter().chain(pings).min()
    }

    fn ping_at(&self, at: usize) -> Option<Timestamp> {
        let actor = self
            .actors
            .get(at)
            .filter(|actor| actor.options.ping == Some(true))?;
        let link = actor.link.as_ref().filter(|link| !link.server_closed)?;
        let seconds = i64::from(actor.options.keep_alive());
        (seconds > 0).then(|| {
            link.last_sent
                .plus(Span::from_nanos(seconds * 1_000_000_000))
        })
    }

    pub(super) fn link(&self, at: usize) -> Option<&Link> {
        self.actors.get(at)?.link.as_ref()
    }
}

fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
