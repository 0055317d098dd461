//! Why a frame gave no TCP segment.

use std::fmt;

use super::link_type;

/// The one reason for which a frame gave no segment. None of them is an error: captures
/// hold other traffic, and are cut.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Skipped {
    /// A link type that is not read here.
    LinkType(u16),
    /// BSD NULL or LOOP with an address family that is not IP.
    AddressFamily(u32),
    /// An EtherType that does not lead to IP.
    EtherType(u16),
    /// A protocol of PPP that does not lead to IP (link control, for instance).
    PppProtocol(u16),
    /// An 802.2 LLC frame without IP, such as spanning tree.
    Llc,
    /// Neither IP nor Ethernet lies below an MPLS label stack.
    MplsPayload,
    /// A header of the link layer that contradicts its own format.
    MalformedLink,
    /// ARP.
    Arp,
    /// The link layer announced IP, and the version is neither 4 nor 6.
    NotIp,
    /// An IP header, extension header or fragment that contradicts its own format.
    MalformedIp,
    /// ICMP and ICMPv6.
    Icmp,
    /// UDP that carries no tunnel known here.
    Udp,
    /// Any other protocol in IP, by its number.
    IpProtocol(u8),
    /// A GRE header of a version or with a routing field that is not read here.
    Gre,
    /// A TCP header that contradicts its own format.
    MalformedTcp,
    /// The captured bytes end before the ports, numbers and flags of TCP.
    CutShort,
    /// A fragment that waits for the others of its datagram.
    FragmentWaiting,
    /// A fragment that brought nothing new.
    FragmentRepeated,
    /// A fragment that there was no room for.
    FragmentCap,
    /// More headers inside each other than [`MAX_HEADERS`](super::MAX_HEADERS), or fragments
    /// inside fragments inside fragments.
    TooDeep,
}

impl Skipped {
    /// The reason as a stable key, for JSON.
    pub const fn key(self) -> &'static str {
        self.row().0
    }

    /// The reason in words, to stand behind a number of frames; [`Skipped::number`] belongs
    /// behind it.
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    /// Key and words.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::LinkType(_) => ("link-type", "unsupported link type"),
            Self::AddressFamily(_) => ("address-family", "address family other than IP"),
            Self::EtherType(_) => ("ethertype", "other EtherType"),
            Self::PppProtocol(_) => ("ppp-protocol", "other PPP protocol"),
            Self::Llc => ("llc", "802.2 LLC without IP"),
            Self::MplsPayload => ("mpls-payload", "MPLS without IP or Ethernet"),
            Self::MalformedLink => ("malformed-link", "malformed link-layer header"),
            Self::Arp => ("arp", "ARP"),
            Self::NotIp => ("not-ip", "neither IPv4 nor IPv6"),
            Self::MalformedIp => ("malformed-ip", "malformed IP header"),
            Self::Icmp => ("icmp", "ICMP"),
            Self::Udp => ("udp", "UDP"),
            Self::IpProtocol(_) => ("ip-protocol", "other IP protocol"),
            Self::Gre => ("gre", "unsupported GRE header"),
            Self::MalformedTcp => ("malformed-tcp", "malformed TCP header"),
            Self::CutShort => ("cut-short", "cut short before the end of the TCP header"),
            Self::FragmentWaiting => (
                "fragment-waiting",
                "fragment waiting for the rest of its datagram",
            ),
            Self::FragmentRepeated => ("fragment-repeated", "fragment seen before"),
            Self::FragmentCap => ("fragment-cap", "fragment beyond the cap on fragments"),
            Self::TooDeep => ("too-deep", "too many headers inside each other"),
        }
    }

    /// The number that goes with the reason: link type, EtherType, protocol.
    pub const fn number(self) -> Option<u32> {
        match self {
            Self::LinkType(number) | Self::EtherType(number) | Self::PppProtocol(number) => {
                Some(number as u32)
            }
            Self::AddressFamily(number) => Some(number),
            Self::IpProtocol(number) => Some(number as u32),
            _ => None,
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match (*self, self.number()) {
            (Self::EtherType(number) | Self::PppProtocol(number), _) => {
                write!(f, " 0x{number:04x}")
            }
            (_, Some(number)) => write!(f, " {number}"),
            (_, None) => Ok(()),
        }?;
        match *self {
            Self::LinkType(number) if let Some(name) = link_type::name(number) => {
                write!(f, " ({name})")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_reported_with_its_number_and_the_name_of_the_link_type() {
        assert_eq!(
            Skipped::LinkType(105).to_string(),
            "unsupported link type 105 (IEEE 802.11)"
        );
        assert_eq!(
            Skipped::LinkType(65000).to_string(),
            "unsupported link type 65000"
        );
        assert_eq!(
            Skipped::EtherType(0x88cc).to_string(),
            "other EtherType 0x88cc"
        );
        assert_eq!(Skipped::Arp.to_string(), "ARP");
    }
}
