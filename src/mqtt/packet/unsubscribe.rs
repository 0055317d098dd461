//! UNSUBSCRIBE and its topic filters.

use crate::base::field::FieldVisitor;
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::property::prefixed_text;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketIdentifier, PacketType, ProtocolVersion};

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
    /// Returns the filters in wire order.
    pub const fn iter(&self) -> TopicFiltersIter<'a> {
        TopicFiltersIter { bytes: self.bytes }
    }

    /// Counts the filters by walking them.
    pub fn count(&self) -> usize {
        self.iter().count()
    }
}

impl<'a> IntoIterator for TopicFilters<'a> {
    type Item = &'a str;
    type IntoIter = TopicFiltersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// An iterator over topic filters that were found valid; it ends at anything else.
#[derive(Clone, Debug)]
pub struct TopicFiltersIter<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for TopicFiltersIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (filter, rest) = prefixed_text(self.bytes)?;
        self.bytes = rest;
        Some(filter)
    }
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = reader.own_properties(PacketType::Unsubscribe, version)?;
        if reader.is_at_end() {
            let offset = reader.offset();
            reader.note(Rule::UnsubscribeHasAFilter, offset);
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
