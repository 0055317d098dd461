//! The options of a recording.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::frames::LinkLayer;
use super::script::Script;
use crate::capture::Format;

/// The options of a recording.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// `None`: a temporary file, which [`Recorded::path`](super::Recorded::path) names.
    pub output: Option<PathBuf>,
    /// `None`: by the name of the file.
    pub format: Option<Format>,
    /// Replace an existing file.
    pub force: bool,
    /// Files that the recording is made from, which the output must not be.
    pub inputs: Vec<OsString>,
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
    /// Set from outside when the recording is to end, as by a handler of signals.
    pub stop: Arc<AtomicBool>,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            output: None,
            format: None,
            force: false,
            inputs: Vec::new(),
            port: 1883,
            bind: Vec::new(),
            link: LinkLayer::default(),
            capture: CaptureFrom::default(),
            duration: None,
            frames: None,
            source: Source::default(),
            seed: None,
            log: true,
            stop: Arc::default(),
        }
    }
}

/// Where the frames come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum CaptureFrom {
    /// From the broker's sockets; needs no privilege.
    #[default]
    #[value(help = "The broker's own sockets")]
    Tee,
    /// From the kernel's loopback interface: Linux, root or `cap_net_raw`.
    #[value(help = "A packet socket on the loopback interface (Linux, needs privileges)")]
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
