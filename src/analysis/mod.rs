//! The analysis: what became of each message, session and will, and the rules that were broken.
//!
//! [`Analyzer`] observes every event of a run and emits conclusions of its own. "Not seen" is
//! never reported as "not sent": each conclusion asks first whether the capture has a gap where
//! the packet could have been. Everything that is kept has a limit, and reaching one is a finding.
//!
//! State below, behaviour above; each layer imports only those before it:
//!
//! ```text
//! caps, keys        bounds and times; the names of brokers, sessions, messages, topics
//!   state/          tables: connections, sessions, messages, stored messages, wills
//!   output          the outbox: what is to be emitted, handshakes in their order
//!     rules/        read the state and report findings; they never change it
//!     context       a control packet with the state and the report
//!       delivery/   from each message to its subscribers; stored messages; wills
//!         handshake/  what each packet type does, how connections and sessions end
//!         early         copies that stand in the capture before their PUBLISH
//!           Analyzer    the packet's way through these
//! ```
//!
//! A finding is one entry in `rules/clauses` (and one kind in `rules/claim`), and one check.

pub mod caps;
mod context;
mod delivery;
mod early;
mod handshake;
mod keys;
mod output;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use crate::base::limits::{Limit, Limits, Reached};
use crate::base::{EndpointPattern, FrameStamp};
use crate::event::{
    Breach, Disorder, Ended, Event, Gap, Needs, Opened, PacketEvent, Stall, Stalled,
    TransportBreach, between,
};
use crate::mqtt::{ControlPacket, PacketType, Sender};
use context::PacketContext;
use delivery::{messages, retained, wills};
use early::EarlyCopies;
use handshake::{acknowledge, connect, ends, publish, requests, sessions};
use keys::BrokerId;
use output::Outbox;
use rules::claim::Claim;
pub use rules::clauses;
use rules::report::{Place, Report};
use state::State;
use state::link::{Link, Phase, Silence};

/// Observes the events of a run and emits what became of each message.
#[derive(Debug)]
pub struct Analyzer {
    state: State,
    report: Report,
    early: EarlyCopies,
    disorder: Disorder,
}

impl Analyzer {
    /// Returns an analysis that emits what is wanted and keeps as much as `limits` allow.
    pub fn new(mut wanted: Needs, limits: &Limits) -> Self {
        // Findings about deliveries and wills need the messages.
        wanted.deliveries |= wanted.stories || wanted.findings;
        let outbox = Outbox::new(wanted, *limits);
        Self {
            state: State::new(wanted, *limits),
            report: Report::new(wanted.findings, outbox, *limits),
            early: EarlyCopies::default(),
            disorder: Disorder::default(),
        }
    }

    /// Returns the analysis with lists of server endpoints, each of which is one broker.
    pub fn with_brokers(mut self, named: &[Vec<EndpointPattern>]) -> Self {
        self.state.brokers.name(named);
        self
    }

