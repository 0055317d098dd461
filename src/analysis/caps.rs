//! How much the analysis holds at most; reaching a cap is told.

use crate::base::Span;

/// Exchanges of control packets that wait for their next packet, over all connections.
pub const OPEN_HANDSHAKES: usize = 131_072;
/// Application messages whose deliveries are not all known.
pub const MESSAGES: usize = 16_384;
/// Subscribers' legs of those messages.
pub const LEGS: usize = 131_072;
/// Stored (retained) messages.
pub const RETAINED: usize = 8_192;
/// Stored messages that a wildcard is held against when a subscription begins.
pub const RETAINED_SEARCHED: usize = 256;
/// Wills whose story is not over.
pub const WILLS: usize = 16_384;
/// Sessions, with and without a connection; ended sessions that must not come back; ended
/// connections with gaps.
pub const SESSIONS: usize = 65_536;
/// Subscriptions of those sessions.
pub const SUBSCRIPTIONS: usize = 131_072;
/// Levels of topic filters, over all brokers.
pub const FILTER_LEVELS: usize = 524_288;
/// Server endpoints that are told apart.
pub const BROKERS: usize = 65_536;
/// Open handshakes that a session keeps for its next connection, of either end.
pub const PENDING: usize = 1_024;
/// Identifiers of a connection that are remembered for a late acknowledgement or a refusal.
pub const REMEMBERED: usize = 1_024;
/// Subscriptions of one client that are looked through one by one.
pub const LOOKED_THROUGH: usize = 1_024;
/// Levels of the filter tree that one topic is held against.
pub const STEPS_OF_A_MATCH: usize = 16_384;
/// Subscriptions that may be found for topics beyond what packets have earned ...
pub const MATCHES_AHEAD: usize = 2_097_152;
/// ... at so many each. A message that reaches its subscribers earns as much as it costs; only
/// where thousands of filters take messages that go to nobody is the search cut short.
pub const MATCHES_A_PACKET: usize = 64;
/// Handshakes and deliveries that wait for an earlier one, so that they are told in order.
/// Beyond it the earliest is told when it ends, behind the others: no verdict is lost, so
/// nothing is counted. Where something is always under way this many wait all the time: 2,048
/// have room in a processor's second cache, eight times as many took a fifth longer in all.
pub const REORDERED: usize = 2_048;
/// Findings of one rule that are told one by one; the rest is counted.
pub const FINDINGS_OF_A_RULE: u64 = 10_000;
/// PINGREQs of a connection that wait for their PINGRESP.
pub const PINGS: usize = 16;
/// Settled messages that must not come to a client again. The oldest is forgotten; a copy that
/// it may have barred is counted.
pub const SETTLED: usize = 16_384;
/// Findings of a connection that wait for certainty.
pub const SUSPECTS: usize = 64;
/// Stored messages that a connection is due.
pub const STORED_DUE: usize = 64;
/// Streams of messages whose order is watched: all are forgotten then, which is counted.
pub const ORDERED: usize = 65_536;
/// Candidates that are looked at for a copy without a visible subscription.
pub const CANDIDATES: usize = 64;
/// Octets of a topic, filter or client identifier that are kept; for a longer one its
/// beginning and a checksum stand.
pub const NAME: usize = 1024;

/// A copy without a visible subscription comes within this time of its message.
pub const LINGER: Span = Span::from_nanos(2_000_000_000);
/// A subscriber with a connection is not waited for any longer.
pub const PATIENCE: Span = Span::from_nanos(60_000_000_000);
/// What is missing this short a time before the capture ends may still have come.
pub const LAST_MOMENT: Span = Span::from_nanos(1_000_000_000);
/// What passes through a server is not settled faster than this.
pub const IN_TRANSIT: Span = Span::from_nanos(100_000_000);
/// An acknowledgement that takes longer is slow.
pub const SLOW: Span = Span::from_nanos(1_000_000_000);
