//! Frame by frame: headers taken off from the outside in, until TCP or until it is known
//! that there is none.

use std::collections::BTreeMap;
use std::mem;
use std::net::{IpAddr, Ipv4Addr};

use super::fragments::{Fragment, FragmentCaps, FragmentTally, Fragments};
use super::ip::{self, number};
use super::listen::Listen;
use super::part::{Next, Part};
use super::tcp::{self, Tcp};
use super::{Segment, Skipped, link};
use crate::base::{Endpoint, FrameStamp, Layer, Layers};
use crate::capture::Frame;

/// Headers taken off one frame, whatever they are: tags, labels, extension headers, tunnels.
/// An ordinary frame has three, one with tags and two tunnels about twelve.
pub const MAX_HEADERS: usize = 32;

/// Fragmented datagrams within each other: one, and one more within a tunnel.
const MAX_REBUILT: usize = 2;

/// Reasons told apart in a [`Tally`]; a reason's number comes from the traffic, so there are
/// as many as an attacker likes.
pub const MAX_REASONS: usize = 256;

/// What a [`Dissector`] is to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Fill [`Segment::layers`]; otherwise they are empty and cost nothing.
    pub layers: bool,
    /// How much is kept of datagrams in fragments.
    pub fragments: FragmentCaps,
}

/// What became of the frames: `frames` is the sum of all the others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    pub frames: u64,
    pub segments: u64,
    /// Frames that gave no segment, by reason; at most [`MAX_REASONS`] of them.
    pub skipped: BTreeMap<Skipped, u64>,
    /// Frames skipped for reasons beyond those.
    pub others: u64,
}

/// Makes TCP segments of frames. Keeps nothing of a frame but fragments, within caps.
#[derive(Debug)]
pub struct Dissector {
    wants_layers: bool,
    layers: Layers,
    fragments: Fragments,
    /// The payloads of the current frame's fragmented datagrams.
    rebuilt: [Vec<u8>; MAX_REBUILT],
    tally: Tally,
}

impl Dissector {
    pub fn new(options: Options) -> Self {
        Self {
            wants_layers: options.layers,
            layers: Layers::default(),
            fragments: Fragments::new(options.fragments),
            rebuilt: Default::default(),
            tally: Tally::default(),
        }
    }

    /// The TCP segment in `frame`, or why there is none. A segment that came in fragments
    /// belongs to the frame that completed it.
    #[inline]
    pub fn dissect<'a>(&'a mut self, frame: &Frame<'a>) -> Result<Segment<'a>, Skipped> {
        self.tally.frames += 1;
        let stripped = if self.wants_layers {
            self.layers = Layers::default();
            let layers = &mut self.layers;
            strip(frame, &mut self.fragments, &mut self.rebuilt, layers)
        } else {
            strip(frame, &mut self.fragments, &mut self.rebuilt, &mut ())
        };
        match stripped {
            Ok(stripped) => {
                self.tally.segments += 1;
                Ok(stripped.into_segment(frame.stamp, &self.layers))
            }
            Err(reason) => {
                self.tally.skip(reason);
                Err(reason)
            }
        }
    }

    /// What became of the frames so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What became of fragmented datagrams so far.
    pub fn fragments(&self) -> FragmentTally {
        self.fragments.tally()
    }
}

impl Tally {
    #[cold]
    fn skip(&mut self, reason: Skipped) {
        if let Some(count) = self.skipped.get_mut(&reason) {
            *count += 1;
        } else if self.skipped.len() < MAX_REASONS {
            self.skipped.insert(reason, 1);
        } else {
            self.others += 1;
        }
    }
}

/// What a frame comes down to.
#[derive(Clone, Copy, Debug)]
struct Stripped<'a> {
    source: IpAddr,
    destination: IpAddr,
    tcp: Tcp<'a>,
}

impl<'a> Stripped<'a> {
    #[inline]
    fn source(&self) -> Endpoint {
        Endpoint {
            address: self.source,
            port: self.tcp.source_port,
        }
    }

    #[inline]
    fn destination(&self) -> Endpoint {
        Endpoint {
            address: self.destination,
            port: self.tcp.destination_port,
        }
    }

    #[inline]
    fn layer(&self) -> Layer {
        Layer::Tcp {
            source: self.source(),
            destination: self.destination(),
            sequence: self.tcp.sequence,
            acknowledgement: self.tcp.acknowledgement,
            flags: self.tcp.flags.0,
            length: (self.tcp.payload.len() as u32).saturating_add(self.tcp.cut),
        }
    }

    #[inline]
    fn into_segment(self, stamp: FrameStamp, layers: &'a Layers) -> Segment<'a> {
        Segment {
            stamp,
            source: self.source(),
            destination: self.destination(),
            sequence: self.tcp.sequence,
            acknowledgement: self.tcp.acknowledgement,
            flags: self.tcp.flags,
            window: self.tcp.window,
            payload: self.tcp.payload,
            cut: self.tcp.cut,
            layers,
        }
    }
}

/// Takes off header after header. A loop and not calls within calls, so that no frame can
/// nest deeper than [`MAX_HEADERS`].
#[inline]
fn strip<'a>(
    frame: &Frame<'a>,
    fragments: &mut Fragments,
    mut rebuilt: &'a mut [Vec<u8>],
    told: &mut impl Listen,
) -> Result<Stripped<'a>, Skipped> {
    let whole = Part {
        octets: frame.octets,
        cut: (frame.stamp.length as usize).saturating_sub(frame.octets.len()),
    };
    let mut addresses = (
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    );
    let (mut next, mut part) = link::enter(frame.link_type, whole, told)?;
    for _ in 0..MAX_HEADERS {
        (next, part) = match next {
            Next::Ip => ip::read(part, &mut addresses, told)?,
            Next::Protocol(number::TCP) => {
                let (source, destination) = addresses;
                let stripped = Stripped {
                    source,
                    destination,
                    tcp: tcp::read(part)?,
                };
                told.layer(|| stripped.layer());
                return Ok(stripped);
            }
            Next::Protocol(protocol) => ip::protocol(protocol, part, &mut addresses, told)?,
            Next::Fragment(header) => {
                if !ip::may_lead_to_tcp(header.protocol) {
                    return Err(ip::ended(header.protocol));
                }
                let (payload, others) = mem::take(&mut rebuilt)
                    .split_first_mut()
                    .ok_or(Skipped::TooDeep)?;
                rebuilt = others;
                let fragment = Fragment {
                    source: addresses.0,
                    destination: addresses.1,
                    header,
                    part,
                    time: frame.stamp.time,
                };
                let whole = fragments.add(&fragment, payload)?;
                told.layer(|| Layer::Reassembled {
                    fragments: whole.fragments,
                });
                let part = Part {
                    octets: payload,
                    cut: whole.cut,
                };
                (Next::Protocol(whole.protocol), part)
            }
            link => link::inner(link, part, told)?,
        };
    }
    Err(Skipped::TooDeep)
}
