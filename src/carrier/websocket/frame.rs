//! The frame header (RFC 6455 §5.2).
//!
//! ```text
//!  bit  7 6 5 4 3 2 1 0   7 6 5 4 3 2 1 0
//!      |F|R|R|R| opcode  |M| length 0..=125, 126: 2 bytes follow, 127: 8 bytes follow
//!      | 0, 2 or 8 bytes of length | masking key, 4 bytes if M | payload: length bytes
//!
//!  F: last frame of its message; R: RSV1 (compressed) to RSV3; M: masked, as a client's are
//! ```

/// The longest frame header, in bytes.
pub(super) const HEADER_CAP: usize = 14;

/// The content of a frame (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opcode {
    /// A further frame of a message.
    Continuation,
    /// The first frame of text, which MQTT forbids ([MQTT-6.0.0-1]).
    Text,
    /// The first frame of binary data, as MQTT is sent.
    Binary,
    /// Close: its payload begins with a code.
    Close,
    /// Ping or pong.
    Control,
}

impl Opcode {
    /// Whether such a frame carries no data.
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Control)
    }
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
    /// Bytes of the payload.
    pub(super) length: u64,
    /// Bytes of the header itself.
    pub(super) size: usize,
}

/// The frame header at the front of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Header {
    /// All of it is there.
    Whole(FrameHeader),
    /// It goes on.
    Partial,
    /// No frame begins like this.
    Broken,
}

/// Reads the frame header at the front of `bytes`.
pub(super) fn header(bytes: &[u8]) -> Header {
    let &[first, second, ref rest @ ..] = bytes else {
        return Header::Partial;
    };
    let opcode = match first & 15 {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9..=10 => Opcode::Control,
        _ => return Header::Broken,
    };
    let (fin, compressed) = (first & 0x80 != 0, first & 0x40 != 0);
    let control = opcode.is_control();
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
        .fold(0, |length: u64, byte| length << 8 | u64::from(*byte));
    let length = if extra == 0 { u64::from(short) } else { long };
    // The most significant bit must be 0 (RFC 6455 §5.2).
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

/// The looks of frames that are sought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    /// Masked or not, where that is known.
    pub(super) masked: Option<bool>,
    /// They may be compressed.
    pub(super) compressed: bool,
}

/// The longest frame that is believed of which only the first part is there, in bytes.
const OPEN_CAP: u64 = 1 << 20;

/// Frames in a row that are believed whatever follows them.
const ROW: usize = 4;

/// Where in a segment frames begin again behind a gap, if the evidence suffices: at its start,
/// where a sender hands over whole frames, less of it does than amid the segment.
pub(super) fn seek(bytes: &[u8], sought: Sought) -> Option<usize> {
    (0..bytes.len()).find(|at| {
        let (whole, open) = row(bytes.get(*at..).unwrap_or_default(), sought);
        if *at == 0 {
            whole > 0 || open == Some(true)
        } else {
            whole >= ROW || whole >= 2 && open.is_some()
        }
    })
}

/// Whether `bytes` are frames, and end with one.
pub(super) fn is_whole(bytes: &[u8], sought: Sought) -> bool {
    let mut masked = sought.masked;
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((header, Some(behind))) = next(rest, Sought { masked, ..sought }) else {
            return false;
        };
        masked = Some(header.mask.is_some());
        rest = behind;
    }
    !bytes.is_empty()
}

/// How many whole frames lie at the front of `bytes`, up to [`ROW`], none where something else
/// follows them; and whether another one follows that goes on: `Some(true)` for one that may
/// stand alone, `None` where nothing does but the end.
fn row(bytes: &[u8], sought: Sought) -> (usize, Option<bool>) {
    let mut rest = bytes;
    for whole in 0..ROW {
        if rest.is_empty() {
            return (whole, Some(false));
        }
        match next(rest, sought) {
            Some((_, Some(behind))) => rest = behind,
            Some((header, None)) => {
                let alone = header.opcode == Opcode::Binary && header.length > 125;
                return (whole, Some(alone));
            }
            None if header(rest) == Header::Partial => return (whole, Some(false)),
            None => return (0, None),
        }
    }
    (ROW, None)
}

