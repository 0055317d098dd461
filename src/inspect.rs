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
        streams: inspector.assembler.counts().clone(),
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
