//! The table of sessions: what is kept of a client beyond its connections, and its subscriptions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::super::keys::{BrokerId, SessionKey, SubscriptionKey, WillKey};
use super::open::Opens;
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{SessionOver, SessionSummary};
use crate::mqtt::{BySender, QoS};
use crate::stream::ConnectionId;

/// One session.
#[derive(Debug)]
pub(crate) struct ClientSession {
    /// The session as it is reported; without its subscriptions until it is over.
    pub(crate) summary: SessionSummary,
    /// The connection that it has.
    pub(crate) link: Option<ConnectionId>,
    /// The session was seen from its start, so its subscriptions are all known.
    pub(crate) known: bool,
    /// An earlier connection of it had gaps, or packets that could not be read: what was not seen
    /// there may have been sent.
    pub(crate) cut: bool,
    /// A connection resumed it: between two of them there may be one that was not captured.
    pub(crate) resumed: bool,
    /// In seconds.
    pub(crate) expiry: u32,
    /// Since when it has no connection.
    pub(crate) away_since: Option<FrameStamp>,
    /// By filter as subscribed, a share's prefix included.
    pub(crate) subscriptions: HashMap<Arc<str>, SubscriptionKey>,
    /// It subscribed to what is no filter: what that takes is not defined.
    pub(crate) breaks_filters: bool,
    /// Handshakes of both ends that wait for the next connection.
    pub(crate) pending: BySender<Opens>,
    /// A will of its last connection that waits for its delay.
    pub(crate) delayed_will: Option<WillKey>,
    /// Filters that were given up, for as long as the session lasts, with the frames of their
    /// UNSUBSCRIBE; the latest few.
    pub(crate) given_up: VecDeque<(Arc<str>, FrameStamp)>,
    /// Filters that the server refused, with the frames of the SUBACK; the latest few.
    pub(crate) refused: VecDeque<(Arc<str>, FrameStamp)>,
    /// The latest connection, and the frame from which the session had it.
    pub(crate) latest: Latest,
    /// The end of the latest connection with gaps in what the server sent, and the frame that shows
    /// the latest gap.
    pub(crate) gapped: Gapped,
    /// Messages above QoS 0 that were published while it was away last, and the connection before.
    pub(crate) waited: (u32, Option<ConnectionId>),
    /// Messages above QoS 0 that were published while it had a connection.
    due: u32,
    /// The number of the latest of those that it was sent.
    served: u32,
    /// A CONNECT asks for it, and is not answered yet.
    pub(crate) returning: bool,
}

/// A connection of a session, and the frame from which the session had it.
pub(crate) type Latest = Option<(ConnectionId, FrameStamp)>;

/// The end of a connection with gaps, and the frame that shows the gap.
pub(crate) type Gapped = Option<(FrameStamp, u64)>;

/// The end of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionEnd {
    pub(crate) frame: u64,
    pub(crate) how: SessionOver,
    /// As in [`ClientSession`].
    latest: Latest,
    gapped: Gapped,
}

impl ClientSession {
    /// Returns a session that has had no connection yet.
    pub(crate) fn new(summary: SessionSummary, known: bool) -> Self {
        Self {
            summary,
            link: None,
            known,
            cut: false,
            resumed: false,
            expiry: 0,
            away_since: None,
            subscriptions: HashMap::default(),
            breaks_filters: false,
            pending: BySender::default(),
            delayed_will: None,
            given_up: VecDeque::new(),
            refused: VecDeque::new(),
            latest: None,
            gapped: None,
            waited: (0, None),
            due: 0,
            served: 0,
            returning: false,
        }
    }

    /// Returns its broker and client identifier.
    fn named(&self) -> Option<(BrokerId, Arc<str>)> {
        let id = self.summary.client_id.as_ref()?;
        Some((self.broker(), Arc::clone(id)))
    }

    /// Returns its broker.
    pub(crate) fn broker(&self) -> BrokerId {
        BrokerId(self.summary.broker)
    }

