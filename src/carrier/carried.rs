//! The trait of protocols that carry MQTT in a stream, and what comes out of them.

use std::fmt::{self, Debug};

use crate::base::Endpoint;
use crate::base::field::FieldDef;
use crate::base::limits::{Limit, Limits};
use crate::stream::Direction;

/// One step of the data of a connection, in order for each direction.
#[derive(Clone, Copy, Debug)]
pub enum Carried<'a> {
    /// The next bytes of data.
    Bytes(&'a [u8]),
    /// An unknown number of bytes of data is missing.
    Gap,
    /// A proxy names the ends of the connection that it passes on; data goes on.
    Proxied(Proxied),
    /// A rule of the carrier is broken here; data goes on.
    Breach(Breach),
    /// Nothing more of this direction comes out, or of both where the connection was refused.
    Failed(CarrierError),
    /// A limit that counts it is reached: nothing more of this direction comes out.
    OverLimit,
    /// The connection is none of this protocol after all. `bytes` are those that were held of
    /// `direction`; nothing more comes out but those of the other direction.
    Mistaken {
        /// Where they came from, which need not be the direction of the call.
        direction: Direction,
        /// As they came, from the first byte on that the carrier saw.
        bytes: &'a [u8],
    },
}

/// Takes what comes out of a carrier; returns the control packets that came of it.
pub type Sink<'a> = dyn FnMut(Carried<'_>) -> u64 + 'a;

/// The ends of a connection as the proxy that passes it on names them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Proxied {
    /// The end that connected to the proxy.
    pub client: Endpoint,
    /// The end of the proxy that it connected to.
    pub server: Endpoint,
}

/// Why a connection of a carrier is not read, or no further.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CarrierError {
    /// It begins like this protocol and is not followed: TLS without its secrets, HTTP that asks
    /// for no WebSocket.
    NotOpened,
    /// The server did not grant it, with this status (of HTTP: RFC 9110 §15).
    Refused(u16),
    /// It uses something with this number that is not supported, as a TLS cipher suite.
    Unsupported(u16),
    /// The bytes break the protocol, or the secrets do not fit them.
    Broken,
    /// One end asked for it, and the other ended the connection and sent nothing.
    Unanswered,
}

/// A rule of MQTT's transport that one end breaks, or its end.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Breach {
    /// A WebSocket text frame carries data \[MQTT-6.0.0-1\].
    TextFrame,
    /// The Client did not offer the subprotocol `mqtt` \[MQTT-6.0.0-3\].
    NotOffered,
    /// The Server did not select the subprotocol `mqtt` \[MQTT-6.0.0-4\].
    NotSelected,
    /// A frame of the Client's is not masked, or one of the Server's is (RFC 6455 §5.1).
    Masking,
    /// An end closes the carrier with this code (RFC 6455 §7.4), 1005 where it has none.
    Closed(u16),
}

/// The statements of a carrier's first bytes that others on the network can read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Introduction {
    /// They ask the other end for an answer, as a ClientHello does.
    pub asks: bool,
    /// The version that is chosen, or the highest that is offered.
    pub version: Option<&'static str>,
    /// The host name for which the connection is (SNI, RFC 6066 §3).
    pub server_name: Option<Box<str>>,
    /// The application protocols that are offered (ALPN, RFC 7301).
    pub protocols: Vec<Box<str>>,
    /// The cipher suite that is chosen.
    pub cipher_suite: Option<u16>,
    /// The alert that ends the connection.
    pub alert: Option<Alert>,
}

impl Introduction {
    /// Whether what follows may be MQTT on `port`, by the application protocols that are offered
    /// and by what else the port is for.
    pub fn may_announce_mqtt(&self, port: u16) -> bool {
        if self.protocols.iter().any(|name| name.contains("mqtt")) {
            return true;
        }
        // WebSocket asks for HTTP/1.1.
        let of_http = |name: &str| name == "http/1.1";
        match self.protocols.as_slice() {
            [] => !OTHER_PORTS.contains(&port),
            [only] => of_http(only) && port != HTTPS && !OTHER_PORTS.contains(&port),
            _ => false,
        }
    }
}

/// The port of HTTPS, which MQTT shares with it where no application protocol is named.
const HTTPS: u16 = 443;