    /// Observes an event and emits what it makes clear.
    pub fn observe(&mut self, event: &Event<'_>, emit: &mut impl FnMut(&Event<'_>)) {
        if self.early.is_waiting() {
            if self.early.push(&self.state, event) {
                self.take_early(false, emit);
            }
        } else if self.state.wanted.deliveries && self.early.begins(&self.state, event) {
            self.early.hold(&self.state, event);
        } else {
            self.take(event, emit);
            for (digest, session) in self.early.take_gone_before() {
                self.state.messages.note_gone_before(digest, session);
            }
            if let Some(copy) = self.state.unexplained.take() {
                self.early.note_unexplained(copy);
            }
        }
    }

    /// Takes what waits for a PUBLISH that stands behind its copy. `over`: the capture is.
    #[cold]
    fn take_early(&mut self, over: bool, emit: &mut impl FnMut(&Event<'_>)) {
        while self.early.is_waiting()
            && let Some(event) = self.early.next(&self.state, over)
        {
            self.state.clocks_differ = self.early.found().is_some();
            event.with_event(|event| self.take(event, emit));
            if let Some(digest) = self.early.take_doubted() {
                self.state.messages.note_doubted(digest);
            }
        }
    }

    /// Takes an event in its turn.
    fn take(&mut self, event: &Event<'_>, emit: &mut impl FnMut(&Event<'_>)) {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Packet(packet) => self.packet(packet),
            Event::Gap(gap) => self.gap(gap),
            Event::FirstEnd(end) => {
                if let Some(link) = self.state.links.get_mut(&end.connection) {
                    link.closing.get_or_insert((end.by, end.stamp));
                }
                return;
            }
            Event::Ended(ended) => self.ended(ended),
            Event::NotMqtt(other) => {
                self.pass(other.stamp);
                rules::transport::find_other_traffic(other, &mut self.report);
            }
            Event::Stalled(stalled) => {
                self.pass(stalled.stamp);
                self.stalled(stalled);
            }
            Event::Breach(breach) => {
                self.pass(breach.stamp);
                self.breach(breach);
            }
            Event::SeenTwice(twice) => {
                rules::transport::find_seen_twice(&self.state, twice, &mut self.report);
            }
            Event::Disorder(disorder) => self.disorder = **disorder,
            _ => return,
        }
        self.report.outbox.drain(emit);
    }

    /// Emits everything that still waits: the capture is over.
    pub fn finish(&mut self, emit: &mut impl FnMut(&Event<'_>)) {
        self.take_early(true, emit);
        rules::transport::find_disorder(&self.disorder, self.early.found(), &mut self.report);
        ends::finish(&mut self.state, &mut self.report, emit);
    }

    /// Returns how often each limit was reached.
    pub fn reached(&self) -> &Reached {
        self.report.reached()
    }

    fn opened(&mut self, opened: &Opened) {
        self.pass(opened.stamp);
        let state = &mut self.state;
        let broker = (state.brokers).of(
            (opened.client, opened.server),
            opened.transport,
            &state.limits,
        );
        if broker == BrokerId::UNKNOWN {
            self.report.limit_reached(Limit::Servers, opened.stamp);
        }
        let ends = (opened.client, opened.server);
        let link = Link::new(&opened.connection, ends, broker, opened.stamp);
        if !opened.connection.handshake_seen {
            let place = Place::on(&link, opened.stamp);
            self.report.find(place, Claim::StartsMidway {});
        }
        self.state.links.insert(link.id, Box::new(link));
    }

    fn packet(&mut self, event: &PacketEvent<'_>) {
        self.pass(event.stamp);
        let (state, report) = (&mut self.state, &mut self.report);
        let Some(mut link) = state.links.remove(&event.connection) else {
            return;
        };
        state.earn(link.broker, event.bytes.len());
        link.count(event);
        if let Ok(ControlPacket::Connect(connect)) = event.packet
            && link.connect.is_none()
        {
            // Findings about the CONNECT itself name the client too.
            link.client_id = Some(keys::shared(connect.client_id));
            if connect.bridge {
                let from = link.client_end.address;
                state.brokers.note_bridge(link.broker, from);
            }
        }
        if event.after_gap {
            state.mark_blind(&mut link);
        }
        let mut cx = PacketContext {
            state,
            report,
            link: &mut link,
            event,
        };
        let remarks = rules::packet::check(&mut cx.check());
        if event.sender == Sender::Server {
            cx.link.lapse = None;
        } else if let Some(silence) = remarks.silence {
            cx.link.silence_reported = true;
            cx.link.lapse = Some(silence).filter(Silence::is_beyond_doubt);
        }
        cx.link.late_packet_reported |= remarks.late_packet;
        if remarks.out_of_turn {
            cx.link.phase = Phase::Unknown;
        }
        if remarks.tolerated {
            cx.link.fault = None;
        }
        cx.blame();
        // A PUBLISH may have waited to be sent since before.
        if let Some(accepted) = cx.link.superseded
            && let (Sender::Server, Some(asked)) = (event.sender, cx.link.sides.client.last)
            && event.packet_type != PacketType::Publish
        {
            let since = between(&accepted, &asked);
            cx.link.outlived |= since.is_some_and(|since| since > caps::IN_TRANSIT);
        }
        cx.link.after_close |= cx.link.closing.is_some() && event.sender == Sender::Client;
        let side = &mut cx.link.sides[event.sender];
        if side
            .last
            .is_some_and(|last| last.number != event.stamp.number)
        {
            side.before = side.last;
        }
        side.last = Some(event.stamp);
        let size = event.bytes.len() as u64 + event.missing;
        cx.link.sides[event.sender].last_packet = Some((event.packet_type, size));
        match event.packet {
            Ok(packet) => act(&mut cx, packet),
            Err(_) => {
                cx.link.garbled(event);
                cx.state.note_gap(cx.link.broker);
            }
        }
        cx.blame();
        report.make_sure(&link, event);
        if state.was_cut_short() {
            report.limit_reached(Limit::Matches, event.stamp);
        }
        state.links.insert(link.id, link);
    }

    fn gap(&mut self, gap: &Gap) {
        self.pass(gap.stamp);
        let Some(mut link) = self.state.links.remove(&gap.connection) else {
            return;
        };
        let side = &link.sides[gap.sender];
        let silent = side.packets == 0 && side.garbled == 0 && side.gaps == 0;
        link.sides[gap.sender].note_gap(gap.stamp.number);
        self.state.mark_blind(&mut link);
        match silent && gap.is_not_captured() {
            // Whether the capture holds anything of that end is known at the end.
            true => link.silent[gap.sender] = Some(*gap),
            false => rules::transport::find_gap(&link, gap, &mut self.report),
        }
        self.state.links.insert(link.id, link);
    }

    fn stalled(&mut self, stalled: &Stalled) {
        rules::transport::find_stall(&self.state, stalled, &mut self.report);
        let Some(link) = self.state.links.get_mut(&stalled.connection) else {
            return;
        };
        link.slow_reader |= stalled.stall == Stall::ZeroWindow && stalled.sender == Sender::Client;
        if stalled.lasting {
            link.stuck = Some(match stalled.stall {
                // It is the other end that could not send any more.
                Stall::ZeroWindow => stalled.sender.peer(),
                Stall::NotAcknowledged { .. } | Stall::FalseFin | Stall::FalseReset => {
                    stalled.sender
                }
            });
        }
    }

    fn breach(&mut self, breach: &TransportBreach) {
        rules::transport::find_breach(&self.state, breach, &mut self.report);
        // The server has to close the connection ([MQTT-6.0.0-1]; RFC 6455 section 5.1).
        let closes = matches!(breach.breach, Breach::TextFrame | Breach::Masking);
        if let Some(link) = self.state.links.get_mut(&breach.connection) {
            if closes && breach.sender == Sender::Client {
                link.blame(breach.stamp);
            }
            if let Breach::Closed(_) = breach.breach {
                link.close_frame
                    .get_or_insert((breach.sender, breach.stamp));
                let closing = (breach.sender, breach.stamp);
                link.closing.get_or_insert(closing);
            }
        }
    }

    fn ended(&mut self, ended: &Ended) {
        self.pass(ended.stamp);
        if let Some(link) = self.state.links.remove(&ended.connection) {
            ends::on_ended(&mut self.state, &mut self.report, *link, ended);
        }
    }

    /// Moves the capture's clock on.
    fn pass(&mut self, stamp: FrameStamp) {
        // Each direction is read on its own, so a later frame may come first; time goes on only.
        if stamp.number >= self.state.now.number {
            self.state.now = stamp;
        }
        if self.state.wanted.deliveries {
            messages::sweep(&mut self.state, &mut self.report);
            retained::sweep_former(&mut self.state, &mut self.report);
            wills::sweep_wills(&mut self.state, &mut self.report);
        }
    }
}

