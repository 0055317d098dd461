//! `record`: the broker serves, and its traffic becomes a capture.
//!
//! Who makes the traffic is one of three ([`Source`]): any client that connects, a command that is
//! run, or the clients of a [`script`]. What becomes of it is one of two
//! ([`CaptureFrom`]): the [`tee`] in the broker writes what passes through its sockets, or
//! the kernel's own frames of the loopback interface are taken ([`kernel`]).

mod command;
mod error;
pub mod file;
pub mod frames;
pub mod kernel;
pub mod scenario;
pub mod script;
pub mod tee;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use self::error::{KernelError, RecordError};

use self::command::Command;
use self::file::{CaptureFile, Wish};
use self::frames::LinkLayer;
use self::kernel::KernelCapture;
use self::script::{PlayError, Player, Script};
use self::tee::Tee;
use crate::broker::net::{Net, NetOptions, Witness};
use crate::broker::{BrokerOptions, Seed};
use crate::capture::Format;
use crate::event::log::Line;

/// The options of a recording.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// `None`: a temporary file, which [`Recorded::path`] names.
    pub output: Option<PathBuf>,
    /// `None`: by the name of the file.
    pub format: Option<Format>,
    /// Overwrite an existing file.
    pub force: bool,
    /// 0: a free one.
    pub port: u16,
    /// None: both loopback addresses.
    pub bind: Vec<IpAddr>,
    /// The link layer of the frames.
    pub link: LinkLayer,
    /// Where the frames come from.
    pub capture: CaptureFrom,
    /// End after this time.
    pub duration: Option<Duration>,
    /// End after this many frames.
    pub frames: Option<u64>,
    /// Who makes the traffic.
    pub source: Source,
    /// Where identifiers and sequence numbers come from; a script's own seed comes first.
    /// `None`: others every time.
    pub seed: Option<u64>,
    /// Whether the broker's log is wanted.
    pub log: bool,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            output: None,
            format: None,
            force: false,
            port: 1883,
            bind: Vec::new(),
            link: LinkLayer::default(),
            capture: CaptureFrom::default(),
            duration: None,
            frames: None,
            source: Source::default(),
            seed: None,
            log: true,
        }
    }
}

/// Where the frames come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CaptureFrom {
    /// From the broker's sockets; needs no privilege.
    #[default]
    Tee,
    /// From the kernel's loopback interface: Linux, root or `cap_net_raw`.
    Kernel,
}

/// Who makes the traffic.
#[derive(Clone, Debug, Default)]
pub enum Source {
    /// Any client that connects, until the end is asked for.
    #[default]
    Anybody,
    /// A command with its arguments; the recording ends when it ends.
    Command(Vec<OsString>),
    /// The clients of a script.
    Script(Box<Script>),
}

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
    let signals = command::on_signals(&stop);
    let seed = options.seed.unwrap_or_else(seed_of_now);
    let mut broker = BrokerOptions {
        seed,
        log: options.log,
        ..BrokerOptions::default()
    };
    if let Source::Script(script) = &options.source {
        script.apply(&mut broker);
    }
    kernel::raise_descriptor_limit();
    let seed = broker.seed;
    let recorded = match options.capture {
        CaptureFrom::Tee => {
            let file = create(options)?;
            let path = file.path().to_owned();
            let tee = Tee::new(file, options.link, seed);
            let net = listen(options, broker, tee).inspect_err(|_| forget(&path))?;
            let mut run = Running::new(net, options, &stop, log, path.clone());
            let outcome = run.all();
            let frames = run.net.into_witness().into_sink().frames();
            outcome.map(|status| Recorded {
                path,
                frames,
                status,
            })
        }
        CaptureFrom::Kernel => {
            let net = listen(options, broker, ())?;
            let socket = kernel::open().map_err(RecordError::Kernel)?;
            let file = create(options)?;
            let path = file.path().to_owned();
            let capture = KernelCapture::start(socket, file, options.link, net.port());
            let mut run = Running::new(net, options, &stop, log, path.clone());
            run.kernel = Some(capture);
            let outcome = run.all();
            let finished = run.kernel.take().map(KernelCapture::finish);
            let (frames, lost) = match finished.transpose() {
                Ok(seen) => seen.unwrap_or((0, 0)),
                Err(error) => return Err(RecordError::Write { path, error }),
            };
            if lost > 0 {
                run.note(&format!("The kernel dropped {lost} frames."));
            }
            outcome.map(|status| Recorded {
                path,
                frames,
                status,
            })
        }
    };
    drop(signals);
    recorded
}

fn create(options: &RecordOptions) -> Result<CaptureFile, RecordError> {
    let comment = format!(
        "Written by mqtt-inspect {} record: {}",
        env!("CARGO_PKG_VERSION"),
        match options.capture {
            CaptureFrom::Tee =>
                "the octets, their order, times and ends are those of real sockets on the \
                 loopback interface; TCP/IP headers were made by the tool",
            CaptureFrom::Kernel => "frames of the loopback interface, from the kernel",
        }
    );
    CaptureFile::create(&Wish {
        path: options.output.as_deref(),
        format: options.format,
        force: options.force,
        link: options.link,
        most: options.frames,
        comment: &comment,
    })
}

fn listen<W: Witness>(
    options: &RecordOptions,
    broker: BrokerOptions,
    witness: W,
) -> Result<Net<W>, RecordError> {
    let net = NetOptions {
        bind: options.bind.clone(),
        port: options.port,
        ..NetOptions::default()
    };
    Net::listen(broker, &net, witness).map_err(RecordError::Listen)
}

/// A capture that never began is not left behind as an empty file.
fn forget(path: &Path) {
    // Should it not be possible, an empty capture stays: harmless.
    let _ = std::fs::remove_file(path);
}

/// A recording under way.
struct Running<'a, W> {
    net: Net<W>,
    kernel: Option<KernelCapture>,
    options: &'a RecordOptions,
    stop: &'a AtomicBool,
    log: &'a mut dyn Write,
    path: PathBuf,
    ends: Option<Instant>,
}

impl<'a, W: Witness> Running<'a, W> {
    fn new(
        net: Net<W>,
        options: &'a RecordOptions,
        stop: &'a AtomicBool,
        log: &'a mut dyn Write,
        path: PathBuf,
    ) -> Self {
        Self {
            net,
            kernel: None,
            options,
            stop,
            log,
            path,
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
        let ended = ended.and_then(|()| self.net.witness_mut().flush());
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
            if self.is_over() {
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
        let mut command = Command::start(line, &host, self.net.port())?;
        let status = self.serve(Some(&mut command))?;
        Ok(status.or_else(|| command.stop()))
    }

    fn play(&mut self, script: &Script) -> Result<(), RecordError> {
        let addresses = self.net.addresses().to_vec();
        let mut player = Player::new(script, &addresses, &mut self.net);
        let (stop, ends, options) = (self.stop, self.ends, self.options);
        let (log, kernel) = (&mut *self.log, self.kernel.as_ref());
        let mut go_on = |net: &mut Net<W>| {
            write_lines(log, options.log, net.take_lines());
            !over(stop, ends) && !net.witness().full() && !kernel.is_some_and(KernelCapture::full)
        };
        let played = player.play(&mut go_on);
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

    fn is_over(&self) -> bool {
        over(self.stop, self.ends)
            || self.net.witness().full()
            || self.kernel.as_ref().is_some_and(KernelCapture::full)
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

fn over(stop: &AtomicBool, ends: Option<Instant>) -> bool {
    stop.load(Ordering::Relaxed) || ends.is_some_and(|ends| Instant::now() >= ends)
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
