//! The driver's knowledge: what each client did on purpose, connection by connection.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_inspect::mqtt::{ProtocolVersion, Sender};

/// Number of a message, hidden in its payload.
pub(crate) type MessageId = u32;

/// The mark before the eight hexadecimal digits of a number.
pub(crate) const MARK: &[u8] = b"id=";
/// How many bytes follow [`MARK`].
pub(crate) const DIGITS: usize = 8;

/// Returns a payload that hides `id`, of `length` bytes at least.
pub(crate) fn payload(id: MessageId, length: usize) -> Vec<u8> {
    let mut payload = [MARK, format!("{id:08x}").as_bytes()].concat();
    payload.resize(length.max(payload.len()), b'.');
    payload
}

/// Returns the number that a payload hides; `None` where it is none of the driver's, or empty.
pub(crate) fn id_of(payload: &[u8]) -> Option<MessageId> {
    let digits = payload.strip_prefix(MARK)?.get(..DIGITS)?;
    MessageId::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// It is there where the capture ends.
    Open,
    Disconnect,
    /// DISCONNECT with reason 0x04 (5.0).
    DisconnectWithWill,
    Reset,
    Closed,
    TakenOver,
    /// The broker closed it, as in a restart.
    ByBroker,
}

/// A message that was published, or set as a will.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) client: String,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) expires: bool,
    pub(crate) topic: String,
}

/// A connection as its client knows it.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) client: String,
    pub(crate) version: ProtocolVersion,
    pub(crate) end: End,
    /// The will that its CONNECT set.
    pub(crate) will: Option<MessageId>,
    /// It held an acknowledgement back.
    pub(crate) withheld: bool,
}

/// Everything that the driver knows after a run.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) messages: BTreeMap<MessageId, Message>,
    /// By the client's port.
    pub(crate) links: BTreeMap<u16, Link>,
    /// QoS 2 messages whose PUBREL was sent.
    pub(crate) released: BTreeSet<MessageId>,
    /// Messages that went over a connection, by the client's port and who sent them.
    pub(crate) seen: BTreeSet<(u16, Sender, MessageId)>,
    /// Filters that a client gave up.
    pub(crate) unsubscribed: BTreeSet<(String, String)>,
    /// Clients that took packets of limited size only.
    pub(crate) small: BTreeSet<String>,
    /// Filters that a client ever subscribed to, and those of them with No Local.
    pub(crate) subscribed: BTreeSet<(String, String)>,
    pub(crate) no_local: BTreeSet<(String, String)>,
    /// Clients that asked for Retain As Published: RETAIN of a copy shows them nothing.
    pub(crate) retain_as_published: BTreeSet<String>,
    /// How often the broker lost its sessions.
    pub(crate) losses: usize,
}

impl Known {
    /// The connection of this port ends; the first end counts.
    pub(crate) fn end(&mut self, port: u16, end: End) {
        if let Some(link) = self.links.get_mut(&port)
            && link.end == End::Open
        {
            link.end = end;
        }
    }

    /// The client of this port holds an acknowledgement back.
    pub(crate) fn withhold(&mut self, port: u16) {
        if let Some(link) = self.links.get_mut(&port) {
            link.withheld = true;
        }
    }
}
