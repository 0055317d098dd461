//! Events in words: one function for each kind of outcome, cause and reason.
//!
//! Ladders, notes and tables use the same words for the same thing. JSON has names of its own,
//! which scripts rely on; these words are for people and may change.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::base::text::safe;
use crate::base::{Endpoint, FrameStamp, Precision, Span, Timestamp};
use crate::event::{
    CarrierError, Closed, ConnectionId, EndCause, EndedBy, GapCause, HandshakeKind, Introduction,
    LooksLike, NoWill, NotMqtt, Protocol, SessionOver, Undelivered,
};
use crate::mqtt::{PacketType, ProtocolVersion, Sender, reason};

/// Returns a span as people read it, with three digits below the unit: `0.106 ms`, `12.000 s`;
/// whole nanoseconds below a microsecond: `850 ns`. A negative span begins with `-`.
pub(super) fn span(span: Span) -> String {
    signed_span(if span.nanos() < 0 { "-" } else { "" }, span)
}

/// Returns the time since the step before: `+0.021 ms`; negative where a clock stepped back.
pub(super) fn since(since: Span) -> String {
    signed_span(if since.nanos() < 0 { "-" } else { "+" }, since)
}

fn signed_span(sign: &str, span: Span) -> String {
    let nanos = span.nanos().unsigned_abs();
    match nanos {
        0..=999 => format!("{sign}{nanos} ns"),
        1_000..=999_999_999 => decimal(sign, nanos / 1_000_000, nanos / 1_000 % 1_000, 3) + " ms",
        _ => {
            let fraction = nanos / 1_000_000 % 1_000;
            decimal(sign, nanos / 1_000_000_000, fraction, 3) + " s"
        }
    }
}

/// Returns `-1.020304`: a sign, a whole number and a fraction of `digits` digits, at most nine.
/// Each row of a ladder has two: `format!` takes several times as many instructions.
fn decimal(sign: &str, whole: u64, fraction: u64, digits: usize) -> String {
    let (mut buffer, mut text) = (itoa::Buffer::new(), String::with_capacity(32));
    text += sign;
    text += buffer.format(whole);
    text += ".";
    let fraction = buffer.format(fraction);
    text += "000000000".get(fraction.len()..digits).unwrap_or_default();
    text += fraction;
    text
}

/// Returns the seconds from `start` to a frame, with as many digits as its capture has (six or
/// nine); empty where either instant is not known.
pub(super) fn seconds(stamp: &FrameStamp, start: Option<Timestamp>) -> String {
    let (Some(time), Some(start)) = (stamp.time, start) else {
        return String::new();
    };
    let nanos = time.since(start).nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match stamp.precision {
        Precision::Nano => decimal(sign, seconds, nanos, 9),
        Precision::Micro => decimal(sign, seconds, nanos / 1_000, 6),
    }
}

/// A number of bytes in words: `1 octet`, `4 octets`.
pub(super) fn octets(count: u64) -> String {
    count.to_string() + if count == 1 { " octet" } else { " octets" }
}

/// Returns `10.0.0.1:1883` or `[::1]:1883`.
pub(super) fn endpoint(endpoint: Endpoint) -> String {
    match endpoint.address {
        IpAddr::V4(address) => {
            // Each ladder has one.
            let (mut buffer, mut text) = (itoa::Buffer::new(), String::with_capacity(24));
            for (part, behind) in address.octets().into_iter().zip([".", ".", ".", ":"]) {
                text.extend([buffer.format(part), behind]);
            }
            text + buffer.format(endpoint.port)
        }
        IpAddr::V6(address) => format!("[{address}]:{}", endpoint.port),
    }
}

/// Returns a client's name in a view: its identifier, or where that is unknown or empty, its
/// connection; the client's session may have none.
pub(super) fn client(client_id: Option<&str>, connection: Option<ConnectionId>) -> String {
    match (client_id, connection) {
        (Some(client_id), _) if !client_id.is_empty() => client_id.to_owned(),
        (_, Some(connection)) => format!("(stream {})", connection.0),
        (_, None) => "(away)".to_owned(),
    }
}

/// Returns a reason or return code with its name: `Not authorized (0x87)`. Where the version
/// is not known, 3.1.1 is assumed, whose codes are the fewest.
pub(super) fn code(packet_type: PacketType, version: Option<ProtocolVersion>, code: u8) -> String {
    let version = version.unwrap_or(ProtocolVersion::V3_1_1);
    format!(
        "{} (0x{code:02x})",
        reason::name(packet_type, version, code)
    )
}

