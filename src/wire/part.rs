//! The rest of a frame once the headers before it are taken off, and the header it begins with.

use etherparse::IpNumber;

use super::skipped::Skipped;

/// The next header and what begins with it, once one header is read.
pub(super) type Step<'a> = Result<(Next, Part<'a>), Skipped>;

/// The bytes of a frame from some header on: those that were captured, and how many more
/// there were on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes on the wire after `bytes` that the snapshot length cut.
    pub(super) cut: usize,
}

impl<'a> Part<'a> {
    /// How many bytes there were on the wire.
    #[inline]
    pub(super) fn length(self) -> usize {
        self.bytes.len().saturating_add(self.cut)
    }

    /// Returns the rest behind a header of `length` bytes.
    ///
    /// # Errors
    /// The header was not captured whole.
    #[inline]
    pub(super) fn behind(self, length: usize) -> Result<Self, Skipped> {
        let bytes = self.bytes.get(length..).ok_or(Skipped::CutShort)?;
        Ok(Self { bytes, ..self })
    }

    /// Splits off the first `N` bytes.
    ///
    /// # Errors
    /// They were not captured.
    #[inline]
    pub(super) fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Skipped> {
        let (header, bytes) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(Skipped::CutShort)?;
        Ok((header, Self { bytes, ..self }))
    }

    /// As much as a header's length field announces: what lies behind is padding or a checksum of
    /// the link layer, and what is missing was cut. The field is believed over the length
    /// that the capture states, since tools that shorten captures often lose the latter.
    #[inline]
    pub(super) fn within(self, length: usize) -> Self {
        let bytes = self.bytes.get(..length).unwrap_or(self.bytes);
        let cut = length - bytes.len();
        Self { bytes, cut }
    }
}

/// The header that a [`Part`] begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// Destination address, source address, EtherType or length.
    Ethernet,
    /// Whatever this EtherType announces; up to 1500 it is the
    /// length of an 802.2 LLC frame.
    EtherType(u16),
    /// The protocol field of PPP, without the bytes `ff 03` before it or with them.
    Ppp,
    /// IPv4 or IPv6, by the first four bits.
    Ip,
    /// The protocol of this number in IPv4's protocol and IPv6's next-header field.
    Protocol(IpNumber),
    /// A piece of the payload of an IP datagram.
    Fragment(FragmentHeader),
}

/// The fields of a fragment in IPv4's header and in IPv6's fragment header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FragmentHeader {
    /// 16 bits in IPv4.
    pub(super) identification: u32,
    /// Where the fragment's first byte belongs in the datagram's payload, in bytes.
    pub(super) offset: u16,
    /// Another fragment lies behind this one.
    pub(super) more: bool,
    /// The protocol of the payload's first header.
    pub(super) protocol: IpNumber,
}

impl FragmentHeader {
    /// Returns what follows the header. A datagram in one fragment is whole, whatever else has
    /// its identification (RFC 6946 §4).
    pub(super) fn next(self) -> Next {
        if self.more || self.offset > 0 {
            Next::Fragment(self)
        } else {
            Next::Protocol(self.protocol)
        }
    }
}
