//! The kernel's own frames of the loopback interface, while the broker serves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::error::KernelError;
use super::file::CaptureFile;
use super::frames::LinkLayer;
use crate::base::Timestamp;
use crate::broker::ConnectionKey;
use crate::broker::net::{Clock, Seen, Witness};
use crate::capture::live::PacketSocket;

/// Takes frames in a thread of its own until it is asked to stop.
#[derive(Debug)]
pub(super) struct KernelCapture {
    /// Asks the thread to end.
    stop: Arc<AtomicBool>,
    /// The file has all the frames that were asked for, or the thread failed.
    full: Arc<AtomicBool>,
    /// Gives the file, and frames that the kernel dropped.
    thread: JoinHandle<(CaptureFile, io::Result<u64>)>,
}

impl KernelCapture {
    /// Takes what is still there and ends: the file, and frames that the kernel dropped. `None` where
    /// the thread failed, and the file with it.
    pub(super) fn finish(self) -> Option<(CaptureFile, io::Result<u64>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().ok()
    }

    /// Starts to write the frames of `socket` that have TCP port `port` to `file`, with `link`
    /// as link layer.
    pub(super) fn start(
        mut socket: PacketSocket,
        mut file: CaptureFile,
        link: LinkLayer,
        port: u16,
    ) -> Self {
        let (stop, full) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, filled) = (Arc::clone(&stop), Arc::clone(&full));
        let thread = std::thread::spawn(move || {
            let outcome = take(&mut socket, &mut file, link, port, &stopped, &filled);
            // After an error too the broker must not serve on unrecorded.
            filled.store(true, Ordering::Relaxed);
            (file, outcome)
        });
        Self { stop, full, thread }
    }
}

/// The broker need not be observed: the kernel sees what passes.
impl Witness for KernelCapture {
    fn see(&mut self, _: Timestamp, _: ConnectionKey, _: Seen<'_>) -> io::Result<()> {
        Ok(())
    }

    fn full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }
}

/// Writes frames until `stop`, with the flushes between them that a pause allows; returns how
/// many frames the kernel dropped. The end comes with the first pause after `stop`, or with the
/// first frame that is later: on a busy interface there may be no pause.
fn take(
    socket: &mut PacketSocket,
    file: &mut CaptureFile,
    link: LinkLayer,
    port: u16,
    stop: &AtomicBool,
    full: &AtomicBool,
) -> io::Result<u64> {
    let mut frame = Vec::new();
    let mut lost = 0;
    let mut end = None;
    loop {
        // Asked before the socket is, so nothing that came before the end is missed.
        if end.is_none() && stop.load(Ordering::Relaxed) {
            end = Some(Clock::start().now());
        }
        match socket.receive()? {
            Some((time, _)) if end.is_some_and(|end| time > end) => {
                file.flush()?;
                return Ok(lost + socket.dropped());
            }
            Some((time, bytes)) => {
                if has_port(bytes, port) && link.convert(bytes, &mut frame) {
                    file.frame(time, &frame)?;
                }
                full.store(file.full(), Ordering::Relaxed);
            }
            None => {
                file.flush()?;
                lost += socket.dropped();
                if end.is_some() {
                    return Ok(lost);
                }
            }
        }
    }
}

/// Whether an Ethernet frame carries TCP from or to `port`.
fn has_port(frame: &[u8], port: u16) -> bool {
    const TCP: u8 = 6;
    let Some((header, ip)) = frame.split_at_checked(14) else {
        return false;
    };
    let tcp = match (header.get(12..), ip.first(), ip.get(6), ip.get(9)) {
        (Some([0x08, 0x00]), Some(first), _, Some(&TCP)) => ip.get(usize::from(first & 0x0f) * 4..),
        (Some([0x86, 0xdd]), _, Some(&TCP), _) => ip.get(40..),
        _ => None,
    };
    let port = port.to_be_bytes();
    matches!(tcp, Some([a, b, c, d, ..]) if [*a, *b] == port || [*c, *d] == port)
}

/// Opens the loopback interface.
///
/// # Errors
/// See [`KernelError`].
pub(super) fn open() -> Result<PacketSocket, KernelError> {
    PacketSocket::open_loopback().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => KernelError::NoPrivilege,
        io::ErrorKind::Unsupported => KernelError::NotHere,
        _ => KernelError::System(error),
    })
}
