//! Traffic made from a seed: a Server and its Clients, written as a pcap file, with a manifest
//! of what is in it.
//!
//! The same recipe gives the same bytes. The capture shows what a server might have
//! sent: handshakes are complete, deliveries go to those who subscribed, packet identifiers
//! and topic aliases are right. What befalls segments on their way (swapped, late, lost, sent
//! twice) befalls them within one direction of one connection, and acknowledgements state what
//! had arrived, as a receiver's do.

mod city;
mod wires;

use std::fmt;
use std::io::{self, Write};

use mqtt_inspect::mqtt::PacketType;

use city::City;

/// A choice of traffic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    /// The file's size: it ends with the first frame past this many bytes, and the exchanges
    /// that have begun.
    pub(crate) bytes: u64,
    pub(crate) kind: Kind,
    /// Of 10,000 data segments, so many are swapped with the next one ...
    pub(crate) swapped: u64,
    /// ... come after those behind them, sent again ...
    pub(crate) late: u64,
    /// ... are missing from the capture although they arrived ...
    pub(crate) lost: u64,
    /// ... or are sent twice.
    pub(crate) twice: u64,
}

/// A kind of traffic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Payloads from a few bytes to 60 kB, each QoS, a few hundred Clients.
    Mixed,
    /// Nearly every frame has 100 bytes.
    Tiny,
    /// A connection for each 1,500 bytes of the file, few of them ever closed.
    Many,
}

impl Recipe {
    /// `mixed`, `tiny`, `many`: hardly anything befalls a segment; `faults`: much does.
    pub(crate) fn named(name: &str, bytes: u64, seed: u64) -> Option<Self> {
        let (kind, often) = match name {
            "mixed" => (Kind::Mixed, 1),
            "tiny" => (Kind::Tiny, 1),
            "many" => (Kind::Many, 1),
            "faults" => (Kind::Mixed, 60),
            _ => return None,
        };
        Some(Self {
            seed,
            bytes,
            kind,
            swapped: 3 * often,
            late: 3 * often,
            lost: if often > 1 { 40 } else { 0 },
            twice: 20,
        })
    }
}

/// Counts of what was made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) connections: u64,
    /// Control packets by type number.
    pub(crate) packets: [u64; 16],
    /// Those of them that a lost segment cut.
    pub(crate) hit: [u64; 16],
    /// Control packets in more than one segment.
    pub(crate) spanning: u64,
    pub(crate) swapped: u64,
    pub(crate) late: u64,
    pub(crate) lost: u64,
    pub(crate) twice: u64,
}

/// One JSON object.
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.packets.iter().sum();
        write!(
            f,
            "{{\"bytes\":{},\"frames\":{},\"connections\":{},\"packets\":{total}",
            self.bytes, self.frames, self.connections
        )?;
        for (name, counts) in [("by_type", &self.packets), ("hit", &self.hit)] {
            write!(f, ",\"{name}\":{{")?;
            for (at, packet_type) in PacketType::ALL.iter().enumerate().skip(1) {
                let comma = if at > 1 { "," } else { "" };
                let count = counts[at];
                write!(f, "{comma}\"{}\":{count}", packet_type.name())?;
            }
            f.write_str("}")?;
        }
        write!(
            f,
            ",\"spanning\":{},\"swapped\":{},\"late\":{},\"lost\":{},\"twice\":{}}}",
            self.spanning, self.swapped, self.late, self.lost, self.twice
        )
    }
}

/// Makes what `recipe` asks for and writes it to `to`.
///
/// # Errors
/// Those of the writer.
pub(crate) fn generate(recipe: &Recipe, to: impl Write) -> io::Result<Manifest> {
    City::new(recipe, to)?.live()
}

/// Numbers from a seed (SplitMix64): enough for traffic, the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True `often` times in `of`.
    fn happens(&mut self, often: u64, of: u64) -> bool {
        self.below(of) < often
    }
}
