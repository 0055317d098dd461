//! The tee: what passes through each of the broker's sockets, reported as TCP segments.
//!
//! The bytes, who sent them, when, and how a connection ended are what happened; sequence
//! numbers, acknowledgements and windows are those of a loopback connection without loss. A
//! segment is acknowledged as Linux does it: at once at the start of a connection and after
//! a pause, otherwise with the next bytes that go the other way, at the latest after 40 ms.

use std::collections::HashMap;
use std::io;

use super::file::CaptureFile;
use super::frames::{Header, LinkLayer, largest_payload, push_frame};
use crate::base::{Endpoint, Span, Timestamp};
use crate::broker::net::{Seen, Witness};
use crate::broker::{ConnectionKey, Seed};
use crate::mqtt::{BySender, Sender};
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
    /// No acknowledgement is due before; most calls of the clock find that out here.
    next_due: Option<Timestamp>,
    /// The time of what is seen.
    now: Timestamp,
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
    ends: BySender<End>,
    flow_label: u32,
    /// When an owed acknowledgement is sent at the latest.
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

impl Flow {
    /// Whether that end has not acknowledged all that the other sent.
    fn owes(&self, by: Sender) -> bool {
        self.ends[by].acknowledged != self.ends[by.peer()].next
    }
}

impl Tee {
    /// A tee for frames with `link` as link layer; `seed` gives the initial sequence numbers.
    pub fn new(file: CaptureFile, link: LinkLayer, seed: u64) -> Self {
        Self {
            file,
            link,
            flows: HashMap::new(),
            next_due: None,
            now: Timestamp::default(),
            last: Timestamp::from_nanos(i64::MIN),
            seed: Seed::new(seed),
            scratch: Vec::new(),
        }
    }

    /// The file that the frames went to.
    pub fn into_file(self) -> CaptureFile {
        self.file
    }

    /// Writes one segment to the file, with the numbers of its end, which move on by it. Frames
    /// never have the same time, so that their order is that of their times.
    fn emit(
        &mut self,
        key: ConnectionKey,
        from: Sender,
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let Some(flow) = self.flows.get_mut(&key) else {
            return Ok(());
        };
        let time = self.now.max(self.last.plus(Span::from_nanos(1)));
        self.last = time;
        let peer = &flow.ends[from.peer()];
        let (destination, peer_next, peer_clock) = (peer.endpoint, peer.next, peer.clock);
        let end = &mut flow.ends[from];
        let milliseconds = (time.nanos() / 1_000_000) as u32;
        end.clock = milliseconds.wrapping_add(end.clock_offset);
        end.identification = end.identification.wrapping_add(1);
        end.last_sent = time;
        let syn = flags & TcpFlags::SYN != 0;
        let acknowledges = flags & TcpFlags::ACK != 0;
        let header = Header {
            source: end.endpoint,
            destination,
            sequence: end.next,
            acknowledgement: if acknowledges { peer_next } else { 0 },
            flags,
            window: if syn { SYN_WINDOW } else { WINDOW },
            timestamps: Some((end.clock, if acknowledges { peer_clock } else { 0 })),
            identification: end.identification,
            flow_label: flow.flow_label,
        };
        let counted = u32::from(flags & (TcpFlags::SYN | TcpFlags::FIN) != 0);
        let length = payload.len() as u32 + counted;
        end.next = end.next.wrapping_add(length);
        end.segments += u64::from(!payload.is_empty());
        if acknowledges {
            end.acknowledged = peer_next;
        }
        let owed = flow.owes(Sender::Client) || flow.owes(Sender::Server);
        let due = flow.due.unwrap_or(time.plus(DELAYED_ACK));
        flow.due = owed.then_some(due);
        if owed {
            self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
        }
        self.scratch.clear();
        push_frame(self.link, &header, payload, &mut self.scratch);
        self.file.frame(time, &self.scratch)
    }

