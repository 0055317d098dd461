//! The frame header (RFC 6455 §5.2).
//!
//! ```text
//! F R R R opcode | M length | 0, 2 or 8 octets more of length | 0 or 4 octets of masking key
//! ```

/// The longest frame header, in octets.
pub(super) const HEADER_CAP: usize = 14;

/// What a frame carries (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    /// Close, ping or pong.
    Control,
}

/// One frame header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct FrameHeader {
    /// The last frame of its message.
    pub(super) fin: bool,
    /// RSV1: the message is compressed (RFC 7692 §6).
    pub(super) compressed: bool,
    pub(super) opcode: Opcode,
    /// The masking key, as every frame of a client has one.
    pub(super) mask: Option<[u8; 4]>,
    /// Octets of the payload.
    pub(super) length: u64,
    /// Octets of the header itself.
    pub(super) size: usize,
}

/// What lies at the front of some octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Header {
    Whole(FrameHeader),
    /// It goes on.
    Partial,
    /// No frame begins like this.
    Broken,
}

/// Reads the frame header at the front of `octets`.
pub(super) fn header(octets: &[u8]) -> Header {
    let &[first, second, ref rest @ ..] = octets else {
        return Header::Partial;
    };
    let opcode = match first & 15 {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8..=10 => Opcode::Control,
        _ => return Header::Broken,
    };
    let (fin, compressed) = (first & 0x80 != 0, first & 0x40 != 0);
    let control = opcode == Opcode::Control;
    let short = second & 0x7f;
    // RSV2 and RSV3 belong to no extension that is known. RSV1 is the first frame's alone (RFC
    // 7692 §6). Control frames are short and whole (RFC 6455 §5.5).
    let starts = matches!(opcode, Opcode::Text | Opcode::Binary);
    if first & 0x30 != 0 || compressed && !starts || control && (!fin || short > 125) {
        return Header::Broken;
    }
    let extra = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((long, rest)) = rest.split_at_checked(extra) else {
        return Header::Partial;
    };
    let long = long
        .iter()
        .fold(0, |length: u64, octet| length << 8 | u64::from(*octet));
    let length = if extra == 0 { u64::from(short) } else { long };
    if length >> 63 != 0 {
        return Header::Broken;
    }
    let masked = second & 0x80 != 0;
    let mask = rest.first_chunk::<4>().copied();
    if masked && mask.is_none() {
        return Header::Partial;
    }
    Header::Whole(FrameHeader {
        fin,
        compressed,
        opcode,
        mask: mask.filter(|_| masked),
        length,
        size: 2 + extra + if masked { 4 } else { 0 },
    })
}

/// Whether `octets` are whole frames one behind the other, as those of a segment are whose
/// sender hands over whole frames: the evidence by which frames are found again behind a gap.
/// `masked` is what they must be, where that is known.
pub(super) fn is_chain(octets: &[u8], masked: Option<bool>) -> bool {
    let mut rest = octets;
    let mut masked = masked;
    while !rest.is_empty() {
        let Header::Whole(header) = header(rest) else {
            return false;
        };
        let is_masked = header.mask.is_some();
        if *masked.get_or_insert(is_masked) != is_masked {
            return false;
        }
        let Some(behind) = usize::try_from(header.length)
            .ok()
            .and_then(|length| rest.get(header.size..)?.get(length..))
        else {
            return false;
        };
        rest = behind;
    }
    !octets.is_empty()
}

/// Writes `octets` into `out` with the masking key taken off (RFC 6455 §5.3); the first of them
/// is the `at`th octet of its frame's payload.
pub(super) fn unmask(octets: &[u8], key: [u8; 4], at: u64, out: &mut Vec<u8>) {
    let mut turned = key;
    turned.rotate_left((at % 4) as usize);
    let word = u64::from(u32::from_ne_bytes(turned));
    let word = word << 32 | word;
    out.clear();
    out.reserve(octets.len());
    let (words, rest) = octets.as_chunks::<8>();
    for octets in words {
        let plain = u64::from_ne_bytes(*octets) ^ word;
        out.extend_from_slice(&plain.to_ne_bytes());
    }
    let keys = turned.iter().cycle();
    out.extend(rest.iter().zip(keys).map(|(octet, key)| octet ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8]) -> FrameHeader {
        for cut in 0..octets.len() {
            assert_eq!(header(&octets[..cut]), Header::Partial, "{cut}");
        }
        match header(octets) {
            Header::Whole(header) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_of_every_length_are_read_and_every_cut_is_partial() {
        // RFC 6455 §5.7: a masked text of five octets; binary frames of 256 octets and 64 KiB.
        let masked = read(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(masked.mask, Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(
            (masked.opcode, masked.length, masked.size),
            (Opcode::Text, 5, 6)
        );
        let short = read(&[0x82, 0x7e, 1, 0]);
        assert_eq!((short.mask, short.length, short.size), (None, 256, 4));
        let long = read(&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!((long.length, long.size), (65_536, 10));
        let longest = [0x02, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4];
        assert_eq!(
            (read(&longest).size, read(&longest).fin),
            (HEADER_CAP, false)
        );
        assert!(read(&[0xc2, 0]).compressed);
    }

    #[test]
    fn what_rfc_6455_forbids_is_no_frame() {
        let wrong: [&[u8]; 6] = [
            &[0x83, 0],                              // a reserved opcode
            &[0xa2, 0],                              // RSV2
            &[0xc0, 0],                              // RSV1 on a continuation
            &[0x09, 0],                              // a ping in pieces
            &[0x88, 126, 0, 126],                    // a long close
            &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], // a length of 64 bits
        ];
        for octets in wrong {
            assert_eq!(header(octets), Header::Broken, "{octets:x?}");
        }
    }

    #[test]
    fn unmasking_does_not_depend_on_where_a_payload_is_cut() {
        // The example of RFC 6455 §5.7.
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut out = Vec::new();
        unmask(&[0x7f, 0x9f, 0x4d, 0x51, 0x58], key, 0, &mut out);
        assert_eq!(out, b"Hello");
        let octets: Vec<u8> = (0..100).collect();
        let plain: Vec<u8> = octets
            .iter()
            .enumerate()
            .map(|(at, o)| o ^ key[at % 4])
            .collect();
        for cut in 0..=100 {
            let (before, behind) = octets.split_at(cut);
            unmask(before, key, 0, &mut out);
            let mut both = out.clone();
            unmask(behind, key, cut as u64, &mut out);
            both.extend_from_slice(&out);
            assert_eq!(both, plain, "{cut}");
        }
    }

    #[test]
    fn a_chain_is_whole_frames_of_one_kind() {
        let ping = [0x89, 0x00];
        let data = [0x82, 0x02, 0xd0, 0x00];
        let masked = [0x82, 0x82, 0, 0, 0, 0, 0xc0, 0x00];
        assert!(is_chain(&[&ping[..], &data].concat(), Some(false)));
        assert!(is_chain(&masked, None));
        assert!(!is_chain(&masked, Some(false)));
        assert!(!is_chain(&[&data[..], &masked].concat(), None));
        assert!(!is_chain(&data[..3], None));
        assert!(!is_chain(&[], None));
    }
}
