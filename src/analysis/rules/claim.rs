//! Claims: every kind of finding with its typed arguments, and the one place of their sentences.
//!
//! A sentence is for newcomers: it names the client, the frames it rests on and what would be
//! right. Frames among the arguments become the finding's related frames by their type.

use std::fmt;

use super::clauses::{self as c, Clause};
use crate::event::Cause;
use crate::mqtt::Rule;

/// The number of a frame that a claim rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame(pub(crate) u64);

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One end of a connection by the name that a sentence uses.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Party<'a> {
    /// The client with its identifier, where that is known.
    Client(Option<&'a str>),
    /// The server.
    Server,
}

impl fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(Some("")) => f.write_str("the client without an identifier"),
            Self::Client(Some(id)) => write!(f, "client {id}"),
            Self::Client(None) => f.write_str("the client"),
            Self::Server => f.write_str("the server"),
        }
    }
}

/// An argument of a claim.
trait Argument {
    /// Adds the frame that it is, where it is one.
    fn frame(&self, _frames: &mut Vec<u64>) {}
}

impl Argument for Frame {
    fn frame(&self, frames: &mut Vec<u64>) {
        frames.push(self.0);
    }
}

macro_rules! no_frames {
    ($($type:ty)*) => {
        $(impl Argument for $type {})*
    };
}

no_frames! { &str u8 u16 u32 u64 i64 usize f64 Party<'_> &Clause }

/// Builds [`Claim`] from its table: name, arguments, clause, who caused it, sentence.
///
/// `Unknown` leaves the cause to the place of the finding, which knows the packet's sender. The
/// sentence is a format string over the arguments, so it stands beside them and is checked by the
/// compiler; nothing is formatted for a finding that is only counted. Every sentence may also name
/// what the place of its finding knows: `client`, `packet`, and `who`, the end that caused it.
macro_rules! claims {
    (($client:ident, $who:ident, $packet:ident) $($name:ident { $($field:ident: $type:ty),* } $clause:expr, $by:ident $sentence:literal)*) => {
        /// One kind of finding with its arguments.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum Claim<'a> {
            $($name { $($field: $type),* }),*
        }

        #[allow(unused_variables, reason = "not every argument is of use to every function")]
        impl Claim<'_> {
            /// Returns the clause that it is a finding of.
            pub(crate) fn clause(&self) -> &'static Clause {
                match self {
                    $(Self::$name { $($field),* } => $clause),*
                }
            }

            /// Returns who caused it, as far as the kind of finding fixes it.
            pub(crate) fn by(&self) -> Cause {
                match self {
                    $(Self::$name { .. } => Cause::$by),*
                }
            }

            /// Returns the frames that it names, in ascending order.
            pub(crate) fn frames(&self) -> Vec<u64> {
                let mut frames = Vec::new();
                match self {
                    $(Self::$name { $($field),* } => {
                        $($field.frame(&mut frames);)*
                    })*
                }
                frames.sort_unstable();
                frames.dedup();
                frames
            }

            /// Returns its sentence. Text from the capture in it is raw.
            pub(crate) fn sentence(
                &self,
                $client: Party<'_>,
                $who: Party<'_>,
                $packet: &str,
            ) -> String {
                capital(match self {
                    $(Self::$name { $($field),* } => format!($sentence)),*
                })
            }
        }
    };
}

