//! The pipeline, top to bottom: capture, wire, stream, connection, analysis, view.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;

use crate::analysis::Analyzer;
use crate::base::limits::{Limit, Limits};
use crate::base::{EndpointPattern, FrameStamp, Span};
use crate::capture::{self, CaptureError, Item, Merge, Reader, Sequence, Source};
use crate::connection::{self, Context, Copies, Decoder};
use crate::event::{Accounting, Disorder, Event, LimitReached, SkippedFrames, Totals};
use crate::stream::{Assembler, Counts};
use crate::view::View;
use crate::wire::{self, Dissected, Dissector};

/// The options of a run, except for what it shows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Stop after this many frames.
    pub frames: Option<u64>,
    /// Several captures are read side by side and ordered by time, not one after the other.
    pub merge: bool,
    /// Inputs whose clocks were wrong, and what is added to their times.
    pub clocks: Vec<(OsString, Span)>,
    /// How connections are recognised and decoded.
    pub decoding: connection::DecodingOptions,
    /// How much is kept of the captures.
    pub limits: Limits,
    /// Server endpoints that are known to be one broker, a list for each broker.
    pub brokers: Vec<Vec<EndpointPattern>>,
}

/// The result of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Counts of the whole run.
    pub totals: Totals,
    /// Errors of the captures; everything before them was shown.
    pub unreadable: Vec<CaptureError>,
    /// The view could not write: a closed pipe, a full disk. The run ended there.
    pub unwritten: Option<io::Error>,
}

/// How far a run is: called now and then with the bytes taken from the captures so far.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// Frames between two calls of [`Progress`].
const FRAMES_A_STEP: u64 = 16 * 1024;

/// Reads the captures named by `inputs` (`-` is standard input) and shows them in `view`.
pub fn run(
    inputs: &[OsString],
    options: &Options,
    view: &mut dyn View,
    progress: Progress<'_>,
) -> Outcome {
    let pipeline = RefCell::new(Pipeline::new(options, Box::new(view)));
    let idle = || pipeline.borrow_mut().idle();
    let (mut source, mut unreadable) = open(inputs, options, &idle);
    drive(&mut *source, &pipeline, progress, &mut unreadable);
    drop(source);
    pipeline.into_inner().outcome(names(inputs), unreadable)
}

/// Reads one capture from `source`, which is called `name`, and shows it in `view`.
pub fn read(source: impl io::Read, name: &str, options: &Options, view: &mut dyn View) -> Outcome {
    let pipeline = RefCell::new(Pipeline::new(options, Box::new(view)));
    let mut unreadable = Vec::new();
    let mut reader = Reader::new(source, name);
    drive(&mut reader, &pipeline, &mut |_| {}, &mut unreadable);
    let names = vec![name.to_owned()];
    pipeline.into_inner().outcome(names, unreadable)
}

/// Opens captures as one source, in the order that the options ask for; with it come the errors of
/// those that cannot be opened. `idle` is called where an input waits for its writer.
pub(crate) fn open<'a>(
    inputs: &[OsString],
    options: &Options,
    idle: &'a dyn Fn(),
) -> (Box<dyn Source + 'a>, Vec<CaptureError>) {
    let (mut readers, mut unreadable) = (Vec::new(), Vec::new());
    for input in inputs {
        match capture::open(input, idle) {
            Ok(mut reader) => {
                let mut clocks = options.clocks.iter();
                if let Some((_, shift)) = clocks.find(|(name, _)| name == input) {
                    reader.shift_times(*shift);
                }
                readers.push(reader);
            }
            Err(error) => unreadable.push(error),
        }
    }
    let source: Box<dyn Source> = if options.merge && readers.len() > 1 {
        Box::new(Merge::new(readers))
    } else {
        Box::new(Sequence::new(readers))
    };
    (source, unreadable)
}

