//! Bytes of plain ASCII as text. Unsafe code of this room stands here alone.
#![expect(
    unsafe_code,
    reason = "nearly every text of a capture is plain ASCII, and the standard library's check of \
              UTF-8 looks at each byte of a short text in turn: 2 to 12 % of the table"
)]

use super::scan::any;

/// Returns the bytes as text where all of them are ASCII and none is NUL; `None` otherwise.
#[inline(always)]
pub fn plain_text(bytes: &[u8]) -> Option<&str> {
    plain_text_without(bytes, |_| false)
}

/// Returns what [`plain_text`] does where `unwanted` holds for no byte either; one pass tests
/// both.
#[inline(always)]
pub fn plain_text_without(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> Option<&str> {
    if any(bytes, |byte| !(1..=0x7f).contains(&byte) | unwanted(byte)) {
        return None;
    }
    // SAFETY: every byte is below 0x80, and each such byte is a whole character in UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn just_ascii_without_nul_is_plain(
            bytes in proptest::collection::vec(prop_oneof![9 => 1..0x80u8, 1 => any_byte()], 0..70),
        ) {
            let plain = bytes.iter().all(|byte| (1..0x80).contains(byte));
            let text = std::str::from_utf8(&bytes).ok().filter(|_| plain);
            prop_assert_eq!(plain_text(&bytes), text);
        }
    }

    fn any_byte() -> impl Strategy<Value = u8> {
        proptest::num::u8::ANY
    }
}
