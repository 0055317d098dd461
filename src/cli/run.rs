//! A plan carried out: the view opened, the captures read, the exit status found.

use std::cell::Cell;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages::{self, TROUBLE};
use super::plan::Plan;
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
        let output = plan.output.as_deref().map(Path::to_string_lossy);
        let output = output.unwrap_or("standard output".into());
        format!("{output}: cannot be written: {error}")
    };
    let writer: Box<dyn Write> = match &plan.output {
        None => standard_output(),
        Some(path) => Box::new(File::create(path).map_err(unwritten)?),
    };
    let wrote = Rc::new(Cell::new(false));
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
        bar: &bar,
    };
    let mut view = Tee(&mut watch, plan.open(writer));
    let outcome = inspect::run(&plan.inputs, &plan.reading, &mut view, &mut |bytes| {
        bar.set_position(bytes);
    });
    bar.finish_and_clear();
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
