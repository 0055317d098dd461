//! Views: each hears events and writes to the writer it was given.
//!
//! A view keeps its own small rows, never events, and knows nothing of files, frames or TCP.
//! Views compose: [`Tee`] and [`Filtered`] are views too.

pub mod flow;

use std::io;

use crate::base::FrameStamp;
use crate::event::{Event, LimitReached, Needs, Totals};

mod accounting;
pub mod check;
pub mod clock;
pub mod colour;
pub mod detail;
pub mod filter;
pub mod info;
pub mod json;
mod line;
pub mod log;
pub mod notes;
pub mod out;
mod routes;
pub mod stats;
pub mod table;
mod words;

pub use accounting::accounting;
pub use clock::{Clock, TimeFormat};
pub use filter::{Filtered, Selection};
pub use out::Out;

/// Whoever shows a run.
pub trait View {
    /// Returns what the view needs beyond packets, gaps and connections: asked once, before
    /// the run. The default needs nothing more.
    fn needs(&self) -> Needs {
        Needs::default()
    }
    /// Receives the stamp of a frame, whatever it carries: of the first frame of the run that
    /// has a time, and of every frame where [`Needs::frames`] asks for it.
    fn frame(&mut self, _stamp: &FrameStamp) {}
    /// Hears one event. An error ends the run; a closed pipe is one.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;
    /// The input has nothing more just now (a pipe, a live capture): show what is held back
    /// only for speed.
    fn idle(&mut self) -> io::Result<()> {
        Ok(())
    }
    /// Caps of its own that were reached so far, so that the totals can tell of them.
    fn caps(&self) -> Vec<LimitReached> {
        Vec::new()
    }
    /// The run is over: write what was held back, and flush.
    fn finish(&mut self, totals: &Totals) -> io::Result<()>;
}

impl<V: View + ?Sized> View for Box<V> {
    fn frame(&mut self, stamp: &FrameStamp) {
        (**self).frame(stamp);
    }
    fn needs(&self) -> Needs {
        (**self).needs()
    }
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        (**self).event(event)
    }
    fn idle(&mut self) -> io::Result<()> {
        (**self).idle()
    }
    fn caps(&self) -> Vec<LimitReached> {
        (**self).caps()
    }
    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        (**self).finish(totals)
    }
}

/// Both views hear everything, the first one first.
pub struct Tee<A, B>(pub A, pub B);

impl<A: View, B: View> View for Tee<A, B> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.0.frame(stamp);
        self.1.frame(stamp);
    }
    fn needs(&self) -> Needs {
        self.0.needs().and(self.1.needs())
    }
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.0.event(event)?;
        self.1.event(event)
    }
    fn idle(&mut self) -> io::Result<()> {
        self.0.idle()?;
        self.1.idle()
    }
    fn caps(&self) -> Vec<LimitReached> {
        [self.0.caps(), self.1.caps()].concat()
    }
    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        self.0.finish(totals)?;
        self.1.finish(totals)
    }
}

/// How text views look, decided once by the command line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Style {
    pub time: TimeFormat,
    /// SGR colours: everything is legible without them.
    pub colour: bool,
    /// In columns of the terminal; `None` lets a row be as long as it must.
    pub width: Option<usize>,
    /// Passwords and other secrets in clear, not only their length.
    pub secrets: bool,
    /// The octets of each control packet after it.
    pub hex: bool,
}

#[cfg(test)]
pub(crate) mod samples;
