//! Asking for packets by their fields. So far the registry of the fields there are, which
//! `mqtt-inspect help fields` lists.

pub mod registry;
