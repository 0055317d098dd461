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
pub mod signals;
pub mod tee;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
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
    /// Whether it is a temporary file, in a folder of its own: no name was given for it.
    pub temporary: bool,
    /// Frames in the file.
    pub frames: u64,
    /// The exit status of the command that was run.
    pub status: Option<i32>,
}

impl Recorded {
    /// Removes the file and its folder, if it is a temporary one.
    pub fn remove_temporary(&self) {
        if self.temporary {
            // Should it not be possible, it stays: harmless.
            let _ = std::fs::remove_file(&self.path);
            if let Some(folder) = self.path.parent() {
                let _ = std::fs::remove_dir(folder);
            }
        }
    }
}

/// How often the end is looked for while nothing happens.
const LOOK: Duration = Duration::from_millis(100);
/// How often a command is looked at.
const LOOK_AT_COMMAND: Duration = Duration::from_millis(10);
/// How long Clients may take to close at the end.
const FAREWELL: Duration = Duration::from_millis(500);

/// Records until the end that `options` name. The broker's log goes to `log`, a line at a time as it
/// happens.
///
/// Nothing is made before the broker listens; where the recording fails, a temporary capture is removed.
///
/// # Errors
/// See [`RecordError`].
pub fn run(options: &RecordOptions, log: &mut dyn Write) -> Result<Recorded, RecordError> {
    let mut broker = BrokerOptions {
        seed: options.seed.unwrap_or_else(seed_of_now),
        log: options.log,
        port: options.port,
        ..BrokerOptions::default()
    };
    if let Source::Script(script) = &options.source {
        script.apply(&mut broker);
    }
    let seed = broker.seed;
    let descriptors = DescriptorLimit::raise();
    match options.capture {
        CaptureFrom::Tee => {
            let mut net = listen(options, broker)?;
            let file = CaptureFile::create(options)?;
            let place = Place::of(&file);
            *net.witness_mut() = Some(Tee::new(file, options.link, seed));
            let mut run = Running::new(net, options, log, place, &descriptors);
            let outcome = run.all();
            let tee = run.net.witness_mut().take();
            run.end(tee.map(Tee::into_file), outcome)
        }
        CaptureFrom::Kernel => {
            let mut net = listen(options, broker)?;
            let socket = kernel::open().map_err(RecordError::Kernel)?;
            let file = CaptureFile::create(options)?;
            let place = Place::of(&file);
            let capture = KernelCapture::start(socket, file, options.link, net.port());
            *net.witness_mut() = Some(capture);
            let mut run = Running::new(net, options, log, place, &descriptors);
            let outcome = run.all();
            let capture = run.net.witness_mut().take();
            let (file, taken) = match capture.and_then(KernelCapture::finish) {
                Some((file, taken)) => (Some(file), taken),
                None => (None, Ok(0)),
            };
            match taken {
                Ok(lost) => {
                    if lost > 0 {
                        run.note(&format!("The kernel dropped {lost} frames."));
                    }
                    run.end(file, outcome)
                }
                Err(error) => {
                    let failed = run.write_failed(error);
                    run.end(file, outcome.and(Err(failed)))
                }
            }
        }
    }
}

fn listen<W: Witness>(
    options: &RecordOptions,
    broker: BrokerOptions,
) -> Result<Net<Option<W>>, RecordError> {
    Net::listen(broker, &options.bind, None).map_err(RecordError::Listen)
}

/// Where the capture is.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    temporary: bool,
}

impl Place {
    fn of(file: &CaptureFile) -> Self {
        Self {
            path: file.path().to_owned(),
            temporary: file.is_temporary(),
        }
    }
}

/// A recording under way.
struct Running<'a, W> {
    net: Net<W>,
    options: &'a RecordOptions,
    log: &'a mut dyn Write,
    place: Place,
    descriptors: &'a DescriptorLimit,
    ends: Option<Instant>,
}

impl<'a, W: Witness> Running<'a, W> {
    fn new(
        net: Net<W>,
        options: &'a RecordOptions,
        log: &'a mut dyn Write,
        place: Place,
        descriptors: &'a DescriptorLimit,
    ) -> Self {
        Self {
            net,
            options,
            log,
            place,
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

    /// Ends the file. `None`: it was lost with the thread that wrote it.
    fn end(
        &self,
        file: Option<CaptureFile>,
        outcome: Result<Option<i32>, RecordError>,
    ) -> Result<Recorded, RecordError> {
        let lost = || io::Error::other("the capturing thread failed");
        let file = file.ok_or_else(|| self.write_failed(lost()))?;
        let frames = file.frames();
        let kept = file.finish(outcome.is_ok());
        let Place { path, temporary } = self.place.clone();
        match (outcome, kept) {
            (Ok(status), Ok(_)) => Ok(Recorded {
                path,
                temporary,
                frames,
                status,
            }),
            (Err(error), Ok(true)) => Err(error.with_kept(path)),
            (Err(error), _) => Err(error),
            (Ok(_), Err(error)) => Err(self.write_failed(error)),
        }
    }

    fn write_failed(&self, error: io::Error) -> RecordError {
        RecordError::Write {
            path: self.place.path.clone(),
            kept: None,
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
            let (port, path) = (self.net.port(), self.place.path.display().to_string());
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
            if over(&self.net, &self.options.stop, self.ends) {
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
        let (ends, options) = (self.ends, self.options);
        let log = &mut *self.log;
        let mut go_on = |net: &mut Net<W>| {
            write_lines(log, options.log, net.take_lines());
            !over(net, &options.stop, ends)
        };
        let mut player = Player::new(script, &mut self.net, &mut go_on);
        let played = player.play();
        let finished = player.finish();
        self.flush_log();
        match played.and(finished) {
            Ok(()) | Err(PlayError::Stopped) => Ok(()),
            Err(PlayError::Record(error)) => Err(self.write_failed(error)),
            Err(error) => Err(RecordError::Script { kept: None, error }),
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
