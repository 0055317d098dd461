//! Several captures as one, ordered by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;

use super::reader::Step;
use super::{CaptureError, CommentOf, Item, Reader, Summary};

/// Several captures read side by side; their frames come in the order of their times, and
/// are numbered anew, from 1, in that order.
///
/// Only the next frame of each is waited for, so memory is that of the readers. Within one
/// capture the order stays as it is, even where its clock steps back; a frame without a time
/// follows the frame before it. Between equal times the capture given first comes first.
pub struct Merge<R: Read> {
    readers: Vec<Reader<R>>,
    /// Per reader: its next frame, and the time by which it is ordered.
    heads: Vec<Option<Step>>,
    last: Vec<i64>,
    queue: BinaryHeap<Reverse<(i64, usize)>>,
    /// Readers whose next item is not known: all at first, then the one whose item was handed out last.
    due: Vec<usize>,
    frames: u64,
}

impl<R: Read> Merge<R> {
    /// Of readers that have given nothing yet. Their inputs are numbered in this order, from
    /// 0; more than 65,536 share the last number.
    pub fn new(readers: impl IntoIterator<Item = Reader<R>>) -> Self {
        let readers: Vec<_> = readers
            .into_iter()
            .enumerate()
            .map(|(file, reader)| reader.counting_on(u16::try_from(file).unwrap_or(u16::MAX), 0))
            .collect();
        Self {
            heads: vec![None; readers.len()],
            last: vec![i64::MIN; readers.len()],
            queue: BinaryHeap::with_capacity(readers.len()),
            due: (0..readers.len()).rev().collect(),
            frames: 0,
            readers,
        }
    }

    /// The next item of all captures; `None` at the end of all. Secrets and comments come as
    /// soon as they are met, secrets thus before the frames that need them.
    ///
    /// # Errors
    /// What is wrong with one of the captures. The others go on: call again until `None`.
    pub fn next_item(&mut self) -> Result<Option<Item<'_>>, CaptureError> {
        let Some((file, step)) = self.advance()? else {
            return Ok(None);
        };
        Ok(self.readers.get(file).map(|reader| reader.item(&step)))
    }

    fn advance(&mut self) -> Result<Option<(usize, Step)>, CaptureError> {
        while let Some(file) = self.due.pop() {
            let Some(reader) = self.readers.get_mut(file) else {
                continue;
            };
            let Some(mut step) = reader.advance()? else {
                continue;
            };
            match &mut step {
                Step::Frame { stamp, .. } => {
                    if let (Some(last), Some(head)) =
                        (self.last.get_mut(file), self.heads.get_mut(file))
                    {
                        *last = stamp.time.map_or(*last, |time| time.nanos());
                        self.queue.push(Reverse((*last, file)));
                        *head = Some(step);
                    }
                }
                other => {
                    // A comment of a frame follows it, and that frame was handed out last.
                    if let Step::Comment {
                        of: CommentOf::Frame(number),
                        ..
                    } = other
                    {
                        *number = self.frames;
                    }
                    self.due.push(file);
                    return Ok(Some((file, step)));
                }
            }
        }
        let Some(Reverse((_, file))) = self.queue.pop() else {
            return Ok(None);
        };
        self.due.push(file);
        let head = self.heads.get_mut(file).and_then(Option::take);
        Ok(head.map(|mut step| {
            self.frames += 1;
            if let Step::Frame { stamp, .. } = &mut step {
                stamp.number = self.frames;
            }
            (file, step)
        }))
    }
}

impl<R: Read> Merge<R> {
    /// What was read from all captures together.
    pub fn summary(&self) -> Summary {
        let mut all = Summary {
            frames: self.frames,
            ..Summary::default()
        };
        for one in self.readers.iter().map(Reader::summary) {
            all.first_time = match (all.first_time, one.first_time) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            all.last_time = all.last_time.max(one.last_time);
            all.precision = all.precision.max(one.precision);
            all.disagreeing_lengths += one.disagreeing_lengths;
        }
        all
    }

    /// Bytes taken from all sources so far.
    pub fn taken(&self) -> u64 {
        self.readers.iter().map(Reader::taken).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, LinkType, Writer};
    use super::*;
    use crate::base::{Precision, Timestamp};

    fn capture(format: Format, times: &[i64], remark: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, format, LinkType(1), Precision::Nano, None).unwrap();
        for &time in times {
            let bytes = time.to_be_bytes();
            writer
                .write_frame(Timestamp::from_nanos(time), &bytes, 8, remark)
                .unwrap();
        }
        out
    }

    fn seen(files: &[&[u8]]) -> (Vec<(u64, u16, i64)>, Vec<String>) {
        let readers = files.iter().map(|&file| Reader::new(file, "x"));
        let mut merge = Merge::new(readers);
        let (mut frames, mut errors) = (Vec::new(), Vec::new());
        loop {
            match merge.next_item() {
                Ok(None) => break,
                Ok(Some(Item::Frame(frame))) => {
                    let time = i64::from_be_bytes(frame.bytes.try_into().unwrap());
                    assert_eq!(frame.stamp.time.unwrap().nanos(), time);
                    frames.push((frame.stamp.number, frame.stamp.file, time));
                }
                Ok(Some(_)) => {}
                Err(error) => errors.push(error.to_string()),
            }
        }
        (frames, errors)
    }

    #[test]
    fn frames_come_by_time_and_are_numbered_anew() {
        let a = capture(Format::Pcap, &[1, 5, 5, 9], None);
        let b = capture(Format::PcapNg, &[2, 5, 3, 10], None);
        let (frames, errors) = seen(&[&a, &b]);
        assert_eq!(
            frames,
            [
                (1, 0, 1),
                (2, 1, 2),
                (3, 0, 5),
                (4, 0, 5),
                (5, 1, 5),
                (6, 1, 3),
                (7, 0, 9),
                (8, 1, 10)
            ]
        );
        assert!(errors.is_empty());
    }

    #[test]
    fn a_broken_capture_does_not_stop_the_others() {
        let a = capture(Format::Pcap, &[1, 5, 9], None);
        let b = capture(Format::Pcap, &[2, 3, 10], None);
        let (frames, errors) = seen(&[&a[..a.len() - 1], b"no capture", &b]);
        assert_eq!(
            frames.iter().map(|f| f.2).collect::<Vec<_>>(),
            [1, 2, 3, 5, 10]
        );
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn nothing_merged_is_nothing() {
        assert!(seen(&[]).0.is_empty());
    }

    #[test]
    fn a_comment_keeps_to_its_frame_in_its_own_capture() {
        let a = capture(Format::PcapNg, &[1, 3], Some("a"));
        let b = capture(Format::PcapNg, &[2], Some("b"));
        let mut merge = Merge::new([Reader::new(&a[..], "a"), Reader::new(&b[..], "b")]);
        let mut seen = Vec::new();
        while let Some(item) = merge.next_item().unwrap() {
            match item {
                Item::Frame(frame) => seen.push(format!("{}", frame.stamp.number)),
                Item::Comment(comment) => match comment.of {
                    CommentOf::Frame(number) => seen.push(format!("{}@{number}", comment.text())),
                    _ => panic!("{comment:?}"),
                },
                Item::Secrets(_) => panic!(),
            }
        }
        assert_eq!(seen, ["1", "a@1", "2", "b@2", "3", "a@3"]);
    }
}
