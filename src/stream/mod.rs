//! TCP reassembly: segments in, each connection's bytes out, in order, once (RFC 9293).
//!
//! Bytes that never come are a gap, emitted with its length; nothing is lost in silence.
//!
//! ```text
//! direction, sample, waiting <- event, limits <- emitter, key <- flow <- holes, trouble, window
//!     <- slot <- slots <- assembler
//! ```
//!
//! The fast path is [`Assembler::push`] with `key`, `sample` and `slots`: an ordinary segment
//! costs one look-up and no allocation. All else is plain: `flow` keeps the numbers of one
//! direction, `holes` decides when missing bytes are given up, `waiting` holds the bytes that
//! came before their turn, `window` the segments that stand before what they acknowledge. Memory is bounded by the limits on connections and on waiting bytes,
//! not by the capture.

mod assembler;
mod direction;
mod emitter;
mod event;
mod flow;
mod holes;
mod key;
mod limits;
mod sample;
mod slot;
mod slots;
#[cfg(test)]
mod tests;
mod trouble;
mod waiting;
mod window;

pub use assembler::Assembler;
pub use direction::{ByDirection, DIRECTIONS, Direction};
pub use event::{Closed, Connection, ConnectionId, End, GapCause, Stall, StreamEvent};
pub use limits::Counts;
