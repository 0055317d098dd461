//! The rest of something that a Client, or the time, asked for.
//!
//! Work that a Client can make long is done in steps, for each session in turn. While a session
//! has work left, no packet of its Client is handled: so the order within a session stays.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filters::{Granted, Search};
use super::link::Client;
use super::message::Message;
use super::session::SessionKey;
use crate::mqtt::PacketIdentifier;

/// Steps that a packet costs at least. A step takes about a microsecond at most: a level of the
/// filter tree, a retained message that is compared, 1 KiB that is copied.
pub(super) const PACKET: usize = 16;
/// Steps that a message for one Client costs at least.
pub(super) const DELIVERY: usize = 8;
/// Steps that a filter of a SUBSCRIBE costs at least.
pub(super) const FILTER: usize = 8;
/// Steps of what follows from the time, or from the end of a connection, before others have
/// their turn.
pub(super) const AT_ONCE: usize = 1_024;
/// Unsent bytes with which a Client gets no more retained messages until it reads.
pub(super) const AHEAD: usize = 1 << 20;

/// Bytes of work that is begun however much room others take.
pub(super) const SMALL: usize = 64 << 10;

/// A piece of work that may be left unfinished.
#[derive(Debug)]
pub(super) enum Work {
    /// A message on its way to its subscribers.
    Route(Route),
    /// A SUBSCRIBE.
    Subscribe(Subscribing),
    /// An UNSUBSCRIBE.
    Unsubscribe(Unsubscribing),
}

/// A message on its way to its subscribers.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) message: Arc<Message>,
    pub(super) publisher: SessionKey,
    pub(super) search: Search,
    /// Whether there was a subscriber.
    pub(super) any: bool,
    /// The acknowledgement for the publisher once all is done.
    pub(super) answer: Option<(Client, Answer)>,
}

/// The acknowledgement of a message that was handed on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// PUBACK.
    Acknowledged(PacketIdentifier),
    /// PUBCOMP.
    Complete(PacketIdentifier),
}

/// A SUBSCRIBE: its filters are entered, SUBACK is sent, then retained messages follow.
#[derive(Debug)]
pub(super) struct Subscribing {
    pub(super) client: Client,
    pub(super) packet_id: PacketIdentifier,
    pub(super) identifier: Option<u32>,
    /// The subscriptions, and how many of their bytes are done.
    pub(super) subscriptions: Box<[u8]>,
    pub(super) done: usize,
    /// The reason codes so far.
    pub(super) codes: Vec<u8>,
    /// SUBACK was sent.
    pub(super) answered: bool,
    /// Filters that are to get the retained messages they select.
    pub(super) wanted: VecDeque<Wanted>,
    /// The last topic that was compared with the first of them.
    pub(super) after: Option<Box<str>>,
    /// Retained messages that were entered later went to the subscriptions already.
    pub(super) before: u64,
}

/// An UNSUBSCRIBE: its filters are removed, then UNSUBACK is sent.
#[derive(Debug)]
pub(super) struct Unsubscribing {
    pub(super) client: Client,
    pub(super) packet_id: PacketIdentifier,
    /// The filters, and how many of their bytes are done.
    pub(super) filters: Box<[u8]>,
    pub(super) done: usize,
    /// The reason codes so far.
    pub(super) codes: Vec<u8>,
}

/// A filter that is to get the retained messages it selects.
pub(super) type Wanted = (Box<str>, Granted);

/// How far some work has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    /// Nothing is left of it.
    Done,
    /// It goes on in its next turn.
    Later,
    /// It goes on once the Client has read what waits for it.
    Unread,
}

/// The work of one session, in order.
#[derive(Debug, Default)]
pub(super) struct Works {
    /// Each with the bytes that it was charged with.
    pub(super) all: VecDeque<(Work, usize)>,
    /// It waits until the Client reads.
    pub(super) unread: bool,
}

impl Work {
    /// Bytes that it takes in memory at most, roughly, for the limits.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Route(route) => route.message.bytes(),
            // A filter of one byte takes four in the packet, and some fifty if its retained
            // messages are wanted.
            Self::Unsubscribe(unsubscribing) => unsubscribing.filters.len() * 2,
            Self::Subscribe(subscribing) => subscribing.subscriptions.len() * 16,
        }
    }
}
