//! A queue that mostly has one entry, which then needs no room of its own.

use std::collections::VecDeque;

/// Entries in the order in which they came.
#[derive(Debug)]
pub(super) struct Line<T> {
    first: Option<T>,
    /// There only while there are further ones.
    #[expect(
        clippy::box_collection,
        reason = "nearly always absent, and then a quarter of the room"
    )]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }
}

impl<T> Line<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    pub(super) fn push_back(&mut self, entry: T) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.rest.get_or_insert_default().push_back(entry),
        }
    }

    pub(super) fn pop_front(&mut self) {
        self.first = self.rest.as_mut().and_then(|rest| rest.pop_front());
        self.tidy();
    }

    /// Takes the entry at place `at` out.
    pub(super) fn remove(&mut self, at: usize) {
        match at.checked_sub(1) {
            None => self.pop_front(),
            Some(at) => {
                if let Some(rest) = &mut self.rest {
                    rest.remove(at);
                }
                self.tidy();
            }
        }
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        if let Some(rest) = &mut self.rest {
            rest.retain(&mut keep);
        }
        if self.first.as_ref().is_some_and(|first| !keep(first)) {
            self.pop_front();
        }
        self.tidy();
    }

    /// How many entries come before the first that is not `before`; all such stand in front.
    pub(super) fn partition_point(&self, mut before: impl FnMut(&T) -> bool) -> usize {
        match &self.first {
            Some(first) if before(first) => {
                let rest = self.rest.as_ref();
                1 + rest.map_or(0, |rest| rest.partition_point(before))
            }
            _ => 0,
        }
    }

    fn tidy(&mut self) {
        if self.rest.as_ref().is_some_and(|rest| rest.is_empty()) {
            self.rest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_does_what_a_queue_does(doings in prop::collection::vec((0..4_u8, 0..6_usize), 0..40)) {
            let (mut line, mut queue) = (Line::default(), VecDeque::new());
            for (at, (what, place)) in doings.into_iter().enumerate() {
                match what {
                    0 => {
                        line.pop_front();
                        queue.pop_front();
                    }
                    1 if place < queue.len() => {
                        line.remove(place);
                        queue.remove(place);
                    }
                    2 if place == 5 => {
                        line.retain(|entry| entry % 3 != 0);
                        queue.retain(|entry| entry % 3 != 0);
                    }
                    _ => {
                        line.push_back(at);
                        queue.push_back(at);
                    }
                }
                prop_assert!(line.iter().eq(&queue));
                prop_assert_eq!(line.front(), queue.front());
                prop_assert_eq!(line.is_empty(), queue.is_empty());
                let before = |entry: &usize| *entry < place;
                prop_assert_eq!(line.partition_point(before), queue.partition_point(before));
            }
        }
    }
}
