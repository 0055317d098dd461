//! `record`: the broker serves, and its traffic becomes a capture.
//!
//! Who makes the traffic is one of three ([`Source`]): any client that connects, a command that is
//! run, or the clients of a [`script`]. What becomes of it is one of two
//! ([`CaptureFrom`]): the [`tee`] in the broker writes what passes through its sockets, or
//! the kernel's own frames of the loopback interface are taken ([`kernel`]).

mod command;
mod descriptors;
mod error;
pub mod file;
pub mod frames;
pub mod kernel;
mod options;
pub mod scenario;
pub mod script;
pub mod tee;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use self::error::{KernelError, RecordError};
pub use self::options::{CaptureFrom, RecordOptions, Source};

use self::command::Command;
use self::descriptors::DescriptorLimit;
use self::file::CaptureFile;
use self::kernel::KernelCapture;
use self::script::{PlayError, Player, Script};
use self::tee::Tee;
use crate::broker::net::{Net, Witness};
use crate::broker::{BrokerOptions, Seed};
use crate::event::log::Line;

/// The result of a recording.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Recorded {
    /// The capture file.
    pub path: PathBuf,
    /// Frames in the file.
    pub frames: u64,
    /// The exit status of the command that was run.
    pub status: Option<i32>,
}

/// How often the end is looked for while nothing happens.
const LOOK: Duration = Duration::from_millis(100);
/// How often a command is looked at.
const LOOK_AT_COMMAND: Duration = Duration::from_millis(10);
/// How long Clients may take to close at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Records until the end that `options` name, Ctrl-C or SIGTERM. The broker's log goes to
/// `log`, a line at a time as it happens.
///
/// # Errors
/// See [`RecordError`].
pub fn run(options: &RecordOptions, log: &mut dyn Write) -> Result<Recorded, RecordError> {
    let stop = Arc::new(AtomicBool::new(false));
    let _handlers = command::on_signals(&stop);
    let mut broker = BrokerOptions {
        seed: options.seed.unwrap_or_else(seed_of_now),
        log: options.log,
        port: options.port,
        ..BrokerOptions::default()
    };
    if let Source::Script(script) = &options.source {
        script.apply(&mut broker);
    }
    let descriptors = DescriptorLimit::raise();
    let (path, frames, outcome) = match options.capture {
        CaptureFrom::Tee => {
            let file = CaptureFile::create(options)?;
            let path = file.path().to_owned();
            let tee = Tee::new(file, options.link, broker.seed);
            let net = listen(options, broker, tee).inspect_err(|_| {
                // A capture that never began is not left behind as an empty file; should it not be
                // possible, it stays: harmless.
                let _ = std::fs::remove_file(&path);
            })?;
            let mut run = Running::new(net, options, &stop, log, path, &descriptors);
            let outcome = run.all();
            let frames = run.net.witness().file().frames();
            (run.path, frames, outcome)
        }
        CaptureFrom::Kernel => {
            let mut net = listen(options, broker, None)?;
            let socket = kernel::open().map_err(RecordError::Kernel)?;
            let file = CaptureFile::create(options)?;
            let path = file.path().to_owned();
            let capture = KernelCapture::start(socket, file, options.link, net.port());
            *net.witness_mut() = Some(capture);
            let mut run = Running::new(net, options, &stop, log, path, &descriptors);
            let outcome = run.all();
            let finished = run.net.witness_mut().take().map(KernelCapture::finish);
            let finished = finished
                .transpose()
                .map_err(|error| run.write_failed(error))?;
            let (frames, lost) = finished.unwrap_or((0, 0));
            if lost > 0 {
                run.note(&format!("The kernel dropped {lost} frames."));
            }
            (run.path, frames, outcome)
        }
    };
    Ok(Recorded {
        path,
        frames,
        status: outcome?,
    })
}

fn listen<W: Witness>(
    options: &RecordOptions,
    broker: BrokerOptions,
    witness: W,
) -> Result<Net<W>, RecordError> {
    Net::listen(broker, &options.bind, witness).map_err(RecordError::Listen)
}

/// A recording under way.
struct Running<'a, W> {
    net: Net<W>,
    options: &'a RecordOptions,
    stop: &'a AtomicBool,
    log: &'a mut dyn Write,
    path: PathBuf,
    descriptors: &'a DescriptorLimit,
    ends: Option<Instant>,
}

impl<'a, W: Witness> Running<'a, W> {
    fn new(
        net: Net<W>,
        options: &'a RecordOptions,
        stop: &'a AtomicBool,
        log: &'a mut dyn Write,
        path: PathBuf,
        descriptors: &'a DescriptorLimit,
    ) -> Self {
        Self {
            net,
            options,
            stop,
            log,
            path,
            descriptors,
            ends: options.duration.map(|time| Instant::now() + time),
        }
    }