/// Ports where TLS carries other protocols: SMTP, NNTP, LDAP, DNS, FTP, Telnet, IMAP, POP3, RDP,
/// SIP, XMPP, TURN.
const OTHER_PORTS: &[u16] = &[
    465, 563, 587, 636, 853, 989, 990, 992, 993, 994, 995, 3389, 5061, 5223, 5349,
];

/// An alert of TLS (RFC 8446 §6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Alert {
    /// Its level is fatal, and not warning.
    pub fatal: bool,
    /// The number of its reason.
    pub description: u8,
}

impl Alert {
    /// Returns the name of its reason; empty for a number that has none.
    pub const fn name(self) -> &'static str {
        match self.description {
            0 => "close notify",
            10 => "unexpected message",
            20 => "bad record MAC",
            22 => "record overflow",
            40 => "handshake failure",
            42 => "bad certificate",
            43 => "unsupported certificate",
            44 => "certificate revoked",
            45 => "certificate expired",
            46 => "certificate unknown",
            47 => "illegal parameter",
            48 => "unknown CA",
            49 => "access denied",
            50 => "decode error",
            51 => "decrypt error",
            70 => "protocol version",
            71 => "insufficient security",
            80 => "internal error",
            86 => "inappropriate fallback",
            90 => "user canceled",
            109 => "missing extension",
            112 => "unrecognized name",
            113 => "bad certificate status response",
            115 => "unknown PSK identity",
            116 => "certificate required",
            120 => "no application protocol",
            _ => "",
        }
    }
}

/// `fatal, protocol version 70`
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.fatal { "fatal" } else { "warning" };
        let (name, number) = (self.name(), self.description);
        match name {
            "" => write!(f, "{level}, number {number}"),
            name => write!(f, "{level}, {name} {number}"),
        }
    }
}

/// Bytes out of which nothing came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    /// Beside a gap.
    pub discarded: u64,
    /// Behind a [`CarrierError`] or a limit.
    pub given_up: u64,
}

/// The state that all connections of one carrier share in a run.
#[derive(Debug, Default)]
pub struct Shared<S> {
    /// The limits of the run.
    pub limits: Limits,
    /// Bytes out of which nothing came.
    pub lost: Lost,
    /// Bytes held now of what is not complete.
    pub held: usize,
    /// The carrier's own: secrets, buffers, counts.
    pub own: S,
}

/// The bytes of one segment on their way through a carrier.
pub struct Call<'a, S> {
    /// The state that the carrier's connections share.
    pub shared: &'a mut Shared<S>,
    /// Where the bytes travel.
    pub direction: Direction,
    /// Takes what comes out.
    pub sink: &'a mut Sink<'a>,
}

impl<S> Call<'_, S> {
    /// Counts `bytes` that are nothing which the carrier knows. Behind a gap the next unit is sought
    /// then, else it never comes.
    pub fn break_off<A>(&mut self, bytes: usize, after_gap: bool) -> State<A> {
        if after_gap {
            self.shared.lost.discarded += bytes as u64;
            (self.sink)(Carried::Gap);
            return State::Seeking;
        }
        self.shared.lost.given_up += bytes as u64;
        (self.sink)(Carried::Failed(CarrierError::Broken));
        State::GivenUp
    }

    /// Counts `bytes` with which a limit is reached, so that nothing more is read.
    pub fn stop_at_limit<A>(&mut self, bytes: usize) -> State<A> {
        self.shared.lost.given_up += bytes as u64;
        (self.sink)(Carried::OverLimit);
        State::GivenUp
    }
}

/// The meaning of a direction's next bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State<A> {
    /// Known: the carrier is at this place of its protocol.
    At(A),
    /// Unknown: the next unit is sought.
    Seeking,
    /// Unknown for good: they are counted.
    GivenUp,
}

impl<A: Default> Default for State<A> {
    fn default() -> Self {
        Self::At(A::default())
    }
}

