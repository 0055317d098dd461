//! Fields that no byte of a packet holds: what decoding and analysis found out about it. The
//! names are ours, in Wireshark's manner.

use crate::base::field::fields;

fields! {
    CLIENT_ID "mqtt.client_id" "Client" String "Client identifier of the packet's connection, an assigned one too.";
    SENDER "mqtt.sender" "Sender" String "client or server.";
    TOPIC_RESOLVED "mqtt.topic_resolved" "Topic that the alias stands for" String "Topic name of a PUBLISH that has only a Topic Alias.";
    HANDSHAKE_STATE "mqtt.handshake.state" "Handshake" String "State of the packet's handshake: complete, incomplete or refused.";
    FINDING_RULE "mqtt.finding.rule" "Finding" String "Rule of a finding about the packet, see help rules.";
}