/// Returns what kind of exchange a handshake is, as a title begins.
pub(super) const fn handshake_kind(kind: HandshakeKind) -> &'static str {
    match kind {
        HandshakeKind::Connect => "Connect",
        HandshakeKind::Auth => "Re-authentication",
        HandshakeKind::Qos0 => "QoS 0",
        HandshakeKind::Qos1 => "QoS 1",
        HandshakeKind::Qos2 => "QoS 2",
        HandshakeKind::Subscribe => "Subscribe",
        HandshakeKind::Unsubscribe => "Unsubscribe",
        HandshakeKind::Ping => "Ping",
    }
}

/// Returns why an awaited packet is missing, to stand behind its name. A packet that was not
/// captured is never called "not sent".
pub(super) const fn absence(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::CaptureEnd => "was not seen before the capture ends",
        EndedBy::ConnectionClosed => "never came; connection closed",
        EndedBy::ConnectionReset => "never came; connection reset",
        EndedBy::Gap => "was not seen: octets are missing from the capture",
        EndedBy::IdentifierReused => "never came; the packet identifier was used again",
        EndedBy::TableFull => "is no longer waited for: too many open handshakes",
    }
}

/// [`absence`] without the cause, for the label of an arrow.
pub(super) const fn short_absence(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::ConnectionClosed | EndedBy::ConnectionReset | EndedBy::IdentifierReused => {
            "never came"
        }
        EndedBy::CaptureEnd | EndedBy::Gap | EndedBy::TableFull => "not seen",
    }
}

/// Returns how a client's connection ended.
pub(super) fn end_cause(cause: &EndCause) -> String {
    let by = |sender: Option<Sender>| match sender {
        Some(Sender::Client) => " by the client",
        Some(Sender::Server) => " by the broker",
        None => "",
    };
    match *cause {
        EndCause::Disconnect { by: sender, code } => {
            let reason = match code {
                0 => String::new(),
                code => format!(" with reason 0x{code:02x}"),
            };
            format!("DISCONNECT{}{reason}", by(Some(sender)))
        }
        EndCause::Refused { code } => format!("connection refused (0x{code:02x})"),
        EndCause::Takeover { by, frame } => format!(
            "taken over by the same client id on stream {} (frame {frame})",
            by.0
        ),
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => format!(
            "keep alive ran out: silent for {}, allowed are 1.5 x {keep_alive} s",
            span(silence)
        ),
        EndCause::ProtocolError { frame } => {
            format!("closed by the broker after the protocol error in frame {frame}")
        }
        EndCause::Fin { by: sender } => {
            format!("connection closed{} without DISCONNECT", by(sender))
        }
        EndCause::Reset { by: sender } => format!("connection reset{}", by(sender)),
        EndCause::Replaced => "a new connection between the same endpoints".to_owned(),
        EndCause::Evicted => "no longer followed: too many connections".to_owned(),
        EndCause::CaptureEnd => "the capture ends".to_owned(),
    }
}

/// Returns why a will was not seen to be published.
pub(super) const fn no_will(why: NoWill) -> &'static str {
    match why {
        NoWill::Disconnected => "not published: DISCONNECT deletes the will",
        NoWill::Refused => "not published: the connection was refused",
        NoWill::StillOpen => "not published: the connection is open where the capture ends",
        NoWill::SessionResumed => {
            "not published: the client came back before the will delay was over"
        }
        NoWill::TakenOver => "not seen: another connection went on with the session",
        NoWill::DelayRunning => "not published yet: the will delay goes on where the capture ends",
        NoWill::NoSubscriber => "due, but no subscription to its topic is visible",
        NoWill::NotSeen => "due, but not seen although a subscription to its topic is visible",
    }
}

