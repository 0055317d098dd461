//! The tee: what passes through each of the broker's sockets, reported as TCP segments.
//!
//! The bytes, who sent them, when, and how a connection ended are what happened; sequence
//! numbers, acknowledgements and windows are those of a loopback connection without loss. A
//! segment is acknowledged as Linux does it: at once at the start of a connection and after
//! a pause, otherwise with the next bytes that go the other way, at the latest after 40 ms.

use std::collections::{BTreeSet, HashMap};
use std::io;

use super::file::CaptureFile;
use super::frames::{Header, LinkLayer, largest_payload, push_frame};
use crate::base::{Endpoint, Span, Timestamp};
use crate::broker::net::{Seen, Witness};
use crate::broker::{ConnectionKey, Seed};
use crate::mqtt::Sender;
use crate::wire::TcpFlags;

/// How long an acknowledgement waits for bytes to travel with (Linux: 40 ms).
const DELAYED_ACK: Span = Span::from_nanos(40_000_000);
/// A segment after this long a silence is acknowledged at once.
const QUIET: Span = Span::from_nanos(200_000_000);
/// Both ends' window, in units of 128 bytes: 8 MB, so that it is never the limit.
const WINDOW: u16 = u16::MAX;
/// The window of a SYN is not scaled (RFC 7323 §2.2).
const SYN_WINDOW: u16 = 65_476;

/// Turns what passes through sockets into frames of a capture file.
#[derive(Debug)]
pub struct Tee {
    file: CaptureFile,
    link: LinkLayer,
    flows: HashMap<ConnectionKey, Flow>,
    /// Flows that owe an acknowledgement, by when it is due at the latest.
    owing: BTreeSet<(Timestamp, ConnectionKey)>,
    /// The last frame's time: each later frame's is later.
    last: Timestamp,
    seed: Seed,
    /// The frame at hand; kept so that no frame allocates.
    scratch: Vec<u8>,
}

/// A connection as the frames show it: both ends' numbers, and whether an acknowledgement is
/// owed.
#[derive(Debug)]
struct Flow {
    /// The end that connected.
    client: End,
    server: End,
    flow_label: u32,
    /// When an owed acknowledgement is sent at the latest; its entry in `Tee::owing`.
    due: Option<Timestamp>,
}

/// One end of a connection.
#[derive(Debug)]
struct End {
    endpoint: Endpoint,
    /// The next sequence number that this end will send.
    next: u32,
    /// The sequence number up to which this end has acknowledged the other.
    acknowledged: u32,
    /// Added to the clock in milliseconds to give TSval.
    clock_offset: u32,
    /// The TSval last sent, which the other end echoes.
    clock: u32,
    identification: u16,
    segments: u64,
    /// When it last sent a segment: after a pause the next is acknowledged at once.
    last_sent: Timestamp,
}

impl Tee {
    /// A tee for frames with `link` as link layer; `seed` gives the initial sequence numbers.
    pub fn new(file: CaptureFile, link: LinkLayer, seed: u64) -> Self {
        Self {
            file,
            link,
            flows: HashMap::new(),
            owing: BTreeSet::new(),
            last: Timestamp::from_nanos(i64::MIN),
            seed: Seed::new(seed),
            scratch: Vec::new(),
        }
    }

    /// Where the frames went.
    pub fn file(&self) -> &CaptureFile {
        &self.file
    }

    /// Writes one segment to the file, with the numbers of its end, which move on by it. Frames
    /// never have the same time, so that their order is that of their times.
    fn emit(
        &mut self,
        now: Timestamp,
        key: ConnectionKey,
        from: Sender,
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        let time = now.max(self.last.plus(Span::from_nanos(1)));
        self.last = time;
        let flow_label = flow.flow_label;
        let (end, peer) = flow.ends(from);
        let milliseconds = (time.nanos() / 1_000_000) as u32;
        end.clock = milliseconds.wrapping_add(end.clock_offset);
        end.identification = end.identification.wrapping_add(1);
        end.last_sent = time;
        let syn = flags & TcpFlags::SYN != 0;
        let acknowledges = flags & TcpFlags::ACK != 0;
        let header = Header {
            source: end.endpoint,
            destination: peer.endpoint,
            sequence: end.next,
            acknowledgement: if acknowledges { peer.next } else { 0 },
            flags,
            window: if syn { SYN_WINDOW } else { WINDOW },
            timestamps: Some((end.clock, if acknowledges { peer.clock } else { 0 })),
            identification: end.identification,
            flow_label,
        };
        let counted = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        end.next = end
            .next
            .wrapping_add(payload.len() as u32)
            .wrapping_add(counted);
        end.segments += u64::from(!payload.is_empty());
        if acknowledges {
            end.acknowledged = peer.next;
        }
        self.scratch.clear();
        push_frame(self.link, &header, payload, &mut self.scratch);
        self.file.frame(time, &self.scratch)?;
        self.note_debt(key);
        Ok(())
    }

