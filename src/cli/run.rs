//! A plan carried out: the view opened, the captures read, the exit status found.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages::{self, TROUBLE};
use super::plan::Plan;
use crate::base::FrameStamp;
use crate::capture::{self, OutputFile};
use crate::event::{Event, GapCause, Level, LooksLike, Totals};
use crate::inspect::{self, Outcome};
use crate::view::{Tee, View, accounting};

/// A finding at or above the level of `--check`.
const FOUND: u8 = 1;

/// Octets of input from which on there is a progress bar: about a tenth of a second.
const LONG: u64 = 64 << 20;

/// Carries out `plan`.
///
/// # Errors
/// The output cannot be written: one line for the user.
pub fn run(plan: &Plan) -> Result<ExitCode, String> {
    let unwritten = |error: io::Error| {
        let output = plan.output.as_ref();
        let output = output.map(|output| output.path.to_string_lossy());
        let output = output.unwrap_or("standard output".into());
        format!("{output}: cannot be written: {error}")
    };
    let (wrote, read) = (Rc::default(), Rc::default());
    let file = match &plan.output {
        // Nothing is made for captures of which none can be read.
        Some(output) if plan.inputs.iter().any(capture::can_be_opened) => {
            let opened = output.open(None).map_err(|error| error.to_string())?;
            Some(Rc::new(RefCell::new(opened)))
        }
        _ => None,
    };
    let writer: Box<dyn Write> = match (&plan.output, &file) {
        (None, _) => {
            refuse_to_append(&plan.inputs)?;
            messages::standard_output().map_err(unwritten)?
        }
        (Some(_), None) => Box::new(io::sink()),
        (Some(_), Some(file)) => Box::new(Answer {
            file: Rc::clone(file),
            read: Rc::clone(&read),
        }),
    };
    let writer = Box::new(Noted {
        writer,
        wrote: Rc::clone(&wrote),
    });
    let bar = progress_bar(plan);
    let mut watch = Watch {
        worst: None,
        tls_port: None,
        gaps: 0,
        missing: 0,
        discarded: 0,
        read: &read,
        bar: &bar,
    };
    let mut view = Tee(&mut watch, plan.open(writer));
    let outcome = inspect::run(&plan.inputs, &plan.reading, &mut view, &mut |bytes| {
        bar.set_position(bytes);
    });
    bar.finish_and_clear();
    if let Some(file) = &file
        && outcome.unwritten.is_none()
        && outcome.unreadable.is_empty()
    {
        file.borrow_mut().settle().map_err(unwritten)?;
    }
    match outcome.unwritten {
        None => {
            if !wrote.get() && outcome.totals.packets > 0 && !plan.view.quiet {
                messages::error(format_args!(
                    "nothing of this kind among the {} control packets read",
                    outcome.totals.packets
                ));
            }
            Ok(conclude(plan, &watch, &outcome))
        }
        // The reader of the answer has had enough, as `head` does.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Some(error) => Err(unwritten(error)),
    }
}

/// Refuses standard output that goes into one of the inputs, as `>> input` makes it: it would grow
/// while it is read.
///
/// # Errors
/// One line for the user.
fn refuse_to_append(inputs: &[OsString]) -> Result<(), String> {
    let output = Path::new("/dev/stdout");
    let input = || inputs.iter().find(|input| capture::is_same(output, input));
    match output.is_file().then(input).flatten() {
        Some(input) => Err(format!(
            "{}: this is an input file, and standard output would be written into it",
            input.to_string_lossy()
        )),
        None => Ok(()),
    }
}

/// A file that the answer goes to. It takes its place once a frame was read and something of it is
/// written: what is no capture replaces nothing.
struct Answer {
    file: Rc<RefCell<OutputFile>>,
    /// A frame was read.
    read: Rc<Cell<bool>>,
}

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file.borrow_mut();
        let written = file.write(bytes)?;
        if self.read.get() {
            file.settle()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.borrow_mut().flush()
    }
}

/// A writer that notes whether anything was written: an answer may be empty, silence would
/// leave the user to guess.
struct Noted {
    writer: Box<dyn Write>,
    wrote: Rc<Cell<bool>>,
}

