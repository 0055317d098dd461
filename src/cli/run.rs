//! A plan carried out: the view opened, the captures read, the exit status found.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages;
use super::plan::Plan;
use crate::base::{FrameStamp, text};
use crate::event::{Event, Gap, Level, LimitReached, LooksLike, Needs, Totals};
use crate::inspect::{self, Outcome};
use crate::view::View;

/// Bad usage, or a capture that cannot be read.
pub const TROUBLE: u8 = 2;

/// A finding at or above the level of `--check`.
const FOUND: u8 = 1;

/// Octets of input from which on there is a progress bar: about a tenth of a second.
const LONG: u64 = 64 << 20;

/// Carries out `plan`.
pub fn run(plan: &Plan) -> ExitCode {
    let writer: Box<dyn Write> = match &plan.output {
        None => standard_output(),
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(error) => {
                let path = text::safe(&path.to_string_lossy());
                messages::error(format_args!("{path}: cannot be written: {error}"));
                return TROUBLE.into();
            }
        },
    };
    let wrote = Rc::new(Cell::new(false));
    let writer = Box::new(Noted {
        writer,
        wrote: Rc::clone(&wrote),
    });
    let bar = RefCell::new(Bar::new(plan));
    let mut watched = Watched {
        view: plan.show.view.open(writer),
        worst: None,
        tls_port: None,
        gaps: Gaps::default(),
        bar: &bar,
    };
    let outcome = inspect::run(&plan.inputs, &plan.reading, &mut watched, &mut |bytes| {
        bar.borrow_mut().at(bytes);
    });
    bar.borrow_mut().clear();
    match &outcome.unwritten {
        None => {
            if !wrote.get() && outcome.totals.packets > 0 && !plan.show.quiet {
                messages::error(format_args!(
                    "nothing of this kind among the {} control packets read",
                    outcome.totals.packets
                ));
            }
            conclude(plan, &watched, &outcome)
        }
        // The reader of the answer has had enough, as `head` does.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Some(error) => {
            let path = plan.output.as_ref().map_or_else(
                || "standard output".to_owned(),
                |path| text::safe(&path.to_string_lossy()),
            );
            messages::error(format_args!("{path}: cannot be written: {error}"));
            TROUBLE.into()
        }
    }
}