    /// Counts a message that waits for it to come back.
    pub(crate) fn waits(&mut self) {
        let latest = self.latest.map(|(id, _)| id);
        let (waited, after) = self.waited;
        let before = if after == latest { waited } else { 0 };
        self.waited = (before.saturating_add(1), latest);
    }

    /// Counts a message above QoS 0 that is published while it has a connection; returns its number,
    /// and how many wait with it.
    pub(crate) fn is_due(&mut self) -> (u32, u32) {
        self.due = self.due.saturating_add(1);
        (self.due, self.due - self.served)
    }

    /// Notes that it was sent the message of a number: it waits for none before that.
    pub(crate) fn was_sent(&mut self, number: u32) {
        self.served = self.served.max(number);
    }

    /// Returns whether it had a connection that was accepted.
    pub(crate) fn was_connected(&self) -> bool {
        self.link.is_some() || self.away_since.is_some()
    }

    /// Returns whether the session, without a connection, had expired by `now`.
    pub(crate) fn expired(&self, now: FrameStamp) -> bool {
        let Some(away) = self.away_since else {
            return false;
        };
        if self.expiry == u32::MAX {
            return false;
        }
        crate::event::between(&away, &now)
            .is_some_and(|gone| gone.nanos() > i64::from(self.expiry) * 1_000_000_000)
    }
}

/// How certain it is that a subscription is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Force {
    /// Asked for; the server may deliver before its SUBACK.
    Asked,
    /// The SUBACK granted it.
    Granted,
    /// UNSUBSCRIBE was sent; the server may have acted on it.
    Leaving,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The subscriber's session.
    pub(crate) session: SessionKey,
    /// As subscribed.
    pub(crate) filter: Arc<str>,
    /// Group of a shared subscription.
    pub(crate) group: Option<Arc<str>>,
    /// The Subscription Options byte.
    pub(crate) options: u8,
    /// The QoS that was granted, or asked for while unanswered.
    pub(crate) granted: QoS,
    /// Subscription Identifier (5.0).
    pub(crate) identifier: Option<u32>,
    /// Whether it is in force.
    pub(crate) force: Force,
    /// The frame of the latest SUBSCRIBE that asked for it.
    pub(crate) asked: FrameStamp,
    /// The latest SUBSCRIBE found it in place.
    pub(crate) renewed: bool,
    /// A later SUBSCRIBE asked for other options or another identifier: which of them a copy follows
    /// is not known.
    pub(crate) changed: bool,
}

impl Subscription {
    /// Returns No Local: the client is not sent its own messages (5.0 §3.8.3.1).
    pub(crate) const fn no_local(&self) -> bool {
        self.options & 0x04 != 0
    }

    /// Returns Retain Handling: whether stored messages are sent (0), only where the subscription
    /// is new (1), or not at all (2).
    pub(crate) const fn retain_handling(&self) -> u8 {
        self.options >> 4 & 3
    }

    /// Returns Retain As Published: live copies keep RETAIN (5.0 §3.8.3.1).
    pub(crate) const fn retain_as_published(&self) -> bool {
        self.options & 0x08 != 0
    }
}

/// Every session and its subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    // Boxed: a table that grows has its entries twice for a moment.
    all: HashMap<SessionKey, Box<ClientSession>>,
    by_id: HashMap<(BrokerId, Arc<str>), SessionKey>,
    subscriptions: HashMap<SubscriptionKey, Subscription>,
    /// The ends of sessions, as far as they are remembered.
    ended: HashMap<SessionKey, SessionEnd>,
    /// UNSUBSCRIBE packets that were acknowledged, by session, filter and frame. They outlive their
    /// sessions, as the messages do that wait.
    left: BTreeMap<(SessionKey, Arc<str>, u64), FrameStamp>,
    /// The frame up to which those were forgotten: there were more than [`Limits::filters_given_up`].
    forgot_left: u64,
    /// Client identifiers whose sessions, seen from their starts, have ended.
    gone: HashSet<(BrokerId, Arc<str>)>,
    /// Some of those were forgotten: there were more than [`Limits::sessions_ended`].
    forgot_gone: bool,
    /// In the order in which they lost their connections; some are back, or gone.
    away: VecDeque<SessionKey>,
    /// The length of that line at which those are taken out.
    away_most: usize,
    next: u64,
    next_subscription: u64,
}

