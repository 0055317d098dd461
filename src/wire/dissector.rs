//! Frame by frame: headers taken off from the outside in, until TCP or UDP, or until it is
//! known that there is neither.

use std::collections::BTreeMap;
use std::mem;

use etherparse::IpNumber;

use super::addresses::Addresses;
use super::fragments::{Fragment, FragmentTally, Fragments};
use super::part::{Next, Part};
use super::segment::Dissected;
use super::skipped::Skipped;
use super::tunnel::{self, Udp};
use super::visitor::LayerVisitor;
use super::{ip, link, straight, tcp};
use crate::base::limits::Limits;
use crate::base::{Layer, Layers};
use crate::capture::Frame;

/// Headers taken off one frame, whatever they are: tags, labels, extension headers, tunnels.
/// An ordinary frame has three, one with tags and two tunnels about twelve.
pub const MAX_HEADERS: usize = Limits::DEFAULT.headers;

/// Fragmented datagrams within each other: one, and one more within a tunnel.
const MAX_REBUILT: usize = 2;

/// Reasons distinguished in a [`Tally`]; a reason's number comes from the traffic, so there are
/// as many as an attacker likes.
pub const MAX_REASONS: usize = Limits::DEFAULT.skip_reasons;

/// The options of a [`Dissector`].
#[derive(Clone, Copy, Debug, Default)]
pub struct DissectorOptions {
    /// Fill [`Segment::layers`](super::Segment::layers); otherwise they are empty and cost nothing.
    pub layers: bool,
    /// How much is kept of datagrams in fragments.
    pub limits: Limits,
}

/// Counts of frames: `frames` is the sum of all the others.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Frames that were dissected.
    pub frames: u64,
    /// Frames that gave a TCP segment.
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
    /// A dissector that has seen no frame.
    pub fn new(options: DissectorOptions) -> Self {
        Self {
            wants_layers: options.layers,
            layers: Layers::default(),
            fragments: Fragments::new(options.limits),
            rebuilt: Default::default(),
            tally: Tally::default(),
        }
    }

    /// Returns the TCP segment or UDP datagram in `frame`. One that came in fragments belongs to
    /// the frame that completed it.
    ///
    /// # Errors
    /// The reason why there is neither.
    #[inline(always)]
    pub fn dissect<'a>(&'a mut self, frame: &'a Frame<'a>) -> Result<Dissected<'a>, Skipped> {
        self.tally.frames += 1;
        if self.wants_layers {
            return self.dissect_any(frame);
        }
        match straight::read(frame) {
            Some(segment) => {
                self.tally.segments += 1;
                Ok(Dissected::Segment(segment))
            }
            None => self.dissect_any(frame),
        }
    }

    /// The general path: all that is not Ethernet, or has something between, or is to be shown
    /// layer by layer.
    #[inline(never)]
    fn dissect_any<'a>(&'a mut self, frame: &'a Frame<'a>) -> Result<Dissected<'a>, Skipped> {
        let stripped = if self.wants_layers {
            self.layers = Layers::default();
            let visitor = &mut self.layers;
            strip(frame, &mut self.fragments, &mut self.rebuilt, visitor)
        } else {
            strip(frame, &mut self.fragments, &mut self.rebuilt, &mut ())
        };
        match stripped {
            Ok(Dissected::Segment(mut segment)) => {
                self.tally.segments += 1;
                segment.layers = &self.layers;
                Ok(Dissected::Segment(segment))
            }
            Ok(Dissected::Datagram(mut datagram)) => {
                // Nothing reads datagrams yet, so each is counted as a frame without a segment.
                self.tally.skip(Skipped::Udp);
                datagram.layers = &self.layers;
                Ok(Dissected::Datagram(datagram))
            }
            Err(reason) => {
                self.tally.skip(reason);
                Err(reason)
            }
        }
    }

    /// Returns the counts of frames so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Returns the counts of fragmented datagrams so far.
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

