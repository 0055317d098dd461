//! Recognises what a file that is not a capture is, for the error message.

use std::fmt;

/// The likeness of a file that is not a capture, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LooksLike {
    /// A known format, by the words that name it in a sentence ("a PNG image").
    Known(&'static str),
    /// A capture in a format that `editcap` converts, by its name.
    OtherCapture(&'static str),
    /// Compressed or packed in a way that is not read here: its name and advice.
    Packed(&'static str, &'static str),
    /// A TLS key log.
    KeyLog,
    /// Nothing known; its first bytes.
    Unknown([u8; 4]),
}

/// How many of the first bytes [`looks_like`] can use.
pub(super) const ENOUGH: usize = 512;

use LooksLike::{Known, OtherCapture, Packed};

/// Advice on what is packed.
const GUNZIP: &str = "unpack it with gunzip first";
const UNPACK: &str = "unpack it first";

/// Formats by the bytes that stand at an offset.
const FORMATS: &[(usize, &[u8], LooksLike)] = &[
    (0, b"\x89PNG", Known("a PNG image")),
    (0, b"\xff\xd8\xff", Known("a JPEG image")),
    (0, b"GIF8", Known("a GIF image")),
    (0, b"%PDF", Known("a PDF document")),
    (0, b"\x7fELF", Known("an ELF program")),
    (0, b"MZ", Known("a Windows program")),
    (0, b"SQLite format 3", Known("an SQLite database")),
    (0, b"\xd0\xcf\x11\xe0", Known("an old Office document")),
    (0, b"\xff\xfe", Known("UTF-16 text")),
    (0, b"\xfe\xff", Known("UTF-16 text")),
    (0, b"\x1f\x8b", Packed("gzip inside gzip", GUNZIP)),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        Packed("zstd inside another compression", UNPACK),
    ),
    (
        0,
        b"\x04\x22\x4d\x18",
        Packed("lz4 inside another compression", UNPACK),
    ),
    (0, b"BZh", Packed("bzip2", "unpack it with bunzip2 first")),
    (0, b"\xfd7zXZ\0", Packed("xz", "unpack it with unxz first")),
    (0, b"PK\x03\x04", Packed("a ZIP archive", UNPACK)),
    (0, b"7z\xbc\xaf", Packed("a 7-Zip archive", UNPACK)),
    (0, b"Rar!", Packed("a RAR archive", UNPACK)),
    (0, b"\x1f\x9d", Packed("compress (.Z)", UNPACK)),
    (257, b"ustar", Packed("a tar archive", UNPACK)),
    (0, b"snoop\0\0\0", OtherCapture("snoop")),
    (0, b"btsnoop\0", OtherCapture("btsnoop")),
    (0, b"GMBU", OtherCapture("Network Monitor 2")),
    (0, b"RTSS", OtherCapture("Network Monitor 1")),
    (0, b"TRSNIFF data", OtherCapture("Sniffer")),
    (0, b"XCP\0", OtherCapture("NetXRay")),
    (0, b"\x1c\x00\x01\xac", OtherCapture("Ixia")),
    (0, b"\xac\x01\x00\x1c", OtherCapture("Ixia")),
];

/// Recognises a file by its first bytes.
pub(super) fn looks_like(start: &[u8]) -> LooksLike {
    for &(at, signature, what) in FORMATS {
        if start.get(at..).unwrap_or_default().starts_with(signature) {
            return what;
        }
    }
    if start.iter().all(|&byte| byte == 0) {
        return Known("nothing but zeros, as of a file that was never written");
    }
    let first = [0, 1, 2, 3].map(|at| start.get(at).copied().unwrap_or_default());
    text(start).unwrap_or(LooksLike::Unknown(first))
}

/// The kind of text, if it is text.
fn text(start: &[u8]) -> Option<LooksLike> {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The look ahead may end inside a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(start.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let starts = |words: &[&str]| words.iter().any(|word| text.starts_with(word));
    Some(
        if starts(&["CLIENT_RANDOM ", "CLIENT_HANDSHAKE_", "SERVER_HANDSHAKE_"]) {
            LooksLike::KeyLog
        } else if starts(&["{", "["]) {
            Known("JSON text")
        } else if starts(&["<!DOCTYPE html", "<!doctype html", "<html"]) {
            Known("an HTML page, as of a download that asked for a login")
        } else if starts(&["<"]) {
            Known("XML text")
        } else if starts(&["version https://git-lfs"]) {
            Known("a pointer of Git LFS; fetch the file itself with `git lfs pull`")
        } else {
            Known("text")
        },
    )
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Known(what) | Packed(what, _) => write!(f, "it looks like {what}"),
            OtherCapture(what) => write!(f, "it looks like a capture in the {what} format"),
            LooksLike::KeyLog => f.write_str("it looks like a TLS key log"),
            LooksLike::Unknown([a, b, c, d]) => {
                let words = "it begins with the octets";
                write!(f, "{words} {a:02x} {b:02x} {c:02x} {d:02x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_formats_are_named() {
        let message = |start: &[u8]| looks_like(start).to_string();
        assert_eq!(message(b"\x89PNG\r\n\x1a\n"), "it looks like a PNG image");
        assert_eq!(message(b"No.\tTime\n1\t0\n"), "it looks like text");
        assert_eq!(message(b"\n {\"a\": 1}"), "it looks like JSON text");
        assert_eq!(
            message("한".as_bytes().get(..2).unwrap()),
            "it looks like text"
        );
        assert_eq!(
            message(&[0; 40]).split(',').next(),
            Some("it looks like nothing but zeros")
        );
        assert_eq!(message(&[1, 2, 3]), "it begins with the octets 01 02 03 00");
        assert_eq!(looks_like(b"CLIENT_RANDOM 00"), LooksLike::KeyLog);
        assert_eq!(looks_like(b"snoop\0\0\0\0"), OtherCapture("snoop"));
    }
}
