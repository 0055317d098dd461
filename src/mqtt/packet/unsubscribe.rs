//! UNSUBSCRIBE and its topic filters.

use crate::base::field::FieldVisitor;
use crate::mqtt::fields as f;
use crate::mqtt::property::{Properties, prefixed_text};
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::PacketIdentifier;

/// UNSUBSCRIBE (§3.10).
#[derive(Clone, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    /// Chosen by the Client.
    pub packet_id: PacketIdentifier,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// The filters of the subscriptions that end: one at least.
    pub filters: TopicFilters<'a>,
}

/// The topic filters of an UNSUBSCRIBE: bytes already found valid.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct TopicFilters<'a> {
    pub(in crate::mqtt) bytes: &'a [u8],
}

impl<'a> TopicFilters<'a> {
    /// Returns the filters that stand in `bytes`: see [`TopicFilters::as_bytes`].
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Returns their bytes: of each its length in two, and the filter.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the filters in wire order; it ends at anything that is none.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let (filter, rest) = prefixed_text(bytes)?;
            bytes = rest;
            Some(filter)
        })
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = reader.own_properties()?;
        if reader.is_at_end() {
            reader.note(Rule::UnsubscribeHasAFilter, reader.offset());
        }
        let bytes = reader.ahead();
        while !reader.is_at_end() {
            reader.text(&f::TOPIC_LENGTH, &f::TOPIC)?;
        }
        Ok(Self {
            packet_id,
            properties,
            filters: TopicFilters { bytes },
        })
    }
}