/// Returns the inputs as the user named them.
pub(crate) fn names(inputs: &[OsString]) -> Vec<String> {
    let names = inputs.iter().map(|input| input.to_string_lossy());
    names.map(Cow::into_owned).collect()
}

/// Reads a source to its end, or until the pipeline needs no more of it.
fn drive(
    source: &mut dyn Source,
    pipeline: &RefCell<Pipeline<'_>>,
    progress: Progress<'_>,
    unreadable: &mut Vec<CaptureError>,
) {
    let mut due = FRAMES_A_STEP;
    loop {
        pipeline.borrow_mut().context.took(source.taken());
        // The source may wait here, and have the pipeline show what it holds back: so it is
        // borrowed only afterwards.
        match source.next_item() {
            Ok(Some(item)) => {
                let pipeline = &mut *pipeline.borrow_mut();
                if pipeline.item(item).is_break()
                    || source
                        .frames_at_hand(&mut |frame| pipeline.frame(frame))
                        .is_break()
                {
                    return;
                }
                if pipeline.totals.frames >= due {
                    due = pipeline.totals.frames + FRAMES_A_STEP;
                    progress(source.taken());
                }
            }
            Ok(None) => break,
            Err(error) => unreadable.push(error),
        }
    }
    progress(source.taken());
    pipeline.borrow_mut().precision(source.summary().precision);
}

/// The layers from frame to view, and what they share.
pub(crate) struct Pipeline<'v> {
    dissector: Dissector,
    assembler: Assembler<Decoder>,
    context: Context,
    shown: Shown<'v>,
    /// The last frame of all.
    last: FrameStamp,
    totals: Totals,
    wants_frames: bool,
    most_frames: u64,
    /// Frames out of order, as far as their times show.
    disorder: Disorder,
}

/// The end of the pipeline: the view, and the first error that it met.
struct Shown<'v> {
    view: Box<dyn View + 'v>,
    /// The view shows no connection twice.
    counts_once: bool,
    /// The analysis, where a view wants any of it.
    analyzer: Option<Analyzer>,
    /// Connections that the capture holds twice.
    copies: Copies,
    failed: Option<io::Error>,
}

impl Shown<'_> {
    /// The packet is shown before what it made clear.
    #[inline]
    fn event(&mut self, event: &Event<'_>) {
        if !self.counts_once && self.failed.is_none() {
            self.failed = self.view.event(event).err();
        }
        self.count(Some(event));
    }

    /// Takes an event for what counts a connection once that the capture holds twice; `None` at the
    /// end of the capture.
    #[inline]
    fn count(&mut self, event: Option<&Event<'_>>) {
        let Self {
            view,
            counts_once,
            analyzer,
            copies,
            failed,
        } = self;
        let mut pass = |event: &Event<'_>| {
            let mut show = |event: &Event<'_>| {
                if failed.is_none() {
                    *failed = view.event(event).err();
                }
            };
            if *counts_once {
                show(event);
            }
            if let Some(analyzer) = analyzer {
                analyzer.observe(event, &mut show);
            }
        };
        match event {
            Some(event) => copies.observe(event, &mut pass),
            None => copies.finish(&mut pass),
        }
    }

    /// Shows what the analysis concludes at the end of the capture.
    fn finish(&mut self) {
        self.count(None);
        if let Some(analyzer) = &mut self.analyzer {
            analyzer.finish(&mut |event| {
                if self.failed.is_none() {
                    self.failed = self.view.event(event).err();
                }
            });
        }
    }
}

