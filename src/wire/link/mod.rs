//! Link layers: what stands before IP, one file each.
//!
//! ```text
//! ethertype <- llc, vlan <- mpls, ppp, null, cooked, ethernet <- list
//! ```

mod cooked;
mod ethernet;
mod ethertype;
mod list;
mod llc;
mod mpls;
mod null;
mod ppp;
mod vlan;

pub(super) use ethertype::{IPV4, IPV6};
pub use list::LINK_TYPES;
pub(super) use list::{ETHERNET, enter, inner};
