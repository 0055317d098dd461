//! The pipeline: captures, wire, streams, connections, and whoever listens.
//!
//! Every stage pushes into the next; nothing is kept but what a stage needs, so memory is
//! bounded by the connections that are open and not by the capture.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;

use crate::base::FrameStamp;
use crate::capture::{CaptureError, Frame, Item, Merge, Reader, Secrets, Summary};
use crate::connection::{Context, Counters, Decoder};
use crate::event::{Event, Totals};
use crate::stream::{Assembler, Limits};
use crate::wire::{self, Dissector};

/// What a run is to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How connections are recognised, and the caps on what is held of them.
    pub connection: crate::connection::Options,
    /// The caps of TCP reassembly.
    pub stream: Limits,
    /// Whether a view wants [`crate::event::PacketEvent::layers`].
    pub layers: bool,
    /// Ends the run after this many frames (`-c`).
    pub frames: Option<u64>,
    /// Whether several captures are put in the order of their times, rather than read one
    /// after the other.
    pub by_time: bool,
}

/// What a whole run gave, besides what the listener heard.
#[derive(Debug, Default)]
pub struct Outcome {
    pub totals: Totals,
    /// What became of every octet.
    pub octets: Counters,
    /// TCP reassembly in figures.
    pub streams: crate::stream::Counts,
    /// What was wrong with the captures; what stands before each fault was read.
    pub faults: Vec<CaptureError>,
    /// The listener asked for no more.
    pub stopped: bool,
}

/// Reads all of `captures` and tells `listener` what they hold, until it breaks.
///
/// A capture that can't be read to its end is told in [`Outcome::faults`]; the run goes on
/// with the next.
pub fn run<R: Read>(
    options: &Options,
    captures: Vec<Reader<R>>,
    listener: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>,
) -> Outcome {
    let mut inspector = Inspector::new(options);
    let mut faults = Vec::new();
    let mut summary = Summary::default();
    let names = captures.iter().map(|capture| capture.name().to_owned());
    let files: Vec<_> = names.collect();
    if options.by_time && captures.len() > 1 {
        let mut merge = Merge::new(captures);
        loop {
            match merge.next_item() {
                Ok(None) => break,
                Ok(Some(item)) => {
                    if inspector.item(&item, listener).is_break() {
                        break;
                    }
                }
                Err(fault) => faults.push(fault),
            }
        }
        summary = merge.summary();
    } else {
        for (file, capture) in (0..).zip(captures) {
            let mut capture = capture.counting_on(file, summary.frames);
            let read = capture.visit(&mut |item| inspector.item(&item, listener));
            add(&mut summary, &capture.summary());
            match read {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(fault) => faults.push(fault),
            }
        }
    }
    inspector.finish(listener);
    Outcome {
        totals: inspector.totals(files, &summary),
        octets: inspector.context.counters,
        streams: *inspector.assembler.counts(),
        faults,
        stopped: inspector.stopped,
    }
}

fn add(all: &mut Summary, one: &Summary) {
    all.frames += one.frames;
    all.first_time = all.first_time.or(one.first_time);
    all.last_time = one.last_time.or(all.last_time);
    all.precision = all.precision.max(one.precision);
    all.disagreeing_lengths += one.disagreeing_lengths;
}

/// The stages between a capture and a listener, for one run.
pub struct Inspector {
    dissector: Dissector,
    assembler: Assembler<Decoder>,
    context: Context,
    last: FrameStamp,
    cut_frames: u64,
    frames: u64,
    limit: u64,
    stopped: bool,
}

impl Inspector {
    /// An inspector that has seen nothing.
    pub fn new(options: &Options) -> Self {
        let mut connection = options.connection.clone();
        connection.layers = options.layers;
        Self {
            dissector: Dissector::new(wire::Options {
                layers: options.layers,
                ..wire::Options::default()
            }),
            assembler: Assembler::new(options.stream),
            context: Context::new(connection),
            last: FrameStamp::default(),
            cut_frames: 0,
            frames: 0,
            limit: options.frames.unwrap_or(u64::MAX),
            stopped: false,
        }
    }

    /// Takes the next item of a capture. Breaks where the listener does, or where the run
    /// has read all the frames that it was to read.
    pub fn item(
        &mut self,
        item: &Item<'_>,
        listener: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match item {
            Item::Frame(frame) => self.frame(frame, listener),
            Item::Secrets(Secrets { .. }) | Item::Comment(_) => ControlFlow::Continue(()),
        }
    }

