//! PUBACK, PUBREC, PUBREL, PUBCOMP: a PUBLISH's handshake goes on or is over.

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::exchange::{Begin, Open};
use super::link::Link;
use crate::base::Span;
use crate::event::{HandshakeKind, HandshakeState, PacketEvent, Subject, between};
use crate::mqtt::packet::Acknowledgement;
use crate::mqtt::{PacketType, Sender};

/// Nagle's algorithm meets TCP's delayed acknowledgement: the usual 40 ms of Linux.
const DELAYED: (Span, Span) = (Span::from_nanos(38_000_000), Span::from_nanos(48_000_000));
/// So many in succession are no accident.
const DELAYED_TOO_OFTEN: u32 = 3;

impl Analyzer {
    /// An acknowledgement of either end.
    pub(super) fn on_acknowledgement(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        ack: &Acknowledgement<'_>,
    ) {
        let initiator = match event.packet_type {
            PacketType::PubRel => event.sender,
            _ => event.sender.peer(),
        };
        let id = ack.packet_id.number();
        let Some(mut open) = link.side(initiator).open.remove(id) else {
            self.unknown(link, event, ack, initiator);
            return;
        };
        let refused = ack.reason_code >= 0x80;
        let settled = match (event.packet_type, open.record.kind) {
            (PacketType::PubAck, HandshakeKind::Qos1) => {
                self.check_puback_order(link, event, &open);
                true
            }
            (PacketType::PubRec, HandshakeKind::Qos2) => {
                if open.waiting == PacketType::PubRec {
                    self.check_pubrec_order(link, event, &open);
                    let side = link.side(initiator);
                    side.answered += 1;
                    open.answered = side.answered;
                    open.waiting = PacketType::PubRel;
                    open.from = initiator;
                }
                refused
            }
            (PacketType::PubRel, HandshakeKind::Qos2) => {
                self.check_pubrel_order(link, event, &open);
                self.paid(link, event.sender, id);
                open.waiting = PacketType::PubComp;
                open.from = initiator.peer();
                false
            }
            (PacketType::PubComp, HandshakeKind::Qos2) => true,
            _ => {
                self.wrong_acknowledgement(link, event, &open);
                link.side(initiator).open.insert(id, open);
                return;
            }
        };
        self.watch_delay(link, event, &open);
        open.advance(link, event);
        if event.sender != initiator {
            open.acknowledgements += 1;
        }
        if !settled {
            link.side(initiator).open.insert(id, open);
            return;
        }
        self.close_publish(link, &open, id);
        if refused {
            let refused = &mut link.side(initiator).refused;
            if refused.len() >= caps::REMEMBERED {
                refused.clear();
            }
            refused.insert(id, open.key);
        }
        let state = if refused {
            HandshakeState::Refused {
                packet_type: event.packet_type,
                code: ack.reason_code,
            }
        } else {
            HandshakeState::Complete
        };
        self.settle(open, state);
    }

    /// The identifier is free again, and so is the sender's quota.
    fn close_publish(&mut self, link: &mut Link, open: &Open, id: u16) {
        let side = link.side(open.record.initiator);
        if open.counted {
            side.in_flight = side.in_flight.saturating_sub(1);
        }
        // Each copy of a PUBLISH may be acknowledged.
        let owed = match open.record.kind {
            HandshakeKind::Qos1 => open.publishes.saturating_sub(open.acknowledgements),
            _ => 0,
        };
        if owed > 0 {
            if side.late.len() >= caps::REMEMBERED {
                side.late.clear();
            }
            side.late.insert(id, owed);
        } else if !side.late.is_empty() {
            side.late.remove(&id);
        }
        self.paid(link, open.record.initiator, id);
    }

    #[cold]
    fn wrong_acknowledgement(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: &Open) {
        if open.may_be_missing(link) || !link.certain(open.record.initiator) {
            return;
        }
        let at = link.at(event.stamp);
        let kind = match open.record.kind {
            HandshakeKind::Qos1 => "QoS 1",
            HandshakeKind::Qos2 => "QoS 2",
            HandshakeKind::Subscribe => "a SUBSCRIBE",
            _ => "an UNSUBSCRIBE",
        };
        let first = open.first().number;
        let packet = event.packet_type.name();
        self.suspect(
            link,
            open.record.initiator,
            &c::WRONG_ACKNOWLEDGEMENT,
            at,
            || format!("{packet} does not answer the packet of frame {first}, which is {kind}."),
        );
    }

