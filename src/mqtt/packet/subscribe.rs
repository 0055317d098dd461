//! SUBSCRIBE and its subscriptions.

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::property::prefixed_text;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketIdentifier, PacketType, ProtocolVersion, QoS};

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
    /// Returns the subscriptions in wire order.
    pub const fn iter(&self) -> SubscriptionsIter<'a> {
        SubscriptionsIter { bytes: self.bytes }
    }

    /// Counts the subscriptions by walking them.
    pub fn count(&self) -> usize {
        self.iter().count()
    }
}

impl<'a> IntoIterator for Subscriptions<'a> {
    type Item = Subscription<'a>;
    type IntoIter = SubscriptionsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An iterator over subscriptions that were found valid; it ends at anything else.
#[derive(Clone, Debug)]
pub struct SubscriptionsIter<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for SubscriptionsIter<'a> {
    type Item = Subscription<'a>;

    fn next(&mut self) -> Option<Subscription<'a>> {
        let (filter, rest) = prefixed_text(self.bytes)?;
        let (options, rest) = rest.split_first()?;
        self.bytes = rest;
        Some(Subscription {
            filter,
            options: *options,
        })
    }
}

impl<'a> Subscribe<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = reader.own_properties(PacketType::Subscribe, version)?;
        if reader.is_at_end() {
            let offset = reader.offset();
            reader.note(Rule::SubscribeHasAFilter, offset);
        }
        let bytes = reader.ahead();
        while !reader.is_at_end() {
            let filter = reader.text(&f::TOPIC_LENGTH, &f::TOPIC)?;
            read_options(reader, filter, version)?;
        }
        Ok(Self {
            packet_id,
            properties,
            subscriptions: Subscriptions { bytes },
        })
    }
}

/// Reads the Subscription Options (5.0 §3.8.3.1) or the Requested QoS (3.x).
fn read_options<'a, F: FieldVisitor<'a>>(
    reader: &mut Reader<'a, '_, F>,
    filter: &str,
    version: ProtocolVersion,
) -> Step<()> {
    let offset = reader.offset();
    if version == ProtocolVersion::V5_0 {
        let options = reader.byte()?;
        reader.report_bits(
            &f::SUBSCRIPTION_OPTIONS,
            options,
            &f::SUBSCRIPTION_BITS,
            offset,
        );
        if options & 0xc0 != 0 {
            reader.note(Rule::SubscriptionReservedBitsAreZero, offset);
        }
        if options & 0x30 == 0x30 {
            reader.note(Rule::RetainHandlingIsNotThree, offset);
        }
        if options & 0x03 == 0x03 {
            reader.note(Rule::SubscriptionQosIsNotThree, offset);
        }
        if options & 0x04 != 0 && filter.starts_with("$share/") {
            reader.note(Rule::NoLocalIsNotShared, offset);
        }
        return Ok(());
    }
    let options = reader.byte()?;
    if F::ACTIVE {
        let qos = options & 0x03;
        let name = f::QOS.get(usize::from(qos)).copied().unwrap_or("");
        let value = Value::Named(qos.into(), name);
        reader.report(&f::REQUESTED_QOS, value, offset, 1);
    }
    // 3.1 does not use the upper six bits (§3.8).
    if options & 0xfc != 0 && version == ProtocolVersion::V3_1_1 {
        reader.note(Rule::SubscriptionReservedBitsAreZero, offset);
    }
    if options & 0x03 == 0x03 {
        reader.note(Rule::SubscriptionQosIsNotThree, offset);
    }
    Ok(())
}
