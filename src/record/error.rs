//! Errors of recordings.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::script::PlayError;
use crate::broker::net::ListenError;

/// The reason why a recording could not begin, or did not come to its end.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecordError {
    /// The broker cannot listen.
    Listen(ListenError),
    /// The file is there, and was not to be overwritten.
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    Create {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Writing failed; what was written before can be read.
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The command cannot be run.
    Command {
        /// Its first word.
        program: String,
        /// The reason.
        error: io::Error,
    },
    /// A step of the script could not be taken; what was recorded before can be read.
    Script {
        /// The capture file.
        path: PathBuf,
        /// The step and the reason.
        error: PlayError,
    },
    /// The kernel's frames cannot be had.
    Kernel(KernelError),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => error.fmt(f),
            Self::Exists { path } => write!(
                f,
                "{} exists already; give --force to overwrite it",
                path.display()
            ),
            Self::Create { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Self::Write { path, error } => write!(
                f,
                "cannot go on writing {}: {error} (what was written before can be read)",
                path.display()
            ),
            Self::Command { program, error } => write!(f, "cannot run {program}: {error}"),
            Self::Script { path, error } => write!(
                f,
                "the script stopped: {error} (what was recorded is in {})",
                path.display()
            ),
            Self::Kernel(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordError {}

/// Why the kernel's frames cannot be had.
#[derive(Debug)]
pub enum KernelError {
    /// The user may not capture.
    NoPrivilege,
    /// The system has no such thing.
    NotHere,
    /// Any other error of the system.
    System(io::Error),
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrivilege => f.write_str(
                "--capture kernel needs root or the capability cap_net_raw; the default, \
                 --capture tee, needs neither",
            ),
            Self::NotHere => f.write_str(
                "--capture kernel is there on Linux only; the default, --capture tee, is \
                 everywhere",
            ),
            Self::System(error) => write!(f, "cannot capture on the loopback interface: {error}"),
        }
    }
}

impl std::error::Error for KernelError {}