/// Takes off header after header. A loop and not calls within calls, so that no frame can
/// nest deeper than [`MAX_HEADERS`].
fn strip<'a>(
    frame: &'a Frame<'a>,
    fragments: &mut Fragments,
    mut rebuilt: &'a mut [Vec<u8>],
    visitor: &mut impl LayerVisitor,
) -> Result<Dissected<'a>, Skipped> {
    let whole = Part {
        bytes: frame.bytes,
        cut: (frame.stamp.length as usize).saturating_sub(frame.bytes.len()),
    };
    let mut addresses = Addresses::NONE;
    let (mut next, mut part) = link::enter(frame.link_type, whole, visitor)?;
    for _ in 0..MAX_HEADERS {
        (next, part) = match next {
            Next::Ip => ip::read(part, &mut addresses, visitor)?,
            Next::Protocol(IpNumber::TCP) => {
                let segment = tcp::read(part, &frame.stamp, &addresses)?;
                visitor.layer(|| tcp::layer(&segment));
                return Ok(Dissected::Segment(segment));
            }
            Next::Protocol(IpNumber::UDP) => {
                match tunnel::read_udp(part, &frame.stamp, &addresses, visitor)? {
                    Udp::Tunnel(next, part) => (next, part),
                    Udp::Datagram(datagram) => return Ok(Dissected::Datagram(datagram)),
                }
            }
            Next::Protocol(protocol) => ip::protocol(protocol, part, &mut addresses, visitor)?,
            Next::Fragment(header) => {
                if !ip::may_lead_to_tcp(header.protocol) {
                    return Err(ip::ended(header.protocol));
                }
                let (payload, others) = mem::take(&mut rebuilt)
                    .split_first_mut()
                    .ok_or(Skipped::TooDeep)?;
                rebuilt = others;
                let fragment = Fragment {
                    source: addresses.source(),
                    destination: addresses.destination(),
                    header,
                    part,
                    time: frame.stamp.time,
                };
                let whole = fragments.add(&fragment, payload)?;
                visitor.layer(|| Layer::Reassembled {
                    fragments: whole.fragments,
                });
                let part = Part {
                    bytes: payload,
                    cut: whole.cut,
                };
                (Next::Protocol(whole.protocol), part)
            }
            link => link::inner(link, part, visitor)?,
        };
    }
    Err(Skipped::TooDeep)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::*;
    use super::*;
    use crate::base::Timestamp;

    #[test]
    fn a_frame_cut_anywhere_gives_its_part_of_the_payload_and_what_is_missing() {
        for (link_type, whole) in samples() {
            let header = whole.len() - PAYLOAD.len();
            for end in 0..=whole.len() {
                let captured = &whole[..end];
                let found = Both::new().dissect(link_type, captured, whole.len());
                match found {
                    Ok(found) => {
                        let there = end.saturating_sub(header);
                        assert_eq!(found.payload, &PAYLOAD[..there]);
                        assert_eq!(found.cut as usize, PAYLOAD.len() - there);
                        assert_eq!(found.sequence, SEQUENCE);
                    }
                    // Ports, numbers and flags are the first 14 bytes of 20.
                    Err(reason) => {
                        assert_eq!(reason, Skipped::CutShort, "{link_type}: cut at {end}");
                        assert!(end < header - 6, "{link_type}: cut at {end}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_ip_length_counts_where_the_capture_lost_the_frames_own() {
        let whole = ethernet(0x0800, &v4());
        let captured = &whole[..whole.len() - 4];
        let found = Both::new().dissect(1, captured, captured.len()).unwrap();
        assert_eq!((found.payload.len(), found.cut), (PAYLOAD.len() - 4, 4));
    }

    #[test]
    fn fragments_give_one_segment_in_the_frame_that_completes_it() {
        let (first, last) = (&segment()[..24], &segment()[24..]);
        for (first, last) in [
            (fragment_v4(6, 7, 0x2000, first), fragment_v4(6, 7, 3, last)),
            (fragment_v6(6, 7, 1, first), fragment_v6(6, 7, 24, last)),
        ] {
            for [early, late] in [[&first, &last], [&last, &first]] {
                let mut both = Both::new();
                let waiting = both.dissect(101, early, early.len());
                assert_eq!(waiting, Err(Skipped::FragmentWaiting));
                let again = both.dissect(101, early, early.len());
                assert_eq!(again, Err(Skipped::FragmentRepeated));
                let found = both.dissect(101, late, late.len()).unwrap();
                assert_eq!((found.payload.as_slice(), found.frame), (PAYLOAD, 3));
                let reassembled = Layer::Reassembled { fragments: 2 };
                assert_eq!(both.layers[2], reassembled);
                let repeated = both.dissect(101, early, early.len());
                assert_eq!(repeated, Err(Skipped::FragmentRepeated));
            }
        }
    }

    #[test]
    fn fragments_within_fragments_are_put_together_twice_and_no_deeper() {
        fn fragmented(datagrams: &[Vec<u8>], id: u16) -> Vec<Vec<u8>> {
            let mut pieces = Vec::new();
            for (n, datagram) in datagrams.iter().enumerate() {
                let id = id + n as u16;
                let (first, last) = datagram.split_at(16);
                pieces.push(fragment_v4(4, id, 0x2000, first));
                pieces.push(fragment_v4(4, id, 2, last));
            }
            pieces
        }
        let once = fragmented(&[v4()], 100);
        let twice = fragmented(&once, 200);
        let thrice = fragmented(&twice, 300);
        let last = |frames: &[Vec<u8>]| {
            let mut both = Both::new();
            let results = frames.iter().map(|f| both.dissect(101, f, f.len()));
            results.last().unwrap()
        };
        assert_eq!(last(&once).unwrap().payload, PAYLOAD);
        assert_eq!(last(&twice).unwrap().payload, PAYLOAD);
        assert_eq!(last(&thrice), Err(Skipped::TooDeep));
    }

    #[test]
    fn reasons_beyond_their_cap_are_counted_together() {
        let mut dissector = Dissector::new(DissectorOptions::default());
        let frames = 2 * MAX_REASONS as u16;
        for link_type in 0..frames {
            let _ = dissector.dissect(&frame(1, 1000 + link_type, &[], 0));
        }
        let tally = dissector.tally();
        assert_eq!(tally.skipped.len(), MAX_REASONS);
        assert_eq!(tally.others, u64::from(frames) - MAX_REASONS as u64);
    }

    #[test]
    fn caps_on_fragments_can_be_given() {
        let limits = Limits {
            fragment_seconds: 1,
            ..Limits::default()
        };
        let mut dissector = Dissector::new(DissectorOptions {
            limits,
            ..DissectorOptions::default()
        });
        let bytes = fragment_v4(6, 7, 0x2000, &[0; 8]);
        let mut first = frame(1, 101, &bytes, bytes.len());
        assert!(dissector.dissect(&first).is_err());
        let other = fragment_v4(6, 8, 0x2000, &[0; 8]);
        first = frame(2, 101, &other, other.len());
        first.stamp.time = Some(Timestamp::from_nanos(2_000_000_000));
        assert!(dissector.dissect(&first).is_err());
        let fragments = dissector.fragments();
        assert_eq!((fragments.expired, fragments.waiting), (1, 1));
    }

    /// Fragments of `whole` cut at `places` (in units of eight bytes).
    fn split(whole: &[u8], places: &[usize]) -> Vec<(usize, Vec<u8>)> {
        let mut cuts: Vec<usize> = places.iter().map(|at| at * 8).collect();
        cuts.retain(|at| *at < whole.len());
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let pairs = cuts.windows(2);
        pairs.map(|w| (w[0], whole[w[0]..w[1]].to_vec())).collect()
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            link_type in prop::sample::select(vec![0u16, 1, 9, 50, 51, 101, 104, 113, 219, 276]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0usize..100,
        ) {
            let _ = Both::new().dissect(link_type, &bytes, bytes.len() + cut);
        }

        #[test]
        fn no_damage_panics_and_the_short_way_agrees_with_the_long(
            sample in 0..samples().len(),
            damage in prop::collection::vec((0usize..120, any::<u8>()), 0..6),
            length in 0usize..200,
            cut in 0usize..50,
        ) {
            let (link_type, mut bytes) = samples().swap_remove(sample);
            for (at, byte) in damage {
                if let Some(there) = bytes.get_mut(at) {
                    *there = byte;
                }
            }
            bytes.truncate(length);
            let mut both = Both::new();
            // Twice, so that a fragment meets itself.
            let _ = both.dissect(link_type, &bytes, bytes.len() + cut);
            let _ = both.dissect(link_type, &bytes, bytes.len() + cut);
        }

        #[test]
        fn any_split_in_any_order_with_any_repetition_gives_the_same_segment(
            payload in prop::collection::vec(any::<u8>(), 1..600),
            places in prop::collection::vec(1usize..80, 0..8),
            mut order in prop::collection::vec(any::<u32>(), 24),
            v6 in any::<bool>(),
        ) {
            let whole = join(&[&segment()[..20], &payload]);
            let mut pieces = split(&whole, &places);
            // Other places the second time, so that fragments overlap as well.
            let moved: Vec<usize> = places.iter().map(|at| at / 2 + 1).collect();
            pieces.extend(split(&whole, &moved));
            order.resize(pieces.len(), 7);
            let mut shuffled: Vec<_> = order.into_iter().zip(pieces).collect();
            shuffled.sort_by_key(|(key, _)| *key);
            let mut both = Both::new();
            let mut found = Vec::new();
            for (_, (at, bytes)) in shuffled {
                let more = at + bytes.len() < whole.len();
                let datagram = if v6 {
                    fragment_v6(6, 9, at as u16 | u16::from(more), &bytes)
                } else {
                    let more = if more { 0x2000 } else { 0 };
                    fragment_v4(6, 9, (at as u16 / 8) | more, &bytes)
                };
                found.extend(both.dissect(101, &datagram, datagram.len()));
            }
            // Unfragmented ones are whole each time they come.
            prop_assert!(!found.is_empty());
            for found in found {
                prop_assert_eq!(&found.payload, &payload);
                prop_assert_eq!(found.cut, 0);
            }
        }
    }
}