impl<'v> Pipeline<'v> {
    pub(crate) fn new(options: &Options, view: Box<dyn View + 'v>) -> Self {
        let needs = view.needs();
        let mut limits = options.limits;
        if needs.analysis() {
            limits.connections = limits.connections.min(limits.analysed_connections);
        }
        let wire = wire::DissectorOptions {
            layers: needs.layers,
            limits,
        };
        let decoding = connection::DecodingOptions {
            layers: needs.layers,
            limits,
            ..options.decoding.clone()
        };
        Self {
            dissector: Dissector::new(wire),
            assembler: Assembler::new(limits),
            context: Context::new(decoding),
            wants_frames: needs.frames,
            shown: Shown {
                counts_once: view.counts_once(),
                view,
                analyzer: needs
                    .analysis()
                    .then(|| Analyzer::new(needs, &limits).with_brokers(&options.brokers)),
                copies: Copies::default(),
                failed: None,
            },
            last: FrameStamp::default(),
            totals: Totals::default(),
            most_frames: options.frames.unwrap_or(u64::MAX),
            disorder: Disorder::default(),
        }
    }

    pub(crate) fn item(&mut self, item: Item<'_>) -> ControlFlow<()> {
        match item {
            Item::Frame(frame) => self.frame(&frame)?,
            Item::Secrets(secrets) if secrets.kind == capture::Secrets::TLS_KEY_LOG => {
                self.context.learn_secrets(secrets.bytes);
            }
            // They are not shown.
            Item::Secrets(_) | Item::Comment(_) => {}
        }
        ControlFlow::Continue(())
    }