/// A protocol that may carry MQTT, and one connection of it.
///
/// Data comes out as it would come from TCP: in order for each direction, with gaps. All memory
/// that a connection takes is bounded: by limits over all connections, which [`Shared`] counts.
pub trait Carrier: Debug + Sized + 'static {
    /// The carrier's own part of what its connections share.
    type Own: Debug;

    /// The places in the protocol at which a direction may be; the default is where a unit begins,
    /// a frame or a record.
    type At: Copy + Default;

    /// The protocol in the registry of fields. Its name stands in JSON's `transport` (`tls`),
    /// its label in the detail tree.
    const FIELD: &'static FieldDef;

    /// Ports on which MQTT inside this protocol is expected.
    const PORTS: &'static [u16] = &[];

    /// The limit on its own connections, beside that on those of all carriers.
    const CONNECTIONS: Option<Limit> = None;

    /// Whether it hides its data from others on the network.
    const ENCRYPTS: bool = false;

    /// Whether the other end has to answer before MQTT begins.
    const IS_ANSWERED: bool = true;

    /// Makes its own part of what the connections of a run share.
    fn own(limits: &Limits) -> Self::Own;

    /// Whether `bytes`, with which a direction begins, look like this protocol, followed or not.
    fn resembles(bytes: &[u8]) -> bool;

    /// The statements of `bytes`, with which a direction begins, that are for all to read.
    fn introduction(_bytes: &[u8]) -> Option<Introduction> {
        None
    }

    /// The connection that `bytes` open, the first of `direction`: it begins as only this
    /// protocol does, or may when more bytes come.
    fn open(shared: &Shared<Self::Own>, direction: Direction, bytes: &[u8]) -> Option<Self>;

    /// The connection, open before the capture began, that a segment with `bytes` may belong to,
    /// and the first bytes of its data, for the caller to judge whether MQTT begins like that.
    fn join(_direction: Direction, _bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        None
    }

    /// The direction in which the end sends that opened the connection.
    fn client(&self) -> Direction;

    /// Whether the data of [`Carrier::client`] is known from its beginning.
    fn is_from_start(&self) -> bool;

    /// Whether the connection itself names MQTT as its content.
    fn announces_mqtt(&self) -> bool {
        false
    }

    /// Takes the next bytes of `direction`, which came in one segment.
    fn push(
        &mut self,
        shared: &mut Shared<Self::Own>,
        direction: Direction,
        bytes: &[u8],
        sink: &mut Sink<'_>,
    ) {
        let call = &mut Call {
            shared,
            direction,
            sink,
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match *self.state(direction) {
                State::At(at) => self.step(call, at, rest),
                State::Seeking => {
                    // Once a segment, so that each is looked through once.
                    let fresh = rest.len() == bytes.len();
                    let found = fresh.then(|| self.seek(direction, rest)).flatten();
                    let (passed, behind) = rest.split_at(found.unwrap_or(rest.len()));
                    call.shared.lost.discarded += passed.len() as u64;
                    self.pass_by(direction, passed.len() as u64);
                    if found.is_some() {
                        *self.state(direction) = State::default();
                    }
                    behind
                }
                State::GivenUp => {
                    call.shared.lost.given_up += rest.len() as u64;
                    return;
                }
            };
        }
    }

    /// The state of `direction`.
    fn state(&mut self, direction: Direction) -> &mut State<Self::At>;

    /// Takes the next bytes from a known place on. Returns those that it leaves: there the state
    /// is another one.
    fn step<'a>(
        &mut self,
        call: &mut Call<'_, Self::Own>,
        at: Self::At,
        bytes: &'a [u8],
    ) -> &'a [u8];

    /// Finds where in a segment of `direction` the next unit begins behind a gap.
    fn seek(&self, direction: Direction, bytes: &[u8]) -> Option<usize>;

    /// Passes by so many bytes while the next unit is sought.
    fn pass_by(&mut self, _direction: Direction, _bytes: u64) {}

    /// Takes a gap of `length` bytes in `direction`, of an unknown number where it is 0. Returns
    /// how many bytes of data are missing then: `Some(0)` where that is unknown, `None` where
    /// none are.
    fn gap(
        &mut self,
        shared: &mut Shared<Self::Own>,
        direction: Direction,
        length: u64,
    ) -> Option<u64>;

    /// Gives back what the connection, which is over, held of `shared`.
    fn close(&mut self, shared: &mut Shared<Self::Own>);

    /// Learns secrets in the format of SSLKEYLOGFILE, where the protocol has a use for them.
    fn learn(_own: &mut Self::Own, _secrets: &[u8]) {}

    /// So many bytes were taken from the captures' files so far, compressed ones where they are
    /// compressed.
    fn took(_own: &mut Self::Own, _bytes: u64) {}

    /// Limits other than [`Carrier::CONNECTIONS`], and how often each was reached.
    fn limits(own: &Self::Own) -> Vec<(Limit, u64)>;
}
