//! Decompression in a thread of its own, while the reader's thread looks at what came out.
//!
//! The bytes are the same, and so is every error and its place: the thread runs the same
//! decoders and hands over what they give. It costs 4 to 9 % more CPU, and the run takes as
//! long as the longer of the two, of which decompression is 75 % with gzip and zstd. Memory is
//! [`CHUNKS`] buffers more.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::chain::Chain;
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;
use crate::capture::limits::BUFFER;

/// Buffers of [`BUFFER`] bytes that are filled and wait to be read, at most.
const CHUNKS: usize = 3;

/// A message of the thread: bytes, or why there are no more and the format that failed.
type Message = Result<Vec<u8>, (Fault, Packing)>;

/// The reader's end of a decompressor that runs in its own thread.
pub(super) struct Threaded {
    messages: Receiver<Message>,
    /// Buffers on their way back.
    spare: SyncSender<Vec<u8>>,
    /// The bytes that came last, and how many of them were read.
    bytes: Vec<u8>,
    read: usize,
    /// Bytes taken from the source.
    taken: Arc<AtomicU64>,
}

impl Threaded {
    /// Whether a thread can gain anything here.
    pub(super) fn pays() -> bool {
        thread::available_parallelism().is_ok_and(|processors| processors.get() > 1)
    }

    /// Starts to decompress `source`, which is packed by `packing`. The thread ends with its
    /// source, or when the reader is dropped.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(super) fn start(
        source: impl Read + Send + 'static,
        packing: Packing,
    ) -> Result<Self, Fault> {
        let (sender, messages) = sync_channel(CHUNKS - 1);
        let (spare, spares) = sync_channel(CHUNKS);
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&taken);
        thread::Builder::new()
            .name("decompress".to_owned())
            .spawn(move || {
                let input = Input::new(Box::new(source));
                decompress(Chain::new(input, packing), &sender, &spares, &counted);
            })
            .map_err(Fault::Io)?;
        Ok(Self {
            messages,
            spare,
            bytes: Vec::new(),
            read: 0,
            taken,
        })
    }

    /// The next bytes; 0 where there are no more.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, (Fault, Packing)> {
        while self.read == self.bytes.len() {
            // Without room for it the buffer is simply dropped.
            let _ = self.spare.try_send(std::mem::take(&mut self.bytes));
            self.read = 0;
            match self.messages.recv() {
                Ok(message) => self.bytes = message?,
                Err(_) => return Ok(0),
            }
        }
        let there = self.bytes.get(self.read..).unwrap_or_default();
        let count = there.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), there.get(..count)) {
            to.copy_from_slice(from);
        }
        self.read += count;
        Ok(count)
    }

    /// Bytes taken from the source so far; a little ahead of what was read.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn decompress(
    mut chain: Chain<'_>,
    to: &SyncSender<Message>,
    spares: &Receiver<Vec<u8>>,
    taken: &AtomicU64,
) {
    loop {
        let mut bytes = spares.try_recv().unwrap_or_default();
        bytes.resize(BUFFER, 0);
        let mut filled = 0;
        let end = loop {
            let room = bytes.get_mut(filled..).unwrap_or_default();
            if room.is_empty() {
                break None;
            }
            match chain.read(room) {
                Ok(0) => break Some(Ok(())),
                Ok(count) => filled += count,
                Err(fault) => break Some(Err((fault, chain.packing()))),
            }
        };
        taken.store(chain.taken(), Ordering::Relaxed);
        bytes.truncate(filled);
        if filled > 0 && to.send(Ok(bytes)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(fault)) => {
                // The reader was dropped: the error has no one to go to.
                let _ = to.send(Err(fault));
                return;
            }
        }
    }
}
