//! What a frame comes down to once all its headers are taken off.

use super::Segment;
use super::ip::Addresses;
use super::tcp::Tcp;
use crate::base::{Endpoint, FrameStamp, Layer, Layers};

/// The innermost IP header's addresses, and TCP.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stripped<'a> {
    pub(super) addresses: Addresses<'a>,
    pub(super) tcp: Tcp<'a>,
}

impl<'a> Stripped<'a> {
    #[inline]
    fn source(&self) -> Endpoint {
        Endpoint {
            address: self.addresses.source(),
            port: self.tcp.source_port,
        }
    }

    #[inline]
    fn destination(&self) -> Endpoint {
        Endpoint {
            address: self.addresses.destination(),
            port: self.tcp.destination_port,
        }
    }

    pub(super) fn layer(&self) -> Layer {
        Layer::Tcp {
            source: self.source(),
            destination: self.destination(),
            sequence: self.tcp.sequence,
            acknowledgement: self.tcp.acknowledgement,
            flags: self.tcp.flags.0,
            length: (self.tcp.payload.len() as u32).saturating_add(self.tcp.cut),
        }
    }

    #[inline(always)]
    pub(super) fn into_segment(self, stamp: &'a FrameStamp, layers: &'a Layers) -> Segment<'a> {
        Segment {
            stamp,
            source: self.source(),
            destination: self.destination(),
            sequence: self.tcp.sequence,
            acknowledgement: self.tcp.acknowledgement,
            flags: self.tcp.flags,
            window: self.tcp.window,
            payload: self.tcp.payload,
            cut: self.tcp.cut,
            layers,
        }
    }
}
