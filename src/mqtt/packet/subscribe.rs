//! SUBSCRIBE and its subscriptions.

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::{Properties, prefixed_text};
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketIdentifier, ProtocolVersion, QoS};

/// SUBSCRIBE (§3.8).
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe<'a> {
    /// Chosen by the Client.
    pub packet_id: PacketIdentifier,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// The subscriptions asked for: one at least.
    pub subscriptions: Subscriptions<'a>,
}

/// The subscriptions of a SUBSCRIBE: bytes already found valid, walked again on demand, so
/// that no packet costs an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Subscriptions<'a> {
    pub(in crate::mqtt) bytes: &'a [u8],
}

/// One subscription: a filter and its options byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscription<'a> {
    /// The topic filter, with the prefix of a shared subscription.
    pub filter: &'a str,
    /// The Subscription Options byte (5.0 §3.8.3.1); before 5.0 only the QoS bits.
    pub options: u8,
}

impl Subscription<'_> {
    /// Returns the highest QoS at which messages are wanted.
    pub fn qos(&self) -> QoS {
        QoS::from_bits(self.options & 0x03).unwrap_or(QoS::ExactlyOnce)
    }

    /// Returns whether messages that the subscriber published itself are not wanted (5.0).
    pub const fn no_local(&self) -> bool {
        self.options & 0x04 != 0
    }

    /// Returns whether messages keep the RETAIN flag with which they were published (5.0).
    pub const fn retain_as_published(&self) -> bool {
        self.options & 0x08 != 0
    }

    /// Returns when retained messages are sent (5.0): 0 at every SUBSCRIBE, 1 at a new
    /// subscription, 2 never.
    pub const fn retain_handling(&self) -> u8 {
        self.options >> 4 & 0x03
    }
}

impl<'a> Subscriptions<'a> {
    /// Returns the subscriptions that stand in `bytes`: see [`Subscriptions::as_bytes`].
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns their bytes: of each the length of its filter in two, the filter, and the options.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the subscriptions in wire order; it ends at anything that is none.
    pub fn iter(&self) -> impl Iterator<Item = Subscription<'a>> + use<'a> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let (filter, rest) = prefixed_text(bytes)?;
            let (options, rest) = rest.split_first()?;
            bytes = rest;
            Some(Subscription {
                filter,
                options: *options,
            })
        })
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = reader.own_properties()?;
        if reader.is_at_end() {
            reader.note(Rule::SubscribeHasAFilter, reader.offset());
        }
        let bytes = reader.ahead();
        while !reader.is_at_end() {
            let filter = reader.text(&f::TOPIC_LENGTH, &f::TOPIC)?;
            read_options(reader, filter)?;
        }
        Ok(Self {
            packet_id,
            properties,
            subscriptions: Subscriptions { bytes },
        })
    }
}

/// Reads the Subscription Options (5.0 §3.8.3.1) or the Requested QoS (3.x).
fn read_options<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>, filter: &str) -> Step<()> {
    let offset = reader.offset();
    let five = reader.version == ProtocolVersion::V5_0;
    let options = if five {
        reader.flags(&f::SUBSCRIPTION_OPTIONS, &f::SUBSCRIPTION_BITS)?
    } else {
        let options = reader.byte()?;
        let qos = options & 0x03;
        let name = f::QOS.get(usize::from(qos)).copied().unwrap_or("");
        reader.report(&f::REQUESTED_QOS, Value::Named(qos.into(), name), offset);
        options
    };
    // 3.1 does not use the upper six bits (§3.8).
    let reserved = match reader.version {
        ProtocolVersion::V3_1 => 0x00,
        ProtocolVersion::V3_1_1 => 0xfc,
        ProtocolVersion::V5_0 => 0xc0,
    };
    if options & reserved != 0 {
        reader.note(Rule::SubscriptionReservedBitsAreZero, offset);
    }
    if five && options & 0x30 == 0x30 {
        reader.note(Rule::RetainHandlingIsNotThree, offset);
    }
    if options & 0x03 == 0x03 {
        reader.note(Rule::SubscriptionQosIsNotThree, offset);
    }
    if five && options & 0x04 != 0 && filter.starts_with("$share/") {
        reader.note(Rule::NoLocalIsNotShared, offset);
    }
    Ok(())
}
