//! The handshakes of one end that are not over, by packet identifier.

use foldhash::HashMap;

use super::exchange::Open;

/// Handshakes by packet identifier. Mostly there is one, which then needs no table.
#[derive(Debug)]
pub(super) struct Opens<T = Open> {
    first: Option<(u16, T)>,
    /// The others; none has the identifier of the first.
    rest: HashMap<u16, T>,
}

impl<T> Default for Opens<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: HashMap::default(),
        }
    }
}

impl<T> Opens<T> {
    pub(super) fn get(&self, id: u16) -> Option<&T> {
        match &self.first {
            Some((first, open)) if *first == id => Some(open),
            _ if self.rest.is_empty() => None,
            _ => self.rest.get(&id),
        }
    }

    /// Adds a handshake, in place of one with its identifier.
    pub(super) fn insert(&mut self, id: u16, open: T) {
        match &mut self.first {
            Some((first, _)) if *first != id => {
                self.rest.insert(id, open);
            }
            first => {
                *first = Some((id, open));
                if !self.rest.is_empty() {
                    self.rest.remove(&id);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, id: u16) -> Option<T> {
        match self.first.take_if(|(first, _)| *first == id) {
            Some((_, open)) => Some(open),
            None if self.rest.is_empty() => None,
            None => self.rest.remove(&id),
        }
    }
}

impl<T> IntoIterator for Opens<T> {
    type Item = (u16, T);
    type IntoIter = std::iter::Chain<
        std::option::IntoIter<(u16, T)>,
        std::collections::hash_map::IntoIter<u16, T>,
    >;

    /// In no order.
    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_does_what_a_table_does(doings in prop::collection::vec((0..3_u8, 0..4_u16), 0..40)) {
            let (mut opens, mut table) = (Opens::default(), HashMap::default());
            for (at, (what, id)) in doings.into_iter().enumerate() {
                match what {
                    0 => prop_assert_eq!(opens.remove(id), table.remove(&id)),
                    _ => {
                        opens.insert(id, at);
                        table.insert(id, at);
                    }
                }
                prop_assert!((0..4).all(|id| opens.get(id) == table.get(&id)));
            }
            prop_assert_eq!(opens.into_iter().collect::<HashMap<_, _>>(), table);
        }
    }
}
