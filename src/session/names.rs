//! Topic names as shared strings: a name that comes again is the same string again.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::caps;
use super::exchange::shared;

/// Names that are remembered at a time; another one may take the place of any.
const REMEMBERED: usize = 1024;

/// The latest topic names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Seeded: what it hashes comes from the network.
    hash: RandomState,
    places: Vec<Option<Arc<str>>>,
}

impl Names {
    /// A name as a shared string, see [`shared`].
    pub(super) fn of(&mut self, name: &str) -> Arc<str> {
        if name.len() > caps::NAME {
            return shared(name);
        }
        if self.places.is_empty() {
            self.places.resize(REMEMBERED, None);
        }
        let at = self.hash.hash_one(name) as usize % REMEMBERED;
        match self.places.get_mut(at) {
            Some(Some(known)) if **known == *name => Arc::clone(known),
            place => {
                let new = shared(name);
                if let Some(place) = place {
                    *place = Some(Arc::clone(&new));
                }
                new
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_itself_however_many_there_are() {
        let mut names = Names::default();
        for _ in 0..2 {
            for at in 0..3 * REMEMBERED {
                let name = format!("t/{at}");
                assert_eq!(&*names.of(&name), name);
                assert!(Arc::ptr_eq(&names.of(&name), &names.of(&name)));
            }
        }
    }
}
