//! A pair with one value for each end of a connection.

use std::ops::{Index, IndexMut};

use super::words::Sender;

/// One value for the Client and one for the Server, indexed by who sent.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct BySender<T> {
    /// The Client's.
    pub client: T,
    /// The Server's.
    pub server: T,
}

impl<T> BySender<T> {
    /// Pairs the value of the Client with that of the Server.
    pub const fn new(client: T, server: T) -> Self {
        Self { client, server }
    }

    /// Returns both values, the Client's first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.client, &self.server].into_iter()
    }

    /// Returns a pair of what `change` makes of each value.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> BySender<U> {
        BySender::new(change(self.client), change(self.server))
    }
}

impl<T> Index<Sender> for BySender<T> {
    type Output = T;

    fn index(&self, sender: Sender) -> &T {
        match sender {
            Sender::Client => &self.client,
            Sender::Server => &self.server,
        }
    }
}

impl<T> IndexMut<Sender> for BySender<T> {
    fn index_mut(&mut self, sender: Sender) -> &mut T {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }
}

/// Both values with their senders, the Client's first.
impl<T> IntoIterator for BySender<T> {
    type Item = (Sender, T);
    type IntoIter = std::array::IntoIter<(Sender, T), 2>;

    fn into_iter(self) -> Self::IntoIter {
        [(Sender::Client, self.client), (Sender::Server, self.server)].into_iter()
    }
}
