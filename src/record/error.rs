//! Errors of recordings.

use std::io;
use std::path::PathBuf;

use super::script::PlayError;
use crate::broker::net::ListenError;

/// The reason why a recording could not begin, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The broker cannot listen.
    #[error(transparent)]
    Listen(ListenError),
    /// The file is there, and was not to be overwritten.
    #[error("{path} exists already; give --force to overwrite it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot write {path}: {error}")]
    Create {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Writing failed; what was written before can be read.
    #[error("cannot go on writing {path}: {error} (what was written before can be read)")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// The command cannot be run.
    #[error("cannot run {program}: {error}")]
    Command {
        /// Its first word.
        program: String,
        /// The reason.
        error: io::Error,
    },
    /// A step of the script could not be taken; what was recorded before can be read.
    #[error("the script stopped: {error} (what was recorded is in {path})")]
    Script {
        /// The capture file.
        path: PathBuf,
        /// The step and the reason.
        error: PlayError,
    },
    /// The kernel's frames cannot be had.
    #[error(transparent)]
    Kernel(KernelError),
}

/// Why the kernel's frames cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// The user may not capture.
    #[error(
        "--capture kernel needs root or the capability cap_net_raw; the default, --capture tee, needs \
         neither"
    )]
    NoPrivilege,
    /// The system has no such thing.
    #[error("--capture kernel is there on Linux only; the default, --capture tee, is everywhere")]
    NotHere,
    /// Any other error of the system.
    #[error("cannot capture on the loopback interface: {0}")]
    System(io::Error),
}
