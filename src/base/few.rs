//! A list that mostly has one entry, which then needs no room of its own.

use std::ops::Deref;

/// A list of few entries: none and one are kept in place, more in a vector.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Few<T> {
    #[default]
    None,
    One([T; 1]),
    More(Vec<T>),
}

impl<T> Few<T> {
    /// A list of one entry.
    pub const fn one(entry: T) -> Self {
        Self::One([entry])
    }

    /// Appends an entry.
    pub fn push(&mut self, entry: T) {
        *self = match std::mem::take(self) {
            Self::None => Self::One([entry]),
            Self::One([first]) => Self::More(vec![first, entry]),
            Self::More(mut entries) => {
                entries.push(entry);
                Self::More(entries)
            }
        };
    }

    /// Leaves no entry.
    pub fn clear(&mut self) {
        *self = Self::None;
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(entry) => entry,
            Self::More(entries) => entries,
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut few = Self::None;
        for entry in entries {
            few.push(entry);
        }
        few
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_keeps_its_order() {
        for length in 0..5 {
            let few: Few<usize> = (0..length).collect();
            assert_eq!(*few, (0..length).collect::<Vec<_>>());
        }
    }
}