    /// A connection was accepted.
    fn opened(&mut self, key: ConnectionKey, ends: BySender<Endpoint>) -> io::Result<()> {
        let mut ends = ends.map(|endpoint| End {
            endpoint,
            next: self.seed.next() as u32,
            acknowledged: 0,
            clock_offset: self.seed.next() as u32,
            clock: 0,
            identification: self.seed.next() as u16,
            segments: 0,
            last_sent: self.now,
        });
        // Nothing is owed before the handshake has exchanged the numbers.
        ends.client.acknowledged = ends.server.next;
        ends.server.acknowledged = ends.client.next;
        let flow = Flow {
            ends,
            flow_label: self.seed.next() as u32,
            due: None,
        };
        self.flows.insert(key, flow);
        self.emit(key, Sender::Client, TcpFlags::SYN, &[])?;
        self.emit(key, Sender::Server, TcpFlags::SYN | TcpFlags::ACK, &[])?;
        self.emit(key, Sender::Client, TcpFlags::ACK, &[])
    }

    /// Bytes travel.
    fn bytes(&mut self, key: ConnectionKey, from: Sender, bytes: &[u8]) -> io::Result<()> {
        let Some(flow) = self.flows.get(&key) else {
            return Ok(());
        };
        let end = &flow.ends[from];
        let largest = largest_payload(end.endpoint.address);
        let at_once = end.segments == 0 || self.now.since(end.last_sent) > QUIET;
        let mut parts = bytes.chunks(largest).peekable();
        let mut unacknowledged = 0;
        while let Some(part) = parts.next() {
            let push = if parts.peek().is_none() {
                TcpFlags::PSH
            } else {
                0
            };
            self.emit(key, from, TcpFlags::ACK | push, part)?;
            unacknowledged += part.len();
            // Every second full segment is acknowledged (RFC 9293 §3.8.6.3).
            if unacknowledged > largest {
                self.acknowledge(key, from.peer())?;
                unacknowledged = 0;
            }
        }
        if at_once {
            self.acknowledge(key, from.peer())?;
        }
        Ok(())
    }

    /// Sends an acknowledgement without payload, if that end owes one.
    fn acknowledge(&mut self, key: ConnectionKey, by: Sender) -> io::Result<()> {
        if self.flows.get(&key).is_some_and(|flow| flow.owes(by)) {
            self.emit(key, by, TcpFlags::ACK, &[])?;
        }
        Ok(())
    }

    /// Sends what both ends owe.
    fn acknowledge_both(&mut self, key: ConnectionKey) -> io::Result<()> {
        self.acknowledge(key, Sender::Client)?;
        self.acknowledge(key, Sender::Server)
    }
}

impl Witness for Tee {
    fn see(&mut self, now: Timestamp, key: ConnectionKey, seen: Seen<'_>) -> io::Result<()> {
        self.now = now;
        match seen {
            Seen::Opened { client, server } => self.opened(key, BySender::new(client, server))?,
            Seen::Bytes(from, bytes) => self.bytes(key, from, bytes)?,
            Seen::Finished(from) => self.emit(key, from, TcpFlags::FIN | TcpFlags::ACK, &[])?,
            Seen::Reset(from) => {
                self.emit(key, from, TcpFlags::RST | TcpFlags::ACK, &[])?;
                self.flows.remove(&key);
            }
            Seen::Gone => {
                self.acknowledge_both(key)?;
                self.flows.remove(&key);
            }
        }
        Ok(())
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        self.now = now;
        if self.next_due.is_none_or(|due| due > now) {
            return Ok(self.next_due);
        }
        let flows = self.flows.iter();
        let mut owing: Vec<_> = flows
            .filter_map(|(&key, flow)| Some((flow.due?, key)))
            .collect();
        owing.sort_unstable();
        for (due, key) in owing {
            if due > now {
                self.next_due = Some(due);
                return Ok(self.next_due);
            }
            self.acknowledge_both(key)?;
        }
        self.next_due = None;
        Ok(None)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn full(&self) -> bool {
        self.file.full()
    }
}
