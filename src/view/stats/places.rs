//! Finds the place of a topic by its name.
//!
//! Every PUBLISH asks, in no order, and a few thousand names with all that is counted of them
//! are more than the nearest memory holds. Here an entry is eight octets, and the name itself
//! stands beside the counters that are needed next; a `HashMap` keeps it elsewhere.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Places by the hash of their names: open addressing, at most half full.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// As many as a power of two says.
    slots: Vec<Option<Slot>>,
    used: usize,
    hasher: RandomState,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The upper half of the hash; the lower one says where the search begins.
    hash: u32,
    place: Place,
}

/// A place, counted from 1: a slot with one needs no mark that it is in use.
type Place = std::num::NonZeroU32;

/// Slots of the smallest table.
const FEWEST: usize = 64;

impl Places {
    #[inline]
    pub(super) fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    /// The place of the name with this hash of which `is` holds.
    #[inline]
    pub(super) fn find(&self, hash: u64, is: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = hash as usize;
        // At least half of the slots are free, so this ends.
        while let Some(Some(slot)) = self.slots.get(at & self.slots.len().wrapping_sub(1)) {
            let place = slot.place.get() as usize - 1;
            if slot.hash == (hash >> 32) as u32 && is(place) {
                return Some(place);
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Notes the place of a name that has none; `hash_of` tells those of all others.
    #[cold]
    pub(super) fn insert(
        &mut self,
        hash: u64,
        place: usize,
        hash_of: impl Fn(&Self, usize) -> u64,
    ) {
        if 2 * self.used >= self.slots.len() {
            let slots = vec![None; (2 * self.slots.len()).max(FEWEST)];
            for slot in std::mem::replace(&mut self.slots, slots)
                .into_iter()
                .flatten()
            {
                let hash = hash_of(self, slot.place.get() as usize - 1);
                self.put(hash, slot);
            }
        }
        if let Some(place) = u32::try_from(place + 1).ok().and_then(Place::new) {
            let hash_kept = (hash >> 32) as u32;
            self.put(
                hash,
                Slot {
                    hash: hash_kept,
                    place,
                },
            );
            self.used += 1;
        }
    }

    fn put(&mut self, hash: u64, slot: Slot) {
        let last = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize;
        while let Some(Some(_)) = self.slots.get(at & last) {
            at = at.wrapping_add(1);
        }
        if let Some(free) = self.slots.get_mut(at & last) {
            *free = Some(slot);
        }
    }
}

/// Octets of a name that stand in place.
const IN_PLACE: usize = 62;

/// A name where its counters are: in place, unless it is long.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Short { length: u8, octets: [u8; IN_PLACE] },
    Long(Box<[u8]>),
}

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        let mut octets = [0; IN_PLACE];
        match octets.get_mut(..name.len()) {
            Some(begin) => {
                begin.copy_from_slice(name);
                let length = name.len() as u8;
                Self::Short { length, octets }
            }
            None => Self::Long(name.into()),
        }
    }

    #[inline]
    pub(super) fn octets(&self) -> &[u8] {
        match self {
            Self::Short { length, octets } => octets.get(..usize::from(*length)).unwrap_or(octets),
            Self::Long(name) => name,
        }
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(self.octets()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_names_of_any_length_is_found_where_it_was_put() {
        let mut places = Places::default();
        let mut names: Vec<Name> = Vec::new();
        let found = |places: &Places, names: &[Name], name: &str| {
            places.find(places.hash(name.as_bytes()), |place| {
                names[place].octets() == name.as_bytes()
            })
        };
        let name = |at: usize| "/".repeat(at % 130) + &at.to_string();
        for at in 0..3_000 {
            assert_eq!(found(&places, &names, &name(at)), None);
            let hash = places.hash(name(at).as_bytes());
            places.insert(hash, at, |places, place| places.hash(names[place].octets()));
            names.push(Name::new(name(at).as_bytes()));
        }
        for at in 0..3_000 {
            assert_eq!(found(&places, &names, &name(at)), Some(at));
            assert_eq!(names[at].text(), name(at));
        }
        assert!(places.slots.len() < 4 * 3_000 && size_of::<Option<Slot>>() == 8);
    }
}
