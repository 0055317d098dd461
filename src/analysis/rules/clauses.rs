//! The rules that need more than one packet, each with its level and its statements.

use crate::event::Level;
use crate::mqtt::ProtocolVersion;

/// A rule of the traffic between packets. Rules of one packet alone are the codec's.
#[derive(Debug)]
pub struct Clause {
    /// In kebab case.
    pub name: &'static str,
    /// The severity of its findings.
    pub level: Level,
    /// Statements of MQTT 3.1.1 that it checks.
    pub v3_1_1: &'static [&'static str],
    /// Statements of MQTT 5.0 that it checks.
    pub v5_0: &'static [&'static str],
    /// Its meaning, in one sentence.
    pub about: &'static str,
}

impl Clause {
    /// The statements as `version` numbers them; MQTT 3.1 has none.
    pub const fn statements(&self, version: ProtocolVersion) -> &'static [&'static str] {
        match version {
            ProtocolVersion::V3_1 => &[],
            ProtocolVersion::V3_1_1 => self.v3_1_1,
            ProtocolVersion::V5_0 => self.v5_0,
        }
    }
}

macro_rules! clauses {
    ($($variant:ident $name:literal $level:ident [$($old:literal),*] [$($new:literal),*] $about:literal)*) => {
        $(#[doc = $about]
        pub(crate) static $variant: Clause = Clause {
            name: $name,
            level: Level::$level,
            v3_1_1: &[$($old),*],
            v5_0: &[$($new),*],
            about: $about,
        };)*

        /// Every rule, by name.
        pub static CLAUSES: &[&Clause] = &[$(&$variant),*];
    };
}

