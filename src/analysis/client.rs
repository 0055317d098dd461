//! Sessions: what the analysis keeps of a client beyond its connections.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt, HashSet};

use super::brokers::BrokerId;
use super::link::{Pending, nothing_pending};
use super::wills::WillKey;
use crate::base::limits::Limits;
use crate::base::{Endpoint, FrameStamp, Timestamp};
use crate::event::ConnectionSummary;
use crate::mqtt::{ProtocolVersion, QoS, Sender};
use crate::stream::ConnectionId;

/// Names one session for as long as the analysis runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ClientKey(pub(super) u64);

/// Names one subscription for as long as the analysis runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SubscriptionKey(pub(super) u64);

/// One session.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) broker: BrokerId,
    pub(super) server: Endpoint,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) assigned: bool,
    pub(super) user_name: Option<Arc<str>>,
    pub(super) version: Option<ProtocolVersion>,
    /// The connection that it has.
    pub(super) link: Option<ConnectionId>,
    /// The session was seen from its begin, so its subscriptions are all known.
    pub(super) known: bool,
    /// In seconds.
    pub(super) expiry: u32,
    /// Since when it has no connection.
    pub(super) away_since: Option<FrameStamp>,
    /// By filter as subscribed, a share's prefix included.
    pub(super) subscriptions: HashMap<Arc<str>, SubscriptionKey>,
    /// It subscribed to what is no filter: what that takes depends on who is asked.
    pub(super) breaks_filters: bool,
    pub(super) pending: Pending,
    pub(super) connections: Vec<ConnectionSummary>,
    pub(super) connections_left_out: u64,
    /// A will of its last connection that waits for its delay.
    pub(super) delayed_will: Option<WillKey>,
    /// Filters that were given up, for as long as the session lasts; the latest few.
    pub(super) given_up: VecDeque<Arc<str>>,
}

impl Client {
    pub(super) fn new(broker: BrokerId, server: Endpoint, client_id: Option<Arc<str>>) -> Self {
        Self {
            broker,
            server,
            client_id,
            assigned: false,
            user_name: None,
            version: None,
            link: None,
            known: false,
            expiry: 0,
            away_since: None,
            subscriptions: HashMap::new(),
            breaks_filters: false,
            pending: nothing_pending(),
            connections: Vec::new(),
            connections_left_out: 0,
            delayed_will: None,
            given_up: VecDeque::new(),
        }
    }

    /// How many handshakes of an end wait for the next connection.
    pub(super) fn pending_of(&self, sender: Sender) -> usize {
        let [client, server] = &self.pending;
        match sender {
            Sender::Client => client.len(),
            Sender::Server => server.len(),
        }
    }

    /// Whether it had a connection that was accepted.
    pub(super) fn connections_seen(&self) -> bool {
        self.link.is_some() || self.away_since.is_some()
    }

    /// Whether the session, without a connection, had expired by `now`.
    pub(super) fn expired(&self, now: FrameStamp) -> bool {
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

/// How sure it is that a subscription is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Force {
    /// Asked for; the server may deliver before its SUBACK.
    Asked,
    Granted,
    /// UNSUBSCRIBE was sent; the server may have acted on it.
    Leaving,
}

/// One subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) client: ClientKey,
    /// As subscribed.
    pub(super) filter: Arc<str>,
    /// Group of a shared subscription.
    pub(super) group: Option<Arc<str>>,
    /// The Subscription Options octet.
    pub(super) options: u8,
    pub(super) granted: QoS,
    pub(super) identifier: Option<u32>,
    pub(super) force: Force,
}

impl Subscription {
    pub(super) const fn no_local(&self) -> bool {
        self.options & 0x04 != 0
    }

    pub(super) const fn retain_as_published(&self) -> bool {
        self.options & 0x08 != 0
    }
}

/// Every session and its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) all: HashMap<ClientKey, Client>,
    by_id: HashMap<(BrokerId, Arc<str>), ClientKey>,
    pub(super) subscriptions: HashMap<SubscriptionKey, Subscription>,
    /// When client identifiers were last taken over.
    pub(super) takeovers: HashMap<(BrokerId, Arc<str>), VecDeque<Option<Timestamp>>>,
    /// Client identifiers whose sessions, seen from their begins, have ended.
    gone: HashSet<(BrokerId, Arc<str>)>,
    /// Some of those were forgotten: there were more than [`Limits::sessions_ended`].
    forgot_gone: bool,
    /// In the order in which they lost their connections; some are back, or gone.
    away: VecDeque<ClientKey>,
    next: u64,
    next_subscription: u64,
    limits: Limits,
}

impl Clients {
    /// No sessions yet, and as many as `limits` allow.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, client: Client) -> ClientKey {
        let key = ClientKey(self.next);
        self.next += 1;
        if let Some(id) = &client.client_id
            && !id.is_empty()
        {
            self.gone.remove(&(client.broker, Arc::clone(id)));
            self.by_id.insert((client.broker, Arc::clone(id)), key);
        }
        self.all.insert(key, client);
        key
    }

    pub(super) fn find(&self, broker: BrokerId, id: &Arc<str>) -> Option<ClientKey> {
        if id.is_empty() {
            return None;
        }
        self.by_id.get(&(broker, Arc::clone(id))).copied()
    }

    pub(super) fn get(&self, key: ClientKey) -> Option<&Client> {
        self.all.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: ClientKey) -> Option<&mut Client> {
        self.all.get_mut(&key)
    }

    /// Whether the end of a session may have been forgotten.
    pub(super) fn may_have_gone(&self) -> bool {
        self.forgot_gone
    }

    /// Whether the last session of an identifier is known to have ended.
    pub(super) fn is_gone(&self, broker: BrokerId, id: &Arc<str>) -> bool {
        self.gone.contains(&(broker, Arc::clone(id)))
    }

    /// Takes a session off the books; its subscriptions are the caller's to remove.
    pub(super) fn remove(&mut self, key: ClientKey) -> Option<Client> {
        let client = self.all.remove(&key)?;
        if let Some(id) = &client.client_id {
            let named = (client.broker, Arc::clone(id));
            if self.by_id.get(&named) == Some(&key) {
                self.by_id.remove(&named);
            }
            if client.known {
                if self.gone.len() >= self.limits.sessions_ended {
                    self.gone.clear();
                    self.forgot_gone = true;
                }
                self.gone.insert(named);
            }
        }
        Some(client)
    }

    pub(super) fn new_subscription(&mut self, subscription: Subscription) -> SubscriptionKey {
        let key = SubscriptionKey(self.next_subscription);
        self.next_subscription += 1;
        self.subscriptions.insert(key, subscription);
        key
    }

    /// Remembers that a session lost its connection.
    pub(super) fn went_away(&mut self, key: ClientKey) {
        self.away.push_back(key);
        if self.away.len() > 2 * self.limits.sessions {
            let all = &self.all;
            self.away
                .retain(|key| all.get(key).is_some_and(|client| client.link.is_none()));
        }
    }

    /// The session that has been without a connection longest, where one is.
    pub(super) fn longest_away(&mut self) -> Option<ClientKey> {
        while let Some(key) = self.away.pop_front() {
            if self
                .all
                .get(&key)
                .is_some_and(|client| client.link.is_none())
            {
                return Some(key);
            }
        }
        None
    }
}
