//! Bounds and times of the analysis that are no limits of [`Limits`]:
//! a user has no reason to change them.

use crate::base::Span;
use crate::base::limits::Limits;

/// Stored messages that are compared with a wildcard when a subscription begins.
pub const RETAINED_SEARCHED: usize = 256;
/// Identifiers of a connection that are remembered for a late acknowledgement or a refusal.
pub const REMEMBERED: usize = 1_024;
/// Members of a group that are looked through one by one.
pub const LOOKED_THROUGH: usize = 1_024;
/// Levels of the filter tree that are compared with one topic.
pub const STEPS_OF_A_MATCH: usize = 16_384;
/// Levels of filters that are compared with a topic at no charge, see [`Limits::matches_ahead`].
pub const STEPS_FREE: usize = 64;
/// PINGREQs of a connection that wait for their PINGRESP.
pub const PINGS: usize = 16;
/// Findings of a connection that wait for certainty.
pub const SUSPECTS: usize = 64;
/// Stored messages that a connection is due.
pub const STORED_DUE: usize = 64;
/// Messages that are stored no longer and kept for copies on their way.
pub const FORMER: usize = 4_096;
/// Values of a topic's stored message that are known again when they were replaced.
pub const BEFORE: usize = 4;
/// Bridges, and pairs of brokers between which messages seem to pass, that are remembered.
pub const BRIDGES: usize = 16;
/// Distinct messages that cross from one broker to another before the two count as joined.
pub const CROSSED: usize = 3;
/// Addresses of one broker that are compared with those of bridges.
pub const ADDRESSES: usize = 8;
/// Bytes of a name that are kept, see [`Limits::name_bytes`].
pub const NAME: usize = Limits::DEFAULT.name_bytes;
/// Subscriptions that are over and are remembered for a filter, and named for a message.
pub const PAST: usize = 8;
/// Candidates that are looked at for a copy without a visible subscription.
pub const CANDIDATES: usize = 64;

/// A packet that comes within this time before a DISCONNECT may have crossed it.
pub const CROSSING: Span = Span::from_nanos(100_000_000);
/// The end of a connection may cross an answer that takes less than this time.
pub const ANSWER: Span = Span::from_nanos(50_000_000);
/// Servers look at their clocks every now and then: a keep alive is enforced within this time.
pub const KEEP_ALIVE_LATE: Span = Span::from_nanos(2_000_000_000);
/// A copy without a visible subscription comes within this time of its message.
pub const LINGER: Span = Span::from_nanos(2_000_000_000);
/// A subscriber with a connection is not waited for any longer.
pub const PATIENCE: Span = Span::from_nanos(60_000_000_000);
/// A packet that is missing this short a time before the capture ends may still have come.
pub const LAST_MOMENT: Span = Span::from_nanos(1_000_000_000);
/// A change inside a server takes at most this long to be seen by all its clients.
pub const IN_TRANSIT: Span = Span::from_nanos(100_000_000);
/// A stored copy comes at most this long after the SUBSCRIBE that it answers.
pub const STORED_COPY: Span = Span::from_nanos(10_000_000_000);
/// An acknowledgement that takes longer is slow.
pub const SLOW: Span = Span::from_nanos(1_000_000_000);
