//! Bytes of plain ASCII as text, and the way to what only some processors can. Unsafe code
//! stands here and in `capture::live::sys` alone.
#![expect(
    unsafe_code,
    reason = "nearly every text of a capture is plain ASCII, and the standard library's way from \
              octets to text looks at each octet of a short one in turn: 2 to 12 % of the table; \
              and memory is fetched ahead by its address: 3 % of --check"
)]

use super::scan::any;

/// The bytes as text, where all of them are ASCII and none is NUL; `None` otherwise.
#[inline(always)]
pub fn plain_text(bytes: &[u8]) -> Option<&str> {
    plain_text_without(bytes, |_| false)
}

/// [`plain_text`] where `unwanted` holds of no byte either: one look for both.
#[inline(always)]
pub fn plain_text_without(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> Option<&str> {
    if any(bytes, |byte| !(1..=0x7f).contains(&byte) | unwanted(byte)) {
        return None;
    }
    // SAFETY: every byte is below 0x80, and each such byte is a whole character in UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// Bytes that the processor brings near together.
const CACHE_LINE: usize = 64;

/// Tells the processor that `place` is wanted soon, where it can be told: what comes from far
/// away is then on its way while something else is done.
#[inline(always)]
pub fn wanted_soon<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(CACHE_LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let byte = std::ptr::from_ref(place).cast::<i8>().wrapping_add(line);
        // SAFETY: nothing is read or written; the address is within the value.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(byte) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
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