/// Returns why a subscriber was not seen to receive a message.
pub(super) fn undelivered(why: Undelivered) -> String {
    match why {
        Undelivered::Away { since } => {
            format!(
                "the session is away since frame {since}; the broker may keep the message for it"
            )
        }
        Undelivered::OtherOfGroup { frame } => {
            format!("another member of the shared subscription has it (frame {frame})")
        }
        Undelivered::NoLocal { asked } => {
            format!("it published the message itself, and asked for No Local in frame {asked}")
        }
        Undelivered::NotReleased { until } => {
            format!("no PUBREL up to frame {until}: the broker may not release it yet")
        }
        Undelivered::OtherIsAway { since } => {
            format!(
                "it may wait for another member of the shared subscription, away since frame {since}"
            )
        }
        Undelivered::Refused { code, frame } => {
            format!("the broker refused it (0x{code:02x}, frame {frame})")
        }
        Undelivered::Expired {
            published,
            interval,
        } => {
            format!(
                "it expired while the subscriber was away: its Message Expiry Interval is \
                 {interval} s (frame {published})"
            )
        }
        Undelivered::AwayAtQoS0 { since } => {
            format!("the session is away since frame {since}, and at QoS 0 nothing need be kept")
        }
        Undelivered::Unsubscribed { frame } => {
            format!("it unsubscribed in frame {frame}")
        }
        Undelivered::ConnectionEnded { frame } => {
            format!("its connection ended first, in frame {frame}")
        }
        Undelivered::SessionEnded { frame, how } => match how {
            SessionOver::WithConnection => {
                format!("its clean session ended in frame {frame}")
            }
            SessionOver::Expired => {
                format!("its session expired: it was away since frame {frame}")
            }
            SessionOver::Replaced => format!("it began a new session in frame {frame}"),
            SessionOver::Lost => {
                format!("the broker did not have its session any more in frame {frame}")
            }
        },
        Undelivered::NotYetSubscribed { asked } => {
            format!("it subscribed in frame {asked}, and the broker had not granted that yet")
        }
        Undelivered::NotSubscribed { frame } => {
            format!("the broker refused the subscription in frame {frame}")
        }
        Undelivered::TooLarge { maximum, frame } => {
            format!(
                "it is larger than the Maximum Packet Size of {maximum} octets set in frame {frame}"
            )
        }
        Undelivered::QueueDropped { returned, waited } => {
            format!(
                "the session came back in frame {returned} and was not sent it; {waited} waited, \
                 and the broker may have dropped it from a full queue"
            )
        }
        Undelivered::WindowFull { since, waited } => {
            format!(
                "since frame {since} as many messages to it were unacknowledged as it is sent at a \
                 time; {waited} waited, and the broker may have dropped it from a full queue"
            )
        }
        Undelivered::NotForwarded { acknowledged } => {
            format!(
                "still connected; the broker acknowledged it in frame {acknowledged} and did not \
                 forward it"
            )
        }
        Undelivered::Overtaken { by } => {
            format!("the broker did not forward it: a later one came in frame {by}")
        }
        Undelivered::Gap { frame } => {
            format!("octets are missing from the capture (frame {frame}): it may be among them")
        }
        Undelivered::CaptureEnded { last } => {
            format!("the capture ends first, with frame {last}")
        }
        Undelivered::GivenUp { at } => {
            format!("not known: the analysis reached a limit by frame {at} (`help limits`)")
        }
        Undelivered::Unknown => "nothing in the capture says why".to_owned(),
    }
}

/// Returns why bytes of a stream are missing, to stand behind their number.
pub(super) const fn gap_cause(cause: GapCause) -> &'static str {
    match cause {
        GapCause::NotCaptured => "are missing: the peer has them, the capture has not",
        GapCause::SnapshotLength => "are missing: the snapshot length cut them off",
        GapCause::WaitingCap => "are missing: too much already waits behind them",
        GapCause::HeldCap => "are not told: too much is held for packets that are not whole",
        GapCause::PassedOver => "belong to packets whose beginnings are missing",
        GapCause::Unreadable => {
            "are not told: the WebSocket or TLS that carried them cannot be read"
        }
        GapCause::EndOfCapture => "are missing: they had not come when the connection was over",
    }
}

/// Returns what ended a connection before a packet was whole.
pub(super) const fn closed(why: Closed) -> &'static str {
    match why {
        Closed::Finished => "the connection was closed",
        Closed::Reset | Closed::Refused => "the connection was reset",
        Closed::Replaced => "a new connection took its ports",
        Closed::Evicted => "the connection was given up for room",
        Closed::CaptureEnd => "the capture ended",
    }
}

