//! The pipeline: capture, wire, stream, connection, session, and whoever listens.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::rc::Rc;

use crate::base::FrameStamp;
use crate::capture::{self, CaptureError, Frame, Item, Merge, Reader, Source, Summary};
use crate::event::{Event, Totals};

/// What a run reads and how far it goes.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Files, named pipes, or `-` for standard input, in the order given.
    pub inputs: Vec<OsString>,
    /// Frames of all inputs in the order of their times, not input after input.
    pub merge: bool,
    /// In frames, over all inputs.
    pub stop_after: Option<u64>,
    /// Ports whose connections are MQTT whatever they look like.
    pub decode_as: Vec<u16>,
    /// A TLS key log file.
    pub keylog: Option<OsString>,
    /// Somebody shows the layers below MQTT.
    pub layers: bool,
    /// Somebody hears what became of messages, not only the packets.
    pub analysis: bool,
}

/// Whoever hears a run.
pub trait Listener {
    /// A frame was read: the first one with a time, or every one if
    /// [`Listener::wants_frames`].
    fn frame(&mut self, stamp: &FrameStamp);
    /// Whether every frame is to be told.
    fn wants_frames(&self) -> bool;
    /// Hears one event. An error ends the run.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;
    /// A pipe has nothing more just now.
    fn idle(&mut self) -> io::Result<()>;
    /// So many octets of all inputs were read, of so many where that is known.
    fn progress(&mut self, octets: u64, of: Option<u64>);
}

/// What became of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub totals: Totals,
    /// What is wrong with the captures; what could be read was told.
    pub errors: Vec<CaptureError>,
}

/// Frames between two words of progress.
const PROGRESS_EVERY: u64 = 8192;

/// Reads the captures and tells `listener` what they hold.
///
/// # Errors
/// Those of the listener alone: what is wrong with a capture stands in the report.
pub fn run<L: Listener + 'static>(
    options: &Options,
    listener: &Rc<RefCell<L>>,
) -> io::Result<Report> {
    let mut run = Run::new(options, listener);
    let mut readers = Vec::new();
    for input in &options.inputs {
        run.report
            .totals
            .files
            .push(input.to_string_lossy().into_owned());
        match open(input, listener, &run.broken) {
            Ok(reader) => readers.push(reader),
            Err(error) => run.report.errors.push(error),
        }
    }
    run.length = readers
        .iter()
        .map(|reader| reader.source().and_then(Source::length))
        .sum();
    if options.merge {
        run.merged(Merge::new(readers))?;
    } else {
        run.one_after_another(readers)?;
    }
    run.finish()
}

/// Opens an input. Before a pipe is waited for, the listener shows what it holds back.
fn open<L: Listener + 'static>(
    input: &OsString,
    listener: &Rc<RefCell<L>>,
    broken: &Rc<RefCell<Option<io::Error>>>,
) -> Result<Reader<Source>, CaptureError> {
    let (listener, broken) = (Rc::clone(listener), Rc::clone(broken));
    capture::open_waiting(input, move || {
        if let Err(error) = listener.borrow_mut().idle() {
            broken.borrow_mut().get_or_insert(error);
        }
    })
}

struct Run<'o, L> {
    options: &'o Options,
    listener: &'o Rc<RefCell<L>>,
    /// What went wrong while a pipe was waited for.
    broken: Rc<RefCell<Option<io::Error>>>,
    report: Report,
    /// Octets of all inputs, where all are files.
    length: Option<u64>,
    /// Octets of the inputs that are done.
    done: u64,
    first_told: bool,
}

impl<'o, L: Listener> Run<'o, L> {
    fn new(options: &'o Options, listener: &'o Rc<RefCell<L>>) -> Self {
        Self {
            options,
            listener,
            broken: Rc::default(),
            report: Report::default(),
            length: None,
            done: 0,
            first_told: false,
        }
    }

    fn one_after_another(&mut self, readers: Vec<Reader<Source>>) -> io::Result<()> {
        for (file, reader) in readers.into_iter().enumerate() {
            let file = u16::try_from(file).unwrap_or(u16::MAX);
            let mut reader = reader.counting_on(file, self.report.totals.frames);
            while !self.enough() {
                let taken = reader.taken();
                match reader.next_item() {
                    Ok(Some(item)) => self.item(&item, taken)?,
                    Ok(None) => break,
                    Err(error) => {
                        self.report.errors.push(error);
                        break;
                    }
                }
            }
            self.done += reader.taken();
            self.sum_up(&reader.summary());
        }
        Ok(())
    }

    fn merged(&mut self, mut merge: Merge<Source>) -> io::Result<()> {
        while !self.enough() {
            let taken = merge.taken();
            match merge.next_item() {
                Ok(Some(item)) => self.item(&item, taken)?,
                Ok(None) => break,
                Err(error) => self.report.errors.push(error),
            }
        }
        self.sum_up(&merge.summary());
        Ok(())
    }

    fn enough(&self) -> bool {
        self.options
            .stop_after
            .is_some_and(|frames| self.report.totals.frames >= frames)
    }

    fn sum_up(&mut self, summary: &Summary) {
        let totals = &mut self.report.totals;
        totals.first_time = totals.first_time.or(summary.first_time);
        totals.last_time = summary.last_time.or(totals.last_time);
        totals.precision = totals.precision.max(summary.precision);
    }

    fn item(&mut self, item: &Item<'_>, taken: u64) -> io::Result<()> {
        if let Some(error) = self.broken.borrow_mut().take() {
            return Err(error);
        }
        match item {
            Item::Frame(frame) => self.frame(frame, taken),
            Item::Secrets(_) | Item::Comment(_) => Ok(()),
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, taken: u64) -> io::Result<()> {
        let mut listener = self.listener.borrow_mut();
        if !self.first_told || listener.wants_frames() {
            listener.frame(&frame.stamp);
            self.first_told |= frame.stamp.time.is_some();
        }
        self.report.totals.frames += 1;
        if self.report.totals.frames.is_multiple_of(PROGRESS_EVERY) {
            listener.progress(self.done + taken, self.length);
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Report> {
        match self.broken.borrow_mut().take() {
            Some(error) => Err(error),
            None => Ok(self.report),
        }
    }
}
