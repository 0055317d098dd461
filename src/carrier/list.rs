//! The list of carriers, and how they stack.

use std::fmt;

use crate::base::field::FieldDef;
use crate::base::limits::{Limit, Limits};
use crate::stream::Direction;

use super::carried::{Carrier, Introduction};
use super::kind::{Connections, Kind, Slot};
use super::{proxy_protocol, tls, websocket};

/// Carriers inside one another, at most.
const DEPTH: usize = 4;

/// Makes the enum of carriers from their list, and what each declares available by its value.
macro_rules! carriers {
    ($($(#[$doc:meta])* $protocol:ident: $carrier:ty,)*) => {
        /// A protocol that may carry MQTT.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Protocol {
            $($(#[$doc])* $protocol,)*
        }

        /// Every field of this layer, for the registry.
        pub static FIELDS: &[&FieldDef] = &[$(<$carrier>::FIELD,)*];

        impl Protocol {
            /// All of them: one may lie inside those that stand before it.
            pub const ALL: &'static [Self] = &[$(Self::$protocol,)*];

            /// [`Carrier::FIELD`].
            pub const fn field(self) -> &'static FieldDef {
                match self { $(Self::$protocol => <$carrier>::FIELD,)* }
            }

            /// Returns the name in JSON's `transport`: `tls`.
            pub const fn name(self) -> &'static str {
                self.field().name
            }

            /// [`Carrier::PORTS`].
            pub const fn ports(self) -> &'static [u16] {
                match self { $(Self::$protocol => <$carrier>::PORTS,)* }
            }

            /// [`Carrier::ENCRYPTS`].
            pub const fn encrypts(self) -> bool {
                match self { $(Self::$protocol => <$carrier>::ENCRYPTS,)* }
            }

            /// [`Carrier::resembles`].
            pub fn resembles(self, bytes: &[u8]) -> bool {
                match self { $(Self::$protocol => <$carrier>::resembles(bytes),)* }
            }

            /// [`Carrier::IS_ANSWERED`].
            pub const fn is_answered(self) -> bool {
                match self { $(Self::$protocol => <$carrier>::IS_ANSWERED,)* }
            }

            /// [`Carrier::introduction`].
            pub fn introduction(self, bytes: &[u8]) -> Option<Introduction> {
                match self { $(Self::$protocol => <$carrier>::introduction(bytes),)* }
            }

            fn kind(self, limits: &Limits) -> Box<dyn Kind> {
                match self { $(Self::$protocol => Box::new(Connections::<$carrier>::new(limits)),)* }
            }
        }
    };
}

// To add a carrier: its folder, and its line here. Those that lie further out stand first.
carriers! {
    /// The PROXY protocol, versions 1 and 2.
    Proxy: proxy_protocol::ProxyProtocol,
    /// TLS 1.2 and 1.3.
    Tls: tls::Tls,
    /// WebSocket (RFC 6455).
    WebSocket: websocket::WebSocket,
}

/// The protocols that carry MQTT on a connection: those between TCP and MQTT, outermost first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Transport {
    /// Those behind the last are `None`.
    layers: [Option<Protocol>; DEPTH],
}

impl Transport {
    /// TCP alone.
    pub const TCP: Self = Self {
        layers: [None; DEPTH],
    };

    /// Returns this transport with `protocol` inside.
    #[must_use]
    pub fn with(mut self, protocol: Protocol) -> Self {
        if let Some(free) = self.layers.iter_mut().find(|layer| layer.is_none()) {
            *free = Some(protocol);
        }
        self
    }

    /// Returns the protocols that carry MQTT, outermost first.
    pub fn layers(&self) -> impl Iterator<Item = Protocol> + '_ {
        self.layers.iter().flatten().copied()
    }

    /// Returns the protocol that MQTT lies in, if not TCP itself.
    pub fn innermost(&self) -> Option<Protocol> {
        self.layers().last()
    }

    /// Whether nothing lies between TCP and MQTT.
    pub const fn is_bare(&self) -> bool {
        self.layers[0].is_none()
    }

    /// Whether others on the network cannot read what it carries.
    pub fn is_encrypted(&self) -> bool {
        self.layers().any(Protocol::encrypts)
    }
}

/// `tls+websocket`; `tcp` where nothing lies between.
impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_bare() {
            return f.write_str("tcp");
        }
        for (at, protocol) in self.layers().enumerate() {
            f.write_str(if at == 0 { "" } else { "+" })?;
            f.write_str(protocol.name())?;
        }
        Ok(())
    }
}

/// A connection that a carrier follows.
#[derive(Clone, Copy, Debug)]
pub struct Followed {
    /// Its carrier.
    pub protocol: Protocol,
    /// Its place among that carrier's connections.
    pub slot: Slot,
    /// The direction in which the end sends that opened it.
    pub client: Direction,
    /// Its data is known from the beginning.
    pub from_start: bool,
}

/// Whether the bytes of a connection are a carrier's.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Recognition {
    /// They are none's.
    Bare,
    /// They are, and too many connections are followed already.
    Refused,
    /// They are.
    Followed(Followed),
}

/// All carriers of a run, each with its connections.
#[derive(Debug)]
pub struct Carriers {
    /// In the order of [`Protocol::ALL`]; one that is at work is taken out.
    kinds: Vec<Option<Box<dyn Kind>>>,
    /// Connections followed now.
    open: usize,
    most: usize,
    refused: u64,
}

