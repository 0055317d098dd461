//! Views: each hears events and writes to the writer it was given.
//!
//! A view keeps its own small rows, never events, and knows nothing of files, frames or TCP.

pub mod flow;

use std::io;

use crate::event::Event;

/// Whoever shows a run.
pub trait View {
    /// Hears one event. An error ends the run; a closed pipe is one.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;
    /// The run is over: write what was held back, and flush.
    fn finish(&mut self, totals: &crate::event::Totals) -> io::Result<()>;
}