/// Returns what a connection is that carries no MQTT that can be read, to stand behind its
/// ends.
pub(super) fn not_mqtt(not: &NotMqtt) -> Cow<'static, str> {
    let looks_like = not.looks_like;
    let details = introduction(&not.introduction);
    if let (LooksLike::TLS, Some(alert)) = (looks_like, not.introduction.alert) {
        return Cow::Owned(match not.answers_mqtt {
            true => format!("answers plain MQTT with a TLS alert ({alert}): this port expects TLS"),
            false => format!("is TLS and begins with an alert ({alert})"),
        });
    }
    if let (LooksLike::TLS, false) = (looks_like, details.is_empty()) {
        return Cow::Owned(format!(
            "is TLS ({details}): its MQTT, if any, needs the keys (--keylog)"
        ));
    }
    Cow::Borrowed(match looks_like {
        LooksLike::Carrier(Protocol::Tls, CarrierError::Unanswered) => {
            "asked for TLS and was not answered before the connection ended: the other end may \
             expect MQTT without TLS"
        }
        LooksLike::Carrier(Protocol::WebSocket, CarrierError::Unanswered) => {
            "asked for WebSocket and was not answered before the connection ended: the other end \
             may expect MQTT without WebSocket"
        }
        LooksLike::Carrier(Protocol::Tls, CarrierError::Unsupported(suite)) => {
            return Cow::Owned(format!(
                "is TLS with cipher suite 0x{suite:04x}, which this version does not decrypt"
            ));
        }
        LooksLike::Carrier(Protocol::WebSocket, CarrierError::Refused(status)) => {
            return Cow::Owned(format!("refuses WebSocket: HTTP status {status}"));
        }
        LooksLike::TLS => "is TLS: its MQTT, if any, needs the keys (--keylog)",
        LooksLike::Refused => "refuses the connection: its SYN was answered by RST",
        LooksLike::HTTP => "is HTTP, not MQTT",
        LooksLike::Carrier(Protocol::Tls, _) => {
            "cannot be decrypted from here on with the keys that are known"
        }
        LooksLike::Carrier(Protocol::WebSocket, _) => {
            "has broken WebSocket frames: nothing behind this is read"
        }
        _ => "is not MQTT",
    })
}

/// Returns what TLS states of itself, for brackets: `1.3, server name "broker.example", ALPN mqtt`.
fn introduction(introduction: &Introduction) -> String {
    let mut parts = Vec::new();
    parts.extend(introduction.version.map(str::to_owned));
    if let Some(suite) = introduction.cipher_suite {
        parts.push(format!("cipher suite 0x{suite:04x}"));
    }
    if let Some(name) = &introduction.server_name {
        parts.push(format!("server name {}", safe(name)));
    }
    if !introduction.protocols.is_empty() {
        let names = introduction.protocols.join(" ");
        parts.push(format!("ALPN {}", safe(&names)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_ipv6_has_brackets() {
        for text in ["10.0.0.1:1883", "255.20.0.100:0", "[::1]:65535"] {
            let address: std::net::SocketAddr = text.parse().unwrap();
            let (address, port) = (address.ip(), address.port());
            assert_eq!(endpoint(Endpoint { address, port }), text);
        }
    }

    #[test]
    fn a_span_has_the_unit_that_suits_it() {
        for (nanos, expected) in [
            (0, "0 ns"),
            (850, "850 ns"),
            (1_000, "0.001 ms"),
            (106_000, "0.106 ms"),
            (-58_000, "-0.058 ms"),
            (40_123_456, "40.123 ms"),
            (999_999_999, "999.999 ms"),
            (1_000_000_000, "1.000 s"),
            (61_500_000_000, "61.500 s"),
            (i64::MIN, "-9223372036.854 s"),
        ] {
            assert_eq!(span(Span::from_nanos(nanos)), expected);
            let sign = expected.strip_prefix('-').map_or("+", |_| "");
            assert_eq!(since(Span::from_nanos(nanos)), format!("{sign}{expected}"));
        }
    }

    #[test]
    fn a_time_has_the_digits_of_its_capture() {
        let time = |nanos, precision, start| {
            let stamp = FrameStamp {
                time: Some(Timestamp::from_nanos(nanos)),
                precision,
                ..FrameStamp::default()
            };
            seconds(&stamp, start)
        };
        let start = Some(Timestamp::from_nanos(0));
        assert_eq!(time(1_020_304_567, Precision::Micro, start), "1.020304");
        assert_eq!(time(1_020_304_567, Precision::Nano, start), "1.020304567");
        assert_eq!(time(-5_000, Precision::Micro, start), "-0.000005");
        assert_eq!(
            time(i64::MIN, Precision::Nano, start),
            "-9223372036.854775808"
        );
        assert_eq!(time(i64::MAX, Precision::Micro, start), "9223372036.854775");
        assert_eq!(time(1, Precision::Micro, None), "");
    }
}
