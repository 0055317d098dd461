//! The bytes as they come from a file or pipe: short reads, interruptions and the end
//! distinguished, the first bytes looked at before they are taken.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read};

use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// The size of the look ahead, in bytes.
const AHEAD: usize = 64 * 1024;

/// A source, counted, with a look ahead.
pub(super) struct Input<'a> {
    source: Box<dyn Read + 'a>,
    ahead: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes handed on.
    taken: u64,
    /// The source has no more.
    ended: bool,
    /// Someone asked for more than there was.
    starved: bool,
    /// The source's own error: a decompressor on top may wrap or lose it.
    failed: Option<io::Error>,
}

impl<'a> Input<'a> {
    /// Wraps `source`; reads nothing yet.
    pub(super) fn new(source: Box<dyn Read + 'a>) -> Self {
        Self {
            source,
            ahead: vec![0; AHEAD].into_boxed_slice(),
            start: 0,
            end: 0,
            taken: 0,
            ended: false,
            starved: false,
            failed: None,
        }
    }

    /// The next `count` bytes without taking them; fewer only where the source ends.
    /// `count` is at most [`AHEAD`].
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && !self.ended {
            self.fill()?;
        }
        Ok(self.held())
    }

    /// Takes `count` bytes without looking at them.
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] where the source ends before.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<()> {
        match io::copy(&mut self.take(count), &mut io::sink())? {
            skipped if skipped < count => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn held(&self) -> &[u8] {
        self.ahead.get(self.start..self.end).unwrap_or_default()
    }

    /// Adds to what is held, once.
    fn fill(&mut self) -> io::Result<()> {
        self.ahead.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let room = self.ahead.get_mut(self.end..).unwrap_or_default();
        let count = read_once(&mut self.source, room, &mut self.failed)?;
        self.end += count;
        self.ended = count == 0;
        Ok(())
    }

    /// Bytes handed on so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns the fault behind an error of [`Input`] or of a decoder on top of it: decoders
    /// wrap or lose the error of the source, and call a cut what they will.
    pub(super) fn fault(&mut self, packing: Packing, error: &dyn fmt::Display) -> Fault {
        if let Some(error) = self.failed.take() {
            Fault::of_source(error)
        } else if self.starved {
            Fault::PackingCut(packing)
        } else {
            Fault::PackingDamaged(packing, error.to_string())
        }
    }

    /// Whether someone asked for more than there was.
    #[cfg(test)]
    pub(super) fn starved(&self) -> bool {
        self.starved
    }

    /// Returns the source's own error where there was one, and `error` otherwise.
    pub(super) fn failure(&mut self, error: io::Error) -> Fault {
        Fault::of_source(self.failed.take().unwrap_or(error))
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        // A decompressor asks for three bytes of a header: never a system call each.
        if self.start < self.end || into.len() < AHEAD / 4 {
            let count = self.fill_buf()?.read(into)?;
            self.consume(count);
            return Ok(count);
        }
        // Nothing is held: large reads go to the caller's own buffer.
        let count = match self.ended {
            true => 0,
            false => read_once(&mut self.source, into, &mut self.failed)?,
        };
        self.ended = count == 0;
        self.starved |= self.ended;
        self.taken += count as u64;
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end && !self.ended {
            self.fill()?;
        }
        self.starved |= self.start == self.end;
        Ok(self.held())
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.taken += count as u64;
    }
}

/// One read; a read that a signal interrupted is begun again, any other error is kept too.
fn read_once(
    source: &mut dyn Read,
    into: &mut [u8],
    failed: &mut Option<io::Error>,
) -> io::Result<usize> {
    loop {
        match source.read(into) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                let kind = error.kind();
                *failed = Some(error);
                return Err(kind.into());
            }
            // A source that claims more than it was given room for breaks its own contract.
            Ok(count) => return Ok(count.min(into.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read, each after an interruption.
    struct Drip(Vec<u8>, bool);

    impl Read for Drip {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            into[0] = self.0.remove(0);
            Ok(1)
        }
    }

    #[test]
    fn a_look_ahead_takes_nothing_and_survives_short_and_interrupted_reads() {
        let mut input = Input::new(Box::new(Drip(b"abcdef".to_vec(), false)));
        assert_eq!(input.peek(4).unwrap(), b"abcd");
        assert_eq!((input.taken(), input.starved()), (0, false));
        let mut all = Vec::new();
        input.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"abcdef");
        assert_eq!((input.taken(), input.starved()), (6, true));
        assert_eq!(input.peek(4).unwrap(), b"");
    }

    #[test]
    fn bytes_are_skipped_up_to_the_end() {
        let mut input = Input::new(Box::new(&b"abcdef"[..]));
        input.skip(4).unwrap();
        assert_eq!(input.peek(9).unwrap(), b"ef");
        assert!(input.skip(u64::MAX).is_err());
        assert_eq!((input.taken(), input.starved()), (6, true));
    }

    #[test]
    fn the_error_of_the_source_is_kept() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let mut input = Input::new(Box::new(Broken));
        let error = input.peek(1).unwrap_err();
        let fault = input.failure(error);
        assert_eq!(fault.to_string(), "it cannot be read: the disk is gone");
    }
}