/// Standard output, without the buffer that the standard library keeps before it: the views
/// have their own, and a search for the last line end in each of its blocks was 1.5 % of a run.
fn standard_output() -> Box<dyn Write> {
    #[cfg(unix)]
    if let Ok(own) = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned() {
        return Box::new(File::from(own));
    }
    Box::new(io::stdout())
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
fn conclude(plan: &Plan, watched: &Watched<'_>, outcome: &Outcome) -> ExitCode {
    for error in &outcome.unreadable {
        messages::error(error);
    }
    let understood = unsupported(&outcome.totals);
    let readable = outcome.unreadable.is_empty() && understood;
    if plan.show.verbose {
        messages::totals(&outcome.totals);
    } else if !plan.show.quiet {
        for reached in &outcome.totals.accounting.caps {
            messages::cap(reached);
        }
    }
    if !plan.show.quiet {
        if readable {
            warn(&outcome.totals, watched.tls_port);
        }
        watched.gaps.warn();
    }
    let found = plan
        .show
        .fails_from
        .is_some_and(|level| watched.worst.is_some_and(|worst| worst >= level));
    match (readable, found) {
        (false, _) => TROUBLE.into(),
        (true, true) => FOUND.into(),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// Reports which frames are of a link type that is not read; returns whether there are none.
fn unsupported(totals: &Totals) -> bool {
    let mut none = true;
    for skipped in &totals.skipped {
        if skipped.reason == "link-type" {
            none = false;
            messages::error(format_args!(
                "{}: {} in {} of {}; capture again on an interface that gives Ethernet, Linux \
                 cooked, loopback or raw IP frames",
                text::safe(&totals.files.join(", ")),
                skipped.message,
                skipped.frames,
                messages::counted(totals.frames, "frame"),
            ));
        }
    }
    none
}

/// Warns where there may be less to see than there was.
fn warn(totals: &Totals, tls_port: Option<u16>) {
    if totals.packets == 0 {
        messages::error(nothing(totals, tls_port));
    }
    if totals.cut_frames > 0 {
        messages::error(format_args!(
            "{} of {} were cut by the snapshot length: what they carried beyond it is missing",
            totals.cut_frames,
            messages::counted(totals.frames, "frame"),
        ));
    }
}

/// Why there is nothing to see.
fn nothing(totals: &Totals, tls_port: Option<u16>) -> String {
    match (totals.frames, tls_port) {
        (0, _) => "the capture is empty: it holds no frame".to_owned(),
        (frames, None) => format!(
            "no MQTT in this capture ({})",
            messages::counted(frames, "frame")
        ),
        (frames, Some(port)) => format!(
            "no MQTT in clear in this capture ({}), but TLS on port {port}, which this version \
             does not decrypt",
            messages::counted(frames, "frame")
        ),
    }
}

/// The view, and what the exit status and the messages need beside it.
struct Watched<'b> {
    view: Box<dyn View>,
    /// The worst finding.
    worst: Option<Level>,
    /// A port on which there was TLS where MQTT may be inside.
    tls_port: Option<u16>,
    gaps: Gaps,
    bar: &'b RefCell<Bar>,
}

/// Data that was never captured, in figures.
#[derive(Default)]
struct Gaps {
    count: u64,
    /// Bytes that are missing, where their number is known.
    missing: u64,
    /// Bytes that were captured, and belong to no packet for certain.
    discarded: u64,
}

impl Gaps {
    fn add(&mut self, gap: &Gap) {
        self.count += 1;
        self.missing += gap.length;
        self.discarded += gap.discarded;
    }

    /// Warns that something is missing.
    fn warn(&self) {
        if self.count == 0 {
            return;
        }
        let (count, missing, discarded) = (self.count, self.missing, self.discarded);
        messages::error(format_args!(
            "missing TCP data: {}, {} that the capture does not hold, and {discarded} that belong \
             to control packets cut by them",
            messages::counted(count, "gap"),
            messages::counted(missing, "octet"),
        ));
    }
}

impl View for Watched<'_> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.view.frame(stamp);
    }

    fn needs(&self) -> Needs {
        self.view.needs()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Finding(finding) => self.worst = self.worst.max(Some(finding.level)),
            Event::Gap(gap) => self.gaps.add(gap),
            Event::NotMqtt(not) if not.looks_like == LooksLike::TLS => {
                self.tls_port = Some(not.connection.responder.port);
            }
            _ => {}
        }
        self.view.event(event)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.view.idle()
    }

    fn limits_reached(&self) -> Vec<LimitReached> {
        self.view.limits_reached()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        self.bar.borrow_mut().clear();
        self.view.finish(totals)
    }
}

/// The progress bar; it appears only where the inputs are known to be long.
struct Bar {
    /// Octets of all inputs, where a bar is wanted for so many.
    length: Option<u64>,
    shown: Option<ProgressBar>,
}

impl Bar {
    fn new(plan: &Plan) -> Self {
        let length = || {
            plan.inputs
                .iter()
                .map(|input| {
                    std::fs::metadata(input)
                        .ok()
                        .filter(|about| about.is_file())
                })
                .map(|about| about.map(|about| about.len()))
                .sum::<Option<u64>>()
        };
        Self {
            length: plan
                .show
                .progress
                .then(length)
                .flatten()
                .filter(|&length| length >= LONG),
            shown: None,
        }
    }

    fn at(&mut self, bytes: u64) {
        let Some(length) = self.length else { return };
        let bar = self.shown.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
            let template = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
            bar.with_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        bar.set_position(bytes);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}
