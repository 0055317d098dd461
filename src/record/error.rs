//! Errors of recordings.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::script::PlayError;
use crate::broker::net::ListenError;
use crate::capture::OutputError;

/// The reason why a recording could not begin, or did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The broker cannot listen.
    #[error(transparent)]
    Listen(ListenError),
    /// The file cannot be opened.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file cannot be made.
    #[error("cannot write {path}: {error}")]
    Create {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// Writing failed; what was written before can be read.
    #[error("cannot go on writing {path}: {error}{}", Kept(.kept.as_deref()))]
    Write {
        /// The file.
        path: PathBuf,
        /// The file, where it was kept.
        kept: Option<PathBuf>,
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
    #[error("the script stopped: {error}{}", Kept(.kept.as_deref()))]
    Script {
        /// The capture file, where it was kept.
        kept: Option<PathBuf>,
        /// The step and the reason.
        error: PlayError,
    },
    /// The kernel's frames cannot be had.
    #[error(transparent)]
    Kernel(KernelError),
}

impl RecordError {
    /// Adds that what was recorded before the error is in `path`.
    pub(super) fn with_kept(mut self, path: PathBuf) -> Self {
        if let Self::Write { kept, .. } | Self::Script { kept, .. } = &mut self {
            *kept = Some(path);
        }
        self
    }
}

/// Where to find what was recorded before an error.
struct Kept<'a>(Option<&'a Path>);

impl fmt::Display for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => write!(f, " (what was recorded is in {})", path.display()),
            None => Ok(()),
        }
    }
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