    fn all(&mut self) -> Result<Option<i32>, RecordError> {
        self.announce();
        let outcome = match &self.options.source {
            Source::Anybody => self.serve(None),
            Source::Command(line) => self.run_command(line),
            Source::Script(script) => self.play(script).map(|()| None),
        };
        let ended = self.net.shut_down(FAREWELL);
        self.note(concat!(
            "mqtt-inspect version ",
            env!("CARGO_PKG_VERSION"),
            " terminating"
        ));
        let status = outcome?;
        ended.map_err(|error| self.write_failed(error))?;
        Ok(status)
    }

    fn write_failed(&self, error: io::Error) -> RecordError {
        RecordError::Write {
            path: self.path.clone(),
            error,
        }
    }

    fn announce(&mut self) {
        self.flush_log();
        for address in self.net.addresses() {
            if !address.ip().is_loopback() {
                // Reported whether or not the log is wanted.
                let note = format!("Warning: anybody who reaches {address} may connect.");
                write_lines(self.log, true, vec![note]);
            }
        }
        if self.options.log {
            let (port, path) = (self.net.port(), self.path.display().to_string());
            self.note(&format!("Broker on port {port}, capture in {path}"));
        }
    }

    /// Serves until the end: of the command, where there is one.
    fn serve(&mut self, mut command: Option<&mut Command>) -> Result<Option<i32>, RecordError> {
        loop {
            if let Some(command) = &mut command
                && let Some(status) = command.ended()
            {
                // What it did last may still wait in the sockets.
                let settled = self.net.turn(Duration::ZERO);
                settled.map_err(|error| self.write_failed(error))?;
                return Ok(Some(status));
            }
            if over(&self.net, self.stop, self.ends) {
                return Ok(None);
            }
            let look = if command.is_some() {
                LOOK_AT_COMMAND
            } else {
                LOOK
            };
            let wait = self.ends.map_or(look, |ends| {
                ends.saturating_duration_since(Instant::now()).min(look)
            });
            self.net
                .turn(wait)
                .map_err(|error| self.write_failed(error))?;
            self.flush_log();
        }
    }

    fn run_command(&mut self, line: &[OsString]) -> Result<Option<i32>, RecordError> {
        let address = self.net.addresses().first().map(std::net::SocketAddr::ip);
        let host = address.map_or_else(|| "localhost".to_owned(), |ip| ip.to_string());
        let port = self.net.port();
        let start = || Command::start(line, &host, port);
        let mut command = self.descriptors.as_before(start)?;
        let status = self.serve(Some(&mut command))?;
        Ok(status.or_else(|| command.stop()))
    }

    fn play(&mut self, script: &Script) -> Result<(), RecordError> {
        let (stop, ends, options) = (self.stop, self.ends, self.options);
        let log = &mut *self.log;
        let mut go_on = |net: &mut Net<W>| {
            write_lines(log, options.log, net.take_lines());
            !over(net, stop, ends)
        };
        let mut player = Player::new(script, &mut self.net, &mut go_on);
        let played = player.play();
        let finished = player.finish();
        self.flush_log();
        match played.and(finished) {
            Ok(()) | Err(PlayError::Stopped) => Ok(()),
            Err(PlayError::Record(error)) => Err(self.write_failed(error)),
            Err(error) => Err(RecordError::Script {
                path: self.path.clone(),
                error,
            }),
        }
    }

    fn flush_log(&mut self) {
        let lines = self.net.take_lines();
        write_lines(self.log, self.options.log, lines);
    }

    fn note(&mut self, text: &str) {
        self.flush_log();
        write_lines(
            self.log,
            self.options.log,
            vec![Line::Note(text).to_string()],
        );
    }
}

/// Whether the recording is to end: it was asked to, its time is up, or the file is full.
fn over<W: Witness>(net: &Net<W>, stop: &AtomicBool, ends: Option<Instant>) -> bool {
    stop.load(Ordering::Relaxed)
        || ends.is_some_and(|ends| Instant::now() >= ends)
        || net.witness().full()
}

/// Each entry begins with the second it was written in, as in mosquitto's log.
fn write_lines(log: &mut dyn Write, wanted: bool, lines: Vec<String>) {
    if !wanted || lines.is_empty() {
        return;
    }
    let seconds = crate::broker::net::Clock::start().now().nanos() / 1_000_000_000;
    let mut text = String::new();
    for line in lines.iter().flat_map(|entry| entry.split('\n')) {
        text.push_str(&format!("{seconds}: {line}\n"));
    }
    // A log that has no reader any more must not end the recording.
    let _ = log.write_all(text.as_bytes()).and_then(|()| log.flush());
}

/// A seed from the clock, for recordings that need not be the same twice.
fn seed_of_now() -> u64 {
    let now = crate::broker::net::Clock::start().now().nanos();
    Seed::new(now.unsigned_abs() ^ u64::from(std::process::id()) << 32).next()
}
