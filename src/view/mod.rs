//! Views: each receives the events of a run and writes to the writer it was given.
//!
//! A view keeps its own small rows, never events, and knows nothing of files, frames or TCP. It
//! declares what it needs ([`View::needs`]). Views compose: [`Tee`] and [`Filtered`] are views
//! too.
//!
//! The files form layers, each importing only from those before it:
//!
//! | layer | files |
//! |---|---|
//! | text | `out` (the buffer, numbers), `colour`, `words` (events in words) |
//! | rows | `clock` (times), `info` (Info column), `line` (a row on the hot path), `routes` (endpoints) |
//! | shared | `style`, `observer` (the trait), `notes` (what stands between rows), `accounting` |
//! | views | `json` first: `stats` writes its records too; `table`, `detail`, `flow`, `check`, `log` |
//! | around a view | `filter` |
mod accounting;
pub mod check;
pub mod clock;
pub mod colour;
pub mod detail;
pub mod filter;
pub mod flow;
pub mod info;
pub mod json;
mod line;
pub mod log;
pub mod notes;
mod observer;
pub mod out;
mod routes;
pub mod stats;
mod style;
pub mod table;
mod words;

pub use accounting::accounting;
pub use clock::{Clock, TimeFormat};
pub use filter::{Filtered, Selection};
pub use observer::{Tee, View};
pub use out::Out;
pub use style::Style;

#[cfg(test)]
pub(crate) mod samples;
