//! The turns of work that was left unfinished: one session after the other, some steps each.

use super::action::ConnectionKey;
use super::encode;
use super::server::Core;
use super::session::SessionKey;
use super::work::{Progress, SMALL, Work, Works};
use crate::base::Timestamp;

impl Core {
    /// Whether [`Core::work`] has something to do.
    pub fn has_work(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Whether the packets of a connection wait for work that its session has left.
    pub fn is_busy(&self, connection: ConnectionKey) -> bool {
        let link = self.links.get(&connection);
        let session = link.and_then(|link| link.session());
        session.is_some_and(|key| self.works.contains_key(&key))
    }

    /// Goes on with the work of the session whose turn it is, for so many steps. Returns its
    /// connection where nothing is left of its work: packets of it are handled again.
    pub fn work(&mut self, now: Timestamp, steps: usize) -> Option<ConnectionKey> {
        self.now = now;
        self.steps = steps;
        let key = self.ring.pop_front()?;
        self.go_on(key);
        match self.works.contains_key(&key) {
            true => None,
            false => self.sessions.get(&key)?.connection,
        }
    }

    /// Begins some work of a session, and does it at once as far as steps are left, unless the
    /// session has other work before it.
    pub(super) fn begin(&mut self, key: SessionKey, work: Work) {
        let bytes = work.bytes();
        let full = self.partial_bytes + bytes > self.options.limits.all_partial_bytes;
        let session = self.sessions.get(&key);
        // What is small is let through: its Client is not the one that took all the room.
        if full
            && bytes > SMALL
            && let Some(connection) = session.and_then(|session| session.connection)
        {
            let why = "too much memory in use";
            return self.dismiss(connection, encode::QUOTA_EXCEEDED, why);
        }
        self.partial_bytes += bytes;
        let idle = !self.works.contains_key(&key);
        self.works
            .entry(key)
            .or_default()
            .all
            .push_back((work, bytes));
        if idle {
            self.go_on(key);
        }
    }

    /// Work that waited for its Client to read goes on.
    pub(super) fn wake(&mut self, key: SessionKey) {
        if let Some(works) = self.works.get_mut(&key)
            && std::mem::replace(&mut works.unread, false)
        {
            self.ring.push_back(key);
        }
    }

    /// Works as far as steps are left; what is left then gets in line.
    fn go_on(&mut self, key: SessionKey) {
        let next = |works: &mut Works| works.all.pop_front();
        while let Some((mut work, bytes)) = self.works.get_mut(&key).and_then(next) {
            let progress = match &mut work {
                Work::Route(route) => self.route_on(route),
                Work::Subscribe(subscribing) => self.subscribe_on(subscribing),
                Work::Unsubscribe(unsubscribing) => self.unsubscribe_on(unsubscribing),
            };
            if progress == Progress::Done {
                self.partial_bytes = self.partial_bytes.saturating_sub(bytes);
                continue;
            }
            let works = self.works.entry(key).or_default();
            works.all.push_front((work, bytes));
            works.unread = progress == Progress::Unread;
            if !works.unread {
                self.ring.push_back(key);
            }
            return;
        }
        self.works.remove(&key);
    }
}
