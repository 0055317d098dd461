//! Capture files in, frames out: pcap and pcapng, plain or compressed, from files and pipes.

use crate::base::FrameStamp;

/// A link-layer type of the tcpdump registry (`LINKTYPE_ETHERNET` is 1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LinkType(pub u16);

/// One frame as the capture holds it; borrowed for the call that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub stamp: FrameStamp,
    pub link_type: LinkType,
    /// What was captured: at most `stamp.length` octets.
    pub octets: &'a [u8],
}
