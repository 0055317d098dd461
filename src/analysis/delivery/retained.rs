//! Stored messages: storing, replacing and clearing them.

use super::super::keys::StoredKey;
use super::super::output::Output;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::retained::Entry;
use super::messages::try_settle;
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::RetainedEnd;

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
        end_stored(state, report, old, end);
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
