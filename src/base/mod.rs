//! The terms that every layer shares: instants, frames' stamps, endpoints, fields, limits, safe
//! text.
//!
//! Imports nothing of the crate. Layers: `endpoint`, `field`, `limits`, `scan`, `time` <-
//! `layer_fields`, `plain`, `stamp`, `text` <- `layers`.

pub mod endpoint;
pub mod field;
pub mod layer_fields;
pub mod layers;
pub mod limits;
mod plain;
pub mod scan;
pub mod stamp;
pub mod text;
pub mod time;

pub use endpoint::{Endpoint, EndpointPattern};
pub use layers::{Layer, Layers};
pub use plain::{plain_text, plain_text_without};
pub use stamp::FrameStamp;
pub use time::{Precision, Span, Timestamp};
