//! The capture reader, in each format and compression: whatever a file holds, it gives the
//! same items read at once as read in small portions.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::capture::{Item, Reader, Source};

/// Small compressed files may hold very many frames.
const MOST_ITEMS: usize = 20_000;

/// Gives at most so many bytes at a time.
struct Portions<'a>(&'a [u8], usize);

impl Read for Portions<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.1).min(self.0.len());
        let (now, later) = self.0.split_at(count);
        into[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// The items that were read, each as a line of numbers; and the error at its end.
fn items(source: impl Read) -> (Vec<[u64; 6]>, Option<String>) {
    let mut reader = Reader::new(source, "fuzz");
    let mut items = Vec::new();
    let mut last = 0;
    while items.len() < MOST_ITEMS {
        match reader.next_item() {
            Ok(Some(Item::Frame(frame))) => {
                assert_eq!(frame.stamp.number, last + 1, "frames are numbered in turn");
                assert!(frame.bytes.len() as u64 <= u64::from(frame.stamp.length));
                last = frame.stamp.number;
                items.push([
                    frame.stamp.number,
                    u64::from(frame.stamp.length),
                    u64::from(frame.link_type.0),
                    frame.stamp.time.map_or(0, |time| time.nanos() as u64),
                    frame.bytes.len() as u64,
                    sum(frame.bytes),
                ]);
            }
            Ok(Some(Item::Secrets(secrets))) => {
                items.push([0, 0, 0, 0, u64::from(secrets.kind), sum(secrets.bytes)]);
            }
            Ok(Some(Item::Comment(comment))) => {
                let _ = comment.text();
                items.push([0, 0, 0, 0, 1, sum(comment.bytes)]);
            }
            Ok(Some(_)) => panic!("an item of a kind that is not compared here yet"),
            Ok(None) => return (items, None),
            Err(error) => return (items, Some(error.to_string())),
        }
    }
    (items, None)
}

fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    bytes.iter().fold(bytes.len() as u64, step)
}

fuzz_target!(|data: &[u8]| {
    let Some((portion, capture)) = data.split_first() else {
        return;
    };
    let whole = items(capture);
    let portions = items(Portions(capture, usize::from(*portion) + 1));
    assert_eq!(whole, portions);
});
