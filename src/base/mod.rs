//! Words that every layer shares: instants, frames' stamps, endpoints, fields, safe text.
//!
//! Imports nothing of the crate.

pub mod endpoint;
pub mod few;
pub mod field;
pub mod layer_fields;
pub mod layers;
pub mod limits;
mod plain;
pub mod scan;
pub mod stamp;
pub mod text;
pub mod time;

pub use endpoint::Endpoint;
pub use few::Few;
pub use layers::{Layer, Layers};
pub use plain::{plain_text, plain_text_without, wanted_soon};
pub use stamp::FrameStamp;
pub use time::{Precision, Span, Timestamp};
