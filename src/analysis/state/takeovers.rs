//! Takeovers of client identifiers: which follow each other so fast that they make a loop.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::HashMap;

use super::super::keys::BrokerId;
use super::link::Link;
use crate::base::limits::Limits;
use crate::base::{FrameStamp, Span};
use crate::event::between;
use crate::mqtt::ProtocolVersion;
use crate::stream::ConnectionId;

/// Takeovers of one identifier make a series where each follows the one before within this time.
const PAUSE: Span = Span::from_nanos(60_000_000_000);
/// So many takeovers are a loop ...
const LOOP: usize = 3;
/// ... within this time: two devices with one identifier take it from each other as fast as they
/// reconnect.
const QUICK: Span = Span::from_nanos(60_000_000_000);
/// Hosts of a series that are kept.
const HOSTS: usize = 3;

/// A series of takeovers of one client identifier.
#[derive(Debug)]
pub(crate) struct Takeovers {
    /// The connection that was taken over first.
    pub(crate) connection: ConnectionId,
    /// Its version.
    pub(crate) version: Option<ProtocolVersion>,
    count: u64,
    first: FrameStamp,
    /// The latest few, the oldest first.
    latest: [FrameStamp; LOOP],
    is_loop: bool,
    hosts: Vec<IpAddr>,
}

impl Takeovers {
    fn new(link: &Link, stamp: FrameStamp) -> Self {
        Self {
            connection: link.id,
            version: link.version,
            count: 0,
            first: stamp,
            latest: [stamp; LOOP],
            is_loop: false,
            hosts: Vec::new(),
        }
    }

    fn add(&mut self, link: &Link, stamp: FrameStamp) {
        self.count += 1;
        // They are counted as the earlier connections end, which may be in another order.
        self.first = std::cmp::min_by_key(self.first, stamp, |one| one.number);
        if self.span().1.number <= stamp.number {
            self.latest.rotate_left(1);
            let [.., latest] = &mut self.latest;
            *latest = stamp;
        }
        let [oldest, .., latest] = &self.latest;
        let quick = between(oldest, latest).is_some_and(|span| span < QUICK);
        self.is_loop |= quick && self.count >= LOOP as u64;
        let host = link.client_end.address;
        if self.hosts.len() < HOSTS && !self.hosts.contains(&host) {
            self.hosts.push(host);
        }
    }

    /// Returns how many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the frames of the first and of the latest CONNECT that took the identifier.
    pub(crate) fn span(&self) -> (FrameStamp, FrameStamp) {
        let [.., latest] = self.latest;
        (self.first, latest)
    }

    /// Returns the hosts whose connections were taken over, the first few.
    pub(crate) fn hosts(&self) -> &[IpAddr] {
        &self.hosts
    }
}

/// A loop that is over, with its client identifier.
pub(crate) type Loop = (Arc<str>, Takeovers);

/// The series of all client identifiers.
#[derive(Debug, Default)]
pub(crate) struct AllTakeovers(HashMap<(BrokerId, Arc<str>), Takeovers>);

impl AllTakeovers {
    /// Notes that the CONNECT of `stamp` took over `link`; returns the loop that was over before
    /// it, or those that there is no room for any more.
    pub(crate) fn note(&mut self, link: &Link, stamp: FrameStamp, limits: &Limits) -> Vec<Loop> {
        let Some(client_id) = &link.client_id else {
            return Vec::new();
        };
        let key = (link.broker, Arc::clone(client_id));
        let mut over = Vec::new();
        if self.0.len() >= limits.sessions && !self.0.contains_key(&key) {
            over = self.finish();
        }
        if let Some(series) = self.0.get(&key) {
            let (_, latest) = series.span();
            if between(&latest, &stamp).is_some_and(|pause| pause > PAUSE)
                && let Some(series) = self.0.remove(&key)
                && series.is_loop
            {
                over.push((Arc::clone(client_id), series));
            }
        }
        let series = self.0.entry(key);
        let series = series.or_insert_with(|| Takeovers::new(link, stamp));
        series.add(link, stamp);
        over
    }

    /// Returns all loops, in the order of their first frames, and forgets them.
    pub(crate) fn finish(&mut self) -> Vec<Loop> {
        let all = self.0.drain().filter(|(_, series)| series.is_loop);
        let mut loops: Vec<_> = all.map(|((_, id), series)| (id, series)).collect();
        loops.sort_by_key(|(_, series)| series.first.number);
        loops
    }
}
