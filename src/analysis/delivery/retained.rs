//! Stored messages: storing, replacing and clearing them.

use super::super::keys::{MessageKey, StoredKey, Topic};
use super::super::output::Output;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::retained::Entry;
use super::messages::try_settle;
use crate::base::limits::Limit;
use crate::base::{Endpoint, FrameStamp};
use crate::event::{Message, RetainedEnd, RetainedSummary, Stored};

/// A message to be stored.
pub(crate) struct Storing<'a> {
    /// The server's endpoint as the client reached it.
    pub(crate) server: Endpoint,
    /// The topic whose stored message it replaces.
    pub(crate) topic: Topic<'a>,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    /// The message itself, with RETAIN 1.
    pub(crate) message: Message,
    /// The client that stores it.
    pub(crate) by: Option<Stored>,
    /// The publisher's message.
    pub(crate) held: Option<MessageKey>,
    /// The frame by which it is stored: of a will, that of the connection's end.
    pub(crate) stamp: FrameStamp,
}

/// Stores a message, replacing the one of its topic; an empty payload removes it.
pub(crate) fn store(
    state: &mut State,
    report: &mut Report,
    storing: Storing<'_>,
) -> Option<StoredKey> {
    let empty = storing.message.payload.length == 0;
    if let Some(old) = state.retained.find(storing.topic) {
        let end = match empty {
            true => RetainedEnd::Cleared(storing.stamp),
            false => RetainedEnd::Replaced(storing.stamp),
        };
        end_stored(state, report, old, end);
    }
    if empty {
        state.retained.clear(storing.topic, storing.stamp);
        return None;
    }
    if let Some(oldest) = state.retained.oldest_if_full() {
        report.limit_reached(Limit::Retained, storing.stamp);
        end_stored(state, report, oldest, RetainedEnd::TableFull);
    }
    let key = state.retained.add(Entry {
        topic: storing.topic.hash,
        digest: storing.digest,
        summary: RetainedSummary {
            broker: storing.topic.broker.0,
            server: storing.server,
            message: storing.message,
            stored: storing.by,
            end: RetainedEnd::Kept,
            deliveries: Vec::new(),
        },
        message: storing.held,
    });
    Some(key)
}

/// Emits a stored message that is stored no longer.
pub(crate) fn end_stored(state: &mut State, report: &mut Report, key: StoredKey, end: RetainedEnd) {
    let Some(mut entry) = state.retained.remove(key) else {
        return;
    };
    entry.summary.end = end;
    if let Some(key) = entry.message
        && let Some(held) = state.messages.get_mut(key)
    {
        // The late copies of a message stand with its live ones.
        held.stored = false;
        held.late.extend_from_slice(&entry.summary.deliveries);
        try_settle(state, report, key);
    }
    if state.wanted.stories {
        let summary = Box::new(entry.summary);
        report.outbox.emit(Output::Retained(summary));
    }
}