    /// An acknowledgement for an identifier that is not in flight, as far as was captured.
    #[cold]
    fn unknown(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        ack: &Acknowledgement<'_>,
        initiator: Sender,
    ) {
        let id = ack.packet_id.number();
        let history = self.history_known(link) && link.certain(initiator);
        let answers = matches!(event.packet_type, PacketType::PubRec | PacketType::PubRel);
        if !history {
            // The PUBLISH lies before the capture or in a gap: what is left of the handshake
            // is told.
            if answers {
                let waiting = match event.packet_type {
                    PacketType::PubRec => PacketType::PubRel,
                    _ => PacketType::PubComp,
                };
                let open = self.begin(
                    link,
                    event,
                    Begin {
                        kind: HandshakeKind::Qos2,
                        initiator,
                        packet_id: Some(ack.packet_id),
                        subject: Subject::Nothing,
                        waiting,
                        from: event.sender.peer(),
                    },
                );
                self.keep(link, open);
            }
            return;
        }
        let side = link.side(initiator);
        if let Some(owed) = side.late.get_mut(&id) {
            *owed = owed.saturating_sub(1);
            if *owed == 0 {
                side.late.remove(&id);
            }
            return;
        }
        if answers {
            // The answer to it is no second stray.
            let answers = 1 + u32::from(event.packet_type == PacketType::PubRec);
            if side.late.len() >= caps::REMEMBERED {
                side.late.clear();
            }
            side.late.insert(id, answers);
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        let who = match event.sender {
            Sender::Client => link.name(),
            Sender::Server => "The server".to_owned(),
        };
        self.suspect(link, initiator, &c::ACK_WITHOUT_PUBLISH, at, || {
                format!("{who} sends {packet} for packet identifier {id}, and no PUBLISH with this identifier is in flight.")
            });
    }

    /// Whether everything of this session was captured, so that what was not seen was not
    /// sent.
    pub(super) fn history_known(&self, link: &Link) -> bool {
        link.connect_stamp.is_some()
            && link
                .client
                .and_then(|client| self.clients.get(client))
                .is_some_and(|client| client.known)
    }

    /// Watches for answers that come after 40 ms again and again.
    fn watch_delay(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: &Open) {
        if !self.findings.wanted {
            return;
        }
        let Some(span) = between(&open.last(), &event.stamp) else {
            return;
        };
        let (least, most) = DELAYED;
        let side = link.side(event.sender);
        if span < least || span > most {
            side.delayed = 0;
            return;
        }
        side.delayed += 1;
        if side.delayed != DELAYED_TOO_OFTEN {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        self.findings
            .tell(&mut self.outbox, &c::DELAYED_ACK, at, || {
                format!("{packet} came about 40 ms after what it answers for the third time in succession: Nagle's algorithm waits for a delayed TCP acknowledgement, and TCP_NODELAY would help.")
            });
    }

    fn check_puback_order(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: &Open) {
        let order = open.order;
        let side = link.side(open.record.initiator);
        let behind = order != 0 && order < side.acked;
        side.acked = side.acked.max(order);
        // The rule is the Client's (MQTT 5.0 §4.6).
        if behind && event.sender == Sender::Client && link.whole() {
            let at = link.at(event.stamp);
            let client = link.name();
            let first = open.first().number;
            self.findings
                .tell(&mut self.outbox, &c::PUBACK_OUT_OF_ORDER, at, || {
                    format!("{client} acknowledges the PUBLISH of frame {first} after a later one.")
                });
        }
    }

    fn check_pubrec_order(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: &Open) {
        let order = open.order;
        let side = link.side(open.record.initiator);
        let behind = order != 0 && order < side.received;
        side.received = side.received.max(order);
        if behind && event.sender == Sender::Client && link.whole() {
            let at = link.at(event.stamp);
            let client = link.name();
            let first = open.first().number;
            self.findings
                .tell(&mut self.outbox, &c::PUBREC_OUT_OF_ORDER, at, || {
                    format!("{client} answers the PUBLISH of frame {first} with PUBREC after a later one.")
                });
        }
    }

    fn check_pubrel_order(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: &Open) {
        let answered = open.answered;
        let side = link.side(open.record.initiator);
        let behind = answered != 0 && answered < side.released;
        side.released = side.released.max(answered);
        if behind && event.sender == Sender::Client && link.whole() {
            let at = link.at(event.stamp);
            let client = link.name();
            let first = open.first().number;
            self.findings
                .tell(&mut self.outbox, &c::PUBREL_OUT_OF_ORDER, at, || {
                    format!("{client} releases the message of frame {first} after one whose PUBREC came later.")
                });
        }
    }

    /// A redelivery that a resumed session owed has come.
    pub(super) fn paid(&mut self, link: &mut Link, sender: Sender, id: u16) {
        let [client, server] = &mut link.owed;
        let owed = match sender {
            Sender::Client => client,
            Sender::Server => server,
        };
        if !owed.is_empty() {
            owed.retain(|other| *other != id);
        }
    }
}
