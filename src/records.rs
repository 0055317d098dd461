//! Owned records of captures, one after the other: the library's simplest face.
//!
//! The pipeline pushes borrowed events into views, which costs no copy. [`Records`] is a view
//! that keeps a copy of each event, and an iterator that reads on when it has none.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::vec;

use crate::capture::{CaptureError, Reader, Source};
use crate::event::{Event, Needs, OwnedEvent, Totals};
use crate::inspect::{Options, Pipeline, names, open};
use crate::view::View;

/// An iterator over the events of captures, in the order in which they become known.
///
/// Memory is bounded by the limits of [`Options`], and by the events of one buffer of frames;
/// at the end by those that were waiting for it.
///
/// ```
/// use mqtt_inspect::{OwnedEvent, Records};
///
/// let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures/qos2.pcap");
/// let mut packets = 0;
/// for record in Records::open([capture], &Default::default()) {
///     if let OwnedEvent::Packet(packet) = record? {
///         packets += 1;
///         assert!(packet.decode().is_ok());
///     }
/// }
/// assert!(packets > 0);
/// # Ok::<(), mqtt_inspect::capture::CaptureError>(())
/// ```
pub struct Records<'s> {
    /// `None` once everything was read.
    reading: Option<(Box<dyn Source + 's>, Pipeline<'static>)>,
    queue: Rc<RefCell<VecDeque<OwnedEvent>>>,
    /// Captures that could not be opened: reported first.
    unopened: vec::IntoIter<CaptureError>,
    names: Vec<String>,
    totals: Option<Totals>,
}

/// The view that keeps a copy of each event.
struct Copies(Rc<RefCell<VecDeque<OwnedEvent>>>);

impl View for Copies {
    fn needs(&self) -> Needs {
        Needs {
            frames: false,
            layers: false,
            ..Needs::ALL
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.0.borrow_mut().push_back(event.into());
        Ok(())
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        Ok(())
    }
}

impl<'s> Records<'s> {
    /// Opens captures by their names, to be read one after the other, or merged by time where the
    /// options ask for it; `-` is standard input.
    /// A capture that cannot be opened is an error of the iteration.
    pub fn open(
        captures: impl IntoIterator<Item = impl Into<OsString>>,
        options: &Options,
    ) -> Self {
        let captures: Vec<OsString> = captures.into_iter().map(Into::into).collect();
        let (source, unopened) = open(&captures, options, &|| {});
        Self::of(source, unopened, names(&captures), options)
    }

    /// Reads one capture from `bytes`; errors call it `name`.
    pub fn read(bytes: impl io::Read + 's, name: &str, options: &Options) -> Self {
        let source = Box::new(Reader::new(bytes, name));
        Self::of(source, Vec::new(), vec![name.to_owned()], options)
    }

    fn of(
        source: Box<dyn Source + 's>,
        unopened: Vec<CaptureError>,
        names: Vec<String>,
        options: &Options,
    ) -> Self {
        let queue = Rc::default();
        let pipeline = Pipeline::new(options, Box::new(Copies(Rc::clone(&queue))));
        Self {
            reading: Some((source, pipeline)),
            queue,
            unopened: unopened.into_iter(),
            names,
            totals: None,
        }
    }

    /// Returns what the whole run read and where every frame and byte went; `None` before the
    /// iteration has ended.
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref()
    }

    /// Reads the next frames; breaks at the end of the source.
    fn step(&mut self) -> Result<ControlFlow<()>, CaptureError> {
        let Some((source, pipeline)) = &mut self.reading else {
            return Ok(ControlFlow::Break(()));
        };
        let Some(item) = source.next_item()? else {
            return Ok(ControlFlow::Break(()));
        };
        if pipeline.item(item).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        Ok(source.frames_at_hand(&mut |frame| pipeline.frame(frame)))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<OwnedEvent, CaptureError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.unopened.next() {
            return Some(Err(error));
        }
        loop {
            if let Some(event) = self.queue.borrow_mut().pop_front() {
                return Some(Ok(event));
            }
            self.reading.as_ref()?;
            match self.step() {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => {
                    let (source, mut pipeline) = self.reading.take()?;
                    pipeline.precision(source.summary().precision);
                    self.totals = Some(pipeline.finish(std::mem::take(&mut self.names)));
                }
                // The source goes on with the next capture, if there is one.
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(name: &str) -> String {
        format!("{}/testdata/captures/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn records_are_the_events_that_a_view_receives_in_turn_and_merged() {
        struct Count(Vec<String>);
        impl View for Count {
            fn needs(&self) -> Needs {
                Copies(Rc::default()).needs()
            }
            fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
                self.0.push(format!("{:?}", OwnedEvent::from(event)));
                Ok(())
            }
            fn finish(&mut self, _: &Totals) -> io::Result<()> {
                Ok(())
            }
        }
        for merge in [false, true] {
            let options = Options {
                merge,
                ..Options::default()
            };
            let names = [capture("will.pcap"), capture("qos2.pcap")];
            let mut view = Count(Vec::new());
            let inputs = names.clone().map(OsString::from);
            let outcome = crate::inspect::run(&inputs, &options, &mut view, &mut |_| {});
            let mut records = Records::open(names, &options);
            let events: Vec<_> = records
                .by_ref()
                .map(|record| format!("{:?}", record.unwrap()))
                .collect();
            assert!(!events.is_empty());
            assert_eq!(events, view.0);
            let totals = records.totals().unwrap();
            assert_eq!(totals.packets, outcome.totals.packets);
            assert_eq!(totals.frames, outcome.totals.frames);
            assert_eq!(totals.last_time, outcome.totals.last_time);
        }
    }

    #[test]
    fn a_packet_that_was_copied_decodes_as_it_did() {
        for name in ["v5-properties.pcap", "malformed.pcap"] {
            for record in Records::open([capture(name)], &Options::default()) {
                if let OwnedEvent::Packet(packet) = record.unwrap() {
                    packet.with_event(|event| {
                        assert_eq!(event.packet.err(), packet.malformed);
                        assert_eq!(
                            format!("{:?}", OwnedPacket::from(event)),
                            format!("{packet:?}")
                        );
                    });
                }
            }
        }
    }

    #[test]
    fn a_capture_that_is_missing_is_an_error_and_the_others_are_read() {
        let names = [capture("missing.pcap"), capture("qos1.pcap")];
        let mut records = Records::open(names, &Options::default());
        assert!(records.next().unwrap().is_err());
        assert!(records.by_ref().all(|record| record.is_ok()));
        assert!(records.totals().unwrap().packets > 0);
    }

    #[test]
    fn a_capture_that_is_cut_gives_its_packets_and_then_an_error() {
        let whole = std::fs::read(capture("qos1.pcap")).unwrap();
        let cut = &whole[..whole.len() - 7];
        let mut records = Records::read(cut, "cut", &Options::default());
        let errors = records.by_ref().filter(|record| record.is_err()).count();
        assert_eq!(errors, 1);
        assert!(records.totals().unwrap().packets > 0);
        assert!(records.next().is_none());
    }

    use crate::event::OwnedPacket;
}
