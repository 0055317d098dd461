//! Octets of plain ASCII as text. Unsafe code stands here and in `record::kernel::sys` alone.
#![expect(
    unsafe_code,
    reason = "nearly every text of a capture is plain ASCII, and the standard library's way from \
              octets to text looks at each octet of a short one in turn: 2 to 12 % of the table"
)]

use super::scan::any;

/// The octets as text, where all of them are ASCII and none is NUL; `None` otherwise.
#[inline(always)]
pub fn plain_text(octets: &[u8]) -> Option<&str> {
    if any(octets, |octet| !(1..=0x7f).contains(&octet)) {
        return None;
    }
    // SAFETY: every octet is below 0x80, and each such octet is a whole character in UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(octets) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn just_ascii_without_nul_is_plain(
            octets in proptest::collection::vec(prop_oneof![9 => 1..0x80u8, 1 => any_octet()], 0..70),
        ) {
            let plain = octets.iter().all(|octet| (1..0x80).contains(octet));
            let text = std::str::from_utf8(&octets).ok().filter(|_| plain);
            prop_assert_eq!(plain_text(&octets), text);
        }
    }

    fn any_octet() -> impl Strategy<Value = u8> {
        proptest::num::u8::ANY
    }
}
