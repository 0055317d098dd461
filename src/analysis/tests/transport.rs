//! The carriers of MQTT.

use super::*;
use crate::event::{Breach, CarrierError, LooksLike, NotMqtt, Protocol, TransportBreach};
use crate::mqtt::ProtocolVersion;

impl Run {
    fn breach(&mut self, sender: Sender, breach: Breach) -> &mut Self {
        let stamp = self.stamp();
        self.observe(&Event::Breach(&TransportBreach {
            connection: ConnectionId(0),
            sender,
            breach,
            stamp,
        }));
        self
    }

    fn not_mqtt(&mut self, looks_like: LooksLike) -> &mut Self {
        let stamp = self.stamp();
        let end = |port| Endpoint {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        };
        self.observe(&Event::NotMqtt(&NotMqtt {
            connection: Connection {
                id: ConnectionId(9),
                initiator: end(50_000),
                responder: end(9001),
                handshake_seen: true,
                both_seen: true,
            },
            direction: Direction::Backward,
            stamp,
            looks_like,
        }));
        self
    }
}

#[test]
fn each_rule_of_websocket_has_a_finding() {
    let rules = [
        (
            Sender::Client,
            Breach::TextFrame,
            "websocket-text-frame",
            Some("MQTT-6.0.0-1"),
        ),
        (
            Sender::Client,
            Breach::NotOffered,
            "websocket-subprotocol-not-offered",
            Some("MQTT-6.0.0-3"),
        ),
        (
            Sender::Server,
            Breach::NotSelected,
            "websocket-subprotocol-not-selected",
            Some("MQTT-6.0.0-4"),
        ),
        (Sender::Server, Breach::Masking, "websocket-masking", None),
    ];
    for version in [V3, V5] {
        let mut run = Run::new(version);
        run.join(0, "page");
        for (sender, breach, rule, statement) in rules {
            run.breach(sender, breach);
            let found = run.finding(rule);
            assert_eq!(found.statements.first().copied(), statement);
            assert!(
                found.message.contains("page") || sender == Sender::Server,
                "{}",
                found.message
            );
        }
    }
}

#[test]
fn mqtt_3_1_has_a_subprotocol_of_another_name() {
    let mut run = Run::new(ProtocolVersion::V3_1);
    run.join(0, "old");
    run.breach(Sender::Client, Breach::NotOffered);
    run.breach(Sender::Server, Breach::NotSelected);
    assert!(
        run.findings
            .iter()
            .all(|found| !found.rule.starts_with("websocket"))
    );
    run.breach(Sender::Client, Breach::TextFrame);
    run.finding("websocket-text-frame");
}

#[test]
fn a_websocket_connection_that_is_refused_or_breaks_is_reported() {
    let mut run = Run::new(V3);
    run.not_mqtt(LooksLike::Carrier(
        Protocol::WebSocket,
        CarrierError::Refused(401),
    ));
    assert!(run.finding("websocket-refused").message.contains("401"));
    run.not_mqtt(LooksLike::Carrier(
        Protocol::WebSocket,
        CarrierError::Broken,
    ));
    run.finding("websocket-broken");
}
