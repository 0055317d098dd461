//! A plan carried out: the view opened, the captures read, the exit status found.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::rc::Rc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::messages;
use super::plan::Plan;
use crate::base::{FrameStamp, text};
use crate::event::{Event, Level, LooksLike, Totals};
use crate::inspect::{self, Listener, Report};
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
        None => Box::new(io::stdout()),
        Some(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(error) => {
                let path = text::safe(&path.to_string_lossy());
                messages::error(format_args!("{path}: cannot be written: {error}"));
                return TROUBLE.into();
            }
        },
    };
    let heard = Heard {
        view: plan.show.view(writer),
        worst: None,
        tls_port: None,
        bar: Bar::new(plan.show.progress),
    };
    let heard = Rc::new(RefCell::new(heard));
    let ran = inspect::run(&plan.reading, &heard).and_then(|report| {
        let mut heard = heard.borrow_mut();
        heard.bar.clear();
        heard.view.finish(&report.totals)?;
        Ok(report)
    });
    match ran {
        Ok(report) => conclude(plan, &heard.borrow(), &report),
        // Whoever read the answer has had enough, as `head` does.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let path = plan.output.as_ref().map_or_else(
                || "standard output".to_owned(),
                |path| text::safe(&path.to_string_lossy()),
            );
            messages::error(format_args!("{path}: cannot be written: {error}"));
            TROUBLE.into()
        }
    }
}

/// Says what there is to say, and finds the exit status.
fn conclude(plan: &Plan, heard: &Heard, report: &Report) -> ExitCode {
    for error in &report.errors {
        messages::error(error);
    }
    if plan.show.verbose {
        messages::totals(&report.totals);
    }
    if !plan.show.quiet && report.errors.is_empty() && report.totals.packets == 0 {
        messages::error(nothing(&report.totals, heard.tls_port));
    }
    let found = plan
        .show
        .fails_from
        .is_some_and(|level| heard.worst.is_some_and(|worst| worst >= level));
    match (report.errors.is_empty(), found) {
        (false, _) => TROUBLE.into(),
        (true, true) => FOUND.into(),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// Why there is nothing to see.
fn nothing(totals: &Totals, tls_port: Option<u16>) -> String {
    match (totals.frames, tls_port) {
        (0, _) => "the capture is empty: it holds no frame".to_owned(),
        (frames, None) => format!("no MQTT in this capture ({frames} frames)"),
        (frames, Some(port)) => format!(
            "no MQTT in clear in this capture ({frames} frames), but TLS on port {port}: \
             give its keys with --keylog"
        ),
    }
}

/// The view, and what the exit status and the messages need beside it.
struct Heard {
    view: Box<dyn View>,
    /// The worst finding.
    worst: Option<Level>,
    /// A port on which there was TLS where MQTT may be inside.
    tls_port: Option<u16>,
    bar: Bar,
}

impl Listener for Heard {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.view.frame(stamp);
    }

    fn wants_frames(&self) -> bool {
        self.view.wants_frames()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Finding(finding) => self.worst = self.worst.max(Some(finding.level)),
            Event::NotMqtt(not) if not.looks_like == LooksLike::Tls => {
                self.tls_port = Some(not.connection.responder.port);
            }
            _ => {}
        }
        self.view.event(event)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.view.idle()
    }

    fn progress(&mut self, octets: u64, of: Option<u64>) {
        self.bar.at(octets, of);
    }
}

/// The progress bar; it appears only when a long input is known to be long.
struct Bar {
    wanted: bool,
    shown: Option<ProgressBar>,
}

impl Bar {
    fn new(wanted: bool) -> Self {
        Self {
            wanted,
            shown: None,
        }
    }

    fn at(&mut self, octets: u64, of: Option<u64>) {
        let Some(of) = of.filter(|&of| self.wanted && of >= LONG) else {
            return;
        };
        let bar = self.shown.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(of), ProgressDrawTarget::stderr());
            let template = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {eta} left";
            bar.with_style(
                ProgressStyle::with_template(template)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        bar.set_position(octets);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.shown.take() {
            bar.finish_and_clear();
        }
    }
}