claims! {
    (client, who, packet)

    // The order of packets on a connection.
    PacketBeforeConnect {} &c::PACKET_BEFORE_CONNECT, Client
        "{packet} is the first packet of this connection; it must be CONNECT."
    SecondConnect { first: Frame } &c::SECOND_CONNECT, Client
        "This connection had its CONNECT in frame {first}; a second one is a protocol error."
    PacketBeforeConnAck {} &c::PACKET_BEFORE_CONNACK, Server
        "The server sends {packet} before it accepted the connection with CONNACK."
    SecondConnAck {} &c::SECOND_CONNACK, Server
        "This connection has had its CONNACK."
    PacketBeforeAuthentication {} &c::PACKET_BEFORE_AUTHENTICATION, Client
        "{client} sends {packet} before its authentication is over."
    ClientSendsServers {} &c::WRONG_SENDER, Client
        "{client} sends {packet}, which only servers send."
    ServerSendsClients { until: &'static str } &c::WRONG_SENDER, Server
        "The server sends {packet}, which only clients send{until}."
    PacketAfterDisconnect { disconnect: Frame } &c::PACKET_AFTER_DISCONNECT, Unknown
        "{packet} follows the DISCONNECT of frame {disconnect}, after which its sender must be silent."
    LeftOpen { clause: &'static Clause, last: Frame } clause, Unknown
        "After the packet of frame {last} {who} does not close the connection."
    PacketAfterRefusal {} &c::PACKET_AFTER_REFUSAL, Client
        "{client} sends {packet} although its connection was refused."
    ViolationTolerated { fault: Frame } &c::VIOLATION_TOLERATED, Server
        "The server goes on although the client's packet of frame {fault} breaks the protocol; it should have closed the connection."

    // CONNECT and its answer.
    ConnectionRefused { code: u8, reason: &'static str } &c::CONNECTION_REFUSED, Server
        "The server refuses the connection of {client} with 0x{code:02x} ({reason})."
    ConnectUnanswered { seconds: f64, how: &'static str, end: Frame } &c::CONNECT_UNANSWERED, Server
        "CONNECT of {client} was never answered: {how} {seconds:.3} s later (frame {end}) without a CONNACK."
    PortClosed { port: u16 } &c::CONNECTION_REFUSED, Server
        "The connection to port {port} was refused: SYN is answered by RST; nothing listens there, or a firewall refuses it."
    UnsupportedAccepted {} &c::UNSUPPORTED_ACCEPTED, Server
        "The server accepts a protocol name and level that no specification has."
    EmptyIdAccepted {} &c::EMPTY_ID_ACCEPTED, Server
        "The server accepts an empty client identifier that asks for a lasting session; it has to refuse with 0x02."
    AssignedInUse {} &c::ID_NOT_ASSIGNED, Server
        "The server assigns a client identifier that another session has."
    NoneAssigned {} &c::ID_NOT_ASSIGNED, Server
        "The client connects without an identifier, and CONNACK assigns none."
    ClientIdRefused { id: &'a str } &c::CLIENT_ID_REFUSED, Server
        "The server refuses the client identifier {id}, which every server has to allow."
    SessionAfterClean {} &c::SESSION_AFTER_CLEAN, Server
        "{client} asks for a clean start, and the server says that a session is present."
    SessionForgotten {} &c::SESSION_FORGOTTEN, Server
        "{client} left a session behind, and the server says that there is none."
    SessionHadEnded {} &c::SESSION_FROM_NOWHERE, Server
        "The session of {client} had ended, and the server says that it is present."
    SessionHadExpired {} &c::SESSION_FROM_NOWHERE, Server
        "The session of {client} had expired, and the server says that it is present."
    WillBeyondServer { qos: u8, retain: u8 } &c::WILL_BEYOND_SERVER, Server
        "The server accepts {client} with a will of QoS {qos} and RETAIN {retain}, which it says it does not support."
    ResponseInformation {} &c::RESPONSE_INFORMATION, Server
        "CONNACK carries Response Information that the client did not ask for."
    ProblemInformation {} &c::PROBLEM_INFORMATION, Server
        "{packet} explains itself although the client asked for no problem information."
    Credentials { length: usize } &c::CREDENTIALS, Client
        "The password of {client} ({length} octets) crosses the network unencrypted: anyone on the way can read it. Use TLS."
    CredentialsOnLoopback { length: usize } &c::CREDENTIALS, Client
        "The password of {client} ({length} octets) is unencrypted; here it does not leave the host (loopback)."

    // Authentication (5.0).
    MethodMissing { method: &'a str } &c::AUTH_METHOD_CHANGED, Server
        "CONNACK does not name the Authentication Method {method} of the CONNECT."
    MethodFromServer { method: &'a str } &c::AUTH_WITHOUT_METHOD, Server
        "CONNACK names the Authentication Method {method}; the CONNECT named none."
    AuthWithoutMethod {} &c::AUTH_WITHOUT_METHOD, Unknown
        "AUTH comes on a connection whose CONNECT named no Authentication Method."
    MethodChanged { other: &'a str, method: &'a str } &c::AUTH_METHOD_CHANGED, Unknown
        "AUTH names the Authentication Method {other}; the CONNECT named {method}."
    AuthCode { code: u8 } &c::AUTH_CODE, Unknown
        "AUTH with reason code 0x{code:02x} has no place here."

    // What carries MQTT.
    WebSocketRefused { status: u16 } &c::WEBSOCKET_REFUSED, Server
        "The server refused the WebSocket connection with HTTP status {status}: MQTT never began on it."
    WebSocketBroken {} &c::WEBSOCKET_BROKEN, Unknown
        "What one end sends from here on cannot be read as WebSocket frames: nothing more of it is told."
    WebSocketText {} &c::WEBSOCKET_TEXT, Unknown
        "{who} sends MQTT in a text frame of WebSocket; only binary frames may carry it."
    WebSocketNotOffered {} &c::WEBSOCKET_NOT_OFFERED, Client
        "{client} did not offer the WebSocket subprotocol `mqtt` (Sec-WebSocket-Protocol); many servers refuse that."
    WebSocketNotSelected {} &c::WEBSOCKET_NOT_SELECTED, Server
        "The server did not select the WebSocket subprotocol `mqtt` for {client}; browsers close such a connection."
    WebSocketUnmasked {} &c::WEBSOCKET_MASKING, Client
        "{client} sends WebSocket frames without a mask; a server closes such a connection."
    WebSocketMasked {} &c::WEBSOCKET_MASKING, Server
        "The server masks its WebSocket frames; a client closes such a connection."
    WebSocketClosed { code: u16, meaning: &'static str, instead: &'static str } &c::WEBSOCKET_CLOSED, Unknown
        "{who} closes the WebSocket connection with code {code}{meaning}{instead}."
    TlsExpected { alert: &'a str } &c::NOT_MQTT, Client
        "The server answers MQTT in clear with a TLS alert ({alert}): its port expects TLS."
    Unasked { what: &'static str } &c::NOT_MQTT, Unknown
        "The client asked for {what}, and the server sent nothing before the connection ended: its port may expect MQTT without {what}."
    NotMqtt { other: &'static str } &c::NOT_MQTT, Unknown
        "What is sent on this connection is not MQTT; it looks like {other}."

    // Packet identifiers and handshakes.
    PacketIdInUse { id: u16, first: Frame, waiting: &'static str } &c::PACKET_ID_IN_USE, Unknown
        "{who} uses packet identifier {id} although the handshake of frame {first} still has it: {waiting} has not come."
    RedeliveryWithoutDup { first: Frame, id: u16 } &c::REDELIVERY_WITHOUT_DUP, Unknown
        "The message of frame {first} (identifier {id}) is sent again without DUP."
    DupOnFirst {} &c::DUP_ON_FIRST, Unknown
        "This PUBLISH says that it is a redelivery (DUP 1), and no earlier one waits for an acknowledgement."
    Redelivery { first: Frame, id: u16, place: &'static str } &c::REDELIVERY, Unknown
        "The PUBLISH of frame {first} (identifier {id}) is sent again {place}: it was not acknowledged."
    ResentEarly { first: Frame } &c::RESENT_EARLY, Unknown
        "The PUBLISH of frame {first} is sent again on the same connection; from MQTT 5.0 on that needs a new one."
    NotResent { first: Frame } &c::NOT_RESENT, Unknown
        "{who} did not send the unacknowledged message of frame {first} again, although the session goes on."
    ResentAfterRefusal { id: u16 } &c::RESENT_AFTER_REFUSAL, Unknown
        "The message with identifier {id} is sent again although the receiver refused it."
    ResentOutOfOrder {} &c::RESENT_OUT_OF_ORDER, Client
        "This message is sent again before an earlier one that is not acknowledged either."
    PublishAfterPubRel { first: Frame } &c::PUBLISH_AFTER_PUBREL, Unknown
        "The PUBLISH of frame {first} is sent again although its PUBREL was sent."
    AckWithoutPublish { id: u16 } &c::ACK_WITHOUT_PUBLISH, Unknown
        "{who} sends {packet} for packet identifier {id}, and no PUBLISH with this identifier is in flight."
    AnswerWithoutRequest { id: u16 } &c::SUBACK_WITHOUT_SUBSCRIBE, Server
        "{packet} answers a request with packet identifier {id}, and no such request waits for an answer."
    AnswersAnother { id: u16 } &c::WRONG_ACKNOWLEDGEMENT, Server
        "{packet} does not answer what was sent with packet identifier {id}."
    PingRespWithoutPingReq {} &c::PINGRESP_WITHOUT_PINGREQ, Server
        "PINGRESP answers a PINGREQ, and none was sent."
    WrongAcknowledgement { first: Frame, kind: &'static str } &c::WRONG_ACKNOWLEDGEMENT, Unknown
        "{packet} does not answer the packet of frame {first}, which is {kind}."
    Unanswered { clause: &'static Clause, what: &'a str, waiting: &'static str, how: &'static str }
        clause, Unknown
        "{what}: {waiting} never came {how}."
    Abandoned {
        subject: &'a str, seconds: f64, packet_type: &'static str, last: Frame, disconnect: Frame
    }
        &c::QOS2_STUCK, Client
        "{client} abandons the QoS 2 handshake for {subject}: its DISCONNECT (frame {disconnect}) comes {seconds:.6} s after {packet_type} (frame {last}), and its session ends; whether the message is delivered is open."
    PubAckOutOfOrder { first: Frame } &c::PUBACK_OUT_OF_ORDER, Client
        "{client} acknowledges the PUBLISH of frame {first} after a later one."
    PubRecOutOfOrder { first: Frame } &c::PUBREC_OUT_OF_ORDER, Client
        "{client} answers the PUBLISH of frame {first} with PUBREC after a later one."
    PubRelOutOfOrder { first: Frame } &c::PUBREL_OUT_OF_ORDER, Client
        "{client} releases the message of frame {first} after one whose PUBREC came later."
    HandshakeRefused {
        clause: &'static Clause, packet: &'static str, subject: &'a str, code: u8,
        reason: &'static str
    }
        clause, Unknown
        "{packet} refused {subject} with 0x{code:02x} ({reason})."
    SubscriptionRefused { filter: &'a str, code: u8, reason: &'static str }
        &c::SUBSCRIPTION_REFUSED, Server
        "The server refuses the subscription to {filter} with 0x{code:02x} ({reason})."
    SubAckCodes { codes: usize, filters: usize } &c::SUBACK_CODES, Server
        "{packet} has {codes} codes for {filters} topic filters."
    GrantedAboveAsked { asked: u8, filter: &'a str, granted: u8 } &c::GRANTED_ABOVE_ASKED, Server
        "QoS {asked} was asked for {filter}, and QoS {granted} is granted."
    SlowAcknowledgement { packet: &'static str, seconds: f64 } &c::SLOW_ACKNOWLEDGEMENT, Unknown
        "{packet} came {seconds:.3} s after the packet that it answers: the receiver or the network is slow."
    SlowAcknowledgements { count: u64, last: Frame, packet: &'static str, slowest: Frame, seconds: f64 }
        &c::SLOW_ACKNOWLEDGEMENT, Unknown
        "From here to frame {last}, {who} answered {count} times more than a second late (slowest: {packet} of frame {slowest}, after {seconds:.3} s): the receiver or the network is slow."
    DelayedAck {} &c::DELAYED_ACK, Unknown
        "{packet} came about 40 ms after what it answers and after the packet that its sender sent before, for the third time in succession: Nagle's algorithm waits for a delayed TCP acknowledgement, and TCP_NODELAY would help."

    // Limits that one end set for the other (5.0).
    ReceiveMaximum { in_flight: u32, most: u16 } &c::RECEIVE_MAXIMUM, Unknown
        "{who} has {in_flight} messages above QoS 0 in flight; the receiver's Receive Maximum is {most}."
    PacketTooLarge { size: u64, most: u32 } &c::PACKET_TOO_LARGE, Unknown
        "{packet} has {size} octets; its receiver allows {most}."
    TopicAliasMaximum { alias: u16, most: u16 } &c::TOPIC_ALIAS_MAXIMUM, Unknown
        "Topic alias {alias} is above the receiver's Topic Alias Maximum of {most}."
    TopicAliasUnknown {} &c::TOPIC_ALIAS_UNKNOWN, Unknown
        "This PUBLISH names its topic by an alias that its sender has not set on this connection."
    MaximumQos { qos: u8, most: u8 } &c::MAXIMUM_QOS, Client
        "{client} publishes at QoS {qos}; the server supports QoS {most} at most."
    RetainUnavailable {} &c::RETAIN_UNAVAILABLE, Client
        "{client} sends a message to be retained; the server said that it retains none."
    SubscriptionUnavailable { kind: &'static str } &c::SUBSCRIPTION_UNAVAILABLE, Client
        "{client} asks for {kind}; the server said that it does not support them."
    IdentifierFromClient {} &c::IDENTIFIER_FROM_CLIENT, Client
        "{client} publishes with a Subscription Identifier, which only servers send."
    ExpiryRaised { expiry: u32 } &c::EXPIRY_RAISED, Client
        "The CONNECT of {client} asked for a Session Expiry Interval of 0, and its DISCONNECT raises it to {expiry} s."
    ExpiryFromServer {} &c::EXPIRY_FROM_SERVER, Server
        "The server's DISCONNECT carries a Session Expiry Interval."

    // Deliveries.
    WrongQos {
        clause: &'static Clause, frame: Frame, published: u8, granted: u8, verdict: &'a str
    }
        clause, Server
        "The message of frame {frame} was published at QoS {published} and {client} was granted QoS {granted}, so {verdict}."
    NoSubscription { topic: &'a str } &c::NO_SUBSCRIPTION, Server
        "{client} is sent {topic} and has no subscription that takes it."
    AfterUnsubscribe { topic: &'a str, filter: &'a str } &c::AFTER_UNSUBSCRIBE, Server
        "{client} is sent {topic} although it gave up its subscription to {filter}."
    DollarTopic { topic: &'a str } &c::DOLLAR_TOPIC, Server
        "{client} is sent {topic} for a filter that begins with a wildcard, which takes no topic that begins with $."
    NoLocal { frame: Frame, topic: &'a str } &c::NO_LOCAL, Server
        "{client} asked for No Local and gets back its own message of frame {frame} to {topic}."
    LiveWithRetain { frame: Frame } &c::LIVE_WITH_RETAIN, Server
        "{client} gets the message of frame {frame} live, so RETAIN should be 0 (1 marks stored messages)."
    RetainAsPublished { frame: Frame } &c::RETAIN_AS_PUBLISHED, Server
        "{client} asked for RETAIN as published, and gets the message of frame {frame} with another RETAIN."
    StoredWithoutRetain { topic: &'a str } &c::STORED_WITHOUT_RETAIN, Server
        "The stored message of {topic} is sent with RETAIN 0, as if it were live."
    RefusedMessageDelivered { frame: Frame, topic: &'a str, code: u8 }
        &c::DELIVERED_AFTER_REFUSAL, Server
        "The server refused the message of frame {frame} to {topic} with 0x{code:02x}, and {client} is sent it all the same."
    RefusedSubscriptionServed { topic: &'a str, filter: &'a str }
        &c::DELIVERED_AFTER_REFUSAL, Server
        "The server refused {client} the subscription to {filter}, and sends it a message to {topic} all the same."
    SharedTwice { frame: Frame, topic: &'a str } &c::SHARED_TWICE, Server
        "Another member of the shared subscription was sent the message of frame {frame} to {topic}, and {client} is sent it too."
    PayloadAltered { copy: Frame, topic: &'a str, subscriber: Party<'a> } &c::PAYLOAD_ALTERED, Server
        "{subscriber} was not sent this message to {topic}, but in frame {copy} one with another payload that no client in the capture published."
    RetainedNotSent { topic: &'a str } &c::RETAINED_NOT_SENT, Server
        "{client} subscribes to what takes {topic} and is never sent its stored message."
    RetainedNotWanted { topic: &'a str } &c::RETAINED_NOT_WANTED, Server
        "{client} asked for no stored messages (Retain Handling 2, or 1 for a subscription that was there) and is sent that of {topic}."
    StaleRetained { topic: &'a str, changed: Frame } &c::STALE_RETAINED, Server
        "The stored message of {topic} was last changed in frame {changed}, and this is not what that left."
    IdentifierMissing { frame: Frame } &c::IDENTIFIER_MISSING, Server
        "The copy of the message of frame {frame} lacks the Subscription Identifier that the subscription set."
    PropertyAltered { frame: Frame } &c::PROPERTY_ALTERED, Server
        "The properties of the message of frame {frame} are not those that this copy carries."
    ExpiryNotCounted { frame: Frame, waited: i64, expiry: u32 } &c::EXPIRY_NOT_COUNTED, Server
        "The message of frame {frame} waited {waited} s of its {expiry} s, and its copy does not say so."
    DeliveredExpired { frame: Frame, expiry: u32, waited: i64 } &c::DELIVERED_EXPIRED, Server
        "The message of frame {frame} was to expire after {expiry} s and is delivered after {waited} s."
    MessageExpired { topic: &'a str, subscriber: Party<'a> } &c::MESSAGE_EXPIRED, Client
        "The message to {topic} expired while {subscriber} was away: it is never delivered there."
    MessageLost { topic: &'a str, subscriber: Party<'a>, acknowledged: Frame } &c::MESSAGE_LOST, Server
        "The message to {topic} was acknowledged by the server in frame {acknowledged} and never sent to {subscriber}, which has a subscription that takes it and was connected."
    MessageOvertaken { topic: &'a str, subscriber: Party<'a>, by: Frame } &c::MESSAGE_LOST, Server
        "The message to {topic} was never sent to {subscriber}, which has a subscription that takes it: a later one of the same publisher and QoS came in frame {by}."
    MessageDropped { topic: &'a str, subscriber: Party<'a>, returned: Frame, waited: u32 } &c::MESSAGE_LOST, Server
        "The message to {topic} was never sent to {subscriber}, which came back in frame {returned}: {waited} waited for it, and the server may have dropped this one from a full queue."
    MessageHeldBack { topic: &'a str, subscriber: Party<'a>, since: Frame, waited: u32 } &c::MESSAGE_LOST, Server
        "The message to {topic} was never sent to {subscriber}, of which as many messages were unacknowledged since frame {since} as it is sent at a time: {waited} waited for it, and the server may have dropped this one from a full queue."
    OutOfOrder { frame: Frame } &c::OUT_OF_ORDER, Server
        "{client} gets the message of frame {frame} after a later one of the same publisher, topic and QoS."
    DeliveredTwice { frame: Frame, topic: &'a str } &c::DELIVERED_TWICE, Server
        "{client} gets the QoS 2 message of frame {frame} to {topic} a second time."
    SentTwice { first: Frame, topic: &'a str } &c::DELIVERED_TWICE, Server
        "{client} gets the message to {topic} a second time, under another identifier, while that of frame {first} is not acknowledged."

    // Keep alive, takeover, wills, ends.
    KeepAlive { seconds: f64, keep_alive: u16, how: &'static str } &c::KEEP_ALIVE, Client
        "After this packet {client} was silent for {seconds:.1} s, longer than one and a half times its keep alive of {keep_alive} s, {how}."
    KeepAliveNotEnforced { seconds: f64, keep_alive: u16 } &c::KEEP_ALIVE_NOT_ENFORCED, Server
        "After this packet {client} was silent for {seconds:.1} s with a keep alive of {keep_alive} s, and the server kept the connection."
    Takeover { second: Frame, first: Frame } &c::TAKEOVER, Client
        "A second CONNECT of {client} (frame {second}) takes over from the connection of frame {first}, which the server closes."
    TakeoverUnannounced { second: Frame } &c::TAKEOVER_UNANNOUNCED, Server
        "The server ends this connection of {client} for the CONNECT of frame {second} without DISCONNECT 0x8e (Session taken over)."
    TakeoverLoop { times: u64, seconds: f64, last: Frame, hosts: &'a str, why: &'a str } &c::TAKEOVER_LOOP, Client
        "{client} was taken over {times} times within {seconds:.1} s, from here to frame {last}, {hosts}: {why}."
    TakeoverNotEnforced { first: Frame } &c::TAKEOVER_NOT_ENFORCED, Server
        "Two connections of {client} live side by side: the server did not close that of frame {first}."
    WillPublished { set: Frame, topic: &'a str, receivers: &'a str, cause: &'a str }
        &c::WILL_PUBLISHED, Server
        "The will of {client} (set in frame {set}) was published to {topic} and sent to {receivers}, because {cause}."
    WillNotPublished { cause: &'a str, topic: &'a str } &c::WILL_NOT_PUBLISHED, Server
        "The will of {client} was due, because {cause}, and a subscriber to {topic} never got it."
    WillAfterDisconnect { set: Frame, topic: &'a str } &c::WILL_AFTER_DISCONNECT, Server
        "The will of {client} (frame {set}) is published to {topic}, although DISCONNECT deleted it."
    WillQos { clause: &'static Clause, set: Frame, qos: u8, granted: u8, sent: u8 } clause, Server
        "The will of frame {set} has QoS {qos} and {client} was granted QoS {granted}; it is sent at QoS {sent}."
    WillBeforeDelay { set: Frame, topic: &'a str, seconds: f64, due: u32 } &c::WILL_BEFORE_DELAY, Server
        "The will of {client} (frame {set}) is published to {topic} {seconds:.1} s after its connection ended; it is due after {due} s."
    WillAfterReturn { set: Frame, topic: &'a str } &c::WILL_AFTER_RETURN, Server
        "The will of {client} (frame {set}) is published to {topic}, although the client came back before its delay was over."
    NoCleanEnd {} &c::NO_CLEAN_END, Client
        "{client} never ended this connection: no DISCONNECT, no FIN and no RST came from it."
    ConnectionReset { how: &'static str } &c::CONNECTION_RESET, Unknown
        "{client} {how} without DISCONNECT."
    ClosedByServer {
        how: &'static str, seconds: f64, packet: &'static str, octets: u64, last: Frame,
        remark: &'static str
    }
        &c::CLOSED_BY_SERVER, Server
        "The server {how} the connection of {client} {seconds:.6} s after its {packet} of {octets} octets (frame {last}){remark}."
    ClosedBeforePacket { how: &'static str, packet: &'static str, octets: u64, last: Frame }
        &c::CLOSED_BY_SERVER, Server
        "The server {how} the connection of {client} before {packet} of {octets} octets (frame {last}) came, which it did not read."
    ServerDisconnected { code: u8, reason: &'static str } &c::SERVER_DISCONNECTED, Server
        "The server disconnects {client} with 0x{code:02x} ({reason})."
    CutInRemainingLength { packet: &'static str } &c::INCOMPLETE_PACKET, Unknown
        "{packet} ends within its Remaining Length: the connection was over."
    IncompletePacket { packet: &'static str, announced: u64, received: u64 }
        &c::INCOMPLETE_PACKET, Unknown
        "{packet} announces {announced} octets and {received} came before the connection was over."

    // The capture.
    Missing { clause: &'static Clause, length: &'a str, who: &'static str, why: &'static str }
        clause, Network
        "{length} of {who} are missing: {why}."
    Outside { copies: u64 } &c::ONE_SIDED, Network
        "From here on the server sends {copies} copies of messages that no client in this capture published: it has other clients, and what they did is not known."
    OneDirection { count: u64, other: &'static str, missing: &'static str } &c::ONE_SIDED, Network
        "Of {count} connections the capture holds only what the {other} sent: what the {missing} sent is not known, and nothing is concluded from its absence."
    SeenTwice { other: u32, first: Frame } &c::SEEN_TWICE, Network
        "This connection begins with the same packets as stream {other} (CONNECT in frame {first}), in step: the capture holds it twice (docker-proxy, address translation, two capture points)."
    SlowConsumer { seconds: f64, last: Frame } &c::SLOW_CONSUMER, Unknown
        "{who} does not read: from here on it advertised a TCP receive window of 0 for {seconds:.1} s (to frame {last}), and the other end could not send."
    NotAcknowledged { sender: &'static str, times: u32, seconds: f64, last: Frame }
        &c::NOT_ACKNOWLEDGED, Unknown
        "{who} acknowledges nothing more on TCP: from here on {sender} sent the same octets again {times} times in vain, to the last that was captured of the connection {seconds:.1} s later (frame {last})."
    NotEnded { what: &'static str, sender: &'static str } &c::NOT_ENDED, Network
        "{what} in the name of {sender} stands where none was expected (RFC 5961) and is passed over: it was forged, or is of another connection."
    FramesLate { frames: &'a str, late: Frame, early: Frame } &c::FRAMES_OUT_OF_ORDER, Network
        "{frames} in the capture behind others of the same connection that were sent later; frame {late}, the first, was sent before frame {early}. Each connection was put in order; between connections the order, and what rests on it, may be another."
    ClockSkew { what: &'a str, seconds: f64, early: Frame, late: Frame } &c::CLOCK_SKEW, Network
        "The clocks of {what} differ by {seconds:.6} s or more: frame {early} stands before frame {late}, without which it would not have been sent. Times from one to the other, latencies among them, are not known."
    FramesBack { frames: &'a str, late: Frame, early: Frame } &c::FRAMES_OUT_OF_ORDER, Network
        "{frames} an earlier time than the frame before, first frame {late} (after frame {early}): the capture is not in the order of time."
    StartsMidway {} &c::STARTS_MIDWAY, Network
        "The capture begins in the middle of this connection: what was sent before is not known."
    LimitReached { name: &'static str, value: usize } &c::TABLE_FULL, Unknown
        "From here on the analysis may miss something: its table of {name} reached its limit of {value}."
    MoreFindings { more: u64, rule: &'static str } &c::MORE_FINDINGS, Unknown
        "{more} more findings of the rule {rule} are not told one by one."
}

/// Returns the sentence of a codec rule that `packet` of one end breaks.
pub(crate) fn codec_sentence(packet: &str, who: Party<'_>, rule: Rule) -> String {
    format!("{packet} of {who}: {}", rule.sentence())
}

/// Begins a sentence with a capital where it starts with a name for one end.
fn capital(mut sentence: String) -> String {
    if sentence.starts_with("client ") || sentence.starts_with("the ") {
        let first = sentence.get_mut(..1).unwrap_or_default();
        first.make_ascii_uppercase();
    }
    sentence
}
