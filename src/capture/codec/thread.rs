//! Decompression in a thread of its own, while the reader's thread looks at what came out.
//!
//! The bytes are the same, and so is every error and its place: the thread runs the same
//! decoders and hands over what they give. It costs 4 to 9 % more CPU, and the run takes as
//! long as the longer of the two, of which decompression is 75 % with gzip and zstd. Memory is
//! [`CHUNKS`] buffers more.

use std::io::{self, Read};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::chain::Chain;
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;
use crate::capture::limits::BUFFER;

/// Buffers of [`BUFFER`] bytes that are filled and wait to be read, at most.
const CHUNKS: usize = 3;

/// A message of the thread.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    /// How many of the bytes are decoded data.
    filled: usize,
    /// Bytes taken from the source so far.
    taken: u64,
    /// Why there are no more, and the format that failed.
    end: Option<Result<(), (Fault, Packing)>>,
}

/// The reader's end of a decompressor that runs in its own thread.
pub(super) struct Threaded {
    chunks: Receiver<Chunk>,
    /// Buffers on their way back.
    spare: SyncSender<Vec<u8>>,
    /// The chunk that came last, and how many of its bytes were read.
    chunk: Chunk,
    read: usize,
    /// The last chunk came.
    over: bool,
    packing: Packing,
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
        let (sender, chunks) = sync_channel(CHUNKS - 1);
        let (spare, spares) = sync_channel(CHUNKS);
        thread::Builder::new()
            .name("decompress".to_owned())
            .spawn(move || {
                let mut chain = Chain::new(Input::new(Box::new(source)), packing);
                loop {
                    let chunk = next_chunk(&mut chain, spares.try_recv().unwrap_or_default());
                    let over = chunk.end.is_some();
                    if sender.send(chunk).is_err() || over {
                        return;
                    }
                }
            })
            .map_err(Fault::Io)?;
        Ok(Self {
            chunks,
            spare,
            chunk: Chunk::default(),
            read: 0,
            over: false,
            packing,
        })
    }

    /// The next bytes; 0 where there are no more.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let there = self.chunk.bytes.get(self.read..self.chunk.filled);
            let count = there.unwrap_or_default().read(into).map_err(Fault::Io)?;
            if count > 0 {
                self.read += count;
                return Ok(count);
            }
            if let Some(Err((fault, packing))) = self.chunk.end.take() {
                self.packing = packing;
                return Err(fault);
            }
            // Without room for it the buffer is simply dropped.
            let _ = self.spare.try_send(mem::take(&mut self.chunk.bytes));
            if self.over {
                return Ok(0);
            }
            let Ok(chunk) = self.chunks.recv() else {
                self.over = true;
                let words = "the thread that decompresses it ended early";
                return Err(Fault::Io(io::Error::other(words)));
            };
            self.over = chunk.end.is_some();
            (self.chunk, self.read) = (chunk, 0);
        }
    }

    /// Returns the format of the first frame, or of the one that failed.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    /// Bytes taken from the source so far; a little ahead of what was read.
    pub(super) fn taken(&self) -> u64 {
        self.chunk.taken
    }
}

/// Fills a buffer with what comes next.
fn next_chunk(chain: &mut Chain<'_>, mut bytes: Vec<u8>) -> Chunk {
    bytes.resize(BUFFER, 0);
    let (mut filled, mut end) = (0, None);
    while end.is_none() && filled < BUFFER {
        match chain.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => end = Some(Ok(())),
            Ok(count) => filled += count,
            Err(fault) => end = Some(Err((fault, chain.packing()))),
        }
    }
    Chunk {
        bytes,
        filled,
        taken: chain.taken(),
        end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that panics where it is read.
    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("as a test wants it")
        }
    }

    #[test]
    fn a_thread_that_dies_is_an_error_and_not_the_end() {
        let mut threaded = Threaded::start(Broken, Packing::Gzip).unwrap();
        let error = threaded.read(&mut [0; 10]).unwrap_err();
        assert!(matches!(error, Fault::Io(_)), "{error:?}");
        assert_eq!(threaded.read(&mut [0; 10]).ok(), Some(0));
    }
}