    /// Takes the next frame.
    #[inline]
    pub fn frame(
        &mut self,
        frame: &Frame<'_>,
        listener: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.frames >= self.limit {
            return ControlFlow::Break(());
        }
        self.frames += 1;
        self.last = frame.stamp;
        if frame.octets.len() < frame.stamp.length as usize {
            self.cut_frames += 1;
        }
        if let Ok(segment) = self.dissector.dissect(frame) {
            let (context, stopped) = (&mut self.context, &mut self.stopped);
            let mut emit = |event: &Event<'_>| {
                *stopped = *stopped || listener(event).is_break();
            };
            self.assembler
                .push(&segment, &mut |decoder, connection, event| {
                    decoder.on(context, connection, event, &mut emit);
                });
        }
        if self.stopped || self.frames >= self.limit {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// The captures are over: what is open ends here. A listener that broke hears no more.
    pub fn finish(&mut self, listener: &mut impl FnMut(&Event<'_>) -> ControlFlow<()>) {
        let (context, stopped) = (&mut self.context, &mut self.stopped);
        let mut emit = |event: &Event<'_>| {
            *stopped = *stopped || listener(event).is_break();
        };
        self.assembler
            .finish(&self.last, &mut |decoder, connection, event| {
                decoder.on(context, connection, event, &mut emit);
            });
    }

    fn totals(&self, files: Vec<String>, summary: &Summary) -> Totals {
        let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
        let tally = self.dissector.tally();
        for (reason, count) in &tally.skipped {
            *reasons.entry(reason.key()).or_default() += count;
        }
        if tally.others > 0 {
            reasons.insert("other", tally.others);
        }
        let mut skipped: Vec<_> = reasons.into_iter().collect();
        skipped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        Totals {
            files,
            frames: self.frames,
            packets: self.context.counters.packets,
            first_time: summary.first_time,
            last_time: summary.last_time,
            precision: summary.precision,
            skipped,
            cut_frames: self.cut_frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Format, LinkType, Source, Writer, open};
    use std::path::PathBuf;

    fn captures() -> Vec<PathBuf> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|end| end == "pcap" || end == "pcapng")
            })
            .collect();
        found.sort();
        assert!(!found.is_empty());
        found
    }

    fn readers(names: &[PathBuf]) -> Vec<Reader<Source>> {
        names.iter().map(|name| open(name).unwrap()).collect()
    }

    #[test]
    fn every_octet_of_every_capture_ends_in_one_count() {
        for capture in captures() {
            let mut packets = 0;
            let outcome = run(
                &Options::default(),
                readers(std::slice::from_ref(&capture)),
                &mut |event| {
                    packets += u64::from(matches!(event, Event::Packet(_)));
                    ControlFlow::Continue(())
                },
            );
            let c = outcome.octets;
            let sum =
                c.in_packets + c.discarded + c.over_cap + c.given_up + c.not_mqtt + c.incomplete;
            assert_eq!(
                (c.octets, outcome.streams.octets),
                (sum, sum),
                "{capture:?}"
            );
            assert_eq!((c.packets, outcome.totals.packets), (packets, packets));
            let is_cut = capture.to_string_lossy().contains("cut");
            assert_eq!(
                (outcome.faults.is_empty(), outcome.stopped),
                (!is_cut, false)
            );
        }
    }

    #[test]
    fn several_captures_count_their_frames_on_or_are_put_in_order() {
        let names: Vec<_> = captures().into_iter().take(2).collect();
        let alone: u64 = names
            .iter()
            .map(|name| run_quietly(&Options::default(), readers(std::slice::from_ref(name))))
            .map(|outcome| outcome.totals.frames)
            .sum();
        for by_time in [false, true] {
            let options = Options {
                by_time,
                ..Options::default()
            };
            let mut last = 0;
            let outcome = run(&options, readers(&names), &mut |event| {
                if let Event::Packet(seen) = event {
                    assert!(seen.stamp.number >= last);
                    last = seen.stamp.number;
                }
                ControlFlow::Continue(())
            });
            assert_eq!(outcome.totals.frames, alone);
            assert_eq!(outcome.totals.files.len(), 2);
        }
    }

    fn run_quietly(options: &Options, readers: Vec<Reader<Source>>) -> Outcome {
        run(options, readers, &mut |_| ControlFlow::Continue(()))
    }

    #[test]
    fn a_run_ends_after_as_many_frames_as_were_asked_for() {
        let names: Vec<_> = captures().into_iter().take(2).collect();
        let options = Options {
            frames: Some(7),
            ..Options::default()
        };
        let outcome = run_quietly(&options, readers(&names));
        assert_eq!((outcome.totals.frames, outcome.stopped), (7, false));
    }

    #[test]
    fn a_listener_that_breaks_hears_no_more() {
        let mut heard = 0;
        let outcome = run(&Options::default(), readers(&captures()), &mut |_| {
            heard += 1;
            ControlFlow::Break(())
        });
        assert_eq!((heard, outcome.stopped), (1, true));
    }

    #[test]
    fn frames_without_tcp_and_cut_ones_are_counted() {
        let mut file = Vec::new();
        let precision = crate::base::Precision::Micro;
        let mut writer =
            Writer::new(&mut file, Format::Pcap, LinkType(1), precision, None).unwrap();
        let arp = [&[0xff; 12][..], &[0x08, 0x06], &[0; 28]].concat();
        let time = crate::base::Timestamp::default();
        writer.write_frame(time, &arp, 90, None).unwrap();
        drop(writer);
        let outcome = run(
            &Options::default(),
            vec![Reader::new(file.as_slice(), "made")],
            &mut |_| ControlFlow::Continue(()),
        );
        assert_eq!(outcome.totals.skipped, [("arp", 1)]);
        assert_eq!((outcome.totals.frames, outcome.totals.cut_frames), (1, 1));
    }
}