impl Sessions {
    /// Adds a session, which replaces that of the same client identifier.
    pub(crate) fn add(&mut self, session: ClientSession) -> SessionKey {
        let key = SessionKey(self.next);
        self.next += 1;
        if let Some(named) = session.named()
            && !named.1.is_empty()
        {
            self.gone.remove(&named);
            self.by_id.insert(named, key);
        }
        self.all.insert(key, Box::new(session));
        key
    }

    /// Returns the session of a client identifier; an empty one has none.
    pub(crate) fn find(&self, broker: BrokerId, id: &Arc<str>) -> Option<SessionKey> {
        if id.is_empty() {
            return None;
        }
        self.by_id.get(&(broker, Arc::clone(id))).copied()
    }

    /// Returns a session that has not ended.
    pub(crate) fn get(&self, key: SessionKey) -> Option<&ClientSession> {
        self.all.get(&key).map(Box::as_ref)
    }

    /// Returns a session that has not ended, to be changed.
    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut ClientSession> {
        self.all.get_mut(&key).map(Box::as_mut)
    }

    /// Returns whether the end of a session may have been forgotten.
    pub(crate) fn may_have_gone(&self) -> bool {
        self.forgot_gone
    }

    /// Returns whether the last session of an identifier is known to have ended.
    pub(crate) fn is_gone(&self, broker: BrokerId, id: &Arc<str>) -> bool {
        self.gone.contains(&(broker, Arc::clone(id)))
    }

    /// Returns the end of a session, where that is remembered.
    pub(crate) fn ended(&self, key: SessionKey) -> Option<SessionEnd> {
        self.ended.get(&key).copied()
    }

    /// Returns the latest connection of a session that goes on or is remembered, and the latest of
    /// those that had gaps: as in [`ClientSession::latest`] and [`ClientSession::gapped`].
    pub(crate) fn connections(&self, key: SessionKey) -> (Latest, Gapped) {
        match (self.get(key), self.ended.get(&key)) {
            (Some(session), _) => (session.latest, session.gapped),
            (None, Some(end)) => (end.latest, end.gapped),
            (None, None) => (None, None),
        }
    }

    /// Remembers the frame in which a session ended, and how.
    pub(crate) fn note_end(
        &mut self,
        key: SessionKey,
        (frame, how): (u64, SessionOver),
        limits: &Limits,
    ) {
        if self.ended.len() >= limits.sessions_ended {
            self.ended.clear();
        }
        let (latest, gapped) = self.connections(key);
        let end = SessionEnd {
            frame,
            how,
            latest,
            gapped,
        };
        self.ended.insert(key, end);
    }

    /// Remembers that a session gave a filter up with the UNSUBSCRIBE of `stamp`; returns whether
    /// others were forgotten for it.
    pub(crate) fn note_left(
        &mut self,
        key: SessionKey,
        filter: &Arc<str>,
        stamp: FrameStamp,
        limits: &Limits,
    ) -> bool {
        let full = self.left.len() >= limits.filters_given_up;
        if full {
            self.left.clear();
            self.forgot_left = stamp.number;
        }
        let place = (key, Arc::clone(filter), stamp.number);
        self.left.insert(place, stamp);
        full
    }

    /// Returns the first UNSUBSCRIBE with which a session gave a filter up after a frame.
    pub(crate) fn left_after(
        &self,
        key: SessionKey,
        filter: &Arc<str>,
        frame: u64,
    ) -> Option<FrameStamp> {
        let place = |frame| (key, Arc::clone(filter), frame);
        let mut left = self.left.range(place(frame + 1)..=place(u64::MAX));
        left.next().map(|(_, stamp)| *stamp)
    }

    /// Returns whether an UNSUBSCRIBE after a frame may have been forgotten.
    pub(crate) const fn may_have_left(&self, frame: u64) -> bool {
        self.forgot_left > frame
    }

