//! Several captures as one, ordered by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::error::CaptureError;
use super::frame::Item;
use super::piece::Piece;
use super::reader::Reader;
use super::source::{Source, Summary};

/// Several captures read side by side; their frames come in the order of their times, and
/// are numbered anew, from 1, in that order.
///
/// Only the next frame of each is waited for, so memory is that of the readers. Within one
/// capture the order stays as it is, even where its clock steps back; a frame without a time
/// follows the frame before it. Between equal times the capture given first comes first.
pub struct Merge<'a> {
    readers: Vec<Reader<'a>>,
    /// For each reader, its next frame and the time by which it is ordered.
    heads: Vec<(Option<Piece>, i64)>,
    queue: BinaryHeap<Reverse<(i64, usize)>>,
    /// Readers whose next item is not known: all at first, then the one whose item was handed
    /// out last.
    due: Vec<usize>,
    frames: u64,
}

impl<'a> Merge<'a> {
    /// A merge of readers that have given nothing yet. Their inputs are numbered in this order,
    /// from 0; more than 65,536 share the last number.
    pub fn new(readers: impl IntoIterator<Item = Reader<'a>>) -> Self {
        let readers: Vec<_> = Reader::numbered(readers).collect();
        Self {
            heads: vec![(None, i64::MIN); readers.len()],
            queue: BinaryHeap::with_capacity(readers.len()),
            due: (0..readers.len()).rev().collect(),
            frames: 0,
            readers,
        }
    }

    fn advance(&mut self) -> Result<Option<(usize, Piece)>, CaptureError> {
        while let Some(file) = self.due.pop() {
            let (Some(reader), Some((head, last))) =
                (self.readers.get_mut(file), self.heads.get_mut(file))
            else {
                continue;
            };
            match reader.advance()? {
                None => {}
                Some(piece @ Piece::Frame { time, .. }) => {
                    *last = time.map_or(*last, |time| time.nanos());
                    self.queue.push(Reverse((*last, file)));
                    *head = Some(piece);
                }
                Some(piece) => {
                    // Secrets and comments come as soon as they are met: secrets thus
                    // before the frames that need them, a comment behind its frame.
                    self.due.push(file);
                    return Ok(Some((file, piece)));
                }
            }
        }
        let Some(Reverse((_, file))) = self.queue.pop() else {
            return Ok(None);
        };
        self.due.push(file);
        self.frames += 1;
        let head = self.heads.get_mut(file).and_then(|(head, _)| head.take());
        Ok(head.map(|head| (file, head)))
    }
}

impl Source for Merge<'_> {
    /// See [`Source::next_item`]. A comment on a frame follows it at once: its capture is the
    /// one that is read next.
    fn next_item(&mut self) -> Result<Option<Item<'_>>, CaptureError> {
        let Some((file, piece)) = self.advance()? else {
            return Ok(None);
        };
        let reader = self.readers.get(file);
        Ok(reader.and_then(|reader| reader.item(&piece, self.frames)))
    }

    fn taken(&self) -> u64 {
        self.readers.iter().map(Reader::taken).sum()
    }

    fn summary(&self) -> Summary {
        let all = self.readers.iter().map(Reader::summary);
        Summary {
            frames: self.frames,
            ..all.fold(Summary::default(), Summary::join)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CommentOf, Format, LinkType, Writer};
    use super::*;
    use crate::base::{Precision, Span, Timestamp};

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
    fn a_clock_that_is_set_changes_the_order() {
        let a = capture(Format::Pcap, &[1, 5, 9], None);
        let b = capture(Format::PcapNg, &[3, 5, 7], None);
        let mut early = Reader::new(&b[..], "b");
        early.shift_times(Span::from_nanos(-3));
        let mut merge = Merge::new([Reader::new(&a[..], "a"), early]);
        let mut times = Vec::new();
        while let Some(Item::Frame(frame)) = merge.next_item().unwrap() {
            times.push((frame.stamp.file, frame.stamp.time.unwrap().nanos()));
        }
        assert_eq!(times, [(1, 0), (0, 1), (1, 2), (1, 4), (0, 5), (0, 9)]);
        assert_eq!(merge.summary().first_time, Some(Timestamp::from_nanos(0)));
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