impl Default for Carriers {
    fn default() -> Self {
        Self::new(&Limits::DEFAULT)
    }
}

impl Carriers {
    /// Makes the carriers of a run.
    pub fn new(limits: &Limits) -> Self {
        let kinds = Protocol::ALL.iter();
        let kinds = kinds.map(|protocol| Some(protocol.kind(limits)));
        Self {
            kinds: kinds.collect(),
            open: 0,
            most: limits.carried,
            refused: 0,
        }
    }

    /// Finds the carrier that opens with `bytes`, the first of `direction`, inside `outside`.
    pub fn open(&mut self, outside: Transport, direction: Direction, bytes: &[u8]) -> Recognition {
        self.find(outside, |kind| kind.open(direction, bytes))
    }

    /// Finds the carrier of a connection that was open before the capture began, from a segment
    /// with `bytes`; `is_mqtt` judges the beginning of the data in it.
    pub fn join(
        &mut self,
        outside: Transport,
        direction: Direction,
        bytes: &[u8],
        is_mqtt: impl Fn(&[u8]) -> bool,
    ) -> Recognition {
        self.find(outside, |kind| {
            let (slot, beginning) = kind.join(direction, bytes)?;
            if is_mqtt(&beginning) {
                return Some(slot);
            }
            kind.close(slot);
            None
        })
    }

    /// Asks the carriers that may lie inside `outside`, in their order, until one recognises its
    /// connection. A carrier never lies in itself, so that layers do not stack without end.
    fn find(
        &mut self,
        outside: Transport,
        mut recognise: impl FnMut(&mut dyn Kind) -> Option<Slot>,
    ) -> Recognition {
        let innermost = outside.innermost();
        for (protocol, kind) in Protocol::ALL.iter().zip(&mut self.kinds) {
            let Some(kind) = kind
                .as_deref_mut()
                .filter(|_| innermost.is_none_or(|outer| outer < *protocol))
            else {
                continue;
            };
            let Some(slot) = recognise(kind) else {
                continue;
            };
            let is_room = self.open < self.most;
            self.refused += u64::from(!is_room);
            let Some((client, from_start)) = kind.admit(slot, is_room) else {
                return Recognition::Refused;
            };
            self.open += 1;
            return Recognition::Followed(Followed {
                protocol: *protocol,
                slot,
                client,
                from_start,
            });
        }
        Recognition::Bare
    }

    /// Takes out the carrier of a connection, so that others remain at hand for what comes out of
    /// it; [`Carriers::restore`] puts it back.
    pub fn take(&mut self, protocol: Protocol) -> Option<Box<dyn Kind>> {
        self.kinds.get_mut(protocol as usize)?.take()
    }

    /// Puts back what [`Carriers::take`] took.
    pub fn restore(&mut self, protocol: Protocol, kind: Box<dyn Kind>) {
        if let Some(place) = self.kinds.get_mut(protocol as usize) {
            *place = Some(kind);
        }
    }

    /// Forgets a connection that is over.
    pub fn close(&mut self, followed: &Followed) {
        if let Some(Some(kind)) = self.kinds.get_mut(followed.protocol as usize) {
            kind.close(followed.slot);
        }
        self.open = self.open.saturating_sub(1);
    }

    /// Learns secrets in the format of SSLKEYLOGFILE (RFC 9850).
    pub fn learn(&mut self, secrets: &[u8]) {
        for kind in self.kinds.iter_mut().flatten() {
            kind.learn(secrets);
        }
    }

    /// Notes how many bytes were taken from the captures' files so far, compressed ones where they are
    /// compressed.
    pub fn took(&mut self, bytes: u64) {
        for kind in self.kinds.iter_mut().flatten() {
            kind.took(bytes);
        }
    }

    /// Returns the limits, and how often each was reached.
    pub fn limits(&self) -> Vec<(Limit, u64)> {
        let mut limits = vec![(Limit::Carried, self.refused)];
        limits.extend(self.kinds.iter().flatten().flat_map(|kind| kind.limits()));
        limits
    }

    /// Returns the connections followed now, and the bytes held for them.
    pub fn in_use(&self) -> (usize, usize) {
        let held = self.kinds.iter().flatten().map(|kind| kind.held());
        (self.open, held.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transport_is_written_from_the_outside_in() {
        let tls = Transport::TCP.with(Protocol::Tls);
        let both = tls.with(Protocol::WebSocket);
        let written = [Transport::TCP, tls, both].map(|transport| transport.to_string());
        assert_eq!(written, ["tcp", "tls", "tls+websocket"]);
        assert!(both.is_encrypted() && !both.is_bare());
        assert!(!Transport::TCP.with(Protocol::WebSocket).is_encrypted());
        assert_eq!(both.innermost(), Some(Protocol::WebSocket));
    }

    #[test]
    fn a_carrier_lies_only_inside_those_before_it() {
        let mut carriers = Carriers::default();
        let request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
        for (outside, found) in [
            (Transport::TCP, true),
            (Transport::TCP.with(Protocol::Tls), true),
            (Transport::TCP.with(Protocol::WebSocket), false),
        ] {
            let opened = carriers.open(outside, Direction::Forward, request);
            assert_eq!(
                matches!(opened, Recognition::Followed(_)),
                found,
                "{outside}"
            );
        }
        assert_eq!(carriers.in_use().0, 2);
    }
}