    /// Removes a session; its subscriptions are removed before.
    pub(crate) fn remove(&mut self, key: SessionKey, limits: &Limits) -> Option<ClientSession> {
        let session = self.all.remove(&key)?;
        if let Some(named) = session.named() {
            if self.by_id.get(&named) == Some(&key) {
                self.by_id.remove(&named);
            }
            if session.known {
                if self.gone.len() >= limits.sessions_ended {
                    self.gone.clear();
                    self.forgot_gone = true;
                }
                self.gone.insert(named);
            }
        }
        Some(*session)
    }

    /// Returns how many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the keys of all, in order of their beginnings.
    pub(crate) fn keys(&self) -> Vec<SessionKey> {
        let mut keys: Vec<_> = self.all.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Returns a subscription that has not ended.
    pub(crate) fn subscription(&self, key: SubscriptionKey) -> Option<&Subscription> {
        self.subscriptions.get(&key)
    }

    /// Returns the subscription of a session to a filter, as subscribed.
    pub(crate) fn subscription_to(
        &mut self,
        key: SessionKey,
        filter: &str,
    ) -> Option<&mut Subscription> {
        let key = self.all.get(&key)?.subscriptions.get(filter)?;
        self.subscriptions.get_mut(key)
    }

    /// Returns whether there is no room for another subscription.
    pub(crate) fn subscriptions_full(&self, limits: &Limits) -> bool {
        self.subscriptions.len() >= limits.subscriptions
    }

    /// Adds a subscription of its session.
    pub(crate) fn add_subscription(&mut self, subscription: Subscription) -> SubscriptionKey {
        let key = SubscriptionKey(self.next_subscription);
        self.next_subscription += 1;
        if let Some(session) = self.all.get_mut(&subscription.session) {
            let filter = Arc::clone(&subscription.filter);
            session.subscriptions.insert(filter, key);
        }
        self.subscriptions.insert(key, subscription);
        key
    }

    /// Removes a subscription; returns its broker and its key.
    pub(crate) fn remove_subscription(
        &mut self,
        key: SessionKey,
        filter: &str,
    ) -> Option<(BrokerId, SubscriptionKey)> {
        let session = self.all.get_mut(&key)?;
        let key = session.subscriptions.remove(filter)?;
        self.subscriptions.remove(&key);
        Some((session.broker(), key))
    }

    /// Remembers that a session lost its connection.
    pub(crate) fn went_away(&mut self, key: SessionKey, limits: &Limits) {
        self.away.push_back(key);
        // As many are added before the next time as are looked at now.
        if self.away.len() > self.away_most.max(2 * limits.sessions) {
            let all = &self.all;
            self.away
                .retain(|key| all.get(key).is_some_and(|session| session.link.is_none()));
            self.away_most = 2 * self.away.len();
        }
    }

    /// Returns the session that has been without a connection longest, where one is.
    pub(crate) fn longest_away(&mut self) -> Option<SessionKey> {
        let all = &self.all;
        let mut line = std::iter::from_fn(|| self.away.pop_front());
        line.find(|key| all.get(key).is_some_and(|session| session.link.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Endpoint;

    #[test]
    fn the_line_of_absent_sessions_grows_twofold_before_it_is_looked_through_again() {
        let limits = Limits {
            sessions: 4,
            ..Limits::DEFAULT
        };
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let server = Endpoint { address, port: 1 };
        let mut sessions = Sessions::default();
        let mut times = 0;
        for _ in 0..1_000 {
            let summary = SessionSummary::new(0, server, None);
            let key = sessions.add(ClientSession::new(summary, true));
            let before = sessions.away_most;
            sessions.went_away(key, &limits);
            times += usize::from(sessions.away_most != before);
        }
        assert_eq!(sessions.away.len(), 1_000);
        assert_eq!(times, 7);
        // Those that are back leave it at the next time.
        let keys = sessions.keys();
        for key in &keys {
            sessions.get_mut(*key).unwrap().link = Some(ConnectionId(0));
        }
        for _ in 0..1_000 {
            sessions.went_away(keys[0], &limits);
        }
        assert!(sessions.away.len() < 1_000);
        assert_eq!(sessions.longest_away(), None);
    }
}
