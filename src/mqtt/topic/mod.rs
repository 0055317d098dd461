//! Topic names and topic filters (MQTT 5.0 §4.7, §4.8): which are valid, which match, and a
//! tree of many filters that one topic name is looked up in.
//!
//! Layers: `filter` <- `tree`.

mod filter;
mod tree;

pub use filter::{
    SHARE_PREFIX, Shared, filter_broken, filter_broken_before_five, is_filter, is_name, matches,
    matching_part, overlap,
};
pub use tree::{FilterTree, Matching, PausedMatching};

pub(in crate::mqtt) use filter::is_wildcard;
