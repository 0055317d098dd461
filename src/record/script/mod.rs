//! Scripts: clients with names, and the steps that they take one after the other.
//!
//! How one is written is described in `src/record/script/manual.md`, for users. The clients
//! take turns with the broker in one thread: see [`Player`].
//!
//! ```text
//! time <- model; model, properties <- parse
//! model <- actor <- play <- turns
//! ```

mod actor;
mod model;
mod parse;
mod play;
mod properties;
mod time;
mod turns;

pub use model::{CLIENTS, STEPS, Script};
pub use parse::ScriptError;
pub use play::{PlayError, Player};
pub use time::parse_duration;
