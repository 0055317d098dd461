//! Bytes of plain ASCII as text, and the way to what only some processors can. Unsafe code
//! stands here and in `capture::live::sys` alone.
#![expect(
    unsafe_code,
    reason = "nearly every text of a capture is plain ASCII, and the standard library's way from \
              octets to text looks at each octet of a short one in turn: 2 to 12 % of the table; \
              a function compiled for a processor's shuffle of octets can only be called so: 12 to \
              34 % of the JSON; and memory is fetched ahead by its address: 3 % of --check"
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

/// Bytes of a room for so many bytes of text that [`quote_by_shuffle`] writes.
pub const fn room_to_quote(bytes: usize) -> usize {
    2 * bytes + 64
}

/// Writes text into `room` as JSON has it between quotation marks; how many bytes that takes.
/// `Some(None)` where something else than printable ASCII, tabs and line ends is in it, or the
/// room is less than [`room_to_quote`]: what was written is worth nothing then. `None` where
/// the processor cannot, and nothing was written.
#[inline]
pub fn quote_by_shuffle(room: &mut [u8], bytes: &[u8]) -> Option<Option<usize>> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has what the function is compiled for.
        return Some(unsafe { super::shuffle::quote(room, bytes) });
    }
    let _ = (room, bytes);
    None
}

/// Writes two lower-case hexadecimal digits a byte into `room`, which has place for just
/// those. `false` where the processor cannot, or the bytes are too few.
#[inline]
pub fn hex_by_shuffle(room: &mut [u8], bytes: &[u8]) -> bool {
    debug_assert_eq!(room.len(), 2 * bytes.len(), "two digits an octet");
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { super::shuffle::hex(room, bytes) }.is_some();
    }
    let _ = (room, bytes);
    false
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
