//! Where held messages lie: found by their keys without a look-up in a table.

use super::messages::Held;

/// Names one application message for as long as the analysis runs; in order of publication.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct MessageKey {
    /// Its number among all messages.
    order: u64,
    slot: u32,
}

/// Held messages in slots that are used again. A table by key took a fifth of what a message
/// costs.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    slots: Vec<Option<(MessageKey, Held)>>,
    free: Vec<u32>,
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn add(&mut self, order: u64, held: Held) -> MessageKey {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        let key = MessageKey { order, slot };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some((key, held));
        }
        key
    }

    pub(super) fn get(&self, key: &MessageKey) -> Option<&Held> {
        match self.slots.get(key.slot as usize)? {
            Some((other, held)) if other == key => Some(held),
            _ => None,
        }
    }

    pub(super) fn get_mut(&mut self, key: &MessageKey) -> Option<&mut Held> {
        match self.slots.get_mut(key.slot as usize)? {
            Some((other, held)) if other == key => Some(held),
            _ => None,
        }
    }

    pub(super) fn contains_key(&self, key: &MessageKey) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn remove(&mut self, key: &MessageKey) -> Option<Held> {
        let place = self.slots.get_mut(key.slot as usize)?;
        let (_, held) = place.take_if(|(other, _)| other == key)?;
        self.free.push(key.slot);
        Some(held)
    }

    /// In no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = MessageKey> {
        self.slots.iter().flatten().map(|(key, _)| *key)
    }
}