    // Always inlined, down to the segment, which is then never moved.
    #[inline(always)]
    pub(crate) fn frame(&mut self, frame: &capture::Frame<'_>) -> ControlFlow<()> {
        let before = std::mem::replace(&mut self.last, frame.stamp);
        if frame.stamp.time < before.time {
            self.note_back(&before);
        }
        self.totals.frames += 1;
        if self.totals.first_time.is_none() {
            self.totals.first_time = frame.stamp.time;
            self.shown.view.frame(&frame.stamp);
        } else if self.wants_frames {
            self.shown.view.frame(&frame.stamp);
        }
        self.totals.cut_frames +=
            u64::from((frame.bytes.len() as u64) < u64::from(frame.stamp.length));
        if let Ok(Dissected::Segment(segment)) = self.dissector.dissect(frame) {
            self.totals.accounting.captured += segment.payload.len() as u64;
            let Self {
                assembler,
                context,
                shown,
                ..
            } = self;
            assembler.push(&segment, &mut |decoder: &mut Decoder, connection, event| {
                decoder.on(context, connection, event, &mut |event| shown.event(event));
            });
        } else {
            let Self {
                assembler,
                context,
                shown,
                ..
            } = self;
            assembler.pass(
                &frame.stamp,
                &mut |decoder: &mut Decoder, connection, event| {
                    decoder.on(context, connection, event, &mut |event| shown.event(event));
                },
            );
        }
        if self.shown.failed.is_some() || self.totals.frames >= self.most_frames {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// The last frame has an earlier time than the one before it.
    #[cold]
    fn note_back(&mut self, before: &FrameStamp) {
        if self.last.time.is_some() && self.last.file == before.file {
            self.disorder.back += 1;
            (self.disorder.first_back).get_or_insert([self.last, *before]);
        }
    }

    /// The input may wait for its writer: what is held back only for speed is shown.
    fn idle(&mut self) {
        if self.shown.failed.is_none() {
            self.shown.failed = self.shown.view.idle().err();
        }
    }

    pub(crate) fn precision(&mut self, precision: crate::base::Precision) {
        self.totals.precision = self.totals.precision.max(precision);
    }

    /// The result of the run, which read `files`.
    fn outcome(mut self, files: Vec<String>, unreadable: Vec<CaptureError>) -> Outcome {
        let totals = self.finish(files);
        Outcome {
            totals,
            unreadable,
            unwritten: self.shown.failed,
        }
    }

    /// Emits what was waiting for the end, and sums up.
    pub(crate) fn finish(&mut self, files: Vec<String>) -> Totals {
        let Self {
            assembler,
            context,
            shown,
            last,
            ..
        } = self;
        assembler.finish(last, &mut |decoder: &mut Decoder, connection, event| {
            decoder.on(context, connection, event, &mut |event| shown.event(event));
        });
        let counts = assembler.counts();
        let disorder = Disorder {
            late: counts.out_of_order,
            first_late: counts.first_out_of_order,
            skew: counts.skew,
            ..self.disorder
        };
        if disorder.late + disorder.back > 0 {
            shown.event(&Event::Disorder(&disorder));
        }
        shown.finish();
        let mut totals = std::mem::take(&mut self.totals);
        totals.files = files;
        totals.packets = self.context.counters.packets;
        totals.seen_twice = self.shown.copies.count();
        totals.last_time = self.last.time;
        totals.skipped = skipped(self.dissector.tally());
        totals.accounting = self.accounting(totals.accounting.captured);
        if self.shown.failed.is_none() {
            self.shown.failed = self.shown.view.finish(&totals).err();
        }
        totals
    }

    /// Where every frame and every byte went. Each layer counts for itself, so that a sum that
    /// does not come out shows a layer that loses something.
    fn accounting(&self, captured: u64) -> Accounting {
        let tally = self.dissector.tally();
        let counts = self.assembler.counts();
        let counters = &self.context.counters;
        let mut caps = reached(self.dissector.fragments(), counts, &self.context);
        if let Some(analyzer) = &self.shown.analyzer {
            caps.extend(analyzer.reached().iter().map(LimitReached::from));
        }
        caps.extend(self.shown.view.limits_reached());
        Accounting {
            mqtt_frames: counters.frames,
            tcp_frames: tally.segments.saturating_sub(counters.frames),
            skipped_frames: tally.skipped.values().sum::<u64>() + tally.others,
            connections: counts.connections,
            mqtt_connections: counters.connections,
            captured,
            unwrapped: counters.unwrapped,
            repeated: counts.repeated_bytes,
            unplaced: counts.unplaced_bytes,
            after_end: counts.after_end_bytes,
            in_packets: counters.in_packets,
            incomplete: counters.incomplete,
            discarded: counters.discarded,
            over_cap: counters.over_cap,
            given_up: counters.given_up,
            not_mqtt: counters.not_mqtt,
            wrapped: counters.wrapped,
            missing: counters.missing,
            gaps: counters.gaps,
            caps,
        }
    }
}

/// Returns the limits that the layers below the analysis reached.
fn reached(
    fragments: wire::FragmentTally,
    counts: &Counts,
    context: &Context,
) -> Vec<LimitReached> {
    let counters = &context.counters;
    let all = [
        (Limit::Fragments, fragments.evicted),
        (Limit::Connections, counts.evicted),
        (Limit::Troubled, counts.not_watched),
        (Limit::Waiting, counts.waiting_cap),
        (Limit::Overlaps, counts.overlaps_cut),
        (Limit::Held, counters.packets_over_cap),
        (Limit::Undecided, counters.holds_given_up),
        (Limit::Search, counters.searches_cut),
        (Limit::TopicAliases, counters.aliases_refused),
        (Limit::ClientIds, counters.client_ids_refused),
        (Limit::FramesListed, counters.frames_unlisted),
    ];
    let all = all.into_iter().chain(context.carriers().limits());
    let reached = all.filter(|(_, times)| *times > 0);
    reached.map(LimitReached::from).collect()
}

/// Frames without a TCP segment by reason, most frequent first.
fn skipped(tally: &wire::Tally) -> Vec<SkippedFrames> {
    let reasons = tally.skipped.iter().map(|(skipped, frames)| SkippedFrames {
        reason: skipped.key(),
        message: skipped.to_string(),
        frames: *frames,
    });
    let mut reasons: Vec<_> = reasons.collect();
    if tally.others > 0 {
        reasons.push(SkippedFrames {
            reason: "other",
            message: "other reasons".to_owned(),
            frames: tally.others,
        });
    }
    reasons.sort_by(|a, b| b.frames.cmp(&a.frames).then(a.message.cmp(&b.message)));
    reasons
}