/// Acts on a packet that could be read.
fn act(cx: &mut PacketContext<'_>, packet: &ControlPacket<'_>) {
    use ControlPacket as P;
    if cx.report.wanted {
        rules::packet::check_problem_information(&mut cx.check());
    }
    let connecting = matches!(
        packet,
        P::Connect(_) | P::ConnAck(_) | P::Auth(_) | P::Disconnect(_)
    );
    if !connecting && cx.link.session.is_none() && cx.link.refusal.is_none() {
        sessions::attach(cx, None);
    }
    match (packet, cx.event.sender) {
        (P::Connect(connect), Sender::Client) => connect::on_connect(cx, connect),
        (P::ConnAck(ack), Sender::Server) => connect::on_connack(cx, ack),
        (P::Publish(publish), _) => publish::on_publish(cx, publish),
        (P::PubAck(ack) | P::PubRec(ack) | P::PubRel(ack) | P::PubComp(ack), _) => {
            acknowledge::on_acknowledgement(cx, ack);
        }
        (P::Subscribe(subscribe), Sender::Client) => requests::on_subscribe(cx, subscribe),
        (P::SubAck(ack), Sender::Server) => requests::on_suback(cx, ack),
        (P::Unsubscribe(unsubscribe), Sender::Client) => requests::on_unsubscribe(cx, unsubscribe),
        (P::UnsubAck(ack), Sender::Server) => requests::on_unsuback(cx, ack),
        (P::PingReq, Sender::Client) => requests::on_pingreq(cx),
        (P::PingResp, Sender::Server) => requests::on_pingresp(cx),
        (P::Disconnect(disconnect), _) => connect::on_disconnect(cx, disconnect),
        (P::Auth(auth), _) => connect::on_auth(cx, auth),
        // From the wrong end: reported as such.
        _ => {}
    }
}
