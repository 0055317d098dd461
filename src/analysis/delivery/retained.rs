//! Stored messages: storing, replacing and clearing them.

use super::super::keys::{MessageKey, StoredKey};
use super::super::output::Output;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::retained::Entry;
use super::messages::try_settle;
use super::subscribers::release;
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::{RetainedEnd, RetainedSummary};

/// Stores a message at `stamp`, replacing the one of its topic; an empty payload removes that.
/// Returns whether one is stored now.
pub(crate) fn store(
    state: &mut State,
    report: &mut Report,
    entry: Entry,
    stamp: FrameStamp,
) -> bool {
    let empty = entry.summary.message.payload.length == 0;
    if let Some(old) = state.retained.find(entry.topic) {
        let end = match empty {
            true => RetainedEnd::Cleared(stamp),
            false => RetainedEnd::Replaced(stamp),
        };
        state.retained.note_before(old, &state.limits);
        let on_its_way = |entry: &Entry| entry.may_be_on_its_way(stamp);
        if state.retained.get(old).is_some_and(on_its_way) {
            state.retained.keep_former(old, end, stamp);
        } else {
            end_stored(state, report, old, end);
        }
    }
    if empty {
        state.retained.clear(entry.topic, stamp, &state.limits);
        return false;
    }
    if let Some(oldest) = state.retained.oldest_if_full(&state.limits) {
        report.limit_reached(Limit::Retained, stamp);
        end_stored(state, report, oldest, RetainedEnd::TableFull);
    }
    state.retained.add(entry);
    true
}

/// Closes the messages that were kept for copies on their way.
pub(crate) fn sweep_former(state: &mut State, report: &mut Report) {
    while let Some(key) = state.retained.next_former(state.now) {
        end_stored(state, report, key, RetainedEnd::Kept);
    }
}

/// Puts a QoS 2 message in force that was not: it goes to its subscribers, and is stored where it
/// is retained. `out` is the connection that is out of the table.
pub(crate) fn put_in_force(
    state: &mut State,
    report: &mut Report,
    out: &Link,
    key: MessageKey,
    stamp: FrameStamp,
) {
    let Some(pending) = release(state, report, out, key) else {
        return;
    };
    if let Some(summary) = pending.stored {
        store_published(state, report, key, summary, stamp);
    }
}

/// Stores a client's message.
pub(crate) fn store_published(
    state: &mut State,
    report: &mut Report,
    key: MessageKey,
    summary: RetainedSummary,
    stamp: FrameStamp,
) {
    let Some(held) = state.messages.get(key) else {
        return;
    };
    let topic = summary.message.topic.as_deref().unwrap_or_default();
    let entry = Entry {
        topic: state.topic(held.broker, topic).hash,
        digest: held.digest,
        summary,
        message: Some(key),
        will: None,
        asked: None,
        ended: None,
    };
    // A stored message is the same message: late copies of it belong to this publisher's.
    if store(state, report, entry, stamp)
        && let Some(held) = state.messages.get_mut(key)
    {
        held.stored = true;
    }
}

/// Emits a stored message that is stored no longer.
pub(crate) fn end_stored(state: &mut State, report: &mut Report, key: StoredKey, end: RetainedEnd) {
    let Some(mut entry) = state.retained.remove(key) else {
        return;
    };
    entry.summary.end = entry.ended.unwrap_or(end);
    if let Some(key) = entry.message
        && let Some(held) = state.messages.get_mut(key)
    {
        // The late copies of a message stand with its live ones.
        held.stored = false;
        held.late.extend_from_slice(&entry.summary.deliveries);
        try_settle(state, report, key);
    }
    if let Some(will) = entry.will.and_then(|key| state.wills.get_mut(key)) {
        let late = entry.summary.deliveries.iter().cloned();
        will.summary.deliveries.extend(late);
    }
    if state.wanted.stories {
        let summary = Box::new(entry.summary);
        report.outbox.emit(Output::Retained(summary));
    }
}
