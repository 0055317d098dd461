//! The rules between packets: they read the state and report findings; they never change it.
//!
//! | file | holds |
//! |---|---|
//! | `clauses` | the table of rules: level, statements, meaning |
//! | `claim` | the kinds of findings: arguments, who caused them, sentences |
//! | `report` | counting, waiting for certainty, emitting |
//! | `packet`, `connect`, `request`, `exchange` | checks of a packet where it stands |
//! | `delivery`, `will`, `end`, `transport` | judgements of what became of something |
//!
//! Layers: `clauses <- claim <- report <- packet <- all others`, which know nothing of each other.

pub(crate) mod claim;
pub mod clauses;
pub(crate) mod connect;
pub(crate) mod delivery;
pub(crate) mod end;
pub(crate) mod exchange;
pub(crate) mod packet;
pub(crate) mod report;
pub(crate) mod request;
pub(crate) mod transport;
pub(crate) mod will;
