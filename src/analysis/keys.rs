//! The names of what is kept: numbers for brokers, sessions and messages, topics by their hash.
//!
//! Each number is given once in a run, so that a key of something forgotten finds nothing.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::caps;
use crate::mqtt::topic::{matches, matching_part};

/// A broker's place in the order of first appearance.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct BrokerId(pub(crate) u32);

impl BrokerId {
    /// Beyond the limit: its messages are not followed.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
}

/// The number of a session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SessionKey(pub(crate) u64);

/// The number of a subscription.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct SubscriptionKey(pub(crate) u64);

/// The number of an application message, in order of publication.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct MessageKey(pub(crate) u64);

/// The number of a stored message, in order of storing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct StoredKey(pub(crate) u64);

/// The number of a will, in order of the CONNECTs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct WillKey(pub(crate) u64);

/// The delivery that a server's PUBLISH is: of what, and its place among the deliveries of that.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DeliveryRef {
    /// Of a client's PUBLISH.
    Message(MessageKey, usize),
    /// Of a stored message.
    Stored(StoredKey, usize),
    /// Of a will.
    Will(WillKey, usize),
}

/// A turn in the order of output, reserved when a handshake begins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Turn(pub(crate) u64);

/// A topic name of a broker. All that is known of it is found by its hash, which is seeded: as
/// with the digests of messages, two names with the same hash are not reckoned with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic<'a> {
    /// The name, shortened where it is long.
    pub(crate) name: &'a str,
    /// Of the name alone: the same on every broker.
    pub(crate) name_hash: u64,
    /// Of broker and name.
    pub(crate) hash: u64,
    /// The broker: the same name elsewhere is another topic.
    pub(crate) broker: BrokerId,
}

/// Returns a packet's text as a shared string. Of one longer than [`caps::NAME`] it is the
/// beginning, the length and a checksum: so thousands of names of 64 KiB take little memory, and
/// equal names stay equal.
pub(crate) fn shared(text: &str) -> Arc<str> {
    if text.len() <= caps::NAME {
        return Arc::from(text);
    }
    let start = text.get(..text.floor_char_boundary(caps::NAME));
    let start = start.unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let checksum = hasher.finish();
    format!("{start}… ({} octets, {checksum:016x})", text.len()).into()
}

/// Returns whether a filter as subscribed, a share's prefix included, takes a topic.
pub(crate) fn takes(filter: &str, topic: &str) -> bool {
    matches(matching_part(filter), topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_shortened_and_stays_distinct() {
        let long = "é".repeat(30_000);
        let kept = shared(&long);
        assert!(kept.len() < caps::NAME + 60, "{kept}");
        assert_eq!(kept, shared(&long));
        assert_ne!(kept, shared(&format!("{long}x")));
        assert_eq!(&*shared("a/b"), "a/b");
    }
}