// Constant, name, level, statements of 3.1.1, statements of 5.0, what it is about.
clauses! {
    // The order of packets on a connection.
    PACKET_BEFORE_CONNECT "packet-before-connect" Error ["MQTT-3.1.0-1"] ["MQTT-3.1.0-1"]
        "The first packet of a Client is CONNECT."
    SECOND_CONNECT "second-connect" Error ["MQTT-3.1.0-2"] ["MQTT-3.1.0-2"]
        "A Client sends CONNECT once on a connection."
    PACKET_BEFORE_CONNACK "packet-before-connack" Error
        ["MQTT-3.2.0-1"] ["MQTT-3.2.0-1", "MQTT-3.14.0-1"]
        "The first packet of a Server is CONNACK (or AUTH)."
    SECOND_CONNACK "second-connack" Error [] ["MQTT-3.2.0-2"]
        "A Server sends CONNACK once on a connection."
    PACKET_BEFORE_AUTHENTICATION "packet-before-authentication" Error [] ["MQTT-3.1.2-30"]
        "A Client that authenticates with AUTH sends nothing else before CONNACK."
    WRONG_SENDER "wrong-sender" Error [] []
        "Some packet types are the Client's to send, some the Server's."
    PACKET_AFTER_DISCONNECT "packet-after-disconnect" Error ["MQTT-3.14.4-2"] ["MQTT-3.14.4-1"]
        "Nothing follows DISCONNECT from the same sender."
    LEFT_OPEN "left-open-after-disconnect" Warning ["MQTT-3.14.4-1"] ["MQTT-3.14.4-2"]
        "The sender of DISCONNECT closes the connection."
    PACKET_AFTER_REFUSAL "packet-after-refusal" Warning ["MQTT-3.1.4-5"] ["MQTT-3.1.4-6"]
        "After a refusal there is nothing more to send."
    LEFT_OPEN_AFTER_REFUSAL "left-open-after-refusal" Warning
        ["MQTT-3.2.2-5"] ["MQTT-3.2.2-7", "MQTT-4.13.2-1"]
        "A Server that refuses a connection closes it."
    VIOLATION_TOLERATED "violation-tolerated" Warning
        ["MQTT-2.2.2-2", "MQTT-3.1.4-1", "MQTT-4.8.0-1", "MQTT-3.14.1-1"]
        ["MQTT-3.1.4-1", "MQTT-4.13.1-1", "MQTT-3.14.1-1"]
        "A Server closes a connection on which the Client broke the protocol."
    CONNECTION_REFUSED "connection-refused" Warning [] []
        "The Server refused the connection."
    CONNECT_UNANSWERED "connect-unanswered" Warning ["MQTT-3.1.4-4"] ["MQTT-3.1.4-5"]
        "A Server answers CONNECT with CONNACK."
    UNSUPPORTED_ACCEPTED "unsupported-version-accepted" Error
        ["MQTT-3.1.2-1", "MQTT-3.1.2-2"] ["MQTT-3.1.2-1", "MQTT-3.1.2-2"]
        "A Server refuses a protocol that is none of MQTT's."
    EMPTY_ID_ACCEPTED "empty-client-id-accepted" Error ["MQTT-3.1.3-8", "MQTT-3.1.3-9"] []
        "An empty client identifier without a clean session is refused with 0x02."
    ID_NOT_ASSIGNED "client-id-not-assigned" Error
        [] ["MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16"]
        "A Server that accepts an empty client identifier assigns one that is not in use."
    CLIENT_ID_REFUSED "plain-client-id-refused" Warning ["MQTT-3.1.3-5"] ["MQTT-3.1.3-5"]
        "A Server accepts client identifiers of 1 to 23 letters and digits."
    SESSION_AFTER_CLEAN "session-present-after-clean-start" Error
        ["MQTT-3.2.2-1", "MQTT-3.1.2-6", "MQTT-3.1.4-3"]
        ["MQTT-3.2.2-2", "MQTT-3.1.2-4", "MQTT-3.1.4-4"]
        "A clean start finds no session."
    SESSION_FORGOTTEN "session-forgotten" Warning
        ["MQTT-3.2.2-2", "MQTT-3.1.2-4", "MQTT-3.1.3-2", "MQTT-4.1.0-1"]
        ["MQTT-3.2.2-3", "MQTT-3.1.2-5", "MQTT-3.1.2-23", "MQTT-3.1.3-2", "MQTT-4.1.0-1"]
        "A Server keeps the session of a Client that asked for it."
    SESSION_FROM_NOWHERE "session-from-nowhere" Error
        ["MQTT-3.2.2-3", "MQTT-3.1.2-6"] ["MQTT-3.2.2-3", "MQTT-3.1.2-6", "MQTT-4.1.0-2"]
        "A Server says that a session is present only where there is one."

    // What carries MQTT.
    WEBSOCKET_TEXT "websocket-text-frame" Error ["MQTT-6.0.0-1"] ["MQTT-6.0.0-1"]
        "MQTT travels in binary frames of WebSocket."
    WEBSOCKET_NOT_OFFERED "websocket-subprotocol-not-offered" Error
        ["MQTT-6.0.0-3"] ["MQTT-6.0.0-3"]
        "A Client offers the WebSocket subprotocol mqtt."
    WEBSOCKET_NOT_SELECTED "websocket-subprotocol-not-selected" Error
        ["MQTT-6.0.0-4"] ["MQTT-6.0.0-4"]
        "A Server selects the WebSocket subprotocol mqtt."
    WEBSOCKET_MASKING "websocket-masking" Error [] []
        "The Client masks its WebSocket frames, the Server does not."
    WEBSOCKET_BROKEN "websocket-broken" Error [] []
        "What comes on a WebSocket connection is frames."
    WEBSOCKET_CLOSED "websocket-closed" Warning [] []
        "One end closed the WebSocket connection with a code that names a fault; one of private use (3000 to 4999) is a note."
    WEBSOCKET_REFUSED "websocket-refused" Warning [] []
        "The Server refused the WebSocket connection."

    // Packet identifiers and handshakes.
    PACKET_ID_IN_USE "packet-id-in-use" Error
        ["MQTT-2.3.1-2", "MQTT-2.3.1-4", "MQTT-4.3.2-1", "MQTT-4.3.3-1"]
        ["MQTT-2.2.1-3", "MQTT-2.2.1-4", "MQTT-4.3.2-1", "MQTT-4.3.3-1"]
        "A packet identifier is free again when its handshake is over, not before."
    REDELIVERY_WITHOUT_DUP "redelivery-without-dup" Error ["MQTT-3.3.1-1"] ["MQTT-3.3.1-1"]
        "A redelivery carries DUP 1."
    DUP_ON_FIRST "dup-on-first-delivery" Error
        ["MQTT-3.3.1-3", "MQTT-4.3.2-1", "MQTT-4.3.3-1"]
        ["MQTT-3.3.1-3", "MQTT-4.3.2-2", "MQTT-4.3.3-2"]
        "The first PUBLISH of a message carries DUP 0."
    REDELIVERY "redelivery" Note [] []
        "A PUBLISH was sent again."
    RESENT_EARLY "resent-without-reconnecting" Error [] ["MQTT-4.4.0-1"]
        "From MQTT 5.0 on, a packet is sent again only after a new connection."
    NOT_RESENT "not-resent-after-reconnecting" Warning
        ["MQTT-4.4.0-1", "MQTT-2.3.1-3"] ["MQTT-4.4.0-1", "MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5"]
        "What was not acknowledged is sent again, with its identifier, when the session goes on."
    RESENT_AFTER_REFUSAL "resent-after-refusal" Error [] ["MQTT-4.4.0-2"]
        "A message that was refused is not sent again."
    RESENT_OUT_OF_ORDER "resent-out-of-order" Error ["MQTT-4.6.0-1"] ["MQTT-4.6.0-1"]
        "Redeliveries keep the order of the first sendings."
    PUBLISH_AFTER_PUBREL "publish-after-pubrel" Error ["MQTT-4.3.3-1"] ["MQTT-4.3.3-6"]
        "After PUBREL the PUBLISH is not sent again."
    ACK_WITHOUT_PUBLISH "ack-without-publish" Warning ["MQTT-2.3.1-6"] ["MQTT-2.2.1-5"]
        "An acknowledgement names a packet identifier that is in flight."
    SUBACK_WITHOUT_SUBSCRIBE "suback-without-subscribe" Error
        ["MQTT-2.3.1-7", "MQTT-3.8.4-2"] ["MQTT-2.2.1-6", "MQTT-3.8.4-2", "MQTT-3.10.4-5"]
        "SUBACK and UNSUBACK name the identifier of the request that they answer."
    PINGRESP_WITHOUT_PINGREQ "pingresp-without-pingreq" Warning [] []
        "PINGRESP answers a PINGREQ."
    WRONG_ACKNOWLEDGEMENT "wrong-acknowledgement" Error ["MQTT-3.3.4-1"] ["MQTT-3.3.4-1"]
        "QoS 1 is acknowledged with PUBACK, QoS 2 with PUBREC and PUBCOMP."
    QOS1_NEVER_ACKED "qos1-never-acked" Warning
        ["MQTT-4.3.2-2", "MQTT-3.3.4-1", "MQTT-4.5.0-2"]
        ["MQTT-4.3.2-4", "MQTT-3.3.4-1", "MQTT-4.5.0-2", "MQTT-4.9.0-3"]
        "A PUBLISH of QoS 1 is acknowledged with PUBACK."
    QOS2_STUCK "qos2-stuck" Warning
        ["MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-4.5.0-2"]
        ["MQTT-4.3.3-4", "MQTT-4.3.3-8", "MQTT-4.3.3-11", "MQTT-4.3.3-13"]
        "A QoS 2 handshake goes from PUBLISH to PUBCOMP."
    SUBSCRIBE_UNANSWERED "subscribe-unanswered" Warning
        ["MQTT-3.8.4-1", "MQTT-3.8.4-4"] ["MQTT-3.8.4-1", "MQTT-3.8.4-5", "MQTT-3.2.2-10"]
        "A Server answers SUBSCRIBE with SUBACK."
    UNSUBSCRIBE_UNANSWERED "unsubscribe-unanswered" Warning
        ["MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.10.4-6"]
        ["MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.10.4-6"]
        "A Server answers UNSUBSCRIBE with UNSUBACK."
    PING_UNANSWERED "ping-unanswered" Warning ["MQTT-3.12.4-1"] ["MQTT-3.12.4-1"]
        "A Server answers PINGREQ with PINGRESP."
    PUBACK_OUT_OF_ORDER "puback-out-of-order" Error ["MQTT-4.6.0-2"] ["MQTT-4.6.0-2"]
        "A Client sends PUBACK in the order of the PUBLISH packets."
    PUBREC_OUT_OF_ORDER "pubrec-out-of-order" Error ["MQTT-4.6.0-3"] ["MQTT-4.6.0-3"]
        "A Client sends PUBREC in the order of the PUBLISH packets."
    PUBREL_OUT_OF_ORDER "pubrel-out-of-order" Error ["MQTT-4.6.0-4"] ["MQTT-4.6.0-4"]
        "A Client sends PUBREL in the order of the PUBREC packets."
    PUBLISH_REFUSED "publish-refused" Warning [] []
        "The receiver refused a PUBLISH with a reason code of 128 or above."
    SUBSCRIPTION_REFUSED "subscription-refused" Warning [] []
        "The Server refused a subscription."
    SUBACK_CODES "suback-codes-match" Error
        ["MQTT-3.8.4-5", "MQTT-3.9.3-1"] ["MQTT-3.8.4-6", "MQTT-3.9.3-1", "MQTT-3.11.3-1"]
        "SUBACK (and UNSUBACK in 5.0) has one code for each topic filter, in order."
    GRANTED_ABOVE_ASKED "granted-above-asked" Error ["MQTT-3.8.4-6"] ["MQTT-3.8.4-7"]
        "A Server grants the QoS that was asked for or a lower one."
    SLOW_ACKNOWLEDGEMENT "slow-acknowledgement" Warning [] []
        "An acknowledgement took more than a second."
    DELAYED_ACK "delayed-ack-40-ms" Note [] []
        "Answers that come 40 ms after another packet of their sender again and again, and nothing in between: Nagle's algorithm waits for TCP's delayed acknowledgement; the sender should set TCP_NODELAY."

    // Limits that one end set for the other (5.0).
    RECEIVE_MAXIMUM "receive-maximum-exceeded" Error
        [] ["MQTT-3.3.4-7", "MQTT-3.3.4-9", "MQTT-4.9.0-1", "MQTT-4.9.0-2"]
        "No more messages are in flight than the receiver allows."
    PACKET_TOO_LARGE "packet-too-large" Error []
        ["MQTT-3.1.2-24", "MQTT-3.1.2-25", "MQTT-3.2.2-15", "MQTT-3.2.2-19", "MQTT-3.2.2-20",
         "MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.6.2-2",
         "MQTT-3.6.2-3", "MQTT-3.7.2-2", "MQTT-3.7.2-3", "MQTT-3.9.2-1", "MQTT-3.9.2-2",
         "MQTT-3.11.2-1", "MQTT-3.11.2-2", "MQTT-3.14.2-3", "MQTT-3.14.2-4", "MQTT-3.15.2-2",
         "MQTT-3.15.2-3"]
        "No packet is larger than the receiver's Maximum Packet Size."
    TOPIC_ALIAS_MAXIMUM "topic-alias-above-maximum" Error []
        ["MQTT-3.1.2-26", "MQTT-3.1.2-27", "MQTT-3.2.2-17", "MQTT-3.2.2-18", "MQTT-3.3.2-9", "MQTT-3.3.2-11"]
        "A topic alias is not above the receiver's Topic Alias Maximum."
    TOPIC_ALIAS_UNKNOWN "topic-alias-unknown" Error [] ["MQTT-3.3.2-7"]
        "A topic alias is set on the same connection, by the same sender, before it stands alone."
    MAXIMUM_QOS "qos-above-maximum" Error [] ["MQTT-3.2.2-11"]
        "A Client publishes at no higher QoS than the Server supports."
    WILL_BEYOND_SERVER "will-beyond-the-server" Error [] ["MQTT-3.2.2-12", "MQTT-3.2.2-13"]
        "A Server refuses a will that it does not support."
    RETAIN_UNAVAILABLE "retain-unavailable" Error [] ["MQTT-3.2.2-14"]
        "A Client sends no retained message to a Server that keeps none."
    SUBSCRIPTION_UNAVAILABLE "subscription-unavailable" Error [] []
        "A Client asks for no kind of subscription that the Server said it does not support."
    IDENTIFIER_FROM_CLIENT "subscription-identifier-from-client" Error [] ["MQTT-3.3.4-6"]
        "Only a Server's PUBLISH carries Subscription Identifiers."
    EXPIRY_RAISED "session-expiry-raised" Error [] []
        "A Client whose CONNECT asks for a Session Expiry Interval of 0 does not raise it in its DISCONNECT."
    EXPIRY_FROM_SERVER "session-expiry-from-server" Error [] ["MQTT-3.14.2-2"]
        "Only a Client's DISCONNECT carries a Session Expiry Interval."
    RESPONSE_INFORMATION "response-information-not-asked-for" Error [] ["MQTT-3.1.2-28"]
        "Response Information is sent where the Client asked for it."
    PROBLEM_INFORMATION "problem-information-not-wanted" Error [] ["MQTT-3.1.2-29"]
        "A Client that wants no problem information gets no Reason String and no User Property."
    AUTH_WITHOUT_METHOD "auth-without-method" Error
        [] ["MQTT-4.12.0-6", "MQTT-4.12.0-7"]
        "AUTH belongs to connections whose CONNECT named an Authentication Method."
    AUTH_METHOD_CHANGED "auth-method-changed" Error [] ["MQTT-4.12.0-5", "MQTT-4.12.1-1"]
        "The Authentication Method stays that of the CONNECT."
    AUTH_CODE "auth-code-out-of-place" Error
        [] ["MQTT-4.12.0-2", "MQTT-4.12.0-3", "MQTT-4.12.1-1"]
        "AUTH goes on with 0x18; a Client starts over with 0x19; a Server ends with 0x00."

    // Deliveries.
    DELIVERED_ABOVE "delivered-above-granted-qos" Error
        ["MQTT-3.8.4-6", "MQTT-3.3.5-1"] ["MQTT-3.8.4-8", "MQTT-3.3.4-2", "MQTT-4.8.2-3"]
        "A message is delivered at the lower of the published and the granted QoS."
    DELIVERED_BELOW "delivered-below-granted-qos" Warning
        ["MQTT-3.8.4-6", "MQTT-3.3.5-1"] ["MQTT-3.8.4-8", "MQTT-3.3.4-2"]
        "A message is delivered at the lower of the published and the granted QoS."
    NO_SUBSCRIPTION "delivery-without-subscription" Warning ["MQTT-3.3.2-3"] ["MQTT-3.3.2-3"]
        "A Server sends a Client what one of its topic filters takes."
    AFTER_UNSUBSCRIBE "delivery-after-unsubscribe" Error
        ["MQTT-3.10.4-1", "MQTT-3.10.4-2"] ["MQTT-3.10.4-1", "MQTT-3.10.4-2"]
        "After UNSUBACK no new message is delivered for the filter."
    DOLLAR_TOPIC "wildcard-took-dollar-topic" Error ["MQTT-4.7.2-1"] ["MQTT-4.7.2-1"]
        "A filter that begins with a wildcard takes no topic that begins with $."
    NO_LOCAL "no-local-ignored" Warning [] ["MQTT-3.8.3-3"]
        "With No Local a Client does not get back what it published."
    LIVE_WITH_RETAIN "live-copy-with-retain" Error ["MQTT-3.3.1-9"] ["MQTT-3.3.1-12"]
        "RETAIN marks stored copies; a live copy has RETAIN 0 unless Retain As Published asks for more."
    RETAIN_AS_PUBLISHED "retain-as-published-ignored" Error [] ["MQTT-3.3.1-13"]
        "With Retain As Published a live copy has the publisher's RETAIN."
    STORED_WITHOUT_RETAIN "stored-copy-without-retain" Error ["MQTT-3.3.1-8"] []
        "A stored copy has RETAIN 1."
    RETAINED_NOT_SENT "retained-not-sent" Warning
        ["MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.8.4-3", "MQTT-3.1.2.7"]
        ["MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.8.4-4"]
        "A new subscription is answered with the stored messages that it takes."
    RETAINED_NOT_WANTED "retained-not-wanted" Error [] ["MQTT-3.3.1-10", "MQTT-3.3.1-11"]
        "Retain Handling 2 (or 1, for a subscription that existed) asks for no stored messages."
    STALE_RETAINED "stale-retained-message" Error
        ["MQTT-3.3.1-5", "MQTT-3.3.1-7", "MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.3.1-12", "MQTT-3.1.2-16", "MQTT-3.1.2-17"]
        ["MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8", "MQTT-3.1.2-14", "MQTT-3.1.2-15"]
        "The stored message of a topic is the last one that was published to it with RETAIN 1."
    DELIVERED_AFTER_REFUSAL "delivered-after-refusal" Error [] []
        "What a Server refused it does not deliver: no message that it refused, and nothing for a subscription that it refused."
    SHARED_TWICE "shared-delivered-twice" Error [] []
        "A message goes to one member of a shared subscription."
    PAYLOAD_ALTERED "payload-altered" Warning [] []
        "A Server hands a message's payload on as it is."
    IDENTIFIER_MISSING "subscription-identifier-missing" Error
        [] ["MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5"]
        "A delivery carries the identifiers of the subscriptions that took it."
    PROPERTY_ALTERED "property-altered" Error []
        ["MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20"]
        "A Server hands a message's properties on as they are, in their order."
    EXPIRY_NOT_COUNTED "message-expiry-not-counted-down" Error [] ["MQTT-3.3.2-6"]
        "The Message Expiry Interval shrinks by the time that the message waited in the Server."
    DELIVERED_EXPIRED "delivered-after-expiry" Error [] ["MQTT-3.3.2-5"]
        "A message is not delivered after its Message Expiry Interval."
    MESSAGE_EXPIRED "message-expired" Note [] []
        "A message expired before it could be delivered."
    OUT_OF_ORDER "delivered-out-of-order" Error
        ["MQTT-4.6.0-5", "MQTT-4.6.0-6"] ["MQTT-4.6.0-5", "MQTT-4.6.0-6"]
        "Messages of one publisher, one topic and one QoS are delivered in order."
    DELIVERED_TWICE "delivered-twice" Warning ["MQTT-4.3.3-2"] ["MQTT-4.3.3-10"]
        "A message is not sent a second time under another identifier, and at QoS 2 it is delivered exactly once."
    MESSAGE_LOST "message-not-delivered" Warning
        ["MQTT-4.5.0-1", "MQTT-3.1.2-5"] ["MQTT-4.5.0-1"]
        "A message goes to every Client with a subscription that takes it."

    // Keep alive, takeover, wills, ends.
    KEEP_ALIVE "keepalive-violation" Error
        ["MQTT-3.1.2-23"] ["MQTT-3.1.2-20", "MQTT-3.1.2-21", "MQTT-3.2.2-21"]
        "A Client sends something at least once in its keep alive time; half of it more is allowed for."
    KEEP_ALIVE_NOT_ENFORCED "keepalive-not-enforced" Warning
        ["MQTT-3.1.2-24"] ["MQTT-3.1.2-22", "MQTT-3.2.2-22"]
        "A Server closes the connection after one and a half times the keep alive."
    TAKEOVER "takeover" Note [] []
        "A second connection with the same client identifier ends the first."
    TAKEOVER_LOOP "takeover-loop" Warning [] []
        "A client identifier is taken over again and again, as by two Clients that push each other off."
    TAKEOVER_UNANNOUNCED "takeover-without-disconnect" Note [] ["MQTT-3.1.4-3"]
        "From MQTT 5.0 on, a Server tells the earlier Client with DISCONNECT 0x8e that its session was taken over."
    TAKEOVER_NOT_ENFORCED "takeover-not-enforced" Warning ["MQTT-3.1.4-2"] ["MQTT-3.1.4-3"]
        "A Server closes the earlier connection of a client identifier."
    WILL_PUBLISHED "will-published" Note [] []
        "The Server published a Client's will."
    WILL_NOT_PUBLISHED "will-not-published" Warning
        ["MQTT-3.1.2-8"] ["MQTT-3.1.2-7", "MQTT-3.1.2-8"]
        "A will is published when its connection ends without DISCONNECT."
    WILL_AFTER_DISCONNECT "will-after-disconnect" Error
        ["MQTT-3.1.2-10", "MQTT-3.14.4-3"]
        ["MQTT-3.1.2-10", "MQTT-3.14.4-3"]
        "DISCONNECT deletes the will."
    WILL_BEFORE_DELAY "will-before-its-delay" Warning [] ["MQTT-3.1.2-8"]
        "A Server publishes a will after its Will Delay Interval, or when the session ends."
    WILL_AFTER_RETURN "will-after-return" Warning [] ["MQTT-3.1.3-9"]
        "A Client that comes back within the Will Delay Interval stops its will."
    NO_CLEAN_END "no-clean-end" Note [] []
        "A connection was left without DISCONNECT, FIN or RST."
    CONNECTION_RESET "connection-reset" Note [] []
        "A connection was reset without DISCONNECT, and not by the Server."
    CLOSED_BY_SERVER "closed-by-server" Note [] []
        "The Server closed or reset a connection without DISCONNECT."
    SERVER_DISCONNECTED "server-disconnected" Warning [] []
        "The Server ended the connection and said why."
    SLOW_CONSUMER "slow-consumer" Warning [] []
        "An end advertised a TCP receive window of 0: its program does not read."
    NOT_ACKNOWLEDGED "tcp-not-acknowledged" Warning [] []
        "Octets were sent again and again, and the receiver's TCP never acknowledged them."
    NOT_ENDED "tcp-end-not-believed" Warning [] []
        "A FIN or RST stood where none was expected and was passed over: it was forged, or is of another connection."
    INCOMPLETE_PACKET "incomplete-packet" Warning [] []
        "A packet was announced and its connection ended before it was complete."
    CREDENTIALS "credentials-in-clear-text" Warning [] []
        "A password crossed the network unencrypted; on a loopback interface, where none can read along, that is a note."

    // The capture.
    MISSING_OCTETS "missing-octets" Warning [] []
        "The capture does not hold everything that was sent."
    FRAME_CUT "frame-cut" Warning [] []
        "The capture's snapshot length cut a frame."
    ONE_SIDED "one-sided-capture" Note [] []
        "The capture holds only some of a Server's connections: rules that need the others are off."
    SEEN_TWICE "seen-twice" Note [] []
        "The capture holds a connection twice; what is counted and concluded is of the first."
    FRAMES_OUT_OF_ORDER "frames-out-of-order" Note [] []
        "Frames do not stand in the capture in the order in which they were sent."
    CLOCK_SKEW "clock-skew" Note [] []
        "The clocks of two capture points differ."
    STARTS_MIDWAY "starts-midway" Note [] []
        "The capture begins in the middle of a connection."
    NOT_MQTT "not-mqtt" Note [] []
        "Something else than MQTT where MQTT was expected."
    TABLE_FULL "table-full" Note [] []
        "The analysis reached one of its caps."
    MORE_FINDINGS "more-findings" Note [] []
        "More findings of a rule than are told one by one."
}
