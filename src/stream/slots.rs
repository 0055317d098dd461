//! The slots of the table: a list that never moves what is in it.

use super::slot::Slot;

/// Slots that are allocated together.
const BLOCK: usize = 1024;

/// Slots by their places, from 0.
///
/// In blocks, since a vector that grows moves its elements: with 100,000 connections that was
/// half of the pages touched.
#[derive(Default)]
pub(super) struct Slots<S> {
    /// Each but the last is full.
    blocks: Vec<Vec<Slot<S>>>,
}

impl<S> Slots<S> {
    pub(super) fn len(&self) -> usize {
        match self.blocks.split_last() {
            Some((last, full)) => full.len() * BLOCK + last.len(),
            None => 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&Slot<S>> {
        let place = place as usize;
        self.blocks.get(place / BLOCK)?.get(place % BLOCK)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Slot<S>> {
        let place = place as usize;
        self.blocks.get_mut(place / BLOCK)?.get_mut(place % BLOCK)
    }

    /// Adds a slot; its place.
    pub(super) fn push(&mut self, slot: Slot<S>) -> u32 {
        let place = self.len();
        if place.is_multiple_of(BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(slot);
        }
        place as u32
    }

    /// All slots, in the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<S>> {
        self.blocks.iter().flatten()
    }
}
