//! Scripts: clients with names, and the steps that they take one after the other.
//!
//! How one is written is described in `src/record/script/manual.md`, for users. The clients
//! take turns with the broker in one thread: see [`Player`].
//!
//! ```text
//! value <- model <- parse
//!          model <- actor <- play <- turns
//! ```

mod actor;
mod model;
mod parse;
mod play;
mod turns;
mod value;

pub use model::{CLIENTS, STEPS, Script};
pub use parse::ScriptError;
pub use play::{GoOn, PlayError, Player};