    /// Enters, or takes out, the flow among those that owe an acknowledgement.
    fn note_debt(&mut self, key: ConnectionKey) {
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        let owed = flow.owes(Sender::Client) || flow.owes(Sender::Server);
        match (owed, flow.due) {
            (true, None) => {
                let due = self.last.plus(DELAYED_ACK);
                flow.due = Some(due);
                self.owing.insert((due, key));
            }
            (false, Some(due)) => {
                flow.due = None;
                self.owing.remove(&(due, key));
            }
            _ => {}
        }
    }

    /// A connection was accepted.
    fn opened(
        &mut self,
        now: Timestamp,
        key: ConnectionKey,
        client: Endpoint,
        server: Endpoint,
    ) -> io::Result<()> {
        let mut end = |endpoint| End {
            endpoint,
            next: self.seed.next() as u32,
            acknowledged: 0,
            clock_offset: self.seed.next() as u32,
            clock: 0,
            identification: self.seed.next() as u16,
            segments: 0,
            last_sent: now,
        };
        let mut flow = Flow {
            client: end(client),
            server: end(server),
            flow_label: self.seed.next() as u32,
            due: None,
        };
        // Nothing is owed before the handshake has exchanged the numbers.
        flow.client.acknowledged = flow.server.next;
        flow.server.acknowledged = flow.client.next;
        self.flows.insert(key, flow);
        self.emit(now, key, Sender::Client, TcpFlags::SYN, &[])?;
        self.emit(now, key, Sender::Server, TcpFlags::SYN | TcpFlags::ACK, &[])?;
        self.emit(now, key, Sender::Client, TcpFlags::ACK, &[])
    }

    /// Bytes travel.
    fn bytes(
        &mut self,
        now: Timestamp,
        key: ConnectionKey,
        from: Sender,
        bytes: &[u8],
    ) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        let (end, _) = flow.ends(from);
        let largest = largest_payload(end.endpoint.address);
        let at_once = end.segments == 0 || now.since(end.last_sent) > QUIET;
        let mut parts = bytes.chunks(largest).peekable();
        let mut unacknowledged = 0;
        while let Some(part) = parts.next() {
            let push = if parts.peek().is_none() {
                TcpFlags::PSH
            } else {
                0
            };
            self.emit(now, key, from, TcpFlags::ACK | push, part)?;
            unacknowledged += part.len();
            // Every second full segment is acknowledged (RFC 9293 §3.8.6.3).
            if unacknowledged > largest {
                self.acknowledge(now, key, from.peer())?;
                unacknowledged = 0;
            }
        }
        if at_once {
            self.acknowledge(now, key, from.peer())?;
        }
        Ok(())
    }

    /// Forgets a connection that is over.
    fn forget(&mut self, key: ConnectionKey) {
        if let Some(due) = self.flows.remove(&key).and_then(|flow| flow.due) {
            self.owing.remove(&(due, key));
        }
    }

    /// Sends an acknowledgement without payload, if that end owes one.
    fn acknowledge(&mut self, now: Timestamp, key: ConnectionKey, by: Sender) -> io::Result<()> {
        if self.flows.get(&key).is_some_and(|flow| flow.owes(by)) {
            self.emit(now, key, by, TcpFlags::ACK, &[])?;
        }
        Ok(())
    }
}

impl Flow {
    /// The end that sends, and the other.
    fn ends(&mut self, sender: Sender) -> (&mut End, &mut End) {
        match sender {
            Sender::Client => (&mut self.client, &mut self.server),
            Sender::Server => (&mut self.server, &mut self.client),
        }
    }

    /// Whether that end has not acknowledged all that the other sent.
    fn owes(&self, by: Sender) -> bool {
        match by {
            Sender::Client => self.client.acknowledged != self.server.next,
            Sender::Server => self.server.acknowledged != self.client.next,
        }
    }
}

impl Witness for Tee {
    fn see(&mut self, now: Timestamp, key: ConnectionKey, seen: Seen<'_>) -> io::Result<()> {
        match seen {
            Seen::Opened { client, server } => self.opened(now, key, client, server)?,
            Seen::Bytes(from, bytes) => self.bytes(now, key, from, bytes)?,
            Seen::Finished(from) => {
                self.emit(now, key, from, TcpFlags::FIN | TcpFlags::ACK, &[])?;
            }
            Seen::Reset(from) => {
                self.emit(now, key, from, TcpFlags::RST | TcpFlags::ACK, &[])?;
                self.forget(key);
            }
            Seen::Gone => {
                self.acknowledge(now, key, Sender::Client)?;
                self.acknowledge(now, key, Sender::Server)?;
                self.forget(key);
            }
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        while let Some(&(due, key)) = self.owing.first() {
            if due > now {
                return Ok(Some(due));
            }
            self.acknowledge(now, key, Sender::Client)?;
            self.acknowledge(now, key, Sender::Server)?;
            self.owing.remove(&(due, key));
        }
        Ok(None)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn full(&self) -> bool {
        self.file.full()
    }
}