/// The frame at the front of `bytes`, if it is one as Clients and Servers of MQTT send them, and
/// what follows it, if it is whole.
fn next(bytes: &[u8], sought: Sought) -> Option<(FrameHeader, Option<&[u8]>)> {
    let Header::Whole(header) = header(bytes) else {
        return None;
    };
    let data = header.opcode == Opcode::Binary && header.fin && header.length > 0;
    let masked = sought
        .masked
        .is_none_or(|masked| masked == header.mask.is_some());
    let fits = masked && (sought.compressed || !header.compressed);
    if !fits || !data && !header.opcode.is_control() || header.length > OPEN_CAP {
        return None;
    }
    let length = usize::try_from(header.length).ok()?;
    let behind = bytes.get(header.size..).and_then(|rest| rest.get(length..));
    Some((header, behind))
}

/// Writes `bytes` into `out` with the masking key taken off (RFC 6455 §5.3); the first of them
/// is the `at`th byte of its frame's payload.
pub(super) fn unmask(bytes: &[u8], key: [u8; 4], at: u64, out: &mut Vec<u8>) {
    let mut turned = key;
    turned.rotate_left((at % 4) as usize);
    let word = u64::from(u32::from_ne_bytes(turned));
    let word = word << 32 | word;
    out.clear();
    out.reserve(bytes.len());
    let (words, rest) = bytes.as_chunks::<8>();
    for bytes in words {
        let plain = u64::from_ne_bytes(*bytes) ^ word;
        out.extend_from_slice(&plain.to_ne_bytes());
    }
    let keys = turned.iter().cycle();
    out.extend(rest.iter().zip(keys).map(|(byte, key)| byte ^ key));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> FrameHeader {
        for cut in 0..bytes.len() {
            assert_eq!(header(&bytes[..cut]), Header::Partial, "{cut}");
        }
        match header(bytes) {
            Header::Whole(header) => header,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn headers_of_every_length_are_read_and_every_cut_is_partial() {
        // RFC 6455 §5.7: a masked text of five bytes; binary frames of 256 bytes and 64 KiB.
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
        for bytes in wrong {
            assert_eq!(header(bytes), Header::Broken, "{bytes:x?}");
        }
    }

    #[test]
    fn unmasking_does_not_depend_on_where_a_payload_is_cut() {
        // The example of RFC 6455 §5.7.
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut out = Vec::new();
        unmask(&[0x7f, 0x9f, 0x4d, 0x51, 0x58], key, 0, &mut out);
        assert_eq!(out, b"Hello");
        let bytes: Vec<u8> = (0..100).collect();
        let plain: Vec<u8> = bytes
            .iter()
            .enumerate()
            .map(|(at, o)| o ^ key[at % 4])
            .collect();
        for cut in 0..=100 {
            let (before, behind) = bytes.split_at(cut);
            unmask(before, key, 0, &mut out);
            let mut both = out.clone();
            unmask(behind, key, cut as u64, &mut out);
            both.extend_from_slice(&out);
            assert_eq!(both, plain, "{cut}");
        }
    }

    #[test]
    fn frames_are_found_at_a_begin_or_in_a_row() {
        let sought = |masked| Sought {
            masked,
            compressed: false,
        };
        let ping = [0x89, 0x00];
        let data = [0x82, 0x02, 0xd0, 0x00];
        let masked = [0x82, 0x82, 0, 0, 0, 0, 0xc0, 0x00];
        assert!(is_whole(&[&ping[..], &data].concat(), sought(Some(false))));
        assert!(is_whole(&masked, sought(None)));
        assert!(!is_whole(&masked, sought(Some(false))));
        assert!(!is_whole(&[&data[..], &masked].concat(), sought(None)));
        assert!(!is_whole(&data[..3], sought(None)));
        assert!(!is_whole(&[], sought(None)));

        let down = sought(Some(false));
        assert_eq!(seek(&data, down), Some(0));
        assert_eq!(seek(&[&data[..], &data[..3]].concat(), down), Some(0));
        assert_eq!(seek(&[0x82, 126, 1, 0, 0x30], down), Some(0));
        assert_eq!(seek(&[0x82, 20, 0x30], down), None);
        assert_eq!(
            seek(&[&b"end"[..], &data, &ping, &data[..1]].concat(), down),
            Some(3)
        );
        assert_eq!(seek(&[&b"end"[..], &data].concat(), down), None);
        assert_eq!(seek(&[0; 100], down), None);
        assert_eq!(seek(&[0xc2, 2, 0, 0], down), None);
    }
}