impl Write for Noted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        if written > 0 {
            self.wrote.set(true);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Reports how the run ended, and returns the exit status.
fn conclude(plan: &Plan, watch: &Watch<'_>, outcome: &Outcome) -> ExitCode {
    let totals = &outcome.totals;
    let mut readable = outcome.unreadable.is_empty();
    for error in &outcome.unreadable {
        messages::error(error);
    }
    for skipped in &totals.skipped {
        if skipped.reason == "link-type" {
            readable = false;
            messages::error(format_args!(
                "{}: {} in {} of {}; capture again on an interface that gives Ethernet, Linux \
                 cooked, loopback or raw IP frames",
                totals.files.join(", "),
                skipped.message,
                skipped.frames,
                messages::counted(totals.frames, "frame"),
            ));
        }
    }
    if plan.view.verbose > 0 {
        accounting(totals).into_iter().for_each(messages::error);
    } else if !plan.view.quiet {
        totals.accounting.caps.iter().for_each(messages::cap);
    }
    if !plan.view.quiet {
        if readable {
            warn(totals, watch.tls_port);
        }
        watch.warn();
    }
    let found = (plan.view.check).is_some_and(|level| watch.worst >= Some(level));
    match (readable, found) {
        (false, _) => TROUBLE.into(),
        (true, true) => FOUND.into(),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// Warns where there may be less to see than there was.
fn warn(totals: &Totals, tls_port: Option<u16>) {
    let frames = messages::counted(totals.frames, "frame");
    match (totals.packets, totals.frames, tls_port) {
        (0, 0, _) => messages::error("the capture is empty: it holds no frame"),
        (0, _, None) => messages::error(format_args!("no MQTT in this capture ({frames})")),
        (0, _, Some(port)) => messages::error(format_args!(
            "no MQTT in clear in this capture ({frames}), but TLS on port {port}: what is inside \
             needs its keys (--keylog)"
        )),
        _ => {}
    }
    if totals.seen_twice > 0 {
        messages::error(format_args!(
            "seen twice: {} the same packets as an earlier one, in step (docker-proxy, address \
             translation or two capture points); statistics and findings are of the first",
            match totals.seen_twice {
                1 => "1 connection carries".to_owned(),
                count => format!("{count} connections carry"),
            },
        ));
    }
    if totals.cut_frames > 0 {
        messages::error(format_args!(
            "{} of {frames} were cut by the snapshot length: what they carried beyond it is \
             missing",
            totals.cut_frames,
        ));
    }
}

/// The view beside that of the user: what the exit status and the messages need.
struct Watch<'b> {
    /// The worst finding.
    worst: Option<Level>,
    /// A port on which there was TLS where MQTT may be inside.
    tls_port: Option<u16>,
    /// Gaps: data that was never captured.
    gaps: u64,
    /// Bytes that are missing, where their number is known.
    missing: u64,
    /// Bytes that were captured, and belong to no packet for certain.
    discarded: u64,
    /// A frame was read.
    read: &'b Cell<bool>,
    bar: &'b ProgressBar,
}

impl Watch<'_> {
    /// Warns that something is missing.
    fn warn(&self) {
        if self.gaps > 0 {
            messages::error(format_args!(
                "missing TCP data: {}, {} that the capture does not hold, and {} that belong to \
                 control packets cut by them",
                messages::counted(self.gaps, "gap"),
                messages::counted(self.missing, "octet"),
                self.discarded,
            ));
        } else if self.discarded > 0 {
            messages::error(format_args!(
                "{} belong to control packets whose beginnings the capture does not hold",
                messages::counted(self.discarded, "octet"),
            ));
        }
    }
}

impl View for Watch<'_> {
    fn frame(&mut self, _: &FrameStamp) {
        self.read.set(true);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Finding(finding) => self.worst = self.worst.max(Some(finding.level)),
            Event::Gap(gap) => {
                self.gaps += u64::from(gap.cause != GapCause::PassedOver);
                self.missing += gap.length;
                self.discarded += gap.discarded;
            }
            Event::NotMqtt(not) if not.looks_like == LooksLike::TLS => {
                self.tls_port = Some(not.connection.responder.port);
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        self.bar.finish_and_clear();
        Ok(())
    }
}

/// Returns the progress bar, which is hidden unless the inputs are known to be long.
fn progress_bar(plan: &Plan) -> ProgressBar {
    let length = || {
        let about = |input| fs::metadata(input).ok().filter(Metadata::is_file);
        let lengths = plan.inputs.iter().map(|input| Some(about(input)?.len()));
        lengths.sum::<Option<u64>>()
    };
    match plan.progress.then(length).flatten() {
        Some(length) if length >= LONG => {
            let template = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
            let style = ProgressStyle::with_template(template);
            ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr())
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        }
        _ => ProgressBar::hidden(),
    }
}
