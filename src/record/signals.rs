//! The signals that end a recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(unix)]
use std::{io, time::Duration};

/// How long a recording may take to end once it is asked to; a command of its own has 2 s of that.
#[cfg(unix)]
const FAREWELL: Duration = Duration::from_secs(5);
/// The exit status of a process whose recording did not end in time.
#[cfg(unix)]
const NOT_ENDED: i32 = 2;

/// SIGINT and SIGTERM ask a recording to end, for as long as this lives; then they end the process as
/// they always did.
#[derive(Debug)]
pub struct Ending {
    stop: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
}

impl Ending {
    /// Has the two signals set `stop`. A second signal ends the process at once, and the first does
    /// after 5 s: the system may wait for a log that has no reader, where no recording can end.
    ///
    /// Where a handler cannot be installed the signal ends the process at once; the capture can be read
    /// then too.
    pub fn by_signals(stop: &Arc<AtomicBool>) -> Self {
        let (stop, over) = (Arc::clone(stop), Arc::default());
        #[cfg(unix)]
        let _ = install(&stop, &over);
        Self { stop, over }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The next signal finds it set, as a second one does.
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(unix)]
fn install(stop: &Arc<AtomicBool>, over: &Arc<AtomicBool>) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag::{register, register_conditional_default};
    use signal_hook::low_level::pipe;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    let (mut signals, handler) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not yet set.
        register_conditional_default(signal, Arc::clone(stop))?;
        register(signal, Arc::clone(stop))?;
        pipe::register(signal, handler.try_clone()?)?;
    }
    let over = Arc::clone(over);
    std::thread::spawn(move || {
        if signals.read_exact(&mut [0]).is_ok() {
            std::thread::sleep(FAREWELL);
            if !over.load(Ordering::Relaxed) {
                std::process::exit(NOT_ENDED);
            }
        }
    });
    Ok(())
}
