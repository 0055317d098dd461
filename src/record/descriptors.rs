//! How many descriptors the process may open: more for the broker, as before for the command.

#[cfg(target_os = "linux")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit of open descriptors, raised from the beginning of a recording on.
#[derive(Debug)]
pub(super) struct DescriptorLimit {
    /// The limit that the process started with.
    #[cfg(target_os = "linux")]
    before: Rlimit,
}

impl DescriptorLimit {
    /// Lets the process open as many descriptors as the system allows it to; it may be too few
    /// for the connections that come, and then accepting one fails with the reason.
    pub(super) fn raise() -> Self {
        #[cfg(target_os = "linux")]
        {
            let before = getrlimit(Resource::Nofile);
            set(Rlimit {
                current: before.maximum,
                ..before
            });
            Self { before }
        }
        #[cfg(not(target_os = "linux"))]
        Self {}
    }

    /// Runs `start`, which starts another program, under the limit that the process started with:
    /// a program that closes every descriptor it may have, or that uses `select`, counts on it.
    pub(super) fn as_before<T>(&self, start: impl FnOnce() -> T) -> T {
        #[cfg(target_os = "linux")]
        {
            let raised = getrlimit(Resource::Nofile);
            // What is open above the limit stays open.
            set(self.before);
            let started = start();
            set(raised);
            started
        }
        #[cfg(not(target_os = "linux"))]
        start()
    }
}

/// Sets the limit; should it fail, it stays what it was.
#[cfg(target_os = "linux")]
fn set(limit: Rlimit) {
    let _ = setrlimit(Resource::Nofile, limit);
}
