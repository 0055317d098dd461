//! An application message as the Server holds it: once, however many Clients get it.

use crate::base::{Span, Timestamp};
use crate::mqtt::{Properties, PropertiesBuf, PropertyId, QoS};

/// An application message, independent of the packet that brought it.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) topic: Box<str>,
    pub(super) payload: Box<[u8]>,
    /// The QoS at which it was published.
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// The properties that are passed on unaltered (5.0 §3.3.2.3), in the publisher's order.
    pub(super) properties: PropertiesBuf,
    /// Message Expiry Interval in seconds, until the message is published.
    lifetime: Option<u32>,
    /// When it expires.
    expires: Option<Timestamp>,
}

impl Message {
    /// A message with those of `properties` that concern it, published at `now`.
    pub(super) fn new(
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        properties: Properties<'_>,
        now: Timestamp,
    ) -> Self {
        let mut passed = PropertiesBuf::new();
        let kept = properties.iter().filter(|p| is_passed_on(p.id));
        // They come from a packet that was read, so each has a form.
        let _ = passed.extend(kept);
        let mut message = Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain,
            properties: passed,
            lifetime: properties.message_expiry_interval(),
            expires: None,
        };
        message.publish(now);
        message
    }

    /// Starts the message's time to live. A will is made at CONNECT and published later, so its
    /// interval starts then.
    pub(super) fn publish(&mut self, now: Timestamp) {
        self.expires = self.lifetime.map(|seconds| now.plus(seconds_span(seconds)));
    }

    /// When its Message Expiry Interval has passed.
    pub(super) const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Whether its Message Expiry Interval has passed ([MQTT-3.3.2-5]).
    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// The whole seconds left, as they are sent on ([MQTT-3.3.2-6]); `None` without expiry.
    pub(super) fn seconds_left(&self, now: Timestamp) -> Option<u32> {
        let left = self.expires?.since(now).nanos().max(0);
        // A second that has only begun to pass is still sent.
        u32::try_from(left.saturating_add(999_999_999) / 1_000_000_000).ok()
    }

    /// Bytes that it takes in memory, roughly, for the limits.
    pub(super) fn bytes(&self) -> usize {
        let properties = self.properties.as_properties().bytes();
        Self::bytes_of(&self.topic, &self.payload, properties)
    }

    /// Bytes that a message of these parts takes in memory, before it is made.
    pub(super) const fn bytes_of(topic: &str, payload: &[u8], properties: &[u8]) -> usize {
        // The struct, its `Arc`, and what an allocator adds to four allocations.
        const FIXED: usize = 160;
        FIXED + topic.len() + payload.len() + properties.len()
    }
}

/// A span of whole seconds.
pub(super) const fn seconds_span(seconds: u32) -> Span {
    Span::from_nanos(seconds as i64 * 1_000_000_000)
}

/// The properties of a PUBLISH that a Server must not alter ([MQTT-3.3.2-4],
/// [MQTT-3.3.2-15] to [MQTT-3.3.2-20]).
fn is_passed_on(id: PropertyId) -> bool {
    matches!(
        id,
        PropertyId::PAYLOAD_FORMAT_INDICATOR
            | PropertyId::CONTENT_TYPE
            | PropertyId::RESPONSE_TOPIC
            | PropertyId::CORRELATION_DATA
            | PropertyId::USER_PROPERTY
    )
}
