//! The two directions of a connection.

/// Which way bytes travel on a connection. `Forward` is from the initiator
/// of the connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From the initiator.
    Forward,
    /// To the initiator.
    Backward,
}

impl Direction {
    /// Returns the other way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// Both directions, as [`ByDirection`] has them.
pub const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// One of something for each direction.
///
/// Found by its place and not by a branch: which direction comes next is what a processor
/// predicts worst.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDirection<T>([T; 2]);

impl<T> ByDirection<T> {
    /// Returns that of `direction`.
    #[inline]
    pub const fn of(&self, direction: Direction) -> &T {
        &self.0[direction as usize]
    }

    /// Returns that of `direction`, to be changed.
    #[inline]
    pub const fn of_mut(&mut self, direction: Direction) -> &mut T {
        &mut self.0[direction as usize]
    }

    /// Returns that of `direction`, and the other.
    #[inline]
    pub const fn pair_mut(&mut self, direction: Direction) -> (&mut T, &mut T) {
        let [forward, backward] = &mut self.0;
        match direction {
            Direction::Forward => (forward, backward),
            Direction::Backward => (backward, forward),
        }
    }
}
